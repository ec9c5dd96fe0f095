//! What a pause and the kill switch hold back, and what is told of it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Scene, TIMEOUT, one_line, victim};

use crate::receiver::{about, kind, receiver, scene};

const OFF: &str = "/etc/prunella/off";
const WEB: &str = "web.service";
const OTHER: &str = "other.service";

/// That it is paused people know, and whoever is told that the kill switch is on hears of what
/// that holds back alone.
#[test]
fn what_is_paused_is_not_told_of_under_the_kill_switch() {
    let scene = scene()
        .service(WEB, &victim("", ""), "")
        .service(OTHER, &victim("", ""), "")
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&[WEB, OTHER]);
    scene.prunella_ok(&["pause", WEB, "--for", "2h", "--reason", "moving it"]);
    scene.kill(WEB);
    scene.wait_left_alone(WEB, "paused");
    scene.write_file(OFF, "", 0o644).unwrap();
    scene.kill(OTHER);
    scene.wait_left_alone(OTHER, "kill-switch");
    scene
        .wait_for(
            "what the kill switch holds back to be told",
            TIMEOUT,
            || Ok((!about(&scene, OTHER).is_empty()).then_some(())),
        )
        .unwrap();
    let incident = scene.only_incident_of(WEB);
    assert_eq!(incident.left_alone.as_deref(), Some("paused"));
    assert!(about(&scene, WEB).is_empty(), "{:?}", about(&scene, WEB));

    // What it was paused for is over: now the kill switch alone holds it.
    scene.prunella_ok(&["resume", WEB]);
    scene.wait_left_alone(WEB, "kill-switch");
    scene
        .wait_for("that to be told", TIMEOUT, || {
            let told = about(&scene, WEB);
            Ok(told.first().map(|first| kind(first).to_owned()))
        })
        .unwrap();
}

#[test]
fn whoever_asks_about_a_healthy_service_under_the_kill_switch_has_nothing_to_do() {
    let scene = Scene::builder()
        .service(
            WEB,
            &victim("", "--listen 8080"),
            "ports = [\"tcp/8080\"]\n",
        )
        .with_daemon();
    scene.start(&[WEB]);
    scene.write_file(OFF, "", 0o644).unwrap();
    let asked = scene.prunella(&["heal", WEB]);
    assert_eq!(asked.code, Some(0), "{}{}", asked.stdout, asked.stderr);
    assert!(
        asked.stdout.contains("is healthy: nothing to do"),
        "{asked:?}"
    );
    assert!(!asked.stdout.contains("kill switch"), "{asked:?}");
    assert!(scene.only_incident_of(WEB).is("recovered"));

    // A restart is held back, and so is what fails.
    let restart = scene.prunella(&["heal", WEB, "--restart"]);
    assert_ne!(restart.code, Some(0), "{}", restart.stdout);
    assert!(restart.stdout.contains("kill switch"), "{restart:?}");
    assert_eq!(scene.runs(WEB), 1);
    scene.kill(WEB);
    scene
        .wait_for("the failure to be held back", TIMEOUT, || {
            let all = scene.incidents_of(WEB);
            let held = all
                .iter()
                .filter(|one| one.left_alone.as_deref() == Some("kill-switch"));
            Ok((held.count() == 2).then_some(()))
        })
        .unwrap();
    assert_eq!(scene.runs(WEB), 1);
}

#[test]
fn a_report_tells_what_held_the_healing_back() {
    let scene = Scene::builder()
        .service(WEB, &victim("", ""), "")
        .with_daemon();
    scene.start(&[WEB]);
    scene.prunella_ok(&["pause", WEB, "--for", "2h", "--reason", "moving it"]);
    scene.kill(WEB);
    scene.wait_left_alone(WEB, "paused");
    scene.write_file(OFF, "", 0o644).unwrap();
    scene.prunella_ok(&["resume", WEB]);
    scene.wait_left_alone(WEB, "kill-switch");
    scene.remove_file(OFF).unwrap();
    let incident = scene.wait_healed(WEB);
    let report = one_line(&scene.report(&incident));
    let at = |part: &str| {
        report
            .find(part)
            .unwrap_or_else(|| panic!("{part} in {report}"))
    };
    let paused = at("held back: Prunella is paused for it (paused by root (uid 0): moving it)");
    let kill_switch = at("held back: the kill switch is on");
    let healed = at("service-restart starts healing");
    assert!(paused < kill_switch && kill_switch < healed, "{report}");
    assert!(!report.contains("attempt 1"), "{report}");
}

/// Nobody hears of what a person has done to a service that never failed.
#[test]
fn whoever_has_a_stopped_service_started_hears_of_no_failure() {
    let scene = scene()
        .service(WEB, &victim("", ""), "")
        .service(OTHER, &victim("", ""), "")
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&[WEB, OTHER]);
    scene.systemctl(&["stop", WEB]).unwrap();
    scene.prunella_ok(&["heal", WEB]);
    assert!(scene.only_incident_of(WEB).is("healed"));
    scene.after_all_before(OTHER);
    scene
        .wait_for("the failure to be told", TIMEOUT, || {
            Ok((!about(&scene, OTHER).is_empty()).then_some(()))
        })
        .unwrap();
    assert!(about(&scene, WEB).is_empty(), "{:?}", about(&scene, WEB));
}
