//! What a probe may ask, each on a real service: it heals what is wrong, and nothing else.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use std::process::Command;

use prunella_e2e::{Builder, Scene, TIMEOUT, one_line, victim};
use serde_json::Value;

/// While this is there, a service answers what it should not.
const WRONG: &str = "/run/test-wrong";

/// A program in Python, which is well again when it is started anew.
fn python(program: &str, more: &str) -> String {
    format!(
        "[Service]\nExecStart=/usr/bin/python3 /opt/test/{program}\n\
         ExecStartPre=+/bin/rm -f {WRONG}\n{more}"
    )
}

/// Answers 200 in any case.
const WEB: &str = r#"
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        wrong = os.path.exists("/run/test-wrong")
        body = b"<html>down for maintenance, token=s3cr3t" if wrong else b'{"status": "ready"}'
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if wrong else "application/json; charset=utf-8")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
"#;

/// Asked every second.
fn asked(question: &str) -> String {
    format!("[[probe]]\nname = \"front\"\n{question}\ninterval = \"1s\"\nfailure-threshold = 2\n")
}

/// The services that are asked, and one that is not.
fn scene(service: &str, unit: &str, question: &str) -> Builder {
    Scene::builder()
        .service(service, unit, &asked(question))
        .service("bystander.service", &victim("", ""), "")
}

/// Breaks a service that answers, has it healed, and gives why its probe was not answered.
#[track_caller]
fn healed(scene: &Scene, unit: &str) -> String {
    scene.start(&[unit, "bystander.service"]);
    scene.wait_state(unit, "healthy");
    scene.after_all_before("bystander.service");
    assert!(scene.incidents_of(unit).is_empty(), "it was well");
    assert_eq!(scene.runs(unit), 1);

    scene.write_file(WRONG, "", 0o644).unwrap();
    let incident = scene.wait_healed(unit);
    assert_eq!(incident.cause, "not-answering");
    let well = scene.wait_state(unit, "healthy");
    assert_eq!(scene.runs(unit), 2);
    let changes = well["transitions"].as_array().unwrap();
    let failed = changes.iter().find(|change| change["to"] == "failed");
    failed.unwrap()["symptom"]["evidence"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_page_that_says_something_else_is_no_answer() {
    let scene = scene(
        "web.service",
        &python("web.py", ""),
        "http = \"http://127.0.0.1:8080/\"\nbody = \"\\\"ready\\\"\"\n\
         header = { content-type = \"application/json*\" }",
    )
    .file("/opt/test/web.py", WEB, 0o755)
    .with_daemon();
    let why = healed(&scene, "web.service");
    assert_eq!(
        why,
        "probe `front` goes unanswered: it answered 200 OK, and its header `content-type` is \
         \"text/html\", not \"application/json*\""
    );
    // The same with the body alone, and nothing secret of it.
    let file = "/etc/prunella/services.d/web.service.toml";
    let text = scene.read_file(file).unwrap();
    let text: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("header"))
        .collect();
    scene.write_file(file, text.join("\n"), 0o644).unwrap();
    scene.systemctl(&["reload", "prunella.service"]).unwrap();
    scene.wait_state("web.service", "healthy");
    scene.write_file(WRONG, "", 0o644).unwrap();
    scene
        .wait_for("the second healing", TIMEOUT, || {
            Ok((scene.runs("web.service") == 3).then_some(()))
        })
        .unwrap();
    let why = format!("{:#}", scene.health("web.service"));
    assert!(why.contains("its body does not contain"), "{why}");
    assert!(why.contains("<html>down for maintenance"), "{why}");
    assert!(!why.contains("s3cr3t"), "{why}");
}

/// A name server with one address for all names.
const NAMES: &str = r#"
import os, socket

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 5353))
while True:
    asked, who = server.recvfrom(512)
    # The name ends with an empty label, and its type and class follow.
    end = asked.index(b"\0", 12) + 5
    last = 66 if os.path.exists("/run/test-wrong") else 1
    head = asked[:2] + b"\x81\x80" + b"\0\1\0\1\0\0\0\0"
    answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes([192, 0, 2, last])
    server.sendto(head + asked[12:end] + answer, who)
"#;

#[test]
fn a_name_with_another_address_is_no_answer() {
    let scene = scene(
        "names.service",
        &python("names.py", ""),
        "dns = \"shop.example\"\nserver = \"127.0.0.1:5353\"\naddress = \"192.0.2.1\"",
    )
    .file("/opt/test/names.py", NAMES, 0o755)
    .with_daemon();
    let why = healed(&scene, "names.service");
    assert_eq!(
        why,
        "probe `front` goes unanswered: it answered 192.0.2.66, not 192.0.2.1"
    );
}

/// Says as whom and where it runs, and tries to write where it may not.
const CHECK: &str = r#"#!/bin/sh
touch /etc/written /opt/test/written 2>/dev/null && echo "it may write"
echo "something before"
echo "$(id -un), $1, in $(cut -d/ -f3 /proc/self/cgroup | tail -n1)"
test ! -e /run/test-wrong
"#;

#[test]
fn a_command_of_the_operators_is_run_outside_as_the_services_user() {
    let scene = scene(
        "web.service",
        &python("web.py", "User=nobody\n"),
        "command = [\"/opt/test/check\", \"$HOME\"]\ntimeout = \"10s\"",
    )
    .file("/opt/test/web.py", WEB, 0o755)
    .file("/opt/test/check", CHECK, 0o755)
    .with_daemon();
    let why = healed(&scene, "web.service");
    let said = "probe `front` goes unanswered: exit code 1: nobody, $HOME, in prunella-probe-";
    assert!(why.starts_with(said), "{why}");
    for written in ["/etc/written", "/opt/test/written"] {
        assert!(scene.read_file(written).is_err(), "{written}");
    }
}

/// A command that only root may run, and that others may change, is not run.
#[test]
fn a_command_that_others_can_change_is_not_run_as_root() {
    let scene = scene(
        "web.service",
        &python("web.py", ""),
        "command = [\"/opt/test/mine/check\"]",
    )
    .file("/opt/test/web.py", WEB, 0o755)
    .file("/opt/test/mine/check", CHECK, 0o755)
    .with_daemon();
    scene
        .run_ok(&["chown", "nobody", "/opt/test/mine", "/opt/test/mine/check"])
        .unwrap();
    scene.start(&["web.service", "bystander.service"]);
    let refused = "somebody else could change what it runs";
    scene
        .wait_for(refused, TIMEOUT, || {
            let entries = scene.journal(&["SYSLOG_IDENTIFIER=prunella"])?;
            let said = entries.iter().any(|entry| {
                entry["MESSAGE"]
                    .as_str()
                    .is_some_and(|message| message.contains(refused))
            });
            Ok(said.then_some(()))
        })
        .unwrap();
    scene.after_all_before("bystander.service");
    assert!(scene.incidents_of("web.service").is_empty());
    assert_eq!(scene.runs("web.service"), 1);
}

/// Speaks TLS with the certificate that is there at that moment.
const TLS: &str = r#"
import http.server, ssl

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

class Server(http.server.ThreadingHTTPServer):
    def get_request(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("/opt/test/certificate.pem")
        connection, who = super().get_request()
        return context.wrap_socket(connection, server_side=True), who

Server(("127.0.0.1", 8443), Handler).serve_forever()
"#;

/// A key and its certificate for `shop.example`, valid for so many days from now on.
/// `cargo xtask setup` installs openssl.
fn certificate(days: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes"])
        .args(["-subj", "/CN=shop.example", "-days", days])
        .args(["-keyout", "key.pem", "-out", "certificate.pem"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    read("key.pem") + &read("certificate.pem")
}

fn symptoms(seen: &Value) -> Vec<&Value> {
    seen["service"]["symptoms"]
        .as_array()
        .unwrap()
        .iter()
        .collect()
}

#[test]
fn a_certificate_near_its_end_degrades_and_a_new_one_clears_and_nothing_is_restarted() {
    let care = format!(
        "heal-degraded = [\"service-restart\"]\n{}[[probe]]\nname = \"greets\"\ntls = \"127.0.0.1:8443\"\ninterval = \"1s\"\n\
         [health]\ncertificate = {{ degraded = \"7d\", critical = \"2d\" }}\n",
        asked("http = \"https://127.0.0.1:8443/\"\nserver-name = \"shop.example\"")
    );
    let scene = Scene::builder()
        .service("web.service", &python("tls.py", ""), &care)
        .service("bystander.service", &victim("", ""), "")
        .file("/opt/test/tls.py", TLS, 0o755)
        .file("/opt/test/certificate.pem", certificate("90"), 0o644)
        .with_daemon();
    scene.start(&["web.service", "bystander.service"]);
    let well = scene.wait_state("web.service", "healthy");
    assert!(symptoms(&well).is_empty(), "{well:#}");

    let file = "/opt/test/certificate.pem";
    scene.write_file(file, certificate("6"), 0o644).unwrap();
    let near = scene.wait_state("web.service", "degraded");
    let evidence = near["service"]["evidence"].as_str().unwrap();
    assert!(
        evidence.starts_with("its certificate for shop.example ends in 5 days (20"),
        "{near:#}"
    );
    let symptom = symptoms(&near)[0];
    assert_eq!(symptom["metric"], "certificate-hours");
    assert_eq!(symptom["level"], "degraded");
    assert_eq!(symptom["threshold"], 7 * 24);
    let one = scene.prunella_ok(&["health", "web"]);
    assert!(one.contains("certificate's time left"), "{one}");
    assert!(one.contains("CERTIFICATE UNTIL"), "{one}");

    scene.write_file(file, certificate("1"), 0o644).unwrap();
    scene
        .wait_for("that to be critical", TIMEOUT, || {
            let seen = scene.health("web.service");
            let is_critical = |one: &&Value| one["level"] == "critical";
            Ok(symptoms(&seen).iter().any(is_critical).then_some(()))
        })
        .unwrap();

    scene.write_file(file, certificate("90"), 0o644).unwrap();
    let well = scene.wait_state("web.service", "healthy");
    assert!(symptoms(&well).is_empty(), "{well:#}");
    let incident = scene.wait_ended("web.service", "recovered");
    assert_eq!(incident.cause, "degraded");
    let record = scene.record(&incident);
    let told = record.steps("watches").next().unwrap()["reason"].to_string();
    assert_eq!(told, "\"nothing that a strategy does would end it\"");
    assert_eq!(record.acts(), Vec::<String>::new());
    let report = one_line(&scene.report(&incident));
    assert!(report.contains("down to"), "{report}");
    scene.after_all_before("bystander.service");
    assert_eq!(scene.incidents_of("web.service").len(), 1);
    assert_eq!(scene.runs("web.service"), 1);
}
