mod dns;
mod expected;
mod tls;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::{UnixDatagram, UnixListener},
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use prunella_core::{
    UnitName,
    service::{DeclaredFile, DeclaredProbe, FileRole, HttpQuestion, ReadBy},
};
use rstest::rstest;

use super::*;
use crate::{
    runs_as::{RunsAs, Who},
    transient::{Ended, Runner, Task},
};

/// A verdict of SQLite's check, or none, and what was to be run for it.
struct Canned(&'static str, Mutex<Vec<Task>>);

impl Runner for Canned {
    fn stop_orphans(&self, _: Instant, _: &str) -> Answer<()> {
        Ok(())
    }

    fn run(&self, _deadline: Instant, task: &Task) -> Answer<Ended> {
        self.1.lock().unwrap().push(task.clone());
        Ok(Ended {
            exit_code: Some(0),
            signal: None,
            timed_out: false,
            output: self.0.as_bytes().to_vec(),
        })
    }
}

/// The service runs as a user of its own.
struct AsApp;

impl Who for AsApp {
    fn runs_as(&self, _deadline: Instant) -> Answer<RunsAs> {
        Ok(RunsAs {
            user: "app".to_owned(),
            ..RunsAs::default()
        })
    }
}

fn ask_within(kind: ProbeKind, timeout: Duration, deadline: Duration) -> Answer<ProbeAnswer> {
    let mut service = Service::new(UnitName::new("a.service").unwrap());
    service.probes.insert(
        "it".to_owned(),
        DeclaredProbe {
            kind,
            timeout,
            unit: None,
            interval: None,
            failure_threshold: 1,
        },
    );
    let runner = Arc::new(Canned("", Mutex::default()));
    let runner: Arc<dyn Runner> = runner;
    LinuxProbes::new(
        Arc::new(service),
        SqliteCheck::new(Arc::clone(&runner)),
        CommandProbe::new(Arc::new(AsApp), runner),
    )
    .ask(Instant::now() + deadline, "it")
}

fn ask(kind: ProbeKind) -> ProbeAnswer {
    ask_within(kind, Duration::from_secs(20), Duration::from_secs(60)).unwrap()
}

fn http(url: &str) -> ProbeKind {
    ProbeKind::http(url)
}

/// Every protocol, at this address.
fn all(place: &str) -> Vec<ProbeKind> {
    vec![
        http(&format!("http://{place}/")),
        ProbeKind::Postgres(place.to_owned()),
        ProbeKind::Mysql(place.to_owned()),
        ProbeKind::Redis(place.to_owned()),
    ]
}

/// Takes connections for as long as the test lives, and does this with each.
fn server(talk: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let talk = Arc::new(talk);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let talk = Arc::clone(&talk);
            std::thread::spawn(move || talk(stream));
        }
    });
    place
}

/// Says this, and closes when the other side has.
fn says(bytes: &'static [u8]) -> String {
    server(move |mut stream| {
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

/// A port on which nobody listens, held so that nobody else gets it.
fn closed() -> (String, rustix::fd::OwnedFd) {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    let any = std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0);
    rustix::net::bind(&socket, &any).unwrap();
    let bound = rustix::net::getsockname(&socket).unwrap();
    let bound = std::net::SocketAddrV4::try_from(bound).unwrap();
    (bound.to_string(), socket)
}

#[test]
fn nobody_listens() {
    let (place, _held) = closed();
    let mut kinds = all(&place);
    kinds.push(ProbeKind::Tcp(place));
    for kind in kinds {
        let answer = ask(kind.clone());
        assert!(!answer.healthy, "{kind:?}");
        assert_eq!(answer.detail, "nobody listens there", "{kind:?}");
    }
}

#[test]
fn a_silent_server_is_given_up_on_in_time() {
    let place = server(|mut stream| {
        let mut asked = Vec::new();
        let _ = stream.read_to_end(&mut asked);
    });
    for kind in all(&place) {
        let start = Instant::now();
        let answer = ask_within(
            kind.clone(),
            Duration::from_millis(100),
            Duration::from_secs(60),
        )
        .unwrap();
        assert!(!answer.healthy);
        assert_eq!(answer.detail, "it gave no answer within 0.1 s", "{kind:?}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn a_slow_drip_is_given_up_on_in_time() {
    let place = server(|mut stream| {
        // Each byte arrives well within any limit on one read.
        let (_never, drip) = std::sync::mpsc::channel::<()>();
        while stream.write_all(b"H").is_ok() {
            let _ = drip.recv_timeout(Duration::from_millis(5));
        }
    });
    let answer = ask_within(
        http(&format!("http://{place}/")),
        Duration::from_millis(150),
        Duration::from_secs(60),
    )
    .unwrap();
    assert!(!answer.healthy);
}

#[rstest]
#[case::garbage(b"\x00\xff\xfe garbage that is no protocol at all, long enough\r\n")]
#[case::other_text(b"SSH-2.0-OpenSSH_9.2\r\nand more of it, for the binary ones\r\n")]
#[case::half_a_header(b"H")]
#[case::nothing(b"")]
fn other_protocols_are_no_answer(#[case] bytes: &'static [u8]) {
    let place = says(bytes);
    for kind in all(&place) {
        let answer = ask(kind.clone());
        assert!(!answer.healthy, "{kind:?}: {}", answer.detail);
    }
}

#[test]
fn an_endless_answer_is_not_read_to_its_end() {
    let place = server(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(&[b'x'; 8192]).is_ok() {}
    });
    for kind in all(&place) {
        assert!(!ask(kind).healthy);
    }
}

#[test]
fn the_runs_deadline_leaves_it_open() {
    let place = server(|mut stream| {
        let mut asked = Vec::new();
        let _ = stream.read_to_end(&mut asked);
    });
    let failure = ask_within(
        ProbeKind::Redis(place),
        Duration::from_secs(60),
        Duration::from_millis(50),
    )
    .unwrap_err();
    assert!(failure.is("deadline"));
}

#[rstest]
#[case::no_port("localhost")]
#[case::no_number("localhost:http")]
#[case::nothing("")]
fn an_address_that_is_none(#[case] place: &str) {
    let failure = ask_within(
        ProbeKind::Tcp(place.to_owned()),
        Duration::from_secs(5),
        Duration::from_secs(60),
    )
    .unwrap_err();
    assert!(failure.is("bad-address"), "{failure:?}");
}

#[test]
fn a_name_is_looked_up_and_each_of_its_addresses_tried() {
    let place = server(|_| ());
    let port = place.rsplit(':').next().unwrap().to_owned();
    let answer = ask(ProbeKind::Tcp(format!("localhost:{port}")));
    assert!(answer.healthy, "{}", answer.detail);
}

#[test]
fn unix_sockets_of_every_type() {
    let dir = tempfile::tempdir().unwrap();
    let stream = dir.path().join("stream");
    let _listener = UnixListener::bind(&stream).unwrap();
    assert!(ask(ProbeKind::Unix(stream)).healthy);
    let datagram = dir.path().join("datagram");
    let _socket = UnixDatagram::bind(&datagram).unwrap();
    assert!(ask(ProbeKind::Unix(datagram)).healthy);
    let none = ask(ProbeKind::Unix(dir.path().join("none")));
    assert_eq!(none.detail, "there is no socket");
    let left_behind = dir.path().join("left");
    drop(UnixListener::bind(&left_behind).unwrap());
    let left = ask(ProbeKind::Unix(left_behind));
    assert!(!left.healthy);
    assert_eq!(left.detail, "nobody listens there");
}

#[test]
fn a_unix_socket_with_a_full_queue_does_not_hang() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("full");
    let listener = rustix::net::socket_with(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    rustix::net::bind(&listener, &rustix::net::SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let _first = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let answer = ask_within(
        ProbeKind::Unix(path),
        Duration::from_millis(100),
        Duration::from_secs(60),
    )
    .unwrap();
    assert!(!answer.healthy);
    assert_eq!(answer.detail, "it took no connection within 0.1 s");
}

#[rstest]
#[case::ok(b"HTTP/1.1 200 OK\r\n\r\n", &[], true)]
#[case::redirected(b"HTTP/1.0 301 Moved Permanently\r\nLocation: /x\r\n\r\n", &[], true)]
#[case::broken(b"HTTP/1.1 503 Service Unavailable\r\n\r\n", &[], false)]
#[case::expected(b"HTTP/1.1 401 Unauthorized\r\n\r\n", &[401], true)]
#[case::not_expected(b"HTTP/1.1 200 OK\r\n\r\n", &[204], false)]
#[case::interim(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", &[], true)]
#[case::only_interim(b"HTTP/1.1 100 Continue\r\n\r\n", &[], false)]
fn http_answers(#[case] bytes: &'static [u8], #[case] status: &[u16], #[case] answering: bool) {
    let answer = ask(ProbeKind::Http(HttpQuestion {
        url: format!("http://{}/", says(bytes)),
        status: status.to_vec(),
        ..HttpQuestion::default()
    }));
    assert_eq!(answer.healthy, answering, "{}", answer.detail);
}

#[rstest]
#[case::pong(b"+PONG\r\n", true)]
#[case::password(b"-NOAUTH Authentication required.\r\n", true)]
#[case::full(b"-ERR max number of clients reached\r\n", true)]
#[case::loading(b"-LOADING Redis is loading the dataset in memory\r\n", false)]
#[case::busy(b"-BUSY Redis is busy running a script.\r\n", false)]
fn redis_answers(#[case] bytes: &'static [u8], #[case] answering: bool) {
    let answer = ask(ProbeKind::Redis(says(bytes)));
    assert_eq!(answer.healthy, answering, "{}", answer.detail);
}

#[test]
fn postgres_without_a_process_to_spare() {
    let place = says(b"Ecould not fork new process for connection: Cannot allocate memory\n\0");
    assert!(!ask(ProbeKind::Postgres(place)).healthy);
}

#[test]
fn mysql_that_is_full_is_answering() {
    let place = server(|mut stream| {
        let text = b"\xff\x10\x04Too many connections";
        let _ = stream.write_all(&[text.len() as u8, 0, 0, 0]);
        let _ = stream.write_all(text);
    });
    let answer = ask(ProbeKind::Mysql(place));
    assert!(answer.healthy, "{}", answer.detail);
}

#[test]
fn sqlite_is_checked_as_the_files_owner() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.db");
    std::fs::write(&path, "").unwrap();
    std::os::unix::fs::chown(&path, Some(4242), Some(4343)).unwrap();
    let mut service = Service::new(UnitName::new("a.service").unwrap());
    service.files.insert(
        "database".to_owned(),
        DeclaredFile {
            path,
            role: FileRole::Database,
            mode: None,
            owner: None,
            group: None,
            target: None,
            keys: Vec::new(),
            optional: false,
            read_by: ReadBy::Service,
            secret: false,
        },
    );
    for (name, file) in [("there", "database"), ("gone", "other")] {
        service.probes.insert(
            name.to_owned(),
            DeclaredProbe {
                kind: ProbeKind::Sqlite {
                    file: file.to_owned(),
                },
                timeout: Duration::from_secs(5),
                unit: None,
                interval: None,
                failure_threshold: 1,
            },
        );
    }
    let runner = Arc::new(Canned(
        "{\"sound\":false,\"detail\":\"it is damaged\"}\n",
        Mutex::default(),
    ));
    let probes = LinuxProbes::new(
        Arc::new(service),
        SqliteCheck::new(Arc::clone(&runner) as Arc<dyn Runner>),
        CommandProbe::new(Arc::new(AsApp), Arc::clone(&runner) as Arc<dyn Runner>),
    );
    let soon = Instant::now() + Duration::from_secs(60);
    let answer = probes.ask(soon, "there").unwrap();
    assert!(!answer.healthy);
    assert_eq!(answer.detail, "it is damaged");
    assert!(probes.ask(soon, "gone").unwrap_err().is("not-declared"));
    let tasks = runner.1.lock().unwrap();
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].runs_as.user, "4242");
    assert_eq!(tasks[0].runs_as.group, "4343");
    assert_eq!(tasks[0].sandbox.capabilities, []);
}

#[test]
fn a_command_runs_outside_as_the_services_user_and_changes_nothing() {
    let mut service = Service::new(UnitName::new("a.service").unwrap());
    service.probes.insert(
        "queue".to_owned(),
        DeclaredProbe {
            kind: ProbeKind::Command(vec!["/bin/queue".to_owned(), "--length".to_owned()]),
            timeout: Duration::from_secs(7),
            unit: None,
            interval: None,
            failure_threshold: 1,
        },
    );
    let runner = Arc::new(Canned("17 of 100\n", Mutex::default()));
    let shared: Arc<dyn Runner> = Arc::clone(&runner) as Arc<dyn Runner>;
    let probes = LinuxProbes::new(
        Arc::new(service),
        SqliteCheck::new(Arc::clone(&shared)),
        CommandProbe::new(Arc::new(AsApp), shared),
    );
    let answer = probes.ask(Instant::now() + Duration::from_secs(60), "queue");
    let answer = answer.unwrap();
    assert_eq!(
        (answer.healthy, answer.detail.as_str()),
        (true, "17 of 100")
    );
    let tasks = runner.1.lock().unwrap();
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].command, ["/bin/queue", "--length"]);
    assert_eq!(tasks[0].runs_as.user, "app");
    assert_eq!(tasks[0].timeout, Duration::from_secs(7));
    assert_eq!(
        tasks[0].sandbox.protect_system,
        crate::transient::ProtectSystem::Strict
    );
    assert_eq!(tasks[0].sandbox.capabilities, []);
}

/// A real server, ended with the test.
struct Server {
    child: Child,
    _dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs the package python3; `cargo xtask test` runs it"]
fn a_real_http_server() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new("python3")
        .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"])
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // `Serving HTTP on 127.0.0.1 port 43210 (…) ...`, once it listens.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let place = format!("127.0.0.1:{}", first.split(' ').nth(5).unwrap());
    let _server = Server { child, _dir: dir };
    assert_eq!(
        ask(http(&format!("http://{place}/"))).detail,
        "it answered 200 OK"
    );
    let missing = ask(http(&format!("http://{place}/none")));
    assert!(!missing.healthy);
    assert_eq!(
        missing.detail,
        "it answered 404 File not found, not 200 to 399"
    );
}

#[test]
#[ignore = "needs the package redis-server; `cargo xtask test` runs it"]
fn a_real_redis() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let mut child = Command::new("redis-server")
        .args(["--port", "0", "--requirepass", "secret", "--unixsocket"])
        .arg(&socket)
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let _server = Server { child, _dir: dir };
    assert!(lines.any(|line| line.unwrap().contains("accept connections")));
    let answer = ask(ProbeKind::Redis(socket.to_str().unwrap().to_owned()));
    assert!(answer.healthy);
    assert!(answer.detail.contains("NOAUTH"), "{}", answer.detail);
}
