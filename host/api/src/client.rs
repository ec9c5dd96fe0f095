//! The asking side: commands and hooks.

use std::{
    io,
    os::unix::net::UnixStream as StdStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{ACCEPT, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use prunella_core::{
    ChannelName, Timestamp, UnitName,
    access::{AuditEntry, KeyInfo, KeyName},
    alert::{Dispatch, DispatchFilter},
    event::Events,
    health::{ExpectedWork, Metric, Subject},
    incident::{Ending, IncidentId},
    oversight::Approval,
    statistics::StrategyStatistics,
    summary::{Filter, Summary},
    trail::Record,
};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    net::UnixStream,
    runtime::{Builder, Runtime},
};

use crate::{
    Accepted, AddedKey, Answer, ApiError, AuditFilter, CONTROL_SOCKET, ChannelTest, DecideCall,
    ExpectCall, ExpositionFormat, HealCall, HealthDetail, HealthReport, HookCall, KeyCall,
    LinkCall, LoginLink, MetricHistory, MetricsReport, Orders, PauseCall, PauseStatus,
    PluginStatus, Queries, Records, Refusal, RefusalKind, Reloaded, ReportFormat, ResumeCall,
    Resumed, Retried, STATUS_SOCKET, ServiceDetail, StatusReport, Steps, UndoCall, UndoOptions,
    Undone,
    message::{
        AlertParams, Decision, HealLine, HealOptions, IncidentParams, SinceParams, SpanParams,
        UnitParams,
    },
    problem,
};

/// How long a hook waits for the daemon, from connecting to the answer, before
/// it goes the way alone.
pub const HOOK_LIMIT: Duration = Duration::from_millis(200);

/// How long a command waits for an answer.
pub const READ_LIMIT: Duration = Duration::from_secs(10);

/// How long undoing what was done in an incident may take.
const UNDO_LIMIT: Duration = Duration::from_secs(180);

/// The longest answer, in bytes: a long incident with every line it logged.
const ANSWER_BYTES: usize = 64 << 20;

/// What stands for itself within one part of an address.
const PART: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Asks the daemon of one run directory. A connection is made for each call.
#[derive(Debug, Clone)]
pub struct Client {
    run_dir: PathBuf,
    limit: Duration,
}

impl Client {
    /// For the daemon that listens in `run_dir`; does not connect yet.
    pub fn new(run_dir: impl Into<PathBuf>) -> Self {
        Self {
            run_dir: run_dir.into(),
            limit: READ_LIMIT,
        }
    }

    /// For questions and orders that may take as long as `limit`.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Whether a daemon listens: something answers the status or the control
    /// socket's door.
    pub fn listening(&self) -> bool {
        [CONTROL_SOCKET, STATUS_SOCKET].iter().any(|name| {
            matches!(
                open(&self.run_dir.join(name), HOOK_LIMIT),
                Ok(_) | Err(ApiError::NoPermission(_) | ApiError::TimedOut(_))
            )
        })
    }

    fn get<T: DeserializeOwned>(&self, address: &str) -> Answer<T> {
        self.call(STATUS_SOCKET, Method::GET, address, Bytes::new())
    }

    fn get_with<T: DeserializeOwned>(&self, address: &str, params: &impl Serialize) -> Answer<T> {
        let params = serde_urlencoded::to_string(params)
            .map_err(|error| ApiError::NotUnderstood(error.to_string()))?;
        self.get(&format!("{address}?{params}"))
    }

    fn post<T: DeserializeOwned>(&self, address: &str, body: &impl Serialize) -> Answer<T> {
        self.call(CONTROL_SOCKET, Method::POST, address, json(body)?)
    }

    fn call<T: DeserializeOwned>(
        &self,
        socket: &str,
        method: Method,
        address: &str,
        body: Bytes,
    ) -> Answer<T> {
        let answer = self.exchange(socket, request(method, address, body)?)?;
        serde_json::from_slice(&answer).map_err(|error| ApiError::NotUnderstood(error.to_string()))
    }

    /// Sends a request; answers with what came of it, where that is no refusal.
    fn exchange(&self, socket: &str, request: Request<Full<Bytes>>) -> Answer<Bytes> {
        let path = self.run_dir.join(socket);
        let begun = Instant::now();
        let stream = open(&path, self.limit)?;
        let left = self.limit.saturating_sub(begun.elapsed());
        runtime(&path)?.block_on(async {
            tokio::time::timeout(left, async {
                let response = send(&path, stream, request).await?;
                whole(response).await
            })
            .await
            .unwrap_or(Err(ApiError::TimedOut(self.limit)))
        })
    }
}

/// An event loop for one call, on this thread.
fn runtime(path: &Path) -> Answer<Runtime> {
    Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(failed(path))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ApiError {
    let path = path.to_owned();
    move |source| ApiError::Io { path, source }
}

fn json(body: &impl Serialize) -> Answer<Bytes> {
    let body =
        serde_json::to_vec(body).map_err(|error| ApiError::NotUnderstood(error.to_string()))?;
    Ok(body.into())
}

fn request(method: Method, address: &str, body: Bytes) -> Answer<Request<Full<Bytes>>> {
    Request::builder()
        .method(method)
        .uri(format!("/api/v1{address}"))
        .header(HOST, "localhost")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|error| ApiError::NotUnderstood(error.to_string()))
}

/// A name as one part of an address.
fn part(name: &str) -> impl std::fmt::Display {
    utf8_percent_encode(name, PART)
}

/// Sends it and waits for the head of the answer.
async fn send(
    path: &Path,
    stream: StdStream,
    request: Request<Full<Bytes>>,
) -> Answer<Response<Incoming>> {
    stream.set_nonblocking(true).map_err(failed(path))?;
    let stream = UnixStream::from_std(stream).map_err(failed(path))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    // Ends with the connection; what went wrong there the answer tells too.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(broken)
}

fn broken(error: hyper::Error) -> ApiError {
    if error.is_parse() {
        ApiError::NotUnderstood(error.to_string())
    } else {
        ApiError::Closed
    }
}

/// For what only a stream tells.
fn not_by_a_call() -> Refusal {
    Refusal::new(
        RefusalKind::BadRequest,
        "what happens is told as a stream: `GET /api/v1/events`",
    )
}

/// The whole answer, unless it is a problem.
async fn whole(response: Response<Incoming>) -> Answer<Bytes> {
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES)
        .collect()
        .await
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                ApiError::NotUnderstood(format!("it is longer than {ANSWER_BYTES} bytes"))
            } else {
                ApiError::Closed
            }
        })?
        .to_bytes();
    if status.is_success() {
        return Ok(body);
    }
    Err(match problem::read(&body) {
        Ok(refusal) => refusal.into(),
        Err(_) => ApiError::NotUnderstood(format!("it answers with the status {status}")),
    })
}

impl Queries for Client {
    fn status(&self) -> Answer<StatusReport> {
        self.get("/status")
    }

    fn service(&self, unit: &UnitName) -> Answer<ServiceDetail> {
        self.get(&format!("/services/{}", part(unit.as_str())))
    }

    fn health(&self) -> Answer<HealthReport> {
        self.get("/health")
    }

    fn expected_work(&self) -> Answer<Vec<ExpectedWork>> {
        self.get("/expected-work")
    }

    fn health_of(&self, subject: &Subject, since: Option<Timestamp>) -> Answer<HealthDetail> {
        let address = format!("/health/{}", part(subject.as_str()));
        self.get_with(&address, &SinceParams { since })
    }

    fn metrics(&self, subject: Option<&Subject>) -> Answer<MetricsReport> {
        match subject {
            Some(subject) => self.get(&format!("/metrics/{}", part(subject.as_str()))),
            None => self.get("/metrics"),
        }
    }

    fn metric(
        &self,
        subject: &Subject,
        metric: Metric,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Answer<MetricHistory> {
        let address = format!("/metrics/{}/{}", part(subject.as_str()), metric.as_str());
        self.get_with(&address, &SpanParams { since, until })
    }

    fn incidents(&self, filter: &Filter) -> Answer<Vec<Summary>> {
        self.get_with("/incidents", &IncidentParams::new(filter, None))
    }

    fn incident(&self, id: &str) -> Answer<Record> {
        self.get(&format!("/incidents/{}", part(id)))
    }

    fn records(&self, filter: &Filter, after: Option<u64>) -> Answer<Records> {
        self.get_with("/records", &IncidentParams::new(filter, after))
    }

    fn statistics(&self, unit: Option<&UnitName>) -> Answer<Vec<StrategyStatistics>> {
        let unit = unit.cloned();
        self.get_with("/strategies", &UnitParams { unit })
    }

    fn approvals(&self) -> Answer<Vec<Approval>> {
        self.get("/approvals")
    }

    fn alerts(&self, filter: &DispatchFilter) -> Answer<Vec<Dispatch>> {
        self.get_with("/alerts", &AlertParams::new(filter))
    }

    fn alert(&self, id: &str) -> Answer<Dispatch> {
        self.get(&format!("/alerts/{}", part(id)))
    }

    fn plugins(&self) -> Answer<Vec<PluginStatus>> {
        self.get("/plugins")
    }

    fn report(&self, id: &str, format: ReportFormat) -> Answer<String> {
        let address = format!("/incidents/{}/report?format={}", part(id), format.as_str());
        let body = self.exchange(STATUS_SOCKET, request(Method::GET, &address, Bytes::new())?)?;
        String::from_utf8(body.to_vec()).map_err(|error| ApiError::NotUnderstood(error.to_string()))
    }

    fn audit(&self, filter: &AuditFilter) -> Answer<Vec<AuditEntry>> {
        self.get_with("/audit", filter)
    }

    /// Without a stream, whose ids tell the same: this is how far it has got.
    fn latest_event(&self) -> Answer<u64> {
        Err(not_by_a_call().into())
    }

    fn events(&self, _: u64, _: u32) -> Answer<Events> {
        Err(not_by_a_call().into())
    }

    fn exposition(&self, format: ExpositionFormat) -> Answer<String> {
        let request = Request::get("/metrics")
            .header(HOST, "localhost")
            .header(ACCEPT, format.content_type())
            .body(Full::new(Bytes::new()))
            .map_err(|error| ApiError::NotUnderstood(error.to_string()))?;
        let text = self.exchange(STATUS_SOCKET, request)?;
        String::from_utf8(text.into()).map_err(|error| ApiError::NotUnderstood(error.to_string()))
    }
}

impl Orders for Client {
    fn hook(&self, call: &HookCall) -> Answer<Accepted> {
        let address = format!("/services/{}/failures", part(call.unit.as_str()));
        self.post(&address, &call.monitor)
    }

    fn heal(&self, call: &HealCall, steps: Steps) -> Answer<(IncidentId, Ending)> {
        let path = self.run_dir.join(CONTROL_SOCKET);
        let stream = open(&path, READ_LIMIT)?;
        let address = format!("/services/{}/heal", part(call.unit.as_str()));
        let options = HealOptions {
            dry_run: call.dry_run,
            restart: call.restart,
        };
        let request = request(Method::POST, &address, json(&options)?)?;
        // The end of a healing is the daemon's to find: it has a deadline for
        // every step. If the daemon dies, the connection ends.
        runtime(&path)?.block_on(async {
            let response = send(&path, stream, request).await?;
            if !response.status().is_success() {
                let refused = whole(response).await.err();
                return Err(refused.unwrap_or(ApiError::Closed));
            }
            follow(response.into_body(), &steps).await
        })
    }

    fn pause(&self, call: &PauseCall) -> Answer<PauseStatus> {
        self.post("/pauses", call)
    }

    fn resume(&self, call: &ResumeCall) -> Answer<Resumed> {
        let address = match &call.unit {
            Some(unit) => format!("/pauses/{}", part(unit.as_str())),
            None => "/pauses".to_owned(),
        };
        self.call(CONTROL_SOCKET, Method::DELETE, &address, Bytes::new())
    }

    fn expect_work(&self, call: &ExpectCall) -> Answer<ExpectedWork> {
        self.post("/expected-work", call)
    }

    fn end_expected_work(&self, unit: &UnitName) -> Answer<bool> {
        let address = format!("/expected-work/{}", part(unit.as_str()));
        self.call(CONTROL_SOCKET, Method::DELETE, &address, Bytes::new())
    }

    fn decide(&self, call: &DecideCall) -> Answer<Approval> {
        let decision = Decision {
            approve: call.approve,
            by: call.by.clone(),
            reason: call.reason.clone(),
        };
        self.post(
            &format!("/approvals/{}/decision", part(&call.id)),
            &decision,
        )
    }

    fn undo(&self, call: &UndoCall) -> Answer<Undone> {
        let options = UndoOptions {
            by: call.by.clone(),
            dry_run: call.dry_run,
        };
        self.clone().within(UNDO_LIMIT).post(
            &format!("/incidents/{}/undo", part(&call.incident)),
            &options,
        )
    }

    fn retry_alerts(&self, id: Option<&str>) -> Answer<Retried> {
        match id {
            Some(id) => self.post(&format!("/alerts/{}/retry", part(id)), &()),
            None => self.post("/alerts/retry", &()),
        }
    }

    fn test_channel(&self, channel: &ChannelName) -> Answer<ChannelTest> {
        self.post(&format!("/channels/{}/test", part(channel.as_str())), &())
    }

    fn reload(&self) -> Answer<Reloaded> {
        self.post("/reload", &())
    }

    fn keys(&self) -> Answer<Vec<KeyInfo>> {
        self.call(CONTROL_SOCKET, Method::GET, "/keys", Bytes::new())
    }

    fn add_key(&self, call: &KeyCall) -> Answer<AddedKey> {
        let address = format!("/keys/{}", part(call.name.as_str()));
        self.post(&address, &call.options)
    }

    fn revoke_key(&self, name: &KeyName) -> Answer<bool> {
        let address = format!("/keys/{}", part(name.as_str()));
        self.call(CONTROL_SOCKET, Method::DELETE, &address, Bytes::new())
    }

    fn login_link(&self, call: &LinkCall) -> Answer<LoginLink> {
        self.post("/login-links", call)
    }
}

/// Takes the lines of a healing as they come.
async fn follow(mut body: Incoming, steps: &Steps) -> Answer<(IncidentId, Ending)> {
    let mut waiting = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::Closed)?;
        waiting.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = waiting.drain(..=end).collect();
            let line = serde_json::from_slice(&line)
                .map_err(|error| ApiError::NotUnderstood(error.to_string()))?;
            match line {
                HealLine::Step(entry) => steps.send(&entry),
                HealLine::Ended { incident, ending } => return Ok((incident, ending)),
                HealLine::Refused(refusal) => return Err(refusal.into()),
            }
        }
        if waiting.len() > ANSWER_BYTES {
            return Err(ApiError::NotUnderstood(format!(
                "a line is longer than {ANSWER_BYTES} bytes"
            )));
        }
    }
    Err(ApiError::Closed)
}

/// Connects within `limit`, which also becomes the time limit of writing.
///
/// The standard library has no time limit for connecting to a Unix socket, and
/// connecting blocks for as long as the listener's queue is full.
fn open(path: &Path, limit: Duration) -> Result<StdStream, ApiError> {
    let failed = |error: Errno| ApiError::Io {
        path: path.to_owned(),
        source: error.into(),
    };
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(failed)?;
    set_socket_timeout(&socket, Timeout::Send, Some(limit)).map_err(failed)?;
    let address = SocketAddrUnix::new(path).map_err(failed)?;
    match connect(&socket, &address) {
        Ok(()) => Ok(StdStream::from(socket)),
        Err(Errno::NOENT | Errno::CONNREFUSED | Errno::NOTDIR) => {
            Err(ApiError::NotListening(path.to_owned()))
        }
        Err(Errno::ACCESS | Errno::PERM) => Err(ApiError::NoPermission(path.to_owned())),
        Err(Errno::AGAIN | Errno::INPROGRESS | Errno::TIMEDOUT) => Err(ApiError::TimedOut(limit)),
        Err(error) => Err(failed(error)),
    }
}
