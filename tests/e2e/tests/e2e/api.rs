//! The web socket of a real daemon: what keys and sessions may do, and what they may not.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Scene, TIMEOUT, victim};
use serde_json::Value;

const WEB: &str = "web.service";

/// Asks on the web socket: `ask METHOD ADDRESS [HEADER…]`, with a body from standard input.
/// With `--lines N` it prints so many lines of a stream and leaves.
const ASK: &str = r#"#!/usr/bin/python3
import http.client, json, os, socket, sys
words = sys.argv[1:]
lines = 0
if words[0] == "--lines":
    lines, words = int(words[1]), words[2:]
method, address, headers = words[0], words[1], words[2:]
door = http.client.HTTPConnection("localhost", timeout=60)
door.sock = socket.socket(socket.AF_UNIX)
door.sock.settimeout(60)
door.sock.connect("/run/prunella/web.sock")
body = os.environ.get("BODY", "")
door.request(method, address, body, dict(one.split(": ", 1) for one in headers))
answer = door.getresponse()
if lines:
    for _ in range(lines):
        print(answer.readline().decode().rstrip("\n"), flush=True)
    os._exit(0)
text = answer.read().decode()
print(json.dumps({"status": answer.status, "retry": answer.getheader("Retry-After"), "text": text}))
"#;

fn scene() -> Scene {
    let scene = Scene::builder()
        .file("/opt/test/ask", ASK, 0o755)
        .service(WEB, &victim("", "--listen 8080"), "")
        .with_daemon();
    scene.start(&[WEB]);
    scene
}

/// An answer: its status, and its body.
fn ask(scene: &Scene, method: &str, address: &str, headers: &[&str], body: &str) -> (u64, String) {
    let body = format!("BODY={body}");
    let command = [
        &["/usr/bin/env", &body, "/opt/test/ask", method, address],
        headers,
    ]
    .concat();
    let printed = scene.run_ok(&command).unwrap();
    let answer: Value = serde_json::from_str(&printed).unwrap();
    let text = answer["text"].as_str().unwrap().to_owned();
    (answer["status"].as_u64().unwrap(), text)
}

/// A new key, as the header that shows it.
fn key(scene: &Scene, name: &str, role: &str) -> String {
    let printed = scene.prunella_ok(&["key", "add", name, "--role", role, "--json"]);
    let added: Value = serde_json::from_str(&printed).unwrap();
    format!("X-API-Key: {}", added["key"].as_str().unwrap())
}

const HEAL: &str = "/api/v1/services/web.service/heal";
const STATUS: &str = "/api/v1/status";

#[test]
fn keys_may_what_their_role_may_until_they_are_revoked() {
    let scene = scene();
    let (status, _) = ask(&scene, "GET", STATUS, &[], "");
    assert_eq!(status, 401, "root too needs a key here");
    let viewer = key(&scene, "grafana", "viewer");
    let operator = key(&scene, "deploy", "operator");

    let (status, text) = ask(&scene, "GET", STATUS, &[&viewer], "");
    assert_eq!(status, 200, "{text}");
    assert!(text.contains(WEB), "{text}");
    let restart = r#"{"restart":true}"#;
    let runs = scene.runs(WEB);
    let (status, text) = ask(&scene, "POST", HEAL, &[&viewer], restart);
    assert_eq!(status, 403, "{text}");
    assert!(scene.incidents_of(WEB).is_empty(), "nothing happened");
    assert_eq!(scene.runs(WEB), runs);

    let (status, text) = ask(&scene, "POST", HEAL, &[&operator], restart);
    assert_eq!(status, 200, "{text}");
    assert!(text.contains(r#""ended""#), "{text}");
    assert_eq!(scene.only_incident_of(WEB).ended.as_deref(), Some("healed"));
    assert_eq!(scene.runs(WEB), runs + 1);

    let (status, text) = ask(&scene, "GET", "/api/v1/audit", &[&viewer], "");
    assert_eq!(status, 200, "{text}");
    let orders: Vec<Value> = serde_json::from_str(&text).unwrap();
    let of = |by: &str| {
        let mut of = orders.iter().filter(|order| order["by"] == by);
        of.next().unwrap()["status"].as_u64()
    };
    assert_eq!(
        (of("key grafana"), of("key deploy")),
        (Some(403), Some(200))
    );

    let listed = scene.prunella_ok(&["key", "list"]);
    assert!(
        listed.contains("grafana") && listed.contains("deploy"),
        "{listed}"
    );
    scene.prunella_ok(&["key", "revoke", "deploy"]);
    let (status, _) = ask(&scene, "POST", HEAL, &[&operator], restart);
    assert_eq!(status, 401);
    assert_eq!(scene.runs(WEB), runs + 1, "nothing happened any more");
    assert_eq!(scene.incidents_of(WEB).len(), 1);
    // Keys outlive the daemon.
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    assert_eq!(ask(&scene, "GET", STATUS, &[&viewer], "").0, 200);
}

#[test]
fn a_link_lets_one_browser_in_which_orders_under_its_makers_name() {
    let scene = scene();
    let printed = scene.prunella_ok(&["web", "login", "--json"]);
    let link: Value = serde_json::from_str(&printed).unwrap();
    let (_, token) = link["url"].as_str().unwrap().split_once("token=").unwrap();
    let log_in = format!(r#"{{"token":"{token}"}}"#);
    let (status, text) = ask(&scene, "POST", "/api/v1/sessions", &[], &log_in);
    assert_eq!(status, 201, "{text}");
    let new: Value = serde_json::from_str(&text).unwrap();
    let (status, _) = ask(&scene, "POST", "/api/v1/sessions", &[], &log_in);
    assert_eq!(status, 401, "it is used up");

    let session = format!("X-Prunella-Session: {}", new["session"].as_str().unwrap());
    let csrf = format!("X-CSRF-Token: {}", new["csrf_token"].as_str().unwrap());
    let pause = r#"{"unit":"web.service","reason":"moving"}"#;
    let (status, _) = ask(&scene, "POST", "/api/v1/pauses", &[&session], pause);
    assert_eq!(status, 403);
    assert!(!scene.prunella_ok(&["status"]).contains("moving"));
    let (status, text) = ask(&scene, "POST", "/api/v1/pauses", &[&session, &csrf], pause);
    assert_eq!(status, 200, "{text}");
    let paused: Value = serde_json::from_str(&text).unwrap();
    assert!(paused["by"].as_str().unwrap().contains("root"), "{text}");
    assert!(scene.prunella_ok(&["status"]).contains("moving"));
    // A session outlives the daemon, and ends when it is ended.
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    assert_eq!(ask(&scene, "GET", STATUS, &[&session], "").0, 200);
    let current = "/api/v1/sessions/current";
    assert_eq!(
        ask(&scene, "DELETE", current, &[&session, &csrf], "").0,
        204
    );
    assert_eq!(ask(&scene, "GET", STATUS, &[&session], "").0, 401);
}

#[test]
fn events_are_resumed_after_what_was_seen_last() {
    let scene = scene();
    let viewer = key(&scene, "grafana", "viewer");
    // Wherever the order begins: what is asked for is not known any more.
    let first = [
        "/opt/test/ask",
        "--lines",
        "4",
        "GET",
        "/api/v1/events",
        &viewer,
        "Last-Event-ID: 1",
    ];
    let printed = scene.run_ok(&first).unwrap();
    assert!(printed.contains("event: resync"), "{printed}");
    let id = |line: &str| line.strip_prefix("id: ").unwrap().parse::<u64>().unwrap();
    let here = id(printed
        .lines()
        .find(|line| line.starts_with("id: "))
        .unwrap());

    scene.kill(WEB);
    scene.wait_healed(WEB);
    let last = format!("Last-Event-ID: {here}");
    let next = [
        "/opt/test/ask",
        "--lines",
        "40",
        "GET",
        "/api/v1/events",
        &viewer,
        &last,
    ];
    let printed = scene.run_ok(&next).unwrap();
    let ids: Vec<u64> = printed
        .lines()
        .filter(|line| line.starts_with("id: "))
        .map(id)
        .collect();
    assert!(ids.is_sorted() && ids[0] > here, "{ids:?}");
    assert!(printed.contains("event: incident"), "{printed}");
    assert!(printed.contains("event: step"), "{printed}");
    assert!(!printed.contains("resync"), "{printed}");
}

#[test]
fn wrong_keys_are_slowed_and_told_of_once() {
    let scene = scene();
    let wrong = ["X-API-Key: prunella_guess", "X-Prunella-Peer: 192.0.2.9"];
    for _ in 0..10 {
        assert_eq!(ask(&scene, "GET", STATUS, &wrong, "").0, 401);
    }
    assert_eq!(ask(&scene, "GET", STATUS, &wrong, "").0, 429);
    let viewer = key(&scene, "grafana", "viewer");
    let (status, _) = ask(
        &scene,
        "GET",
        STATUS,
        &[&viewer, "X-Prunella-Peer: 192.0.2.8"],
        "",
    );
    assert_eq!(status, 200, "others are not slowed");
    let told = scene.wait_for("the journal to tell of it", TIMEOUT, || {
        let entries = scene.journal(&["-u", "prunella.service"])?;
        let about = entries.iter().filter(|entry| {
            let message = entry["MESSAGE"].as_str().unwrap_or_default();
            message.contains("192.0.2.9 shows a key")
        });
        let count = about.count();
        Ok((count > 0).then_some(count))
    });
    assert_eq!(told.unwrap(), 1);
    // Healing is not concerned.
    scene.kill(WEB);
    scene.wait_healed(WEB);
}
