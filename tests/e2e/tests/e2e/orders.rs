//! What a person orders of a service of which nothing has failed is no failure of it.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use prunella_e2e::{Scene, one_line, victim};

use crate::receiver::{CONFIG, about, got, headline, kind, receiver, scene, text, wait_got};

const WEB: &str = "web.service";
const OFF: &str = "/etc/prunella/off";

/// A service that keeps failing is told in digests from its second recovery on.
fn flapping() -> Scene {
    let config = format!("{CONFIG}\n[alerts.flapping]\nrecoveries = 1\n");
    let scene = scene()
        .file("/etc/prunella/prunella.toml", &config, 0o644)
        .service(WEB, &victim("", "--listen 8080"), "")
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&[WEB]);
    scene
}

/// It fails for the `number`th time, and is healed.
fn fail(scene: &Scene, number: usize) {
    scene.kill(WEB);
    scene
        .wait_for("it to be healed", prunella_e2e::TIMEOUT, || {
            let mut incidents = scene.incidents_of(WEB);
            incidents.retain(|incident| incident.is("healed") && incident.cause == "signal");
            Ok((incidents.len() == number).then_some(()))
        })
        .unwrap();
}

#[test]
fn orders_about_what_is_well_or_stopped_count_as_no_failures() {
    let scene = flapping();
    // About one that is well, while the kill switch is on.
    scene.write_file(OFF, "", 0o644).unwrap();
    scene.prunella(&["heal", WEB]);
    scene.remove_file(OFF).unwrap();
    // About one that is well and paused.
    scene.prunella_ok(&["pause", WEB, "--reason", "tests"]);
    scene.prunella(&["heal", WEB]);
    scene.prunella_ok(&["resume", WEB]);
    // About one that its operator had stopped.
    scene.systemctl(&["stop", WEB]).unwrap();
    scene.prunella_ok(&["heal", WEB]);
    assert!(scene.answers(8080));
    scene.prunella_ok(&["heal", WEB, "--restart"]);
    assert_eq!(got(&scene).len(), 0, "whoever asked knows");

    fail(&scene, 1);
    let first = wait_got(&scene, 1).remove(0);
    assert_eq!(kind(&first), "prunella.recovery", "{first}");
    fail(&scene, 2);
    let digest = wait_got(&scene, 2).remove(1);
    assert!(
        headline(&digest).contains("web.service failed 2 times"),
        "{digest}"
    );
    assert!(
        headline(&digest).contains("recovered each time"),
        "{digest}"
    );
    let text = one_line(text(&digest));
    assert!(!text.contains(OFF), "{text}");
    assert!(!text.contains("needs a person"), "{text}");
    assert_eq!(about(&scene, WEB).len(), 2);

    let status = one_line(&scene.prunella_ok(&["status"]));
    assert!(status.contains("2 healed"), "{status}");
    assert!(!status.contains("left alone"), "{status}");
}
