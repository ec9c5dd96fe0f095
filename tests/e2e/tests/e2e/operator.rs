//! People come first: what they do is never undone.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::{Duration, Instant};

use prunella_e2e::{Builder, Scene, TIMEOUT, victim};

const BYSTANDER: &str = "bystander.service";

fn scene() -> Builder {
    Scene::builder().service(BYSTANDER, &victim("", ""), "")
}

/// Nothing was done about `unit`, although all that happened was noticed.
fn assert_left_alone(scene: &Scene, unit: &str, state: &str) {
    scene.after_all_before(BYSTANDER);
    assert_eq!(scene.property(unit, "ActiveState").unwrap(), state);
    assert_eq!(scene.runs(unit), 1);
    for incident in scene.incidents_of(unit) {
        assert!(incident.is("left-alone"), "{incident:?}");
        assert_eq!(scene.record(&incident).acts(), Vec::<String>::new());
    }
}

#[test]
fn a_stop_is_a_stop() {
    let scene = scene()
        .service("web.service", &victim("", "--listen 8080"), "")
        .with_daemon();
    scene.start(&["web.service"]);
    scene.systemctl(&["stop", "web.service"]).unwrap();
    assert_left_alone(&scene, "web.service", "inactive");
}

#[test]
fn a_stop_that_ends_badly_is_still_a_stop() {
    // Ignoring SIGTERM, it is killed: systemd calls that failed.
    let scene = scene()
        .service(
            "web.service",
            &victim("TimeoutStopSec=500ms", "--ignore-term"),
            "",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.systemctl(&["stop", "web.service"]).unwrap();
    assert_eq!(
        scene.property("web.service", "ActiveState").unwrap(),
        "failed"
    );
    let incident = scene.wait_left_alone("web.service", "operator-stop");
    assert_eq!(incident.attempt, 1);
    assert_left_alone(&scene, "web.service", "failed");
}

#[test]
fn a_stop_is_healed_where_the_operator_says_so() {
    let scene = scene()
        .service(
            "web.service",
            &victim("", "--listen 8080"),
            "heal-on-stop = true",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.systemctl(&["stop", "web.service"]).unwrap();
    scene.wait_healed("web.service");
}

#[test]
fn a_paused_service_is_left_alone_until_it_is_resumed() {
    let scene = scene()
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    scene.start(&["web.service"]);
    scene.prunella_ok(&[
        "pause",
        "web.service",
        "--for",
        "2h",
        "--reason",
        "moving it",
    ]);

    scene.kill("web.service");
    scene.wait_left_alone("web.service", "paused");
    assert_left_alone(&scene, "web.service", "failed");

    scene.prunella_ok(&["resume", "web.service"]);
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.wait_healed("web.service");
}

#[test]
fn an_operators_restart_during_a_healing_is_not_fought() {
    let scene = scene()
        .service(
            "web.service",
            // Slow, so that the operator comes in the middle of it.
            &victim("", "--listen 8080 --start-takes 1500"),
            "ports = [\"tcp/8080\"]",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene
        .wait_until("web.service", "activating", TIMEOUT)
        .unwrap();

    scene.systemctl(&["restart", "web.service"]).unwrap();

    scene
        .wait_for("the incident to end", TIMEOUT, || {
            let incidents = scene.incidents_of("web.service");
            let ended = incidents.iter().all(|incident| incident.ended.is_some());
            Ok((ended && !incidents.is_empty()).then_some(()))
        })
        .unwrap();
    scene.after_all_before(BYSTANDER);
    assert_eq!(
        scene.property("web.service", "ActiveState").unwrap(),
        "active"
    );
    assert!(scene.answers(8080));
    // The first, Prunella's, and the operator's: the last one stayed.
    assert!(
        scene.runs("web.service") <= 3,
        "{}",
        scene.runs("web.service")
    );
}

#[test]
fn a_dry_run_changes_nothing() {
    let scene = scene()
        .service(
            "web.service",
            &victim("", "--listen 8080"),
            "ports = [\"tcp/8080\"]",
        )
        .without_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.wait_until("web.service", "failed", TIMEOUT).unwrap();

    let plan = scene.prunella(&["heal", "web.service", "--dry-run"]);
    assert_eq!(plan.code, Some(0), "{}{}", plan.stdout, plan.stderr);
    assert!(
        plan.stdout.contains("would start web.service"),
        "{}",
        plan.stdout
    );
    assert_eq!(
        scene.property("web.service", "ActiveState").unwrap(),
        "failed"
    );
    assert_eq!(scene.runs("web.service"), 1);

    let heal = scene.prunella(&["heal", "web.service"]);
    assert_eq!(heal.code, Some(0), "{}{}", heal.stdout, heal.stderr);
    assert_eq!(
        scene.property("web.service", "ActiveState").unwrap(),
        "active"
    );
}

#[test]
fn a_service_that_was_well_when_somebody_had_it_healed_is_healed_when_it_fails() {
    let scene = scene()
        .service("web.service", &victim("", "--listen 8080"), "")
        .with_daemon();
    scene.start(&["web.service"]);
    scene.prunella_ok(&["heal", "web.service"]);
    let id = scene.incidents_of("web.service").remove(0).id;
    let report = scene.prunella_ok(&["incidents", &id]);
    assert!(report.contains("nothing to do"), "{report}");
    scene.kill("web.service");
    scene.wait_healed("web.service");
    assert!(scene.answers(8080));
}

#[test]
fn a_masked_service_is_left_alone() {
    let scene = scene().care("web.service", "").without_daemon();
    // In /run, where a mask in /etc comes before it.
    scene
        .write_file("/run/systemd/system/web.service", victim("", ""), 0o644)
        .unwrap();
    scene.systemctl(&["daemon-reload"]).unwrap();
    scene.prunella_ok(&["setup"]);
    scene.start(&["web.service"]);
    scene.systemctl(&["mask", "web.service"]).unwrap();
    scene.kill("web.service");
    assert_left_alone(&scene, "web.service", "failed");
}

#[test]
fn healing_a_healthy_service_changes_nothing_and_a_restart_is_an_order_of_its_own() {
    let scene = scene()
        .service("web.service", &victim("", "--listen 8080"), "")
        .with_daemon();
    scene.start(&["web.service"]);
    let before = scene.main_pid("web.service");

    let heal = scene.prunella(&["heal", "web.service"]);
    assert_eq!(heal.code, Some(0), "{}{}", heal.stdout, heal.stderr);
    assert!(
        heal.stdout
            .contains("web.service is healthy: nothing to do."),
        "{}",
        heal.stdout
    );
    assert!(!heal.stdout.contains("hint"), "{}", heal.stdout);
    assert_eq!(scene.main_pid("web.service"), before);

    let plan = scene.prunella(&["heal", "web.service", "--restart", "--dry-run"]);
    assert_eq!(plan.code, Some(0), "{}{}", plan.stdout, plan.stderr);
    assert!(
        plan.stdout.contains("would restart web.service"),
        "{}",
        plan.stdout
    );
    assert_eq!(scene.main_pid("web.service"), before);

    let restart = scene.prunella(&["heal", "web.service", "--restart"]);
    assert_eq!(
        restart.code,
        Some(0),
        "{}{}",
        restart.stdout,
        restart.stderr
    );
    assert!(!restart.stdout.contains("hint"), "{}", restart.stdout);
    assert_ne!(scene.main_pid("web.service"), before);
    assert!(scene.answers(8080));
    let incident = scene
        .incidents_of("web.service")
        .into_iter()
        .find(|incident| incident.cause == "restart-requested")
        .unwrap();
    assert!(incident.is("healed"), "{incident:?}");
    assert_eq!(
        scene.record(&incident).acts(),
        ["unit-control.restart web.service"]
    );
    assert!(
        scene
            .record(&incident)
            .text()
            .contains("\"by\":\"operator\"")
    );
    let report = scene.report(&incident);
    assert!(
        report.contains("restarted by service-restart, as a person asked"),
        "{report}"
    );
    // Nor does it keep the service from being healed.
    scene.kill("web.service");
    scene.wait_ended("web.service", "healed");
    scene
        .wait_for("it to be up again", TIMEOUT, || {
            Ok(scene.answers(8080).then_some(()))
        })
        .unwrap();
    assert_eq!(scene.runs("web.service"), 3);
}

#[test]
fn a_restart_passes_what_keeps_any_healing_from_acting() {
    let scene = scene()
        .file("/opt/web.conf", "a = b\n", 0o644)
        .service(
            "web.service",
            &victim("", "--listen 8080 --config /opt/web.conf"),
            "[[check]]\nname = \"config\"\nvalidates = true\n\
             command = [\"/opt/test/victim\", \"--config\", \"/opt/web.conf\", \"--check\"]\n",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    let before = scene.main_pid("web.service");
    scene
        .write_file("/opt/web.conf", "a = b\noops\n", 0o644)
        .unwrap();
    let refused = scene.prunella(&["heal", "web.service", "--restart"]);
    assert_eq!(
        refused.code,
        Some(4),
        "{}{}",
        refused.stdout,
        refused.stderr
    );
    assert!(
        refused.stdout.contains("/opt/web.conf:2:"),
        "{}",
        refused.stdout
    );
    assert_eq!(scene.main_pid("web.service"), before);
    assert_eq!(scene.runs("web.service"), 1);
}

#[test]
fn healing_a_paused_service_says_who_paused_it_and_how_to_resume() {
    let scene = scene()
        .service("web.service", &victim("", "--listen 8080"), "")
        .with_daemon();
    scene.start(&["web.service"]);
    scene.prunella_ok(&["pause", "web", "--for", "2h", "--reason", "moving it"]);
    scene.kill("web.service");
    scene.wait_left_alone("web.service", "paused");
    // The first finds the incident that waits, and so does the second.
    for arguments in [
        &["heal", "web.service"][..],
        &["heal", "web.service", "--restart"],
    ] {
        let heal = scene.prunella(arguments);
        assert_eq!(heal.code, Some(5), "{}{}", heal.stdout, heal.stderr);
        for part in [
            "paused",
            "moving it",
            "web.service, until",
            "sudo prunella resume web.service",
        ] {
            assert!(heal.stdout.contains(part), "{part} in {}", heal.stdout);
        }
    }
    assert_eq!(scene.runs("web.service"), 1);
    scene.prunella_ok(&["resume", "web.service"]);
    scene.wait_healed("web.service");
}

/// Whoever asks about a healthy service while healings are paused gets an answer, and
/// nothing else comes of it: no message, and the next failure is one of its own.
#[test]
fn asking_about_a_healthy_service_in_a_pause_hides_no_failure() {
    let scene = Scene::builder()
        .service("web.service", &victim("", "--listen 8080"), "")
        .with_daemon();
    scene.start(&["web.service"]);
    scene.prunella_ok(&["pause", "web.service", "--reason", "tests"]);
    let asked = scene.prunella(&["heal", "web.service"]);
    assert_eq!(asked.code, Some(5), "{}{}", asked.stdout, asked.stderr);
    assert!(
        format!("{}{}", asked.stdout, asked.stderr).contains("paused"),
        "{}{}",
        asked.stdout,
        asked.stderr
    );
    scene.prunella_ok(&["resume", "web.service"]);
    scene.kill("web.service");
    scene.wait_healed("web.service");
    assert!(scene.answers(8080));
}

/// A service that failed while its services file was away is healed when it is back.
#[test]
fn a_service_that_failed_out_of_care_is_healed_when_it_is_in_care_again() {
    let scene = Scene::builder()
        .service("web.service", &victim("", "--listen 8080"), "")
        .with_daemon();
    scene.start(&["web.service"]);
    let file = "/etc/prunella/services.d/web.service.toml";
    let away = "/root/web.toml";
    scene.run_ok(&["mv", file, away]).unwrap();
    scene.prunella_ok(&["reload"]);
    scene.kill("web.service");
    scene.wait_until("web.service", "failed", TIMEOUT).unwrap();
    scene.run_ok(&["mv", away, file]).unwrap();
    scene.prunella_ok(&["reload"]);
    scene.wait_healed("web.service");
    assert!(scene.answers(8080));
}

#[test]
fn what_the_kill_switch_held_back_is_healed_as_soon_as_that_is_removed() {
    let scene = scene()
        .service("web.service", &victim("", "--listen 8080"), "")
        .with_daemon();
    scene.start(&["web.service"]);
    scene.write_file("/etc/prunella/off", "", 0o644).unwrap();
    scene.kill("web.service");
    let held = scene.wait_left_alone("web.service", "kill-switch");
    let report = scene.report(&held);
    assert!(report.contains("Remove the kill switch"), "{report}");
    scene.remove_file("/etc/prunella/off").unwrap();
    let removed = Instant::now();
    scene.wait_healed("web.service");
    // Without a signal it would be looked at every 15 seconds.
    assert!(
        removed.elapsed() < Duration::from_secs(10),
        "{:?}",
        removed.elapsed()
    );
}

/// The cause is still there: each try that goes like the one before is one line, nobody waits
/// for the try that is far away, and the end says how it stands and who goes on.
#[test]
fn an_order_in_vain_says_what_is_new_and_leaves_the_rest_to_the_daemon() {
    let scene = Scene::builder()
        .service("web.service", &victim("", "--need-file /opt/it"), "")
        .with_daemon();
    let order = scene
        .run(&[
            "timeout",
            "25",
            "/opt/prunella/prunella",
            "heal",
            "web.service",
        ])
        .unwrap();
    assert_eq!(order.code, Some(4), "{order:?}");
    let said = &order.stdout;
    for part in [
        "try 3 went like the one before; waits up to ",
        "web.service is not healed so far: its main process exited with code 1",
        "The daemon tries again at ",
        "The full report: prunella incidents ",
    ] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    assert_eq!(said.matches("starts healing").count(), 1, "{said}");

    // It does so.
    scene.write_file("/opt/it", "", 0o644).unwrap();
    scene.wait_ended("web.service", "healed");
    assert_eq!(
        scene.property("web.service", "ActiveState").unwrap(),
        "active"
    );
}
