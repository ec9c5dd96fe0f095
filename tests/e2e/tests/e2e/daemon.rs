//! The daemon itself dies, the host reboots, and hooks heal without a daemon.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use prunella_e2e::{Scene, TIMEOUT, victim};

fn slow() -> String {
    victim("", "--listen 8080 --start-takes 1500")
}

#[test]
fn a_daemon_killed_in_the_middle_of_a_healing_goes_on_with_it() {
    let scene = Scene::builder()
        .service("web.service", &slow(), "ports = [\"tcp/8080\"]")
        .with_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene
        .wait_until("web.service", "activating", TIMEOUT)
        .unwrap();
    let daemon = scene.main_pid("prunella.service");

    scene.kill("prunella.service");

    scene.wait_active("web.service", TIMEOUT).unwrap();
    scene
        .wait_for("the daemon to be back", TIMEOUT, || {
            let now = scene.main_pid("prunella.service");
            Ok((now != 0 && now != daemon).then_some(()))
        })
        .unwrap();
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    let incidents = scene
        .wait_for("the incident to end", TIMEOUT, || {
            let incidents = scene.incidents_of("web.service");
            let ended = incidents.iter().all(|incident| incident.ended.is_some());
            Ok((ended && !incidents.is_empty()).then_some(incidents))
        })
        .unwrap();
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    assert_eq!(scene.runs("web.service"), 2, "it was not started twice");
    assert!(scene.answers(8080));
}

#[test]
fn a_reboot_in_between_loses_no_incident() {
    let mut scene = Scene::builder()
        .service("web.service", &slow(), "ports = [\"tcp/8080\"]")
        .enabled("web.service")
        .with_daemon();
    scene.wait_active("web.service", TIMEOUT).unwrap();
    scene.kill("web.service");
    scene
        .wait_until("web.service", "activating", TIMEOUT)
        .unwrap();

    scene.machine.power_cut().unwrap();

    scene.wait_active("web.service", TIMEOUT).unwrap();
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    let incidents = scene
        .wait_for("the old incident to end", TIMEOUT, || {
            let incidents = scene.incidents_of("web.service");
            let ended = incidents.iter().all(|incident| incident.ended.is_some());
            Ok((ended && !incidents.is_empty()).then_some(incidents))
        })
        .unwrap();
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    // And the new one works as the old one did.
    scene.kill("web.service");
    scene.wait_healed("web.service");
}

#[test]
fn a_hook_heals_without_a_daemon() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--listen 8080"),
            "ports = [\"tcp/8080\"]",
        )
        .with_hooks();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.wait_healed("web.service");
    assert!(scene.answers(8080));
    assert_ne!(
        scene.property("prunella.service", "ActiveState").unwrap(),
        "active"
    );
    let failed = scene
        .systemctl(&["list-units", "--failed", "--plain", "--no-legend"])
        .unwrap();
    assert_eq!(failed, "", "no hook has failed itself");
}

#[test]
fn hook_and_daemon_see_one_failure_as_one_incident() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--listen 8080"),
            "ports = [\"tcp/8080\"]",
        )
        .with_daemon();
    scene.prunella_ok(&["enable", "web.service"]);
    scene.start(&["web.service"]);

    for round in 1..=3 {
        scene.kill("web.service");
        scene
            .wait_for("this round's healing", TIMEOUT, || {
                let incidents = scene.incidents_of("web.service");
                let healed = incidents.iter().filter(|i| i.is("healed")).count();
                Ok((healed == round).then_some(()))
            })
            .unwrap();
        assert_eq!(scene.incidents().len(), round);
        assert_eq!(scene.runs("web.service"), 1 + round);
    }
}

#[test]
fn a_sweep_takes_up_what_was_missed() {
    let scene = Scene::builder()
        .service("web.service", &victim("", "--listen 8080"), "")
        .without_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.wait_until("web.service", "failed", TIMEOUT).unwrap();
    scene.prunella_ok(&["sweep"]);
    scene.wait_healed("web.service");
}

#[test]
fn status_tells_of_all_that_is_in_care() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--listen 8080"),
            "ports = [\"tcp/8080\"]\ndomain = \"Shop\"",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.wait_healed("web.service");
    let json = scene.prunella_ok(&["status", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let text = scene.prunella_ok(&["status"]);
    let row = text.lines().find(|line| line.contains("Shop")).unwrap();
    for word in [" web ", "running", "tcp/8080"] {
        assert!(row.contains(word), "{word} in {row}");
    }
    // As df has it, which rounds up and leaves out what is root's.
    let df = scene.run_ok(&["df", "--output=pcent", "/"]).unwrap();
    let percent = df.lines().nth(1).unwrap().trim();
    assert!(text.contains(&format!("/ {percent} full")), "{df}\n{text}");
    assert_eq!(report["host"]["disks"][0]["place"], "/");
    assert!(
        !text.contains("read-only"),
        "what is read-only to the daemon alone is not told: {text}"
    );
}

#[test]
fn setup_and_enable_may_be_run_again_and_disable_takes_them_back() {
    let scene = Scene::builder()
        .unit("web.service", &victim("", "--listen 8080"))
        .without_daemon();
    scene.start(&["web.service"]);
    for _ in 0..2 {
        scene.prunella_ok(&["setup"]);
        scene.prunella_ok(&["enable", "web.service"]);
    }
    let learnt = scene
        .read_file("/etc/prunella/services.d/web.toml")
        .unwrap();
    assert!(
        learnt.contains("tcp/8080"),
        "it has learnt the port: {learnt}"
    );
    let hook = scene.property("web.service", "OnFailure").unwrap();
    assert!(hook.contains("prunella-hook@web.service.service"), "{hook}");

    scene.prunella_ok(&["disable", "web.service"]);
    assert_eq!(scene.property("web.service", "OnFailure").unwrap(), "");
    assert!(!scene.exists("/etc/prunella/services.d/web.toml").unwrap());
}
