//! Stale pid files, locks and sockets: removed when they are proven stale, and else left alone.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Incident, Scene, TIMEOUT};
use rstest::rstest;

const WEB: &str = "web.service";
const TRACE: &str = "/var/lib/web/trace";

/// One start is enough to see that it does not help.
const BUDGET: &str = "[budget]\nhealings = 1\nwindow = \"1h\"\nbackoff = [\"0s\"]\n";

/// Does not start where it finds its pid file.
const WITH_PID: &str = "[Service]
ExecStart=/bin/sh -c 'if [ -e /var/lib/web/trace ]; then echo another one is running; exit 1; fi; echo $$$$ > /var/lib/web/trace; exec sleep infinity'
";

/// Makes a lock as `mkdir` does.
const WITH_LOCK: &str = "[Service]
ExecStart=/bin/sh -c 'mkdir /var/lib/web/trace || exit 1; exec sleep infinity'
";

/// Leaves an old socket as it is.
const WITH_SOCKET: &str = "[Service]
ExecStart=/usr/bin/python3 -c 'import socket, time; s = socket.socket(socket.AF_UNIX); s.bind(\"/var/lib/web/trace\"); s.listen(); time.sleep(3600)'
";

fn builder(unit: &str, kind: &str) -> prunella_e2e::Builder {
    let care = format!(
        "[[stale-file]]\nname = \"trace\"\npath = \"{TRACE}\"\nkind = \"{kind}\"\n{BUDGET}"
    );
    Scene::builder()
        .file("/var/lib/web/here", "", 0o644)
        .service(WEB, unit, &care)
}

fn kept(scene: &Scene) -> Vec<String> {
    let listed = scene.run_ok(&["ls", "/var/lib/web"]).unwrap();
    let names = listed.lines().map(str::to_owned);
    names.filter(|name| name.starts_with("trace.")).collect()
}

/// What `stale-files` thought of it first.
fn assessed(scene: &Scene, incident: &Incident) -> String {
    let record = scene.record(incident);
    let of = record
        .steps("assessed")
        .find(|step| step["strategy"] == "stale-files")
        .map(ToString::to_string);
    of.unwrap_or_else(|| panic!("{}", record.text()))
}

#[rstest]
#[case::pid_file(WITH_PID, "pid", 1)]
#[case::lock(WITH_LOCK, "lock", 1)]
#[case::socket(WITH_SOCKET, "socket", 0)]
fn what_a_killed_service_left_behind_is_removed(
    #[case] unit: &str,
    #[case] kind: &str,
    #[case] is_kept: usize,
) {
    let scene = builder(unit, kind).with_daemon();
    scene.start(&[WEB]);
    scene
        .wait_for("the trace", TIMEOUT, || {
            Ok(scene.exists(TRACE)?.then_some(()))
        })
        .unwrap();
    scene.kill(WEB);
    let incident = scene.wait_healed(WEB);
    let record = scene.record(&incident);
    let acts = record.acts();
    assert!(
        acts.first()
            .is_some_and(|act| act.contains("stale-file.remove")),
        "{acts:?}"
    );
    assert_eq!(record.steps("undone").count(), 0, "{}", record.text());
    assert_eq!(kept(&scene).len(), is_kept, "{:?}", kept(&scene));
    let report = scene.report(&incident);
    assert!(report.contains("/var/lib/web/trace"), "{report}");

    let undone = scene.prunella(&["undo", &incident.id]);
    let said = undone.stdout;
    let expected = if is_kept == 1 {
        "the service has made it anew"
    } else {
        "cannot be undone"
    };
    assert!(said.contains(expected), "{said}");
    assert_eq!(scene.property(WEB, "ActiveState").unwrap(), "active");
}

#[test]
fn what_was_not_to_blame_is_put_back() {
    let unit = WITH_PID.replace(
        "echo $$$$",
        "test -e /var/lib/web/here || exit 1; echo $$$$",
    );
    let scene = builder(&unit, "pid").with_daemon();
    scene.start(&[WEB]);
    scene
        .wait_for("the trace", TIMEOUT, || {
            Ok(scene.exists(TRACE)?.then_some(()))
        })
        .unwrap();
    let pid = scene.run_ok(&["cat", TRACE]).unwrap();
    scene.remove_file("/var/lib/web/here").unwrap();
    scene.kill(WEB);
    let incident = scene.wait_step(WEB, "undone", TIMEOUT);
    let record = scene.record(&incident);
    let undone: Vec<_> = record.steps("undone").collect();
    assert_eq!(undone[0]["why"], "no-help");
    assert_eq!(scene.run_ok(&["cat", TRACE]).unwrap(), pid, "the very same");
    assert_eq!(kept(&scene), Vec::<String>::new());
}

#[test]
fn a_stranger_that_may_be_its_daemon_keeps_a_pid_file() {
    let scene = builder(WITH_PID, "pid")
        .unit(
            "stranger.service",
            "[Service]\nExecStart=/bin/sleep infinity\n",
        )
        .with_daemon();
    scene.start(&["stranger.service"]);
    let stranger = scene.main_pid("stranger.service");
    scene
        .write_file(TRACE, stranger.to_string(), 0o644)
        .unwrap();
    let _ = scene.run(&["systemctl", "start", WEB]);
    let incident = scene.wait_ended(WEB, "escalated");
    let why = assessed(&scene, &incident);
    assert!(why.contains("may be what wrote it"), "{why}");
    assert!(scene.exists(TRACE).unwrap());
    assert_eq!(scene.main_pid("stranger.service"), stranger);
}

#[test]
fn a_lock_that_somebody_holds_stays() {
    let unit = WITH_PID.replace("echo $$$$ >", ": >");
    let scene = builder(&unit, "lock")
        .file(TRACE, "", 0o644)
        .unit(
            "other.service",
            "[Service]\nType=exec\nExecStart=/usr/bin/flock /var/lib/web/trace sleep infinity\n",
        )
        .with_daemon();
    scene.start(&["other.service"]);
    scene
        .wait_for("the lock to be held", TIMEOUT, || {
            let held = scene.run(&["flock", "-n", TRACE, "true"])?;
            Ok((held.code != Some(0)).then_some(()))
        })
        .unwrap();
    let _ = scene.run(&["systemctl", "start", WEB]);
    let incident = scene.wait_ended(WEB, "escalated");
    let why = assessed(&scene, &incident);
    assert!(why.contains("lock on"), "{why}");
    assert!(scene.exists(TRACE).unwrap());
}

#[test]
fn a_socket_on_which_somebody_listens_stays() {
    let scene = builder(WITH_SOCKET, "socket")
        .unit("other.service", WITH_SOCKET)
        .with_daemon();
    scene.start(&["other.service"]);
    scene
        .wait_for("the socket", TIMEOUT, || {
            Ok(scene.exists(TRACE)?.then_some(()))
        })
        .unwrap();
    let _ = scene.run(&["systemctl", "start", WEB]);
    let incident = scene.wait_ended(WEB, "escalated");
    let why = assessed(&scene, &incident);
    assert!(why.contains("somebody has bound `trace`"), "{why}");
    assert!(scene.exists(TRACE).unwrap());
}

#[test]
fn a_link_in_its_place_is_left_alone() {
    let scene = builder(WITH_PID, "pid")
        .file("/var/lib/web/target", "999999\n", 0o644)
        .with_daemon();
    scene
        .run_ok(&["ln", "-s", "/var/lib/web/target", TRACE])
        .unwrap();
    let _ = scene.run(&["systemctl", "start", WEB]);
    let incident = scene.wait_ended(WEB, "escalated");
    let why = assessed(&scene, &incident);
    assert!(why.contains("is a symbolic link"), "{why}");
    assert!(scene.exists(TRACE).unwrap() && scene.exists("/var/lib/web/target").unwrap());
}

#[test]
fn a_daemon_that_is_killed_after_a_removal_goes_on() {
    let wait = "[Service]\nExecStartPre=/bin/sh -c 'until [ -e /run/go ]; do sleep 0.05; done'";
    let unit = WITH_PID.replace("[Service]", wait);
    let scene = builder(&unit, "pid").with_daemon();
    scene.write_file("/run/go", "", 0o644).unwrap();
    scene.start(&[WEB]);
    scene
        .wait_for("the trace", TIMEOUT, || {
            Ok(scene.exists(TRACE)?.then_some(()))
        })
        .unwrap();
    scene.remove_file("/run/go").unwrap();
    scene.kill(WEB);
    scene
        .wait_for("the start after the removal", TIMEOUT, || {
            let state = scene.property(WEB, "ActiveState")?;
            Ok((state == "activating").then_some(()))
        })
        .unwrap();
    let daemon = scene.main_pid("prunella.service").to_string();
    scene.run_ok(&["kill", "-KILL", &daemon]).unwrap();
    scene.write_file("/run/go", "", 0o644).unwrap();
    scene
        .wait_for("the incident's end", TIMEOUT, || {
            let output = scene.prunella(&["incidents", "--json"]);
            let said = output.stdout;
            Ok((said.contains("healed") || said.contains("recovered")).then_some(()))
        })
        .unwrap();
    let incident = scene.only_incident_of(WEB);
    let record = scene.record(&incident);
    assert_eq!(record.steps("undone").count(), 0, "{}", record.text());
    assert_eq!(scene.property(WEB, "ActiveState").unwrap(), "active");
    assert_eq!(kept(&scene).len(), 1, "{:?}", kept(&scene));
}
