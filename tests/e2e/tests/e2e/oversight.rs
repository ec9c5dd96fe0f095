//! Acts that wait until a person agrees.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends with a panic"
)]

use prunella_e2e::{Scene, victim};

const ASKS: &str = "[oversight]\nask = [\"unit-control.start\"]\n";

fn down_and_waiting() -> (Scene, String) {
    let scene = Scene::builder()
        .service("web.service", &victim("", "--listen 8080"), "")
        .file("/etc/prunella/prunella.toml", ASKS, 0o644)
        .with_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    let incident = scene.wait_ended("web.service", "escalated");
    assert_eq!(scene.record(&incident).acts(), Vec::<String>::new());
    assert_eq!(
        scene.property("web.service", "ActiveState").unwrap(),
        "failed"
    );
    let waiting = scene.prunella_ok(&["approvals", "--json"]);
    let approval: serde_json::Value = serde_json::from_str(waiting.trim()).unwrap();
    let id = approval["id"].as_str().unwrap().to_owned();
    let report = scene.report(&incident);
    assert!(
        report.contains(&format!("prunella approve {id}")),
        "the report says how to agree: {report}"
    );
    (scene, id)
}

#[test]
fn a_start_that_has_to_be_approved_waits_and_then_heals() {
    let (scene, id) = down_and_waiting();

    // Readers may look, and only root may agree.
    let nobody = scene
        .run(&[
            "setpriv",
            "--reuid=65534",
            "--clear-groups",
            "/opt/prunella/prunella",
            "approve",
            &id,
        ])
        .unwrap();
    assert_eq!(nobody.code, Some(7), "only root may: {nobody:?}");
    assert_eq!(scene.runs("web.service"), 1);

    let said = scene.prunella_ok(&["approve", &id]);
    assert!(said.contains("Approved, once"), "{said}");
    let incident = scene.wait_healed("web.service");
    assert_eq!(
        scene.record(&incident).acts(),
        [
            "unit-control.reset-failed web.service",
            "unit-control.start web.service"
        ]
    );
    assert_eq!(scene.runs("web.service"), 2);
    assert_eq!(scene.prunella_ok(&["approvals", "--json"]).trim(), "");
}

#[test]
fn a_start_that_is_denied_is_not_done() {
    let (scene, id) = down_and_waiting();
    let said = scene.prunella_ok(&["deny", &id, "--reason", "not tonight"]);
    assert!(said.starts_with("Denied: unit-control.start"), "{said}");

    scene.prunella(&["heal", "web.service"]);
    let incident = scene.wait_ended("web.service", "escalated");
    let report = scene.report(&incident);
    assert!(report.contains("not tonight"), "{report}");
    assert_eq!(scene.runs("web.service"), 1);
}

/// An approval names the process by when it started, which has to come out the same
/// at the next look.
#[test]
fn a_leftover_is_ended_once_that_is_approved() {
    const ASKS: &str = "[oversight]\nask = [\"process-control.terminate\"]\n";
    let terminates = |act: &String| act.starts_with("process-control.terminate");
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("KillMode=process", "--listen 8080 --leave-child"),
            "ports = [\"tcp/8080\"]\nstrategies = [\"port-conflict\"]",
        )
        .file("/etc/prunella/prunella.toml", ASKS, 0o644)
        .with_daemon();
    scene.start(&["web.service"]);
    let main = scene.main_pid("web.service").to_string();
    // Only the main process: its child lives on and keeps the port.
    scene.run_ok(&["kill", "-KILL", &main]).unwrap();
    let incident = scene.wait_ended("web.service", "escalated");
    assert!(!scene.record(&incident).acts().iter().any(terminates));
    assert!(scene.answers(8080));

    let waiting = scene.prunella_ok(&["approvals", "--json"]);
    let approval: serde_json::Value = serde_json::from_str(waiting.trim()).unwrap();
    scene.prunella_ok(&["approve", approval["id"].as_str().unwrap()]);
    let incident = scene.wait_healed("web.service");
    assert!(scene.record(&incident).acts().iter().any(terminates));
    assert_eq!(scene.prunella_ok(&["approvals", "--json"]).trim(), "");
}
