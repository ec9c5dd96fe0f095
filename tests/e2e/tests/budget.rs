//! Healing has its limits, and they outlive everything.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use prunella_e2e::{Scene, victim};

const THREE: &str = "[budget]\nhealings = 3\nwithin = \"30m\"\nbackoff = [\"0s\", \"50ms\"]\n";

/// Comes up, and goes down again before it counts as healed.
fn flapping() -> String {
    victim("", "--exit-after 100")
}

#[test]
fn a_service_that_flaps_is_handed_to_people() {
    let scene = Scene::builder()
        .service("web.service", &flapping(), THREE)
        .with_daemon();
    scene
        .systemctl(&["start", "--no-block", "web.service"])
        .unwrap();

    let incident = scene.wait_ended("web.service", "escalated");

    // The operator's start and three healings.
    assert_eq!(scene.runs("web.service"), 4);
    let report = scene.report(&incident);
    assert!(
        report.contains("systemctl"),
        "it says what to do now: {report}"
    );
}

#[test]
fn a_spent_budget_stays_spent_over_a_restart_and_a_reboot() {
    let mut scene = Scene::builder()
        .service("web.service", &flapping(), THREE)
        .service("bystander.service", &victim("", ""), "")
        .with_daemon();
    scene
        .systemctl(&["start", "--no-block", "web.service"])
        .unwrap();
    scene.wait_ended("web.service", "escalated");
    assert_eq!(scene.runs("web.service"), 4);

    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    scene.after_all_before("bystander.service");
    assert_eq!(scene.runs("web.service"), 4);

    scene.machine.reboot().unwrap();
    // Started by a person who does not know; that run fails as well.
    scene.start(&["bystander.service"]);
    scene.after_all_before("bystander.service");
    assert_eq!(scene.runs("web.service"), 4, "nobody has started it since");
}

#[test]
fn an_operators_start_gives_the_budget_back() {
    let scene = Scene::builder()
        .service("web.service", &victim("", "--need-file /opt/it"), THREE)
        .with_daemon();
    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    scene.wait_ended("web.service", "escalated");
    scene.write_file("/opt/it", "", 0o644).unwrap();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.wait_healed("web.service");
}
