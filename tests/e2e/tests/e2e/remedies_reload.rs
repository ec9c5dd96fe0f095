//! `reload`: what a signal or a call mends without a restart, and what is not reloaded.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Record, Scene, one_line};

const WEB: &str = "web.service";

const PROGRAM: &str = "/opt/test/moody.py";

/// Who called, one a line: the path, the signature's header, the body.
const CALLS: &str = "/run/test-calls";

/// A web server that SIGUSR2 makes answer 503. SIGHUP is handled with `hup`, and mends that
/// with `cure`; so does `POST /cure`.
const SERVER: &str = r#"
import http.server, signal, sys

sick = False

def becomes(value):
    def handle(*_):
        global sick
        sick = value
    return handle

class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def do_GET(self):
        self.answer(503 if sick else 200)

    def do_POST(self):
        global sick
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with open("/run/test-calls", "a") as calls:
            print(self.path, self.headers["X-Prunella-Signature"], body, file=calls)
        sick = sick and self.path != "/cure"
        self.answer(204)

    def log_message(self, *_):
        pass

signal.signal(signal.SIGUSR2, becomes(True))
if "hup" in sys.argv:
    signal.signal(signal.SIGHUP, becomes(False) if "cure" in sys.argv else lambda *_: None)
http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
"#;

const PROBE: &str = r#"
[[probe]]
name = "front"
http = "http://127.0.0.1:8080/"
interval = "1s"
failure-threshold = 2
"#;

const SIGNAL: &str = "[[signal]]\nname = \"reread\"\nsignal = \"HUP\"\n";

/// Starts it, and has it answer with errors.
fn sick(options: &str, care: &str) -> Scene {
    let unit = format!("[Service]\nExecStart=/usr/bin/python3 {PROGRAM} {options}\n");
    let scene = Scene::builder()
        .file(PROGRAM, SERVER, 0o755)
        .file("/etc/prunella/secrets/web", "hunter2\n", 0o600)
        .service(WEB, &unit, &format!("{PROBE}{care}"))
        .with_daemon();
    scene.start(&[WEB]);
    scene.wait_probed(WEB);
    scene
        .systemctl(&["kill", "--kill-who=main", "--signal=USR2", WEB])
        .unwrap();
    scene
}

fn healed(scene: &Scene) -> Record {
    let incident = scene.wait_healed(WEB);
    scene.record(&incident)
}

#[test]
fn a_signal_mends_what_needs_no_restart() {
    let scene = sick("hup cure", SIGNAL);
    let record = healed(&scene);
    assert_eq!(record.acts(), ["signal.send reread"], "{}", record.text());
    assert_eq!(scene.runs(WEB), 1, "it was not restarted");
    let report = scene.report(&scene.only_incident_of(WEB));
    let report = one_line(&report);
    assert!(
        report.contains("sent the signal `reread` (SIGHUP)"),
        "{report}"
    );
    let undo = scene.prunella_ok(&["undo", &scene.only_incident_of(WEB).id]);
    assert!(undo.contains("cannot be undone"), "{undo}");
}

#[test]
fn a_signed_call_mends_what_a_signal_did_not() {
    let call = "[[call]]\nname = \"cure\"\nurl = \"http://127.0.0.1:8080/cure\"\n\
                body = \"{}\"\nexpect-status = 204\nsign = \"hmac-sha256\"\n\
                secret-file = \"/etc/prunella/secrets/web\"\n";
    let scene = sick("hup", &format!("{SIGNAL}{call}"));
    let record = healed(&scene);
    assert_eq!(
        record.acts(),
        ["signal.send reread", "call.send cure"],
        "{}",
        record.text()
    );
    assert_eq!(scene.runs(WEB), 1, "it was not restarted");
    assert!(!record.text().contains("hunter2"));
    let calls = scene.run_ok(&["cat", CALLS]).unwrap();
    let [path, signature, body] = calls.split_whitespace().collect::<Vec<_>>()[..] else {
        unreachable!("{calls}");
    };
    assert_eq!((path, body), ("/cure", "{}"));
    let (time, hex) = signature
        .strip_prefix("t=")
        .and_then(|rest| rest.split_once(",v1="))
        .unwrap();
    let check = "import hmac, sys; print(hmac.new(b'hunter2', sys.argv[1].encode(), \
                 'sha256').hexdigest())";
    let wanted = scene
        .run_ok(&["python3", "-c", check, &format!("{time}.{body}")])
        .unwrap();
    assert_eq!(hex, wanted.trim());
}

#[test]
fn what_no_reload_mends_is_restarted() {
    let call = "[[call]]\nname = \"purge\"\nurl = \"http://127.0.0.1:8080/purge\"\n\
                expect-status = 200\n";
    let settings = "[strategy.reload.settings]\nwait = \"1s\"\n";
    let scene = Scene::builder()
        .file(PROGRAM, SERVER, 0o755)
        .file("/etc/prunella/prunella.toml", settings, 0o644)
        .service(
            WEB,
            &format!("[Service]\nExecStart=/usr/bin/python3 {PROGRAM} hup\n"),
            &format!("{PROBE}{SIGNAL}{call}"),
        )
        .with_daemon();
    scene.start(&[WEB]);
    scene.wait_probed(WEB);
    scene
        .systemctl(&["kill", "--kill-who=main", "--signal=USR2", WEB])
        .unwrap();
    let record = healed(&scene);
    let acts = [
        "signal.send reread",
        "call.send purge",
        "unit-control.restart web.service",
    ];
    assert_eq!(record.acts(), acts, "{}", record.text());
    assert!(
        record
            .text()
            .contains("`purge` answered 204 No Content, not 200"),
        "{}",
        record.text()
    );
}

#[test]
fn a_signal_that_would_end_the_service_is_not_sent() {
    let scene = sick("", SIGNAL);
    let record = healed(&scene);
    assert_eq!(
        record.acts(),
        ["unit-control.restart web.service"],
        "{}",
        record.text()
    );
    assert!(
        record
            .text()
            .contains("does not handle SIGHUP, and would be ended by it"),
        "{}",
        record.text()
    );
}

#[test]
fn a_service_that_is_down_is_not_reloaded() {
    let scene = sick("hup cure", SIGNAL);
    let first = healed(&scene);
    assert_eq!(first.acts(), ["signal.send reread"]);
    scene.kill(WEB);
    scene
        .wait_for("the second healing", prunella_e2e::TIMEOUT, || {
            let incidents = scene.incidents_of(WEB);
            let all = incidents.len() == 2 && incidents.iter().all(|one| one.is("healed"));
            Ok(all.then_some(()))
        })
        .unwrap();
    let record = scene.record(&scene.incidents_of(WEB)[0]);
    assert_eq!(
        record.acts(),
        ["unit-control.start web.service"],
        "{}",
        record.text()
    );
}
