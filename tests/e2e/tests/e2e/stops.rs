//! An operator stops what has failed: while systemd is about to restart it, while
//! Prunella waits, after people were asked, and in a pause.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use prunella_e2e::{Builder, Incident, Scene, TIMEOUT, ends_while, victim};
use rstest::rstest;

const WEB: &str = "web.service";
const BYSTANDER: &str = "bystander.service";
const EXPIRED: &str = "/run/expired";

/// A service that runs, and ends at each start once its licence has expired. Enabled, it
/// stays loaded when it is stopped, and keeps what systemd knows of its last run.
fn licensed(restart: &str) -> String {
    let unit = ends_while(EXPIRED, "exit 1", restart);
    format!("{unit}[Install]\nWantedBy=multi-user.target\n")
}

fn scene() -> Builder {
    Scene::builder()
        .service(BYSTANDER, &victim("", ""), "")
        .enabled(WEB)
}

fn expire_and_kill(scene: &Scene) {
    scene.start(&[WEB]);
    scene.write_file(EXPIRED, "", 0o644).unwrap();
    scene.kill(WEB);
}

/// Waits until Prunella has an incident of the service, and systemd is about to restart
/// that.
fn wait_about_to_restart(scene: &Scene) {
    scene
        .wait_for("systemd's next restart", TIMEOUT, || {
            let waits = scene.property(WEB, "SubState")? == "auto-restart";
            Ok((waits && !scene.incidents_of(WEB).is_empty()).then_some(()))
        })
        .unwrap();
}

/// Whatever was open is closed as an operator's stop, and nothing is started again.
fn assert_stays_stopped(scene: &Scene, runs: usize) -> Incident {
    let incident = scene.wait_ended(WEB, "left-alone");
    assert_eq!(incident.left_alone.as_deref(), Some("operator-stop"));
    scene.after_all_before(BYSTANDER);
    assert_eq!(scene.property(WEB, "ActiveState").unwrap(), "inactive");
    assert_eq!(scene.runs(WEB), runs);
    for incident in scene.incidents_of(WEB) {
        assert!(incident.is("left-alone"), "{incident:?}");
    }
    let report = scene.report(&incident);
    assert!(report.contains("an operator stopped it"), "{report}");
    incident
}

#[rstest]
#[case::always("Restart=always\nRestartSec=4s")]
#[case::on_failure("Restart=on-failure\nRestartSec=4s")]
fn a_stop_while_systemd_is_about_to_restart_a_service_is_a_stop(#[case] restart: &str) {
    let scene = scene().service(WEB, &licensed(restart), "").with_daemon();
    expire_and_kill(&scene);
    wait_about_to_restart(&scene);
    let runs = scene.runs(WEB);
    scene.systemctl(&["stop", WEB]).unwrap();
    let incident = assert_stays_stopped(&scene, runs);
    assert_eq!(scene.record(&incident).acts(), Vec::<String>::new());

    // What fails after that is healed as ever.
    scene.remove_file(EXPIRED).unwrap();
    scene.start(&[WEB]);
    scene.kill(WEB);
    scene
        .wait_for("the next failure's end", TIMEOUT, || {
            let mut incidents = scene.incidents_of(WEB).into_iter();
            Ok(incidents.find(|incident| incident.is("recovered")))
        })
        .unwrap();
    assert_eq!(scene.property(WEB, "ActiveState").unwrap(), "active");
}

#[test]
fn a_stop_in_a_pause_is_a_stop_when_the_pause_is_over() {
    let scene = scene()
        .service(WEB, &licensed("Restart=always\nRestartSec=4s"), "")
        .with_daemon();
    expire_and_kill(&scene);
    wait_about_to_restart(&scene);
    scene.prunella_ok(&["pause", WEB, "--reason", "moving it"]);
    let runs = scene.runs(WEB);
    scene.systemctl(&["stop", WEB]).unwrap();
    scene.prunella_ok(&["resume", WEB]);
    assert_stays_stopped(&scene, runs);
}

#[test]
fn a_stop_of_what_systemd_restarts_in_vain_is_a_stop_when_people_were_asked() {
    let scene = scene()
        .service(WEB, &licensed("Restart=always\nRestartSec=500ms"), "")
        .file(
            "/etc/prunella/prunella.toml",
            "retry-interval = \"1m\"\n",
            0o644,
        )
        .with_daemon();
    expire_and_kill(&scene);
    scene.wait_ended(WEB, "escalated");
    wait_about_to_restart(&scene);
    scene.systemctl(&["stop", WEB]).unwrap();
    let runs = scene.runs(WEB);
    assert_stays_stopped(&scene, runs);
}

/// A stop of a failed unit leaves no trace in systemd; that its failed state is gone does.
#[rstest]
#[case::after_people_were_asked("healings = 1\nwindow = \"10m\"\nbackoff = [\"0s\"]", true)]
#[case::while_the_budget_is_waited_for(
    "healings = 3\nwindow = \"10m\"\nbackoff = [\"0s\", \"8s\"]",
    false
)]
fn what_an_operator_stopped_and_reset_is_not_started_again(
    #[case] budget: &str,
    #[case] escalated: bool,
    #[values("always", "on-failure")] run_policy: &str,
) {
    let declared = format!("run-policy = \"{run_policy}\"\n[budget]\n{budget}\n");
    let scene = scene()
        .service(WEB, &licensed(""), &declared)
        .file(
            "/etc/prunella/prunella.toml",
            "retry-interval = \"1m\"\n",
            0o644,
        )
        .with_daemon();
    expire_and_kill(&scene);
    let in_vain = if escalated { "ended" } else { "waits" };
    scene
        .wait_for("the first start to be in vain", TIMEOUT, || {
            let incidents = scene.incidents_of(WEB);
            Ok(incidents.into_iter().find(|incident| {
                scene.runs(WEB) == 2 && scene.record(incident).steps(in_vain).count() == 1
            }))
        })
        .unwrap();
    scene.wait_until(WEB, "failed", TIMEOUT).unwrap();
    scene.systemctl(&["stop", WEB]).unwrap();
    scene.systemctl(&["reset-failed", WEB]).unwrap();
    assert_stays_stopped(&scene, 2);
}
