//! The control socket as clients of every kind see it.

#![allow(
    clippy::unwrap_used,
    reason = "the helpers of a test may panic as the test itself may"
)]

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
    Answer, CONTROL_SOCKET, Client, ClientError, DayCount, DecideCall, HealCall, HookCall,
    HostOverview, Lines, Monitor, PauseCall, Records, Refusal, RefusalKind, ResumeCall,
    STATUS_SOCKET, ServeError, ServeSettings, Server, StatusReport, serve,
};
use prunella_core::{
    ChannelName, StrategyName, UnitName,
    achievement::{Achievement, Signature, Tally},
    alert::{Dispatch, DispatchFilter},
    incident::{DetectedBy, Detection, Ending, Incident, IncidentId},
    oversight::Approval,
    summary::{Filter, Summary},
    trail::{Entry, Record, Step},
};
use rstest::rstest;

/// Answers everything, and tells the test what it was asked.
struct Fixed {
    asked: Mutex<Sender<String>>,
    /// A healing ends when something comes through here.
    go_on: Mutex<Receiver<()>>,
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

fn note(text: &str) -> Entry {
    Entry {
        incident: id(),
        number: 0,
        at: 1,
        monotonic: 1,
        attempt: 1,
        step: Step::Note {
            message: text.into(),
        },
    }
}

impl prunella_api::Handler for Fixed {
    fn hook(&self, call: HookCall) -> Answer<Option<IncidentId>> {
        self.note(format!("hook {}", call.unit));
        Ok(Some(id()))
    }
    fn status(&self) -> Answer<StatusReport> {
        self.note("status");
        Ok(StatusReport {
            at: 1,
            version: "0".into(),
            daemon: None,
            host: HostOverview {
                name: "h".into(),
                uptime_s: 1,
                system_state: None,
                load: None,
                memory: None,
                disks: Vec::new(),
            },
            services: Vec::new(),
            day: DayCount::default(),
            pauses: Vec::new(),
            needs_people: Vec::new(),
            awaiting_grant: Vec::new(),
            notices: Vec::new(),
        })
    }
    fn incidents(&self, filter: Filter) -> Answer<Vec<Summary>> {
        self.note(format!("incidents {:?}", filter.limit));
        Ok(Vec::new())
    }
    fn records(&self, _: Filter, after: Option<u64>) -> Answer<Records> {
        Ok(Records {
            records: vec![self.incident(id())?],
            next: after.is_none().then_some(7),
        })
    }
    fn achievements(&self, unit: Option<UnitName>) -> Answer<Vec<Achievement>> {
        let unit = unit.unwrap_or_else(|| UnitName::new("a.service").unwrap());
        Ok(vec![Achievement {
            signature: Signature::new(unit, "signal", ["error: it is broken"]),
            strategy: StrategyName::new("fix").unwrap(),
            tally: Tally {
                tries: 3,
                proofs: 2,
                relapses: 1,
            },
            last_at: 5,
        }])
    }
    fn approvals(&self) -> Answer<Vec<Approval>> {
        Ok(Vec::new())
    }
    fn decide(&self, call: DecideCall) -> Answer<Vec<String>> {
        Ok(vec![format!("{} {}", call.id, call.approve)])
    }
    fn incident(&self, asked: IncidentId) -> Answer<Record> {
        if asked != id() {
            return Err(
                Refusal::new(RefusalKind::NotFound, "there is no such incident")
                    .help("list them with `prunella incidents`"),
            );
        }
        Ok(Record {
            incident: Incident {
                id: id(),
                key: "k".into(),
                detection: Detection {
                    unit: unit("a.service"),
                    by: DetectedBy::Hook,
                    at: 1,
                    cause: "signal".into(),
                    invocation: None,
                    exit_code: None,
                    signal: Some("KILL".into()),
                    failed_monotonic: Some(5),
                },
                attempt: 1,
                boot_id: "b".into(),
                parent: None,
            },
            steps: vec![note("one")],
            ending: None,
        })
    }
    fn heal(&self, call: HealCall, lines: Lines) -> Answer<(IncidentId, Ending)> {
        lines.send(&note("begins"));
        self.note(format!("heal {} {}", call.unit, call.dry_run));
        self.go_on.lock().unwrap().recv().unwrap();
        lines.send(&note("ends"));
        Ok((
            id(),
            Ending::Recovered {
                by: "itself".into(),
            },
        ))
    }
    fn pause(&self, call: PauseCall) -> Answer<Vec<String>> {
        self.note(format!("pause {}", call.reason));
        Ok(vec!["paused".into()])
    }
    fn resume(&self, _call: ResumeCall) -> Answer<Vec<String>> {
        Ok(Vec::new())
    }
    fn reload(&self) -> Answer<Vec<String>> {
        Err(Refusal::new(RefusalKind::Failed, "nginx.toml is broken"))
    }
    fn alerts(&self, filter: DispatchFilter) -> Answer<Vec<Dispatch>> {
        self.note(format!("alerts {:?}", filter.limit));
        Ok(Vec::new())
    }
    fn alert(&self, id: String) -> Answer<Dispatch> {
        Err(Refusal::new(
            RefusalKind::NotFound,
            format!("there is no message {id}"),
        ))
    }
    fn retry_alerts(&self, id: Option<String>) -> Answer<Vec<String>> {
        self.note(format!("retry {id:?}"));
        Ok(vec!["tried".into()])
    }
    fn test_channel(&self, channel: ChannelName) -> Answer<Vec<String>> {
        self.note(format!("test {}", channel.as_str()));
        Ok(vec!["delivered".into()])
    }
}

struct House {
    dir: tempfile::TempDir,
    server: Option<Server>,
    asked: Receiver<String>,
    go_on: Sender<()>,
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
        let handler = Fixed {
            asked: Mutex::new(tell),
            go_on: Mutex::new(wait),
        };
        let server = serve(settings, Arc::new(handler)).unwrap();
        Self {
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

    /// Writes `bytes`, and returns the one line that comes back.
    fn say(&self, socket: &str, bytes: &[u8]) -> String {
        let mut stream = self.connect(socket);
        // The server may have heard enough before it heard all.
        let _ = stream.write_all(bytes);
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    }

    /// Proves that the server still serves.
    fn assert_well(&self) {
        let call = HookCall {
            unit: unit("well.service"),
            monitor: Monitor::default(),
        };
        let accepted = self.client().hook(call, Duration::from_secs(10)).unwrap();
        assert_eq!(accepted, Some(id()));
        assert!(self.asked.iter().any(|what| what == "hook well.service"));
    }
}

#[test]
fn every_question_has_its_answer() {
    let house = House::new();
    let client = house.client();
    assert!(client.listening());
    assert_eq!(client.status().unwrap().host.name, "h");
    assert!(client.incidents(Filter::default()).unwrap().is_empty());
    let first = client.records(Filter::default(), None).unwrap();
    assert_eq!((first.records.len(), first.next), (1, Some(7)));
    let last = client.records(Filter::default(), first.next).unwrap();
    assert_eq!(last.next, None);
    let achieved = client.achievements(Some(unit("b.service"))).unwrap();
    assert_eq!(achieved[0].signature.unit, unit("b.service"));
    assert_eq!(
        serde_json::to_string(&achieved[0]).unwrap(),
        r##"{"unit":"b.service","cause":"signal","fingerprint":"8bf8a4334122f1f4","sample":"error: it is broken","strategy":"fix","tries":3,"proofs":2,"relapses":1,"last_at":5}"##
    );
    assert_eq!(client.incident(id()).unwrap().steps.len(), 1);
    let missing = client.incident(IncidentId::from_text("x")).unwrap_err();
    let ClientError::Refused(refusal) = missing else {
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
    assert_eq!(client.pause(pause).unwrap(), ["paused"]);
    assert!(client.resume(ResumeCall { unit: None }).unwrap().is_empty());
    assert!(matches!(client.reload(), Err(ClientError::Refused(_))));
    house.assert_well();
}

#[test]
fn a_healing_is_told_line_by_line() {
    let house = House::new();
    let client = house.client();
    let go_on = house.go_on.clone();
    let mut seen = Vec::new();
    let call = HealCall {
        unit: unit("a.service"),
        dry_run: true,
    };
    let (incident, ending) = client
        .heal(call, |entry| {
            // The first line is here while the healing still goes on.
            if seen.is_empty() {
                go_on.send(()).unwrap();
            }
            seen.push(entry);
        })
        .unwrap();
    assert_eq!(incident, id());
    assert_eq!(ending.word(), "recovered");
    assert_eq!(seen, [note("begins"), note("ends")]);
}

#[test]
fn a_caller_who_leaves_does_not_end_the_healing() {
    let house = House::new();
    let mut stream = house.connect(CONTROL_SOCKET);
    stream
        .write_all(b"{\"ask\":\"heal\",\"unit\":\"a.service\",\"dry_run\":false}\n")
        .unwrap();
    assert_eq!(house.asked.recv().unwrap(), "heal a.service false");
    drop(stream);
    house.go_on.send(()).unwrap();
    house.assert_well();
}

#[test]
fn waiting_for_healings_leaves_room_for_hooks() {
    let house = House::with(|settings| settings.heals = 1);
    let heal = b"{\"ask\":\"heal\",\"unit\":\"a.service\",\"dry_run\":false}\n";
    let mut first = house.connect(CONTROL_SOCKET);
    first.write_all(heal).unwrap();
    assert_eq!(house.asked.recv().unwrap(), "heal a.service false");
    assert!(house.say(CONTROL_SOCKET, heal).contains(r#""kind":"busy""#));
    house.assert_well();
    house.go_on.send(()).unwrap();
    let mut rest = String::new();
    first.read_to_string(&mut rest).unwrap();
    assert!(rest.contains(r#""answer":"ended""#), "{rest}");
}

#[rstest]
#[case::empty_line(b"\n")]
#[case::words(b"hello there\n")]
#[case::not_json(b"{\"ask\":\n")]
#[case::not_a_question(b"{\"ask\":\"reboot\"}\n")]
#[case::not_an_object(b"[1,2,3]\n")]
#[case::bytes(b"\xff\xfe\x00\x80\n")]
#[case::wrong_types(b"{\"ask\":\"heal\",\"unit\":7,\"dry_run\":\"no\"}\n")]
#[case::path_for_a_unit(b"{\"ask\":\"hook\",\"unit\":\"../../etc/passwd\"}\n")]
#[case::http(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")]
fn nonsense_gets_a_clear_answer(#[case] bytes: &[u8]) {
    let house = House::new();
    for socket in [CONTROL_SOCKET, STATUS_SOCKET] {
        let answer = house.say(socket, bytes);
        assert!(answer.contains(r#""kind":"bad-request""#), "{answer}");
        assert!(answer.contains(r#""help":"#), "{answer}");
    }
    house.assert_well();
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let house = House::new();
    let mut bytes = vec![b'['; 500_000];
    bytes.push(b'\n');
    let answer = house.say(CONTROL_SOCKET, &bytes);
    assert!(answer.contains("bad-request"), "{answer}");
    house.assert_well();
}

#[test]
fn a_huge_line_is_refused() {
    let house = House::new();
    let answer = house.say(CONTROL_SOCKET, &vec![b'x'; 3 << 20]);
    assert!(answer.contains("longer than 1048576 bytes"), "{answer}");
    house.assert_well();
}

#[test]
fn half_a_line_is_refused() {
    let house = House::new();
    let mut stream = house.connect(CONTROL_SOCKET);
    stream.write_all(b"{\"ask\":\"sta").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("in the middle of a message"), "{answer}");
    house.assert_well();
}

#[test]
fn slow_clients_are_dropped_and_block_nobody() {
    let house = House::with(|settings| {
        settings.connections = 4;
        settings.request_limit = Duration::from_millis(100);
    });
    let mut slow: Vec<UnixStream> = (0..8)
        .map(|_| {
            let mut stream = house.connect(CONTROL_SOCKET);
            stream.write_all(b"{").unwrap();
            stream
        })
        .collect();
    house.assert_well();
    for stream in &mut slow {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("in time"), "{answer}");
    }
}

#[test]
fn a_client_that_does_not_read_is_dropped() {
    let house = House::with(|settings| {
        settings.connections = 1;
        settings.answer_limit = Duration::from_millis(50);
    });
    let deaf = house.connect(CONTROL_SOCKET);
    (&deaf)
        .write_all(b"{\"ask\":\"incident\",\"id\":\"20261121-142301-7f3a\"}\n")
        .unwrap();
    house.assert_well();
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
                client.hook(call, Duration::from_secs(20)).unwrap();
            });
        }
    });
    assert_eq!(house.asked.try_iter().count(), 100);
}

#[rstest]
#[case::hook(r#"{"ask":"hook","unit":"a.service"}"#)]
#[case::heal(r#"{"ask":"heal","unit":"a.service","dry_run":true}"#)]
#[case::pause(r#"{"ask":"pause","unit":null,"until":null,"reason":"x","by":"y"}"#)]
#[case::resume(r#"{"ask":"resume","unit":null}"#)]
#[case::reload(r#"{"ask":"reload"}"#)]
fn readers_can_only_read(#[case] line: &str) {
    let house = House::new();
    let answer = house.say(STATUS_SOCKET, format!("{line}\n").as_bytes());
    assert!(answer.contains(r#""kind":"not-allowed""#), "{answer}");
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
    let handler = Fixed {
        asked: Mutex::new(tell),
        go_on: Mutex::new(wait),
    };
    serve(ServeSettings::new(dir), Arc::new(handler))
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
        Err(ClientError::NotListening(_))
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
        .hook(call, Duration::from_millis(50))
        .unwrap_err();
    assert!(matches!(error, ClientError::TimedOut(_)), "{error}");
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
        .hook(call, Duration::from_millis(50))
        .unwrap_err();
    assert!(matches!(error, ClientError::TimedOut(_)), "{error}");
}

#[test]
fn a_daemon_that_dies_in_the_middle_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join(STATUS_SOCKET)).unwrap();
    let client = Client::new(dir.path());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            stream.write_all(b"{\"answer\":\"stat").unwrap();
        });
        assert!(matches!(client.status(), Err(ClientError::Closed)));
    });
}
