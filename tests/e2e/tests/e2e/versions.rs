//! The core of it on every supported version of systemd.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use prunella_e2e::{Scene, Systemd, TIMEOUT, victim};
use rstest::rstest;

#[rstest]
#[case::v247(Systemd::V247)]
#[case::v252(Systemd::V252)]
#[case::v257(Systemd::V257)]
fn a_kill_a_leftover_and_a_stop_are_told_apart(#[case] systemd: Systemd) {
    let port = "ports = [\"tcp/8080\"]";
    let scene = Scene::builder()
        .version(systemd)
        .service("web.service", &victim("", "--listen 8080"), port)
        .service(
            "left.service",
            &victim("KillMode=process", "--listen 8081 --leave-child"),
            "ports = [\"tcp/8081\"]",
        )
        .service("stopped.service", &victim("", ""), "")
        .with_daemon();
    scene.start(&["web.service", "left.service", "stopped.service"]);

    scene.systemctl(&["stop", "stopped.service"]).unwrap();
    scene.kill("web.service");
    let incident = scene.wait_healed("web.service");
    assert_eq!(incident.cause, "signal");
    assert!(scene.answers(8080));

    // Only the main process. An image has no `kill` of its own.
    scene
        .systemctl(&["kill", "--kill-who=main", "--signal=KILL", "left.service"])
        .unwrap();
    scene.wait_healed("left.service");
    assert!(scene.answers(8081));

    assert_eq!(
        scene.property("stopped.service", "ActiveState").unwrap(),
        "inactive"
    );
    assert_eq!(scene.runs("stopped.service"), 1);
}

#[rstest]
#[case::v247(Systemd::V247)]
#[case::v252(Systemd::V252)]
#[case::v257(Systemd::V257)]
fn a_hook_heals_alone(#[case] systemd: Systemd) {
    let scene = Scene::builder()
        .version(systemd)
        .service(
            "web.service",
            &victim("", "--listen 8080"),
            "ports = [\"tcp/8080\"]",
        )
        .with_hooks();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.wait_healed("web.service");
    scene.wait_active("web.service", TIMEOUT).unwrap();
    assert!(scene.answers(8080));
}
