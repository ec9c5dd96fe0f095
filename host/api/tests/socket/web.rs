//! The web socket: everybody says who they are, with each request.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
};

use prunella_api::{Answer, Gate, WEB_SOCKET, secret};
use prunella_core::{
    Timestamp,
    access::{AuditEntry, KeyInfo, KeyName, Role, SessionInfo, Via},
    event::{Event, EventKind, PauseEvent},
};
use rstest::rstest;

use super::{Fixed, House, unit};

/// The token of the one link.
pub(crate) const TOKEN: &str = "token-of-the-link";

/// A key for each role; its name is the role's, and the key `key of ROLE` without spaces.
pub(crate) fn keys() -> Vec<KeyInfo> {
    Role::ALL
        .into_iter()
        .map(|role| KeyInfo {
            name: KeyName::new(role.as_str()).unwrap(),
            role,
            unit: (role == Role::Service).then(|| unit("a.service")),
            created_at: Timestamp::from_millis(1),
            created_by: "me".into(),
            expires_at: None,
            last_used_at: None,
        })
        .collect()
}

pub(crate) fn key_of(role: Role) -> String {
    format!("key-of-{role}")
}

fn session() -> SessionInfo {
    SessionInfo {
        name: "anna".into(),
        role: Role::Operator,
        created_at: Timestamp::from_millis(1),
        expires_at: Timestamp::from_millis(2),
    }
}

impl Gate for Fixed {
    fn key(&self, hash: &str) -> Answer<Option<KeyInfo>> {
        let mut keys = keys().into_iter();
        Ok(keys.find(|key| secret::hash(&key_of(key.role)) == hash))
    }
    fn session(&self, hash: &str) -> Answer<Option<SessionInfo>> {
        let known = self.session.lock().unwrap();
        Ok((known.as_deref() == Some(hash)).then(session))
    }
    fn log_in(&self, token: &str, session_hash: &str) -> Answer<Option<SessionInfo>> {
        let mut known = self.session.lock().unwrap();
        if token != secret::hash(TOKEN) || known.is_some() {
            return Ok(None);
        }
        *known = Some(session_hash.to_owned());
        Ok(Some(session()))
    }
    fn log_out(&self, hash: &str) -> Answer<bool> {
        let mut known = self.session.lock().unwrap();
        let was = known.as_deref() == Some(hash);
        if was {
            *known = Some("over".to_owned());
        }
        Ok(was)
    }
    fn record(&self, order: &AuditEntry) {
        self.orders.lock().unwrap().push(order.clone());
    }
}

/// A request with headers, to any address.
fn with(method: &str, address: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let length = body.len();
    format!(
        "{method} {address} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn status(answer: &str) -> u16 {
    let word = answer.split(' ').nth(1).unwrap();
    word.parse().unwrap()
}

pub(crate) fn body(answer: &str) -> serde_json::Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

impl House {
    pub(crate) fn web(
        &self,
        method: &str,
        address: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> String {
        self.say(WEB_SOCKET, &with(method, address, headers, body))
    }

    pub(crate) fn as_role(&self, role: Role, method: &str, address: &str, body: &str) -> String {
        self.web(method, address, &[("X-API-Key", &key_of(role))], body)
    }

    fn orders(&self) -> Vec<AuditEntry> {
        self.fixed.orders.lock().unwrap().clone()
    }

    /// What was asked of whoever answers, so far.
    fn asked_so_far(&self) -> Vec<String> {
        self.asked.try_iter().collect()
    }
}

#[test]
fn without_a_key_only_open_addresses_answer_root_too() {
    let house = House::new();
    let alive = house.web("GET", "/health", &[], "");
    assert_eq!(status(&alive), 200);
    assert_eq!(body(&alive)["status"], "alive");
    for address in [
        "/api/v1/status",
        "/api/v1/health",
        "/api/v1/keys",
        "/api/v1/nothing",
    ] {
        let answer = house.web("GET", address, &[], "");
        assert_eq!(status(&answer), 401, "{answer}");
        assert!(answer.to_lowercase().contains("www-authenticate: bearer"));
        assert!(answer.contains("prunella key add"), "{answer}");
    }
    let pause = house.web("POST", "/api/v1/pauses", &[], r#"{"reason":"x"}"#);
    assert_eq!(status(&pause), 401);
    assert!(house.asked_so_far().is_empty());
    assert!(house.orders().is_empty());
}

#[test]
fn a_viewer_reads_and_orders_nothing() {
    let house = House::new();
    assert_eq!(
        status(&house.as_role(Role::Viewer, "GET", "/api/v1/status", "")),
        200
    );
    let bearer = format!("Bearer {}", key_of(Role::Viewer));
    let answer = house.web("GET", "/api/v1/status", &[("Authorization", &bearer)], "");
    assert_eq!(status(&answer), 200);
    assert_eq!(house.asked_so_far(), ["status", "status"]);

    for (method, address) in [
        ("POST", "/api/v1/services/a.service/heal"),
        ("POST", "/api/v1/pauses"),
        ("DELETE", "/api/v1/pauses"),
        ("POST", "/api/v1/approvals/7f3a/decision"),
        ("POST", "/api/v1/incidents/x/undo"),
        ("POST", "/api/v1/reload"),
        ("POST", "/api/v1/keys/mine"),
    ] {
        let answer = house.as_role(Role::Viewer, method, address, "");
        assert_eq!(status(&answer), 403, "{answer}");
    }
    assert!(house.asked_so_far().is_empty(), "nothing was done");
    let orders = house.orders();
    assert_eq!(orders.len(), 7, "what was tried is written down");
    assert_eq!(
        (orders[0].by.as_str(), orders[0].via),
        ("key viewer", Via::Key)
    );
    assert_eq!(orders[0].status, 403);
}

#[test]
fn an_operator_orders_under_the_name_of_the_key() {
    let house = House::new();
    let pause = r#"{"unit":"a.service","reason":"moving","by":"somebody else"}"#;
    let answer = house.as_role(Role::Operator, "POST", "/api/v1/pauses", pause);
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(body(&answer)["by"], "key operator");
    let order = house.orders().remove(0);
    assert_eq!((order.by.as_str(), order.status), ("key operator", 200));
    assert!(order.order.unwrap().contains("moving"));
    for address in ["/api/v1/reload", "/api/v1/keys/mine", "/api/v1/login-links"] {
        let answer = house.as_role(Role::Operator, "POST", address, "");
        assert_eq!(status(&answer), 403, "{address} is for root alone");
    }
    assert_eq!(house.asked_so_far(), ["pause moving"]);
}

#[rstest]
#[case::own("/api/v1/health/a.service", 200)]
#[case::another("/api/v1/health/b.service", 403)]
#[case::all("/api/v1/health", 403)]
#[case::host("/api/v1/health/host", 403)]
#[case::incidents("/api/v1/incidents", 403)]
#[case::events("/api/v1/events", 403)]
fn a_service_asks_for_itself_alone(#[case] address: &str, #[case] expected: u16) {
    let house = House::new();
    let answer = house.as_role(Role::Service, "GET", address, "");
    assert_eq!(status(&answer), expected, "{answer}");
}

#[test]
fn wrong_keys_are_slowed_and_others_are_not() {
    let house = House::new();
    let wrong = |peer: &str| {
        let headers = [("X-API-Key", "wrong"), ("X-Prunella-Peer", peer)];
        house.web("GET", "/api/v1/status", &headers, "")
    };
    for _ in 0..10 {
        assert_eq!(status(&wrong("192.0.2.1")), 401);
    }
    let slowed = wrong("192.0.2.1");
    assert_eq!(status(&slowed), 429, "{slowed}");
    assert!(slowed.to_lowercase().contains("retry-after: "), "{slowed}");
    assert_eq!(status(&wrong("192.0.2.2")), 401);
    let right = key_of(Role::Viewer);
    let ask = |peer: &str| {
        let headers = [("X-API-Key", right.as_str()), ("X-Prunella-Peer", peer)];
        status(&house.web("GET", "/api/v1/status", &headers, ""))
    };
    assert_eq!(ask("192.0.2.1"), 429, "it could be a guess");
    assert_eq!(ask("192.0.2.2"), 200);
    assert_eq!(ask("192.0.2.1"), 200, "it was right before");
    assert_eq!(house.asked_so_far(), ["status", "status"]);
    house.assert_well();
}

#[test]
fn a_link_makes_one_session_that_needs_its_csrf_token_to_order() {
    let house = House::new();
    let log_in = format!(r#"{{"token":"{TOKEN}"}}"#);
    let answer = house.web("POST", "/api/v1/sessions", &[], &log_in);
    assert_eq!(status(&answer), 201, "{answer}");
    assert!(answer.to_lowercase().contains("cache-control: no-store"));
    let new = body(&answer);
    let session = new["session"].as_str().unwrap();
    let csrf = new["csrf_token"].as_str().unwrap();
    let again = house.web("POST", "/api/v1/sessions", &[], &log_in);
    assert_eq!(status(&again), 401, "it is used up");

    let by_session = ("X-Prunella-Session", session);
    let current = house.web("GET", "/api/v1/sessions/current", &[by_session], "");
    assert_eq!(body(&current)["csrf_token"], csrf);
    assert_eq!(body(&current)["role"], "operator");

    let pause = r#"{"reason":"moving"}"#;
    for headers in [
        vec![by_session],
        vec![by_session, ("X-CSRF-Token", "wrong")],
    ] {
        let answer = house.web("POST", "/api/v1/pauses", &headers, pause);
        assert_eq!(status(&answer), 403, "{answer}");
    }
    assert!(house.asked_so_far().is_empty(), "nothing was done");
    let headers = [by_session, ("X-CSRF-Token", csrf)];
    let answer = house.web("POST", "/api/v1/pauses", &headers, pause);
    assert_eq!(body(&answer)["by"], "anna, in the browser");

    let out = house.web("DELETE", "/api/v1/sessions/current", &headers, "");
    assert_eq!(status(&out), 204, "{out}");
    let over = house.web("GET", "/api/v1/status", &[by_session], "");
    assert_eq!(status(&over), 401);
}

#[test]
fn a_session_that_is_over_keeps_nobody_from_logging_in() {
    let house = House::new();
    let over = [
        ("X-Prunella-Session", "over"),
        ("X-Prunella-Peer", "192.0.2.1"),
    ];
    for _ in 0..15 {
        let answer = house.web("GET", "/api/v1/status", &over, "");
        assert_eq!(status(&answer), 401, "{answer}");
    }
    let log_in = format!(r#"{{"token":"{TOKEN}"}}"#);
    let answer = house.web("POST", "/api/v1/sessions", &over[1..], &log_in);
    assert_eq!(status(&answer), 201, "{answer}");
}

#[test]
fn nobody_fills_the_record_with_what_they_may_not_do() {
    let house = House::new();
    let refused = (0..50).map(|_| {
        let answer = house.as_role(Role::Viewer, "POST", "/api/v1/reload", "");
        status(&answer)
    });
    assert!(refused.into_iter().all(|status| status == 403));
    assert_eq!(house.orders().len(), 20);
    let pause = r#"{"reason":"x"}"#;
    let statuses: Vec<u16> = (0..80)
        .map(|_| status(&house.as_role(Role::Operator, "POST", "/api/v1/pauses", pause)))
        .collect();
    assert_eq!(statuses[..60], [200; 60]);
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[test]
fn an_order_with_the_same_key_is_carried_out_once() {
    let house = House::new();
    let key = key_of(Role::Operator);
    let headers = [("X-API-Key", key.as_str()), ("Idempotency-Key", "one")];
    let pause = |reason: &str| {
        let body = format!(r#"{{"reason":"{reason}"}}"#);
        house.web("POST", "/api/v1/pauses", &headers, &body)
    };
    let first = pause("moving");
    let again = pause("moving");
    assert_eq!((status(&first), status(&again)), (200, 200));
    assert!(again.to_lowercase().contains("idempotency-replayed: true"));
    assert_eq!(status(&pause("another")), 409);
    assert_eq!(house.asked_so_far(), ["pause moving"]);
}

#[test]
fn a_body_that_is_too_long_is_refused() {
    let house = House::new();
    let long = format!(r#"{{"reason":"{}"}}"#, "a".repeat(70 << 10));
    let answer = house.as_role(Role::Operator, "POST", "/api/v1/pauses", &long);
    assert_eq!(status(&answer), 413, "{answer}");
    let reason = format!(r#"{{"reason":"{}"}}"#, "a".repeat(501));
    let answer = house.as_role(Role::Operator, "POST", "/api/v1/pauses", &reason);
    assert_eq!(status(&answer), 400, "{answer}");
    assert!(house.asked_so_far().is_empty());
}

fn pause_event(id: u64) -> Event {
    Event {
        id,
        what: EventKind::Pause(PauseEvent {
            unit: None,
            paused: true,
        }),
    }
}

/// A stream of events, read line by line.
struct Stream(BufReader<std::os::unix::net::UnixStream>);

impl Stream {
    fn open(house: &House, last: Option<&str>) -> Self {
        let key = key_of(Role::Viewer);
        let mut headers = vec![("X-API-Key", key.as_str())];
        headers.extend(last.map(|last| ("Last-Event-ID", last)));
        let mut stream = house.connect(WEB_SOCKET);
        let request = with("GET", "/api/v1/events", &headers, "");
        stream.write_all(&request).unwrap();
        let mut stream = Self(BufReader::new(stream));
        stream.line(": here");
        stream
    }

    /// Reads on until a line begins so.
    fn line(&mut self, begins: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "no {begins} came");
            if line.starts_with(begins) {
                return line.trim_end().to_owned();
            }
        }
    }
}

#[test]
fn events_come_live_and_are_resumed_after_the_last_one_known() {
    let house = House::new();
    let happen = |id| {
        house.fixed.events.lock().unwrap().push(pause_event(id));
        house.news.tell();
    };
    happen(5);
    let mut stream = Stream::open(&house, None);
    happen(6);
    assert_eq!(stream.line("id:"), "id: 6", "what was before is not told");
    assert_eq!(stream.line("event:"), "event: pause");
    assert_eq!(stream.line("data:"), r#"data: {"unit":null,"paused":true}"#);
    drop(stream);
    happen(7);
    happen(8);
    let mut resumed = Stream::open(&house, Some("6"));
    assert_eq!(resumed.line("id:"), "id: 7");
    assert_eq!(resumed.line("id:"), "id: 8");
    happen(9);
    assert_eq!(resumed.line("id:"), "id: 9");

    let mut lost = Stream::open(&house, Some("77"));
    assert_eq!(lost.line("event:"), "event: resync");
    happen(10);
    assert_eq!(lost.line("id:"), "id: 10");
    let answer = house.web(
        "GET",
        "/api/v1/events",
        &[("X-API-Key", &key_of(Role::Viewer)), ("Last-Event-ID", "x")],
        "",
    );
    assert_eq!(status(&answer), 400);
}

#[test]
fn streams_of_one_key_are_bounded_and_end_with_the_server() {
    let mut house = House::new();
    let mut streams: Vec<Stream> = (0..32).map(|_| Stream::open(&house, None)).collect();
    let answer = house.as_role(Role::Viewer, "GET", "/api/v1/events", "");
    assert_eq!(status(&answer), 429, "{answer}");
    let other = house.as_role(Role::Operator, "GET", "/api/v1/status", "");
    assert_eq!(status(&other), 200, "nobody else is concerned");
    house
        .server
        .take()
        .unwrap()
        .stop(std::time::Duration::from_secs(20));
    let mut rest = String::new();
    let last = streams.last_mut().unwrap();
    while last.0.read_line(&mut rest).unwrap() > 0 {}
}

#[test]
fn a_report_comes_in_the_form_that_is_asked_for() {
    let house = House::new();
    let key = key_of(Role::Viewer);
    let of = |address: &str, accept: &str| {
        let headers = [("X-API-Key", key.as_str()), ("Accept", accept)];
        house.web("GET", address, &headers, "")
    };
    let address = "/api/v1/incidents/x/report";
    assert!(of(address, "*/*").ends_with("text of x"));
    let html = of(address, "text/html, */*");
    assert!(html.ends_with("html of x"), "{html}");
    assert!(html.contains("default-src 'none'"), "{html}");
    let json = of(&format!("{address}?format=json"), "text/html");
    assert!(json.ends_with("json of x"), "{json}");
    assert_eq!(status(&of(&format!("{address}?format=pdf"), "*/*")), 400);
}

#[test]
fn the_web_socket_is_roots_until_there_is_its_group() {
    let mode = |house: &House| {
        let path = house.dir.path().join(WEB_SOCKET);
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    let house = House::with(|settings| settings.web_group = "no such group".into());
    assert_eq!(mode(&house), 0o600);
    house.server.as_ref().unwrap().settle_web_group();
    assert_eq!(mode(&house), 0o600);
    let house = House::with(|settings| settings.web_group = "root".into());
    assert_eq!(mode(&house), 0o660);
}
