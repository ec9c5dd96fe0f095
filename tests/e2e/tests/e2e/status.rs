//! What `prunella status` shows: trouble first, and what a healing waits for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Scene, TIMEOUT, ends_while, one_line, victim};

/// Where Prunella is inside a machine.
const PRUNELLA: &str = "/opt/prunella/prunella";

/// In which line of the text this stands.
#[track_caller]
fn line_of(text: &str, part: &str) -> usize {
    text.lines()
        .position(|line| line.contains(part))
        .unwrap_or_else(|| panic!("{part:?} in {text}"))
}

#[test]
fn trouble_comes_first_and_a_stranger_on_a_port_is_named() {
    let scene = Scene::builder()
        .unit("stranger.service", &victim("", "--listen 8081"))
        .service(
            "a.service",
            &victim("", "--listen 8080"),
            "ports = [\"tcp/8080\"]\n",
        )
        .service("b.service", &victim("", ""), "critical = true\n")
        .service(
            "z.service",
            &victim("", "--listen 8081"),
            "ports = [\"tcp/8081\"]\n",
        )
        .with_daemon();
    scene.start(&["stranger.service", "a.service", "b.service"]);
    let stranger = scene.main_pid("stranger.service");
    assert!(scene.systemctl(&["start", "z.service"]).is_err());
    scene.wait_ended("z.service", "escalated");

    // Not cut, since the output is no terminal.
    let status = scene.prunella_ok(&["status"]);
    assert!(line_of(&status, "Needs people") < line_of(&status, "SERVICE"));
    assert!(
        line_of(&status, "failed, needs people") < line_of(&status, "● "),
        "{status}"
    );
    for part in [
        "tcp/8081≠",
        &format!("tcp/8081 is held by victim (process {stranger}) of stranger.service"),
        "*  critical",
        "failed, needs people",
    ] {
        assert!(status.contains(part), "{part:?} in {status}");
    }

    let detail = one_line(&scene.prunella_ok(&["status", "z"]));
    for part in [
        "z.service",
        "Needs people",
        "held by victim",
        "services.d/z.service.toml",
        "Strategies",
        "5 of 5 healings left",
        "Latest incidents",
    ] {
        assert!(detail.contains(part), "{part:?} in {detail}");
    }
    let well = one_line(&scene.prunella_ok(&["status", "a"]));
    assert!(well.contains("nothing stands in its way"), "{well}");
    assert!(!well.contains("held by"), "{well}");

    scene.prunella_ok(&["pause", "a", "--reason", "moving it"]);
    let paused = one_line(&scene.prunella_ok(&["status", "a"]));
    for part in ["Prunella is paused for it", "moving it", "resume a.service"] {
        assert!(paused.contains(part), "{part:?} in {paused}");
    }
    let json = scene.prunella_ok(&["status", "a.service", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["service"]["paused"], true, "{json}");

    let missing = scene.prunella(&["status", "stranger"]);
    assert_eq!(
        missing.code,
        Some(6),
        "{}{}",
        missing.stdout,
        missing.stderr
    );
    assert!(
        missing.stderr.contains("not in Prunella's care"),
        "{}",
        missing.stderr
    );
}

#[test]
fn what_only_waits_is_not_being_healed() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--need-file /opt/it"),
            "[budget]\nhealings = 5\nwindow = \"1h\"\nbackoff = [\"0s\", \"30m\"]\n",
        )
        .service("other.service", &victim("", ""), "")
        .with_daemon();
    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    let status = scene
        .wait_for("the healing to wait", TIMEOUT, || {
            let status = scene.prunella_ok(&["status"]);
            Ok(status.contains("failed, waiting").then_some(status))
        })
        .unwrap();
    let status = one_line(&status);
    assert!(!status.contains(", healing"), "{status}");
    assert!(
        status.contains("web.service: the healing budget spaces attempts out, until "),
        "{status}"
    );

    // A person's order does not wait, and the healing that it leads to counts from its end.
    scene.write_file("/opt/it", "", 0o644).unwrap();
    scene.prunella_ok(&["heal", "web.service"]);
    scene.wait_healed("web.service");
    let status = scene.prunella_ok(&["status"]);
    assert!(!status.contains("Waiting"), "{status}");
}

#[test]
fn file_systems_of_declared_files_are_shown() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", ""),
            "[[file]]\nname = \"data\"\npath = \"/srv/data/file\"\n",
        )
        .without_daemon();
    scene
        .run_ok(&[
            "bash",
            "-c",
            "mkdir -p /srv/data && mount -t tmpfs -o size=1M none /srv/data && \
             head -c 1000000 /dev/zero > /srv/data/file",
        ])
        .unwrap();
    let status = one_line(&scene.prunella_ok(&["status"]));
    assert!(status.contains("/srv/data 9"), "{status}");
}

/// Runs `status --watch` in a terminal of 80 by 24, has `end` end it, and returns what was
/// shown. The terminal has to be as it was before.
#[track_caller]
fn watched(scene: &Scene, end: &[&str]) -> String {
    let session = format!(
        "trap : INT\nstty rows 24 cols 80\nstty -g > /tmp/before\n\
         sh -c 'echo $$ > /tmp/pid; exec {PRUNELLA} status --watch'\n\
         stty -g > /tmp/after.new\nmv /tmp/after.new /tmp/after\n"
    );
    scene.write_file("/tmp/session", session, 0o755).unwrap();
    // What is left of a session before must not be taken for this one's.
    let fresh = "rm -f /tmp/after /tmp/keys /tmp/typescript && mkfifo /tmp/keys";
    scene.run_ok(&["bash", "-c", fresh]).unwrap();
    let run = "exec script -qfec 'sh /tmp/session' /tmp/typescript <> /tmp/keys >/dev/null";
    scene
        .run_ok(&["systemd-run", "--quiet", "--collect", "bash", "-c", run])
        .unwrap();
    let wait_for_text = |text: &str| {
        scene
            .wait_for(text, TIMEOUT, || {
                let shown = scene.read_file("/tmp/typescript").unwrap_or_default();
                Ok(shown.contains(text).then_some(()))
            })
            .unwrap();
    };
    wait_for_text("more lines below");
    wait_for_text("failed");
    // A page down, and the services that are well come into sight.
    scene
        .run_ok(&["bash", "-c", "printf '\\033[6~' > /tmp/keys"])
        .unwrap();
    wait_for_text("more lines above");
    scene.run_ok(end).unwrap();
    scene
        .wait_for("the end of the session", TIMEOUT, || {
            Ok(scene.read_file("/tmp/after").ok())
        })
        .unwrap();
    assert_eq!(
        scene.read_file("/tmp/before").unwrap(),
        scene.read_file("/tmp/after").unwrap(),
        "the terminal is as it was"
    );
    scene.read_file("/tmp/typescript").unwrap()
}

/// Tells systemd how far it has come, and is ready for as long as it lives.
const NOTIFIES: &str = r#"
import os, socket, time

def tell(text):
    to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    path = os.environ["NOTIFY_SOCKET"]
    to.connect("\0" + path[1:] if path[0] == "@" else path)
    to.send(text.encode())

tell("READY=1\nSTATUS=Imported 3 of 12 tables, token=s3cr3t")
while True:
    tell("WATCHDOG=1")
    time.sleep(1)
"#;

#[test]
fn what_a_service_says_of_itself_is_shown_and_is_evidence_when_it_fails() {
    let scene = Scene::builder()
        .file("/opt/test/notifies.py", NOTIFIES, 0o755)
        .service(
            "web.service",
            "[Service]\nType=notify\nWatchdogSec=30\n\
             ExecStart=/usr/bin/python3 /opt/test/notifies.py\n",
            "",
        )
        .service("plain.service", &victim("", ""), "")
        .with_daemon();
    scene.start(&["web.service", "plain.service"]);
    let shown = scene.prunella_ok(&["status", "web.service"]);
    assert!(
        shown.contains("Says           Imported 3 of 12 tables"),
        "{shown}"
    );
    assert!(!shown.contains("s3cr3t"), "{shown}");
    let watchdog = "Watchdog       a sign of life is due every 30s; the last one was";
    assert!(shown.contains(watchdog), "{shown}");
    let shown = scene.prunella_ok(&["status", "plain.service"]);
    assert!(!shown.contains("Says"), "{shown}");
    assert!(!shown.contains("Watchdog"), "{shown}");

    scene.kill("web.service");
    let incident = scene.wait_healed("web.service");
    let report = scene.report(&incident);
    let said = "its own status: Imported 3 of 12 tables";
    assert!(report.contains(said), "{report}");
    assert!(!report.contains("s3cr3t"), "{report}");
}

#[test]
fn watching_32_services_shows_the_failed_one_and_leaves_the_terminal_as_it_was() {
    let mut builder = Scene::builder();
    for number in 0..31 {
        builder = builder.service(&format!("a{number:02}.service"), &victim("", ""), "");
    }
    let scene = builder
        .service("zz.service", &victim("", "--need-file /opt/it"), "")
        .without_daemon();
    assert!(scene.systemctl(&["start", "zz.service"]).is_err());

    for end in [
        &["bash", "-c", "printf q > /tmp/keys"][..],
        &["bash", "-c", "kill -TERM $(cat /tmp/pid)"],
        &["bash", "-c", "printf '\\003' > /tmp/keys"],
    ] {
        let shown = watched(&scene, end);
        let first = shown.split("q quits").next().unwrap();
        assert!(first.contains("zz"), "{first:?}");
        assert!(shown.contains("\u{1b}[?1049l"), "it left its screen");
    }
}

/// Its first run was killed, and each since says what keeps it down: that is what lists and
/// the overview tell. It is handed to people, and is theirs until it is up, while it is tried
/// again, too.
#[test]
fn what_is_tried_again_needs_people_until_it_is_up_and_tells_its_latest_failure() {
    let expired = "/run/expired";
    let end = "echo \"FATAL: the license is expired\"; exit 1";
    let scene = Scene::builder()
        .service(
            "web.service",
            &ends_while(expired, end, ""),
            "[budget]\nhealings = 2\nwindow = \"1h\"\nbackoff = [\"0s\", \"20s\"]\n",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.write_file(expired, "", 0o644).unwrap();
    scene.kill("web.service");
    let escalated = scene.wait_ended("web.service", "escalated");
    assert_eq!(escalated.cause, "exit-code");

    // An order passes the budget, which then wants a pause before the next try.
    scene
        .run(&["timeout", "3", PRUNELLA, "heal", "web.service"])
        .unwrap();
    let tried_again = scene
        .wait_for("the next try", TIMEOUT, || {
            let incident = scene.only_incident_of("web.service");
            Ok(incident.ended.is_none().then_some(incident))
        })
        .unwrap();
    assert_eq!(tried_again.cause, "exit-code");
    let status = scene.prunella_ok(&["status"]);
    let list = one_line(&scene.prunella_ok(&["incidents"]));
    let filtered = scene.prunella_ok(&["incidents", "--outcome", "escalated"]);
    let detail = one_line(&scene.prunella_ok(&["status", "web"]));
    let report = scene.report(&tried_again);
    let json = scene.prunella_ok(&["status", "web.service", "--json"]);
    // All of this was seen while it was being tried again.
    assert_eq!(scene.only_incident_of("web.service").ended, None);

    assert!(line_of(&status, "Needs people") < line_of(&status, "SERVICE"));
    let status = one_line(&status);
    for part in [
        "it fails at each start (exit code 1: FATAL: the license is expired)",
        "tried again at ",
        "failed, needs people",
        "Last 24 h: 1 escalated",
    ] {
        assert!(status.contains(part), "{part:?} in {status}");
    }
    for part in ["Waiting", ", waiting", "1 open", "spaces attempts out"] {
        assert!(!status.contains(part), "{part:?} in {status}");
    }
    for part in [
        "exit-code",
        "escalated",
        "the license is expired",
        "goes on",
    ] {
        assert!(list.contains(part), "{part:?} in {list}");
    }
    assert!(!list.contains(" open "), "{list}");
    assert!(filtered.contains(&tried_again.id), "{filtered}");
    for part in ["Needs people", "the license is expired", "tried again at "] {
        assert!(detail.contains(part), "{part:?} in {detail}");
    }
    assert!(
        report
            .lines()
            .next()
            .is_some_and(|headline| headline.contains("at each start (exit code 1")),
        "{report}"
    );

    // It is down since the first failure, whatever was tried in vain.
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let since = json["service"]["health"]["since"].as_u64().unwrap();
    let began = tried_again.at.as_millis();
    assert!(since < began + 5_000, "{since} and {began}: {json}");

    scene.remove_file(expired).unwrap();
    scene.wait_healed("web.service");
    let status = scene.prunella_ok(&["status"]);
    assert!(!status.contains("Needs people"), "{status}");
    assert!(status.contains("1 healed"), "{status}");
}
