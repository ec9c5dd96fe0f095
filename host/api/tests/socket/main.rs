//! The control socket as clients of every kind see it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of a test may panic as the test itself may"
)]

mod document;
mod web;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, Instant},
};

use prunella_api::{
    Accepted, AddedKey, Answer, ApiError, AuditFilter, CONTROL_SOCKET, ChannelTest, Client,
    DayCount, DecideCall, Door, ExpectCall, ExpositionFormat, HealCall, HealthDetail, HealthReport,
    HookCall, HostOverview, InstanceHistory, KeyCall, LatestValue, LinkCall, LoginLink,
    MetricHistory, MetricsReport, Monitor, News, Orders, PauseCall, PauseStatus, PluginStatus,
    Queries, Records, Refusal, RefusalKind, Reloaded, ReportFormat, ResumeCall, Resumed, Retried,
    STATUS_SOCKET, SeenHealth, ServeError, ServeSettings, Server, ServiceDetail, StatusReport,
    Steps, UndoCall, Undone, serve,
};
use prunella_core::{
    ChannelName, Monotonic, StrategyName, Timestamp, UnitName,
    access::{AuditEntry, KeyInfo, KeyName},
    alert::{Dispatch, DispatchFilter},
    event::{Event, Events},
    health::{ExpectedWork, Health, HealthState, Metric, Point, Series, Subject},
    incident::{DetectedBy, Detection, Ending, Incident, IncidentId},
    oversight::{Approval, ApprovalState, Proposal},
    remedy::UndoOutcome,
    statistics::{Counts, Signature, StrategyStatistics},
    summary::{Filter, Summary},
    trail::{Entry, Record, Step},
};
use rstest::rstest;

/// Answers everything, and tells the test what it was asked.
struct Fixed {
    asked: Mutex<Sender<String>>,
    /// A healing ends when something comes through here.
    go_on: Mutex<Receiver<()>>,
    /// The events that a stream is told.
    events: Mutex<Vec<Event>>,
    /// Orders that were written down.
    orders: Mutex<Vec<AuditEntry>>,
    /// Whether the link was used, and the session's hash.
    session: Mutex<Option<String>>,
}

impl Fixed {
    fn note(&self, what: impl Into<String>) {
        self.asked.lock().unwrap().send(what.into()).unwrap();
    }
}

fn id() -> IncidentId {
    IncidentId::from_text("20261121-142301-7f3a")
}

fn unit(name: &str) -> UnitName {
    UnitName::new(name).unwrap()
}

fn approval() -> Approval {
    Approval {
        id: "7f3a".into(),
        asked_at: Timestamp::from_millis(1),
        until: Timestamp::from_millis(2),
        state: ApprovalState::Approved,
        why: "it is down".into(),
        plan: None,
        by: Some("me".into()),
        reason: None,
        proposal: Proposal {
            incident: id(),
            unit: unit("a.service"),
            strategy: StrategyName::new("fix").unwrap(),
            act: "unit-control.start".into(),
            target: "a.service".into(),
            process: None,
            invocation: None,
            boot_id: "b".into(),
        },
    }
}

fn undone() -> Undone {
    Undone {
        incident: id(),
        unit: unit("a.service"),
        acts: vec![UndoOutcome {
            act: "set-aside.run".into(),
            name: "cache".into(),
            result: Ok("moved /var/cache/a back".into()),
        }],
    }
}

fn note(text: &str) -> Entry {
    Entry {
        incident: id(),
        number: 0,
        at: Timestamp::from_millis(1),
        monotonic: Monotonic::from_micros(1),
        attempt: 1,
        step: Step::Note {
            message: text.into(),
        },
    }
}

fn work() -> ExpectedWork {
    ExpectedWork {
        unit: unit("a.service"),
        since: Timestamp::from_millis(1),
        until: Timestamp::from_millis(2),
        reason: "backup".into(),
        by: "me".into(),
        metrics: vec![Metric::LatencyMs],
    }
}

fn seen() -> SeenHealth {
    SeenHealth {
        health: Health {
            subject: unit("a.service").into(),
            state: HealthState::Degraded,
            since: Timestamp::from_millis(7),
            evidence: "it is slow".into(),
            symptoms: Vec::new(),
            episodes: Vec::new(),
            probes: Vec::new(),
            flapping: None,
            expected_work: None,
            error_budget: None,
            forecasts: Vec::new(),
            unusual: Vec::new(),
        },
        seen_at: Some(Timestamp::from_millis(8)),
    }
}

impl Queries for Fixed {
    fn expected_work(&self) -> Answer<Vec<ExpectedWork>> {
        self.note("expected work");
        Ok(vec![work()])
    }

    fn status(&self) -> Answer<StatusReport> {
        self.note("status");
        Ok(StatusReport {
            at: Timestamp::from_millis(1),
            version: "0".into(),
            daemon: None,
            host: HostOverview {
                name: "h".into(),
                uptime_s: 1,
                system_state: None,
                load: None,
                memory: None,
                disks: Vec::new(),
                health: None,
            },
            services: Vec::new(),
            day: DayCount::default(),
            pauses: Vec::new(),
            expected_work: Vec::new(),
            needs_people: Vec::new(),
            awaiting_grant: Vec::new(),
            alarms: Vec::new(),
            notices: Vec::new(),
        })
    }
    fn service(&self, unit: &UnitName) -> Answer<ServiceDetail> {
        self.note(format!("service {unit}"));
        Err(Refusal::new(RefusalKind::NotFound, "not in care").into())
    }
    fn health(&self) -> Answer<HealthReport> {
        self.note("health");
        Ok(HealthReport {
            at: Timestamp::from_millis(9),
            last_known: false,
            host: None,
            services: vec![seen()],
        })
    }
    fn health_of(&self, subject: &Subject, since: Option<Timestamp>) -> Answer<HealthDetail> {
        self.note(format!("health of {} since {since:?}", subject.as_str()));
        Ok(HealthDetail {
            at: Timestamp::from_millis(9),
            last_known: true,
            service: seen(),
            transitions: Vec::new(),
        })
    }
    fn metrics(&self, subject: Option<&Subject>) -> Answer<MetricsReport> {
        self.note(format!("metrics of {subject:?}"));
        Ok(MetricsReport {
            at: Timestamp::from_millis(9),
            interval: Some(Duration::from_secs(10)),
            metrics: vec![LatestValue {
                series: Series {
                    subject: Subject::Host,
                    metric: Metric::DiskPermille,
                    instance: Some("/var".into()),
                },
                at: Timestamp::from_millis(8),
                value: 912,
            }],
        })
    }
    fn metric(
        &self,
        subject: &Subject,
        metric: Metric,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Answer<MetricHistory> {
        Ok(MetricHistory {
            subject: subject.clone(),
            metric,
            since: since.unwrap_or_default(),
            until: until.unwrap_or_default(),
            series: vec![InstanceHistory {
                instance: None,
                points: vec![Point {
                    at: Timestamp::from_millis(8),
                    mean: 2,
                    min: 1,
                    max: 3,
                }],
            }],
        })
    }
    fn incidents(&self, filter: &Filter) -> Answer<Vec<Summary>> {
        self.note(format!("incidents {:?}", filter.limit));
        Ok(Vec::new())
    }
    fn records(&self, _: &Filter, after: Option<u64>) -> Answer<Records> {
        Ok(Records {
            records: vec![self.incident(id().as_str())?],
            next: after.is_none().then_some(7),
        })
    }
    fn statistics(&self, unit: Option<&UnitName>) -> Answer<Vec<StrategyStatistics>> {
        let unit = unit
            .cloned()
            .unwrap_or_else(|| UnitName::new("a.service").unwrap());
        Ok(vec![StrategyStatistics {
            signature: Signature::new(unit, "signal", ["error: it is broken"]),
            strategy: StrategyName::new("fix").unwrap(),
            counts: Counts {
                tries: 3,
                proofs: 2,
                relapses: 1,
            },
            last_at: Timestamp::from_millis(5),
        }])
    }
    fn approvals(&self) -> Answer<Vec<Approval>> {
        Ok(vec![approval()])
    }
    fn incident(&self, asked: &str) -> Answer<Record> {
        if asked != id().as_str() {
            return Err(
                Refusal::new(RefusalKind::NotFound, "there is no such incident")
                    .help("list them with `prunella incidents`")
                    .into(),
            );
        }
        Ok(Record {
            incident: Incident {
                id: id(),
                key: "k".into(),
                detection: Detection {
                    unit: unit("a.service"),
                    by: DetectedBy::Hook,
                    at: Timestamp::from_millis(1),
                    cause: "signal".into(),
                    invocation: None,
                    exit_code: None,
                    signal: Some("KILL".into()),
                    failed_monotonic: Some(Monotonic::from_micros(5)),
                    restarts_before: None,
                    symptoms: Vec::new(),
                    unusual: Vec::new(),
                    follows: None,
                    expected_work: None,
                },
                attempt: 1,
                boot_id: "b".into(),
                parent: None,
            },
            steps: vec![note("one")],
            ending: None,
        })
    }
    fn alerts(&self, filter: &DispatchFilter) -> Answer<Vec<Dispatch>> {
        self.note(format!("alerts {:?}", filter.limit));
        Ok(Vec::new())
    }
    fn plugins(&self) -> Answer<Vec<PluginStatus>> {
        Ok(vec![PluginStatus {
            name: "fix".into(),
            source: "built-in".into(),
            state: "ready".into(),
            version: Some("1.0.0".into()),
            signature: None,
            sha256: None,
            granted: Vec::new(),
            imports: None,
            not_granted: Vec::new(),
            why: None,
            declared_at: None,
        }])
    }
    fn report(&self, id: &str, format: ReportFormat) -> Answer<String> {
        Ok(format!("{} of {id}", format.as_str()))
    }
    fn audit(&self, _: &AuditFilter) -> Answer<Vec<AuditEntry>> {
        Ok(self.orders.lock().unwrap().clone())
    }
    fn latest_event(&self) -> Answer<u64> {
        let events = self.events.lock().unwrap();
        Ok(events.last().map_or(1, |event| event.id))
    }
    fn events(&self, after: u64, limit: u32) -> Answer<Events> {
        let all = self.events.lock().unwrap();
        let latest = all.last().map_or(1, |event| event.id);
        let later = all.iter().filter(|event| event.id > after);
        let events: Vec<Event> = later.take(limit as usize).cloned().collect();
        let upto = events.last().map_or(after, |event| event.id);
        Ok(Events {
            missed: after > latest,
            more: upto < latest,
            upto: upto.min(latest),
            events,
        })
    }
    fn alert(&self, id: &str) -> Answer<Dispatch> {
        let long = if id == "long" { 4 << 20 } else { 0 };
        Err(Refusal::new(
            RefusalKind::NotFound,
            format!("there is no message {id}{}", "!".repeat(long)),
        )
        .into())
    }
    fn exposition(&self, format: ExpositionFormat) -> Answer<String> {
        Ok(format!("# {format:?}\n"))
    }
}

impl Orders for Fixed {
    fn hook(&self, call: &HookCall) -> Answer<Accepted> {
        self.note(format!("hook {}", call.unit));
        Ok(Accepted {
            incident: Some(id()),
            in_care: true,
            mistake: None,
        })
    }
    fn decide(&self, call: &DecideCall) -> Answer<Approval> {
        self.note(format!("decide {} {}", call.id, call.approve));
        Ok(approval())
    }
    fn heal(&self, call: &HealCall, steps: Steps) -> Answer<(IncidentId, Ending)> {
        if call.unit == unit("unknown.service") {
            return Err(Refusal::new(RefusalKind::NotFound, "not in care").into());
        }
        steps.send(&note("begins"));
        self.note(format!("heal {} {}", call.unit, call.dry_run));
        self.go_on.lock().unwrap().recv().unwrap();
        steps.send(&note("ends"));
        Ok((
            id(),
            Ending::Recovered {
                by: "itself".into(),
            },
        ))
    }
    fn undo(&self, call: &UndoCall) -> Answer<Undone> {
        self.note(format!("undo {} {}", call.incident, call.dry_run));
        Ok(undone())
    }

    fn expect_work(&self, call: &ExpectCall) -> Answer<ExpectedWork> {
        self.note(format!("expect {} by {}", call.unit, call.by));
        Ok(work())
    }

    fn end_expected_work(&self, unit: &UnitName) -> Answer<bool> {
        self.note(format!("end {unit}"));
        Ok(true)
    }

    fn pause(&self, call: &PauseCall) -> Answer<PauseStatus> {
        self.note(format!("pause {}", call.reason));
        Ok(PauseStatus {
            unit: call.unit.clone(),
            reason: call.reason.clone(),
            by: call.by.clone(),
            since: Timestamp::from_millis(5),
            until: call.until,
        })
    }
    fn resume(&self, call: &ResumeCall) -> Answer<Resumed> {
        Ok(Resumed {
            unit: call.unit.clone(),
            was_paused: true,
            still: None,
        })
    }
    fn keys(&self) -> Answer<Vec<KeyInfo>> {
        Ok(web::keys())
    }
    fn add_key(&self, call: &KeyCall) -> Answer<AddedKey> {
        self.note(format!("add {} by {}", call.name, call.options.by));
        let info = web::keys().remove(0);
        Ok(AddedKey {
            key: "k".into(),
            info,
        })
    }
    fn revoke_key(&self, name: &KeyName) -> Answer<bool> {
        self.note(format!("revoke {name}"));
        Ok(true)
    }
    fn login_link(&self, call: &LinkCall) -> Answer<LoginLink> {
        self.note(format!("link for {}", call.role));
        Ok(LoginLink {
            token: web::TOKEN.into(),
            expires_at: Timestamp::from_millis(9),
        })
    }
    fn reload(&self) -> Answer<Reloaded> {
        Err(Refusal::new(RefusalKind::Failed, "nginx.toml is broken").into())
    }
    fn retry_alerts(&self, id: Option<&str>) -> Answer<Retried> {
        self.note(format!("retry {id:?}"));
        Ok(Retried {
            messages: 1,
            id: id.map(str::to_owned),
            channel: None,
        })
    }
    fn test_channel(&self, channel: &ChannelName) -> Answer<ChannelTest> {
        self.note(format!("test {}", channel.as_str()));
        Ok(ChannelTest {
            channel: channel.clone(),
            detail: "delivered".into(),
        })
    }
}

fn door(tell: Sender<String>, wait: Receiver<()>) -> (Arc<Fixed>, Door) {
    let fixed = Arc::new(Fixed {
        asked: Mutex::new(tell),
        go_on: Mutex::new(wait),
        events: Mutex::default(),
        orders: Mutex::default(),
        session: Mutex::default(),
    });
    let door = Door {
        queries: Arc::clone(&fixed) as _,
        orders: Arc::clone(&fixed) as _,
        gate: Arc::clone(&fixed) as _,
        news: News::default(),
    };
    (fixed, door)
}

/// A request with a body of JSON.
fn request(method: &str, address: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} /api/v1{address} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What else comes, until the server closes the connection. What it had not read
/// itself makes an end in an error, after all that it said.
fn rest(stream: &mut UnixStream) -> String {
    let mut all = Vec::new();
    let mut part = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut part) {
        all.extend_from_slice(&part[..length]);
    }
    String::from_utf8(all).unwrap()
}

struct House {
    dir: tempfile::TempDir,
    server: Option<Server>,
    asked: Receiver<String>,
    go_on: Sender<()>,
    fixed: Arc<Fixed>,
    news: News,
}

impl House {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut ServeSettings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = ServeSettings::new(dir.path());
        settings.status_group = "root".into();
        change(&mut settings);
        let (tell, asked) = channel();
        let (go_on, wait) = channel();
        let (fixed, door) = door(tell, wait);
        let news = door.news.clone();
        let server = serve(settings, door).unwrap();
        Self {
            fixed,
            news,
            dir,
            server: Some(server),
            asked,
            go_on,
        }
    }

    fn client(&self) -> Client {
        Client::new(self.dir.path())
    }

    fn connect(&self, socket: &str) -> UnixStream {
        let stream = UnixStream::connect(self.dir.path().join(socket)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }

    /// Writes `bytes`, and returns all that comes back.
    fn say(&self, socket: &str, bytes: &[u8]) -> String {
        let mut stream = self.connect(socket);
        // The server may have heard enough before it heard all.
        let _ = stream.write_all(bytes);
        rest(&mut stream)
    }

    /// Proves that the server still serves.
    fn assert_well(&self) {
        let call = HookCall {
            unit: unit("well.service"),
            monitor: Monitor::default(),
        };
        let accepted = self.client().hook(&call).unwrap();
        assert_eq!(accepted.incident, Some(id()));
        assert!(self.asked.iter().any(|what| what == "hook well.service"));
    }
}

#[test]
fn every_question_has_its_answer() {
    let house = House::new();
    let client = house.client();
    assert!(client.listening());
    assert_eq!(client.status().unwrap().host.name, "h");
    assert!(client.incidents(&Filter::default()).unwrap().is_empty());
    let health = client.health().unwrap();
    assert_eq!((health.last_known, health.services), (false, vec![seen()]));
    let since = Some(Timestamp::from_millis(5));
    let one = client.health_of(&unit("b.service").into(), since).unwrap();
    assert_eq!((one.last_known, one.service), (true, seen()));
    let metrics = client.metrics(Some(&Subject::Host)).unwrap();
    assert_eq!(metrics.interval, Some(Duration::from_secs(10)));
    assert_eq!(metrics.metrics[0].series.instance.as_deref(), Some("/var"));
    assert_eq!(client.metrics(None).unwrap(), metrics);
    let unit_b = Subject::from(unit("b.service"));
    let memory = client
        .metric(
            &unit_b,
            Metric::MemoryBytes,
            since,
            Some(Timestamp::from_millis(9)),
        )
        .unwrap();
    assert_eq!(
        (memory.subject, memory.metric),
        (unit_b, Metric::MemoryBytes)
    );
    assert_eq!((Some(memory.since), memory.until.as_millis()), (since, 9));
    assert_eq!(memory.series[0].points[0].max, 3);
    let first = client.records(&Filter::default(), None).unwrap();
    assert_eq!((first.records.len(), first.next), (1, Some(7)));
    let last = client.records(&Filter::default(), first.next).unwrap();
    assert_eq!(last.next, None);
    let achieved = client.statistics(Some(&unit("b.service"))).unwrap();
    assert_eq!(achieved[0].signature.unit, unit("b.service"));
    assert_eq!(
        serde_json::to_string(&achieved[0]).unwrap(),
        r##"{"unit":"b.service","cause":"signal","fingerprint":"8bf8a4334122f1f4","sample":"error: it is broken","strategy":"fix","tries":3,"proofs":2,"relapses":1,"last_at":5}"##
    );
    assert_eq!(client.incident(id().as_str()).unwrap().steps.len(), 1);
    let missing = client.incident("x").unwrap_err();
    let ApiError::Refused(refusal) = missing else {
        panic!("{missing:?}");
    };
    assert_eq!(refusal.kind, RefusalKind::NotFound);
    assert!(refusal.help.unwrap().contains("prunella incidents"));
    let pause = PauseCall {
        unit: None,
        until: None,
        reason: "ö\n\"x\"".into(),
        by: "root".into(),
    };
    assert_eq!(client.pause(&pause).unwrap().reason, pause.reason);
    assert!(
        client
            .resume(&ResumeCall { unit: None })
            .unwrap()
            .was_paused
    );
    let expected = ExpectCall {
        unit: unit("a.service"),
        until: Timestamp::from_millis(2),
        reason: "backup".into(),
        by: "root".into(),
        metrics: vec![Metric::LatencyMs],
    };
    assert_eq!(client.expect_work(&expected).unwrap(), work());
    assert_eq!(client.expected_work().unwrap(), [work()]);
    assert!(client.end_expected_work(&expected.unit).unwrap());
    assert!(matches!(client.reload(), Err(ApiError::Refused(_))));
    let retried = client.retry_alerts(Some("a/b?c")).unwrap();
    assert_eq!(retried.id.as_deref(), Some("a/b?c"));
    assert_eq!(client.retry_alerts(None).unwrap().id, None);
    let mail = ChannelName::new("mail").unwrap();
    assert_eq!(client.test_channel(&mail).unwrap().channel, mail);
    let decision = DecideCall {
        id: "7f3a".into(),
        approve: true,
        by: "me".into(),
        reason: None,
    };
    assert_eq!(client.decide(&decision).unwrap(), approval());
    let undo = UndoCall {
        incident: "7f3a".into(),
        by: "me".into(),
        dry_run: true,
    };
    assert_eq!(client.undo(&undo).unwrap(), undone());
    assert_eq!(client.approvals().unwrap(), [approval()]);
    let filter = DispatchFilter {
        limit: Some(3),
        ..DispatchFilter::default()
    };
    assert!(client.alerts(&filter).unwrap().is_empty());
    let asked: Vec<String> = house.asked.try_iter().collect();
    for wanted in [
        "decide 7f3a true",
        "undo 7f3a true",
        "end a.service",
        "alerts Some(3)",
        "test mail",
        "retry None",
    ] {
        assert!(
            asked.iter().any(|asked| asked == wanted),
            "{wanted}: {asked:?}"
        );
    }
    house.assert_well();
}

#[test]
fn a_healing_is_told_line_by_line() {
    let house = House::new();
    let client = house.client();
    let go_on = house.go_on.clone();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let call = HealCall {
        unit: unit("a.service"),
        dry_run: true,
        restart: false,
    };
    let seeing = Arc::clone(&seen);
    let steps = Steps::new(move |entry| {
        let mut seen = seeing.lock().unwrap();
        // The first line is here while the healing still goes on.
        if seen.is_empty() {
            go_on.send(()).unwrap();
        }
        seen.push(entry.clone());
        true
    });
    let (incident, ending) = client.heal(&call, steps).unwrap();
    assert_eq!(incident, id());
    assert_eq!(ending.as_str(), "recovered");
    assert_eq!(*seen.lock().unwrap(), [note("begins"), note("ends")]);
}

#[test]
fn a_caller_who_leaves_does_not_end_the_healing() {
    let house = House::new();
    let mut stream = house.connect(CONTROL_SOCKET);
    stream
        .write_all(&request("POST", "/services/a.service/heal", "{}"))
        .unwrap();
    assert_eq!(house.asked.recv().unwrap(), "heal a.service false");
    drop(stream);
    house.go_on.send(()).unwrap();
    house.assert_well();
}

#[test]
fn waiting_for_healings_leaves_room_for_hooks() {
    let house = House::with(|settings| settings.heals = 1);
    let heal = request("POST", "/services/a.service/heal", "{}");
    let mut first = house.connect(CONTROL_SOCKET);
    first.write_all(&heal).unwrap();
    assert_eq!(house.asked.recv().unwrap(), "heal a.service false");
    let second = house.say(CONTROL_SOCKET, &heal);
    assert!(second.starts_with("HTTP/1.1 503 "), "{second}");
    assert!(second.contains("urn:prunella:problem:busy"), "{second}");
    house.assert_well();
    house.go_on.send(()).unwrap();
    let rest = rest(&mut first);
    assert!(rest.contains(r#"{"ended":{"#), "{rest}");
}

#[test]
fn a_healing_that_does_not_begin_is_a_problem() {
    let house = House::new();
    let answer = house.say(
        CONTROL_SOCKET,
        &request("POST", "/services/unknown.service/heal", "{}"),
    );
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
}

#[rstest]
#[case::not_json("POST", "/pauses", "{\"by\":")]
#[case::nothing("POST", "/pauses", "")]
#[case::not_an_object("POST", "/services/a.service/heal", "[1,2,3]")]
#[case::wrong_types("POST", "/services/a.service/heal", "{\"dry_run\":\"no\"}")]
#[case::misspelt("POST", "/services/a.service/heal", "{\"dryrun\":true}")]
#[case::bytes("POST", "/services/a.service/heal", "\u{fe}\u{0}\u{80}")]
#[case::path_for_a_unit("POST", "/services/..%2F..%2Fetc%2Fpasswd/heal", "{}")]
#[case::not_text("GET", "/incidents/%ff", "")]
#[case::parameter("GET", "/incidents?untill=5", "")]
#[case::method("PUT", "/status", "")]
fn nonsense_gets_a_clear_answer(#[case] method: &str, #[case] address: &str, #[case] body: &str) {
    let house = House::new();
    let answer = house.say(CONTROL_SOCKET, &request(method, address, body));
    assert!(
        answer.contains("urn:prunella:problem:bad-request"),
        "{answer}"
    );
    assert!(answer.contains(r#""help":"#), "{answer}");
    house.assert_well();
}

#[test]
fn monitoring_reads_the_format_that_it_accepts() {
    let house = House::new();
    let text = house.client().exposition(ExpositionFormat::Prometheus);
    assert_eq!(text.unwrap(), "# Prometheus\n");
    let text = house.client().exposition(ExpositionFormat::OpenMetrics);
    assert_eq!(text.unwrap(), "# OpenMetrics\n");

    let get = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = house.say(STATUS_SOCKET, get).to_lowercase();
    assert!(
        answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{answer}"
    );
    let post = b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    let answer = house.say(STATUS_SOCKET, post);
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[test]
fn a_missing_resource_is_a_problem() {
    let house = House::new();
    for socket in [CONTROL_SOCKET, STATUS_SOCKET] {
        let answer = house.say(socket, b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
    }
    house.assert_well();
}

#[rstest]
#[case::empty_lines(b"\n\n\n\n")]
#[case::words(b"hello there\n")]
#[case::the_wire_of_earlier_versions(b"{\"ask\":\"status\"}\n")]
#[case::bytes(b"\xff\xfe\x00\x80\n")]
fn a_connection_without_http_is_dropped(#[case] bytes: &[u8]) {
    let house = House::with(|settings| settings.request_limit = Duration::from_millis(100));
    for socket in [CONTROL_SOCKET, STATUS_SOCKET] {
        let answer = house.say(socket, bytes);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{answer}"
        );
    }
    house.assert_well();
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let house = House::new();
    let answer = house.say(
        CONTROL_SOCKET,
        &request("POST", "/pauses", &"[".repeat(500_000)),
    );
    assert!(answer.contains("bad-request"), "{answer}");
    house.assert_well();
}

#[test]
fn a_huge_body_is_refused() {
    let house = House::new();
    let body = "x".repeat(3 << 20);
    let answer = house.say(CONTROL_SOCKET, &request("POST", "/pauses", &body));
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("longer than 1048576 bytes"), "{answer}");
    let chunked = format!(
        "POST /api/v1/pauses HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
         300000\r\n{body}\r\n0\r\n\r\n"
    );
    let answer = house.say(CONTROL_SOCKET, chunked.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    house.assert_well();
}

#[test]
fn a_huge_head_is_refused() {
    let house = House::new();
    let head = format!(
        "GET /api/v1/status HTTP/1.1\r\nX: {}\r\n\r\n",
        "x".repeat(3 << 20)
    );
    let answer = house.say(CONTROL_SOCKET, head.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    house.assert_well();
}

#[test]
fn half_a_request_is_refused() {
    let house = House::new();
    let mut stream = house.connect(CONTROL_SOCKET);
    let whole = request("POST", "/pauses", "{\"by\":\"me\",\"reason\":\"x\"}");
    stream.write_all(&whole[..whole.len() - 5]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let answer = rest(&mut stream);
    assert!(
        answer.is_empty() || answer.contains("bad-request"),
        "{answer}"
    );
    house.assert_well();
}

#[test]
fn a_client_that_sends_no_more_still_hears_the_answer() {
    let house = House::new();
    let mut stream = house.connect(STATUS_SOCKET);
    stream.write_all(&request("GET", "/status", "")).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let answer = rest(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[rstest]
#[case::head("POST /api/v1/pau", "")]
#[case::nothing("", "")]
#[case::body(
    "POST /api/v1/pauses HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{",
    "in time"
)]
fn slow_clients_are_dropped_and_block_nobody(#[case] begins: &str, #[case] heard: &str) {
    let house = House::with(|settings| {
        settings.connections = 4;
        settings.request_limit = Duration::from_millis(100);
    });
    let mut slow: Vec<UnixStream> = (0..8)
        .map(|_| {
            let mut stream = house.connect(CONTROL_SOCKET);
            stream.write_all(begins.as_bytes()).unwrap();
            stream
        })
        .collect();
    house.assert_well();
    for stream in &mut slow {
        let answer = rest(stream);
        assert!(answer.contains(heard), "{answer}");
        // Closed by the server, not given up by us.
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    }
}

#[test]
fn a_client_that_does_not_read_is_dropped() {
    let house = House::with(|settings| {
        settings.connections = 1;
        settings.answer_limit = Duration::from_millis(50);
    });
    let deaf = house.connect(CONTROL_SOCKET);
    // Longer than the kernel keeps for who does not read.
    (&deaf)
        .write_all(&request("GET", "/alerts/long", ""))
        .unwrap();
    house.assert_well();
}

#[test]
fn one_connection_is_one_request() {
    let house = House::new();
    let mut twice = request("GET", "/status", "");
    twice.extend(request("GET", "/status", ""));
    let answer = house.say(STATUS_SOCKET, &twice);
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert_eq!(house.asked.try_iter().count(), 1);
}

#[test]
fn clients_that_say_nothing_leave_no_trace() {
    let house = House::new();
    for _ in 0..200 {
        drop(house.connect(CONTROL_SOCKET));
    }
    house.assert_well();
}

#[test]
fn a_hundred_hooks_at_once_are_all_heard() {
    let house = House::new();
    std::thread::scope(|scope| {
        for n in 0..100 {
            let client = house.client();
            scope.spawn(move || {
                let call = HookCall {
                    unit: unit(&format!("worker@{n}.service")),
                    monitor: Monitor::default(),
                };
                // The machine that runs the tests may be slow; that all are
                // heard is the point here.
                client.within(Duration::from_secs(20)).hook(&call).unwrap();
            });
        }
    });
    assert_eq!(house.asked.try_iter().count(), 100);
}

#[rstest]
#[case::hook("POST", "/services/a.service/failures")]
#[case::heal("POST", "/services/a.service/heal")]
#[case::pause("POST", "/pauses")]
#[case::resume("DELETE", "/pauses")]
#[case::resume_one("DELETE", "/pauses/a.service")]
#[case::decide("POST", "/approvals/7f3a/decision")]
#[case::retry("POST", "/alerts/retry")]
#[case::retry_one("POST", "/alerts/7f3a/retry")]
#[case::test_channel("POST", "/channels/mail/test")]
#[case::reload("POST", "/reload")]
#[case::not_even_known("DELETE", "/incidents")]
fn readers_can_only_read(#[case] method: &str, #[case] address: &str) {
    let house = House::new();
    let body = r#"{"dry_run":true,"approve":true,"reason":"x","by":"y"}"#;
    let answer = house.say(STATUS_SOCKET, &request(method, address, body));
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains("problem:not-allowed"), "{answer}");
    assert!(house.asked.try_recv().is_err(), "the handler was asked");
}

#[test]
fn sockets_have_their_modes() {
    let house = House::new();
    let mode = |name: &str| {
        let there = fs::metadata(house.dir.path().join(name)).unwrap();
        assert!(there.file_type().is_socket());
        there.permissions().mode() & 0o777
    };
    assert_eq!(mode(CONTROL_SOCKET), 0o600);
    let group_exists = fs::read_to_string("/etc/group")
        .unwrap()
        .lines()
        .any(|line| line.starts_with("root:"));
    let may_give = rustix::process::geteuid().is_root() && group_exists;
    assert_eq!(mode(STATUS_SOCKET), if may_give { 0o660 } else { 0o600 });
}

#[test]
fn without_the_group_only_root_reads() {
    let house = House::with(|settings| settings.status_group = "no-such-group".into());
    let there = fs::metadata(house.dir.path().join(STATUS_SOCKET)).unwrap();
    assert_eq!(there.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_socket_left_behind_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    for name in [CONTROL_SOCKET, STATUS_SOCKET] {
        // Dropping a listener leaves its file, as killing a daemon does.
        drop(UnixListener::bind(dir.path().join(name)).unwrap());
    }
    let house = House::with(|settings| settings.run_dir = dir.path().to_owned());
    let client = Client::new(dir.path());
    client.status().unwrap();
    drop(house);
}

#[test]
fn something_else_in_the_way_is_left_there() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(STATUS_SOCKET);
    fs::write(&file, "mine").unwrap();
    let error = second(dir.path()).unwrap_err();
    assert!(matches!(error, ServeError::InTheWay(_)), "{error}");
    assert_eq!(fs::read_to_string(file).unwrap(), "mine");
}

fn second(dir: &Path) -> Result<Server, ServeError> {
    let (tell, _asked) = channel();
    let (_go_on, wait) = channel();
    serve(ServeSettings::new(dir), door(tell, wait).1)
}

#[test]
fn a_second_daemon_is_refused_and_the_first_keeps_listening() {
    let house = House::new();
    let error = second(house.dir.path()).unwrap_err();
    assert!(matches!(error, ServeError::AlreadyRunning(_)), "{error}");
    house.assert_well();
}

#[test]
fn stopping_takes_the_sockets_away() {
    let mut house = House::new();
    house.server.take().unwrap().stop(Duration::from_secs(5));
    assert!(!house.dir.path().join(CONTROL_SOCKET).exists());
    assert!(!house.client().listening());
    assert!(matches!(
        house.client().status(),
        Err(ApiError::NotListening(_))
    ));
    // And the next daemon can have them.
    second(house.dir.path()).unwrap();
}

#[test]
fn a_hook_gives_up_in_time_when_the_daemon_hangs() {
    let dir = tempfile::tempdir().unwrap();
    // Listens, and never accepts: the kernel takes connections all the same.
    let _hung = UnixListener::bind(dir.path().join(CONTROL_SOCKET)).unwrap();
    let call = HookCall {
        unit: unit("a.service"),
        monitor: Monitor::default(),
    };
    let begun = Instant::now();
    let error = Client::new(dir.path())
        .within(Duration::from_millis(50))
        .hook(&call)
        .unwrap_err();
    assert!(matches!(error, ApiError::TimedOut(_)), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_hook_gives_up_in_time_when_the_queue_is_full() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(CONTROL_SOCKET);
    let hung = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind(&hung, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen(&hung, 0).unwrap();
    let _queued = UnixStream::connect(&path).unwrap();
    let call = HookCall {
        unit: unit("a.service"),
        monitor: Monitor::default(),
    };
    let error = Client::new(dir.path())
        .within(Duration::from_millis(50))
        .hook(&call)
        .unwrap_err();
    assert!(matches!(error, ApiError::TimedOut(_)), "{error}");
}

#[rstest]
#[case::head("HTTP/1.1 200 OK\r\nContent-")]
#[case::body("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"at\":")]
#[case::at_once("")]
fn a_daemon_that_dies_in_the_middle_is_noticed(#[case] said: &str) {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join(STATUS_SOCKET)).unwrap();
    let client = Client::new(dir.path());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            stream.write_all(said.as_bytes()).unwrap();
        });
        let error = client.status().unwrap_err();
        assert!(matches!(error, ApiError::Closed), "{error:?}");
    });
}

#[test]
fn an_answer_of_something_else_is_not_understood() {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join(STATUS_SOCKET)).unwrap();
    let client = Client::new(dir.path());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            stream.write_all(b"SSH-2.0-OpenSSH_10.0\r\n").unwrap();
        });
        let error = client.status().unwrap_err();
        assert!(matches!(error, ApiError::NotUnderstood(_)), "{error:?}");
    });
}
