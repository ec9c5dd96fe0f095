//! What can be asked for, by address: the same router behind every door.
//!
//! | address | | answers |
//! |---|---|---|
//! | `GET /api/v1/status` | | [`StatusReport`] |
//! | `GET /api/v1/services` | | its services |
//! | `GET /api/v1/services/{unit}` | | [`ServiceDetail`]: one of them, its probes asked |
//! | `GET /api/v1/health` | | [`HealthReport`]: how the host and every service are |
//! | `GET /api/v1/health/{subject}` | `since` | [`HealthDetail`]: one of them, and its changes |
//! | `GET /metrics` | | what monitoring reads: OpenMetrics, or Prometheus' text |
//! | `GET /api/v1/metrics` | | [`MetricsReport`]: the latest value of each metric |
//! | `GET /api/v1/metrics/{subject}` | | [`MetricsReport`]: of a unit, or of `host` |
//! | `GET /api/v1/metrics/{subject}/{metric}` | `since`, `until` | [`MetricHistory`] |
//! | `GET /api/v1/incidents` | `unit`, `since`, `until`, `outcome`, `kind`, `limit` | newest first |
//! | `GET /api/v1/incidents/{id}` | | one, with every step |
//! | `GET /api/v1/records` | as incidents, and `after` | whole records, oldest first |
//! | `GET /api/v1/strategies` | `unit` | what strategies have achieved |
//! | `GET /api/v1/approvals` | | acts that waited, or wait |
//! | `GET /api/v1/expected-work` | | what work is expected of services |
//! | `GET /api/v1/alerts` | `state`, `channel`, `incident`, `limit` | messages, newest first |
//! | `GET /api/v1/alerts/{id}` | | one message |
//! | `POST /api/v1/services/{unit}/heal` | [`HealOptions`] | NDJSON: steps, then the end |
//! | `POST /api/v1/services/{unit}/failures` | [`Monitor`] | the incident, for a hook |
//! | `POST /api/v1/approvals/{id}/decision` | [`Decision`] | the approval |
//! | `POST /api/v1/incidents/{id}/undo` | [`UndoOptions`] | [`Undone`] |
//! | `POST /api/v1/pauses` | [`PauseCall`] | the pause |
//! | `DELETE /api/v1/pauses`, `…/pauses/{unit}` | | [`Resumed`] |
//! | `POST /api/v1/expected-work` | [`ExpectCall`] | the work |
//! | `DELETE /api/v1/expected-work/{unit}` | | whether there was any |
//! | `POST /api/v1/alerts/retry`, `…/alerts/{id}/retry` | | [`Retried`] |
//! | `POST /api/v1/channels/{channel}/test` | | [`ChannelTest`] |
//! | `POST /api/v1/reload` | | [`Reloaded`] |
//!
//! Whatever is not answered is a problem (RFC 9457). Everything but `GET` is an
//! order, and only for [`Caller::Root`].

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Body,
    extract::{FromRequest, FromRequestParts, Path, Request, State},
    http::{
        HeaderMap, HeaderValue, Method,
        header::{ACCEPT, CONTENT_TYPE},
        request::Parts,
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use http_body_util::LengthLimitError;
use prunella_core::{
    ChannelName, UnitName,
    alert::Dispatch,
    health::{ExpectedWork, Metric, Subject},
    oversight::Approval,
    statistics::StrategyStatistics,
    summary::Summary,
    text::one_line,
    trail::Record,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::{Semaphore, mpsc};

use crate::{
    Accepted, Answer, ChannelTest, DecideCall, ExpectCall, ExpositionFormat, HealCall,
    HealthDetail, HealthReport, HookCall, MetricHistory, MetricsReport, Monitor, Orders, PauseCall,
    PauseStatus, Queries, Records, Refusal, RefusalKind, Reloaded, ResumeCall, Resumed, Retried,
    ServiceDetail, ServiceStatus, StatusReport, Steps, UndoCall, UndoOptions, Undone,
    message::{
        AlertParams, Decision, HealLine, HealOptions, IncidentParams, SinceParams, SpanParams,
        UnitParams,
    },
};

/// Steps of a healing that may wait for a slow caller; who is slower than that is
/// told no more.
const WAITING_STEPS: usize = 1024;

/// Who answers. Calls come from several threads at once.
#[derive(Clone)]
pub struct Door {
    pub queries: Arc<dyn Queries>,
    /// Carries out orders.
    pub orders: Arc<dyn Orders>,
}

/// Who asks, as the door that they came through knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Root, or whoever the daemon runs as: may order.
    Root,
    /// May only ask.
    Reader,
    /// TryOutcome to root's door, and is not root.
    Stranger,
}

/// The account that gives an order, where the door knows it: then an order is written
/// down as theirs, whatever name it gives.
#[derive(Debug, Clone)]
pub struct Account(pub String);

/// What bounds a request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Healings that callers wait for at once.
    pub heals: usize,
    /// For a body to be complete.
    pub request: Duration,
    /// The longest body in bytes.
    pub bytes: usize,
}

struct Shared {
    door: Door,
    limits: Limits,
    heals: Arc<Semaphore>,
}

type Api = State<Arc<Shared>>;

/// The router. Each door adds an [`Extension`] with its [`Caller`].
pub fn router(door: Door, limits: Limits) -> Router {
    let shared = Arc::new(Shared {
        door,
        limits,
        heals: Arc::new(Semaphore::new(limits.heals)),
    });
    let v1 = Router::new()
        .route("/status", get(status))
        .route("/services", get(services))
        .route("/services/{unit}", get(service))
        .route("/services/{unit}/heal", post(heal))
        .route("/services/{unit}/failures", post(hook))
        .route("/health", get(health))
        .route("/health/{subject}", get(health_of))
        .route("/metrics", get(metrics))
        .route("/metrics/{subject}", get(metrics_of))
        .route("/metrics/{subject}/{metric}", get(metric))
        .route("/incidents", get(incidents))
        .route("/incidents/{id}", get(incident))
        .route("/incidents/{id}/undo", post(undo))
        .route("/records", get(records))
        .route("/strategies", get(statistics))
        .route("/approvals", get(approvals))
        .route("/approvals/{id}/decision", post(decide))
        .route("/pauses", post(pause).delete(resume_all))
        .route("/pauses/{unit}", delete(resume))
        .route("/expected-work", get(expected_work).post(expect_work))
        .route("/expected-work/{unit}", delete(end_expected_work))
        .route("/alerts", get(alerts))
        .route("/alerts/retry", post(retry_all))
        .route("/alerts/{id}", get(alert))
        .route("/alerts/{id}/retry", post(retry))
        .route("/channels/{channel}/test", post(test_channel))
        .route("/reload", post(reload));
    Router::new()
        .nest("/api/v1", v1)
        .route("/metrics", get(exposition))
        .fallback(no_such_resource)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn(authorize))
        .with_state(shared)
}

/// Lets through what the caller may ask for.
async fn authorize(caller: Option<Extension<Caller>>, request: Request, next: Next) -> Response {
    let refusal = match caller.map(|Extension(caller)| caller) {
        Some(Caller::Root) => None,
        Some(Caller::Reader) if request.method() == Method::GET => None,
        Some(Caller::Reader) => Some(
            Refusal::new(
                RefusalKind::NotAllowed,
                "the status socket answers reading requests only",
            )
            .help("ask as root on the control socket"),
        ),
        Some(Caller::Stranger) => Some(
            Refusal::new(
                RefusalKind::NotAllowed,
                "only root may use the control socket",
            )
            .help("use sudo, or ask the status socket, which only reads"),
        ),
        None => Some(Refusal::new(
            RefusalKind::NotAllowed,
            "nobody says who is asking",
        )),
    };
    match refusal {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    }
}

async fn no_such_resource(request: Request) -> Refusal {
    Refusal::new(
        RefusalKind::NotFound,
        format!(
            "there is no resource {}",
            one_line(request.uri().path(), 200)
        ),
    )
    .help(version())
}

async fn no_such_method(request: Request) -> Refusal {
    Refusal::new(
        RefusalKind::BadRequest,
        format!(
            "{} cannot be done with {}",
            one_line(request.method().as_str(), 20),
            one_line(request.uri().path(), 200)
        ),
    )
    .help(version())
}

fn version() -> String {
    format!(
        "this daemon is Prunella {}; the command that asked may be another version",
        env!("CARGO_PKG_VERSION")
    )
}

fn not_understood(error: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(
        RefusalKind::BadRequest,
        format!(
            "the request is not understood: {}",
            one_line(&error.to_string(), 300)
        ),
    )
    .help(version())
}

/// A body of JSON, within the bounds; an empty one is an object without fields.
struct Input<T>(T);

impl<T: DeserializeOwned> FromRequest<Arc<Shared>> for Input<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Refusal> {
        let limits = shared.limits;
        let body = axum::body::to_bytes(request.into_body(), limits.bytes);
        let body = match tokio::time::timeout(limits.request, body).await {
            Err(_) => {
                return Err(Refusal::new(
                    RefusalKind::TooSlow,
                    "the request did not arrive in time",
                ));
            }
            Ok(Err(error)) if is_too_long(&error) => {
                return Err(Refusal::new(
                    RefusalKind::TooLarge,
                    format!("the request is longer than {} bytes", limits.bytes),
                ));
            }
            Ok(Err(error)) => return Err(not_understood(&error)),
            Ok(Ok(body)) => body,
        };
        let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
        serde_json::from_slice(body)
            .map(Self)
            .map_err(|error| not_understood(&error))
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<LengthLimitError>())
}

/// What stands behind the `?`.
struct Params<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        serde_urlencoded::from_str(parts.uri.query().unwrap_or_default())
            .map(Self)
            .map_err(|error| not_understood(&error))
    }
}

/// The name, or names, within the address.
struct Named<T>(T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Path(name) = Path::<T>::from_request_parts(parts, state)
            .await
            .map_err(|error| not_understood(&error.body_text()))?;
        Ok(Self(name))
    }
}

type Reply<T> = Result<Json<T>, Refusal>;

/// An answer, as JSON.
struct Json<T>(T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => {
                let json = HeaderValue::from_static("application/json");
                ([(CONTENT_TYPE, json)], body).into_response()
            }
            Err(error) => panicked(&error).into_response(),
        }
    }
}

impl Shared {
    /// Asks on a thread that may block.
    async fn ask<T: Serialize + Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Queries) -> Answer<T> + Send + 'static,
    ) -> Reply<T> {
        let queries = Arc::clone(&self.door.queries);
        blocking(move || question(&*queries)).await
    }

    /// Orders on a thread that may block.
    async fn order<T: Serialize + Send + 'static>(
        &self,
        order: impl FnOnce(&dyn Orders) -> Answer<T> + Send + 'static,
    ) -> Reply<T> {
        let orders = Arc::clone(&self.door.orders);
        blocking(move || order(&*orders)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Answer<T> + Send + 'static,
) -> Reply<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(answer)) => Ok(Json(answer)),
        Ok(Err(error)) => Err(error.into_refusal()),
        Err(error) => Err(panicked(&error)),
    }
}

fn panicked(error: &dyn std::fmt::Display) -> Refusal {
    tracing::error!(%error, "a request ended in a panic");
    Refusal::new(RefusalKind::Failed, "the daemon failed to answer")
        .help("see `journalctl -u prunella.service`")
}

async fn status(State(shared): Api) -> Reply<StatusReport> {
    shared.ask(|queries| queries.status()).await
}

async fn services(State(shared): Api) -> Reply<Vec<ServiceStatus>> {
    shared.ask(|queries| Ok(queries.status()?.services)).await
}

async fn service(State(shared): Api, Named(unit): Named<UnitName>) -> Reply<ServiceDetail> {
    shared.ask(move |queries| queries.service(&unit)).await
}

async fn health(State(shared): Api) -> Reply<HealthReport> {
    shared.ask(|queries| queries.health()).await
}

async fn health_of(
    State(shared): Api,
    Named(subject): Named<Subject>,
    Params(params): Params<SinceParams>,
) -> Reply<HealthDetail> {
    shared
        .ask(move |queries| queries.health_of(&subject, params.since))
        .await
}

async fn metrics(State(shared): Api) -> Reply<MetricsReport> {
    shared.ask(|queries| queries.metrics(None)).await
}

/// In the format that the reader accepts.
async fn exposition(State(shared): Api, headers: HeaderMap) -> Result<Response, Refusal> {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let format = ExpositionFormat::accepted(accept.unwrap_or_default());
    let Json(text) = shared
        .ask(move |queries| queries.exposition(format))
        .await?;
    let media = HeaderValue::from_static(format.content_type());
    Ok(([(CONTENT_TYPE, media)], text).into_response())
}

async fn metrics_of(State(shared): Api, Named(subject): Named<Subject>) -> Reply<MetricsReport> {
    shared
        .ask(move |queries| queries.metrics(Some(&subject)))
        .await
}

async fn metric(
    State(shared): Api,
    Named((subject, metric)): Named<(Subject, Metric)>,
    Params(params): Params<SpanParams>,
) -> Reply<MetricHistory> {
    shared
        .ask(move |queries| queries.metric(&subject, metric, params.since, params.until))
        .await
}

async fn incidents(
    State(shared): Api,
    Params(params): Params<IncidentParams>,
) -> Reply<Vec<Summary>> {
    shared
        .ask(move |queries| queries.incidents(&params.filter()))
        .await
}

async fn incident(State(shared): Api, Named(id): Named<String>) -> Reply<Record> {
    shared.ask(move |queries| queries.incident(&id)).await
}

async fn records(State(shared): Api, Params(params): Params<IncidentParams>) -> Reply<Records> {
    shared
        .ask(move |queries| queries.records(&params.filter(), params.after))
        .await
}

async fn statistics(
    State(shared): Api,
    Params(params): Params<UnitParams>,
) -> Reply<Vec<StrategyStatistics>> {
    shared
        .ask(move |queries| queries.statistics(params.unit.as_ref()))
        .await
}

async fn approvals(State(shared): Api) -> Reply<Vec<Approval>> {
    shared.ask(|queries| queries.approvals()).await
}

async fn alerts(State(shared): Api, Params(params): Params<AlertParams>) -> Reply<Vec<Dispatch>> {
    shared
        .ask(move |queries| queries.alerts(&params.filter()?))
        .await
}

async fn alert(State(shared): Api, Named(id): Named<String>) -> Reply<Dispatch> {
    shared.ask(move |queries| queries.alert(&id)).await
}

async fn hook(
    State(shared): Api,
    Named(unit): Named<UnitName>,
    Input(monitor): Input<Monitor>,
) -> Reply<Accepted> {
    shared
        .order(move |orders| orders.hook(&HookCall { unit, monitor }))
        .await
}

async fn decide(
    State(shared): Api,
    account: Option<Extension<Account>>,
    Named(id): Named<String>,
    Input(decision): Input<Decision>,
) -> Reply<Approval> {
    let call = DecideCall {
        id,
        approve: decision.approve,
        by: known(account, decision.by),
        reason: decision.reason,
    };
    shared.order(move |orders| orders.decide(&call)).await
}

async fn undo(
    State(shared): Api,
    account: Option<Extension<Account>>,
    Named(incident): Named<String>,
    Input(options): Input<UndoOptions>,
) -> Reply<Undone> {
    let call = UndoCall {
        incident,
        by: known(account, options.by),
        dry_run: options.dry_run,
    };
    shared.order(move |orders| orders.undo(&call)).await
}

/// Who gives an order: the account that the door knows, or else the name that the
/// order gives.
fn known(account: Option<Extension<Account>>, said: String) -> String {
    account.map_or(said, |Extension(Account(name))| name)
}

async fn pause(
    State(shared): Api,
    account: Option<Extension<Account>>,
    Input(mut call): Input<PauseCall>,
) -> Reply<PauseStatus> {
    call.by = known(account, call.by);
    shared.order(move |orders| orders.pause(&call)).await
}

async fn resume_all(State(shared): Api) -> Reply<Resumed> {
    shared
        .order(|orders| orders.resume(&ResumeCall { unit: None }))
        .await
}

async fn resume(State(shared): Api, Named(unit): Named<UnitName>) -> Reply<Resumed> {
    let call = ResumeCall { unit: Some(unit) };
    shared.order(move |orders| orders.resume(&call)).await
}

async fn expected_work(State(shared): Api) -> Reply<Vec<ExpectedWork>> {
    shared.ask(|queries| queries.expected_work()).await
}

async fn expect_work(
    State(shared): Api,
    account: Option<Extension<Account>>,
    Input(mut call): Input<ExpectCall>,
) -> Reply<ExpectedWork> {
    call.by = known(account, call.by);
    shared.order(move |orders| orders.expect_work(&call)).await
}

async fn end_expected_work(State(shared): Api, Named(unit): Named<UnitName>) -> Reply<bool> {
    shared
        .order(move |orders| orders.end_expected_work(&unit))
        .await
}

async fn retry_all(State(shared): Api) -> Reply<Retried> {
    shared.order(|orders| orders.retry_alerts(None)).await
}

async fn retry(State(shared): Api, Named(id): Named<String>) -> Reply<Retried> {
    shared
        .order(move |orders| orders.retry_alerts(Some(&id)))
        .await
}

async fn test_channel(
    State(shared): Api,
    Named(channel): Named<ChannelName>,
) -> Reply<ChannelTest> {
    shared
        .order(move |orders| orders.test_channel(&channel))
        .await
}

async fn reload(State(shared): Api) -> Reply<Reloaded> {
    shared.order(|orders| orders.reload()).await
}

/// Each step is a line of JSON, and so is the end.
async fn heal(
    State(shared): Api,
    Named(unit): Named<UnitName>,
    Input(options): Input<HealOptions>,
) -> Result<Response, Refusal> {
    let slot = Arc::clone(&shared.heals).try_acquire_owned().map_err(|_| {
        Refusal::new(
            RefusalKind::Busy,
            format!(
                "{} healings are being waited for already",
                shared.limits.heals
            ),
        )
        .help("try again when one of them has ended")
    })?;
    let call = HealCall {
        unit,
        dry_run: options.dry_run,
        restart: options.restart,
    };
    let orders = Arc::clone(&shared.door.orders);
    let (lines, mut coming) = mpsc::channel(WAITING_STEPS);
    // Goes on when the caller has left: nobody but the healing ends it.
    tokio::task::spawn_blocking(move || {
        let _slot = slot;
        let told = lines.clone();
        let steps = Steps::new(move |entry| {
            told.try_send(HealLine::Step(Box::new(entry.clone())))
                .is_ok()
        });
        let ended = orders.heal(&call, steps.clone());
        steps.close();
        let last = match ended {
            Ok((incident, ending)) => HealLine::Ended { incident, ending },
            Err(error) => HealLine::Refused(error.into_refusal()),
        };
        if lines.blocking_send(last).is_err() {
            tracing::debug!("whoever asked for a healing did not wait for its end");
        }
    });
    // What is refused before it began has its own status.
    let first = match coming.recv().await {
        Some(HealLine::Refused(refusal)) => return Err(refusal),
        Some(first) => first,
        None => return Err(panicked(&"a healing")),
    };
    let lines =
        futures_util::stream::unfold((Some(first), coming), |(first, mut coming)| async move {
            let line = match first {
                Some(first) => first,
                None => coming.recv().await?,
            };
            Some((line_of(&line), (None, coming)))
        });
    let mut response = Body::from_stream(lines).into_response();
    let ndjson = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(CONTENT_TYPE, ndjson);
    Ok(response)
}

fn line_of(line: &HealLine) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(bytes)
}
