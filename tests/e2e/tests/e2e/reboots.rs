//! An incident that a reboot comes into goes on, and ends with proof alone.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Scene, TIMEOUT};

use crate::receiver::{
    about, alert_group, headline, is_resolved, kind, receiver, scene, scene_telling_after, wait_end,
};

const WEB: &str = "web.service";
const BROKEN: &str = "/opt/broken";
/// It is up for less than what counts as healed.
const BUDGET: &str = "[proof]\nstable-for = \"4s\"\n[budget]\nhealings = 2\nwindow = \"30m\"\nbackoff = [\"0s\", \"30s\"]\n";

/// A service that is enabled and runs, and for as long as it is broken ends `after` its
/// start.
fn broken(service: &str, after: &str) -> String {
    format!(
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\n{service}\nExecStart=/bin/sh -c 'test -e \
         {BROKEN} || exec sleep infinity; sleep {after}; exit 1'\n[Install]\n\
         WantedBy=multi-user.target\n"
    )
}

/// Breaks the service, and waits until people were told that it is down.
fn break_and_wait_told(scene: &Scene) -> serde_json::Value {
    receiver(scene, "200");
    scene.wait_active(WEB, TIMEOUT).unwrap();
    scene.write_file(BROKEN, "", 0o644).unwrap();
    scene.kill(WEB);
    scene
        .wait_for("that it is down to be told", TIMEOUT, || {
            Ok(about(scene, WEB).into_iter().next())
        })
        .unwrap()
}

/// It was handed to people as the same incident, and nobody was told that it is up.
fn assert_goes_on(scene: &Scene, told: &serde_json::Value) {
    receiver(scene, "200");
    scene.wait_ended(WEB, "escalated");
    let incidents = scene.incidents_of(WEB);
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    assert_eq!(
        told["body"]["data"]["incidents"][0],
        incidents[0].id.as_str()
    );
    for message in about(scene, WEB) {
        assert!(!is_resolved(&message), "{message}");
        assert_ne!(kind(&message), "prunella.recovery", "{message}");
        assert_eq!(alert_group(&message), alert_group(told));
    }
    // Mended, it is well, and the one story has one end.
    if scene.property(WEB, "Restart").unwrap() == "always" {
        // Between two runs, so that the next one is well.
        scene.wait_about_to_restart(WEB);
        scene.remove_file(BROKEN).unwrap();
        scene.wait_active(WEB, TIMEOUT).unwrap();
    } else {
        scene.remove_file(BROKEN).unwrap();
    }
    scene.prunella_ok(&["heal", WEB]);
    let end = wait_end(scene, WEB);
    assert_eq!(kind(&end), "prunella.recovery");
    assert_eq!(alert_group(&end), alert_group(told));
    assert_eq!(scene.incidents_of(WEB).len(), 1);
}

#[test]
fn a_service_that_dies_soon_after_a_reboot_is_not_up_again() {
    let mut scene = scene()
        .service(WEB, &broken("", "2"), BUDGET)
        .enabled(WEB)
        .with_daemon();
    let told = break_and_wait_told(&scene);
    scene.machine.reboot().unwrap();
    assert_goes_on(&scene, &told);
}

#[test]
fn a_service_that_fails_at_each_start_of_a_new_boot_is_not_up_again() {
    let mut scene = scene()
        .service(
            WEB,
            &broken("Restart=always\nRestartSec=500ms", "0"),
            BUDGET,
        )
        .enabled(WEB)
        .with_daemon();
    let told = break_and_wait_told(&scene);
    // So hard that nothing is closed before.
    scene.machine.power_cut().unwrap();
    assert_goes_on(&scene, &told);
}

#[test]
fn a_service_that_is_well_after_a_reboot_is_proven_so() {
    let mut scene = scene()
        .service(WEB, &broken("", "2"), BUDGET)
        .enabled(WEB)
        .with_daemon();
    let told = break_and_wait_told(&scene);
    scene.remove_file(BROKEN).unwrap();
    scene.machine.power_cut().unwrap();
    receiver(&scene, "200");
    let incident = scene.wait_ended(WEB, "recovered");
    let record = scene.record(&incident);
    assert_eq!(record.steps("proven").count(), 1);
    let end = wait_end(&scene, WEB);
    assert_eq!(kind(&end), "prunella.recovery");
    assert_eq!(alert_group(&end), alert_group(&told));
    let report = scene.report(&incident);
    assert!(
        report.contains("the host was rebooted meanwhile"),
        "{report}"
    );
}

/// Breaks a service that systemd restarts, and waits until it is about to do so, with an
/// incident open.
fn break_and_wait_about_to_restart(scene: &Scene) -> prunella_e2e::Incident {
    scene.wait_active(WEB, TIMEOUT).unwrap();
    scene.write_file(BROKEN, "", 0o644).unwrap();
    scene.kill(WEB);
    scene.wait_step(WEB, "waits", TIMEOUT)
}

#[test]
fn an_incident_that_waits_for_systemd_goes_on_after_a_reboot() {
    let mut scene = scene_telling_after("10m")
        .service(WEB, &broken("Restart=always\nRestartSec=10s", "0"), "")
        .enabled(WEB)
        .with_daemon();
    let before = break_and_wait_about_to_restart(&scene);
    scene.remove_file(BROKEN).unwrap();
    scene.machine.reboot().unwrap();
    let incident = scene.wait_ended(WEB, "recovered");
    assert_eq!(incident.id, before.id);
    let record = scene.record(&incident);
    assert_eq!(record.steps("ended").count(), 1, "{}", record.text());
    assert_eq!(record.steps("proven").count(), 1, "{}", record.text());
    assert_eq!(scene.incidents_of(WEB).len(), 1);
}

#[test]
fn an_operators_stop_after_a_reboot_ends_what_was_open_before() {
    let mut scene = scene_telling_after("2s")
        .service(WEB, &broken("Restart=always\nRestartSec=8s", "0"), "")
        .enabled(WEB)
        .with_daemon();
    receiver(&scene, "200");
    let before = break_and_wait_about_to_restart(&scene);
    let told = scene
        .wait_for("that it is down to be told", TIMEOUT, || {
            Ok(about(&scene, WEB).into_iter().next())
        })
        .unwrap();
    scene.machine.reboot().unwrap();
    receiver(&scene, "200");
    scene.wait_about_to_restart(WEB);
    // Whatever Prunella was about to do by then.
    scene.systemctl(&["stop", "prunella.service"]).unwrap();
    scene.systemctl(&["stop", WEB]).unwrap();
    scene.systemctl(&["start", "prunella.service"]).unwrap();
    let incident = scene.wait_left_alone(WEB, "operator-stop");
    assert_eq!(incident.id, before.id);
    let end = wait_end(&scene, WEB);
    assert_eq!(alert_group(&end), alert_group(&told));
    assert!(headline(&end).contains("an operator stopped it"), "{end}");
    assert_eq!(scene.property(WEB, "ActiveState").unwrap(), "inactive");
    assert_eq!(scene.incidents_of(WEB).len(), 1);
}
