//! What comes of an act that a person has denied, once what it was about is gone.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends with a panic"
)]

use std::time::{Duration, Instant};

use prunella_e2e::{Scene, TIMEOUT, one_line, victim};

const ASKS: &str = "[oversight]\nforeign-processes = \"ask\"\n";
const WEB: &str = "web.service";

/// A stranger holds the port, and a person has denied to end it.
fn denied() -> Scene {
    let scene = Scene::builder()
        .unit("stranger.service", &victim("", "--listen 8080"))
        .service(
            WEB,
            &victim("", "--listen 8080"),
            "ports = [\"tcp/8080\"]\n",
        )
        .file("/etc/prunella/prunella.toml", ASKS, 0o644)
        .with_daemon();
    scene.start(&["stranger.service"]);
    assert!(scene.systemctl(&["start", WEB]).is_err());
    scene.wait_ended(WEB, "escalated");
    let waiting = scene.prunella_ok(&["approvals", "--json"]);
    let approval: serde_json::Value = serde_json::from_str(waiting.trim()).unwrap();
    scene.prunella_ok(&["deny", approval["id"].as_str().unwrap()]);
    scene
        .wait_for("the denial to be taken note of", TIMEOUT, || {
            let incident = scene.only_incident_of(WEB);
            let record = scene.record(&incident);
            let is_denied = record.steps("act-denied").next().is_some();
            Ok((is_denied && incident.is("escalated")).then_some(()))
        })
        .unwrap();
    scene
}

fn lines_of_denials(scene: &Scene) -> usize {
    let journal = scene
        .run_ok(&["journalctl", "-u", "prunella.service", "-o", "cat"])
        .unwrap();
    journal.matches("denied: ").count()
}

#[test]
fn what_a_person_has_denied_is_logged_once_and_over_with_its_process() {
    let scene = denied();
    let detail = one_line(&scene.prunella_ok(&["status", WEB]));
    assert!(detail.contains("`prunella heal` is refused"), "{detail}");
    let report = one_line(&scene.report(&scene.only_incident_of(WEB)));
    assert!(report.contains(", or once process "), "{report}");

    // What fails anew meets the same denial.
    assert_eq!(lines_of_denials(&scene), 1);
    let attempts = || scene.only_incident_of(WEB).attempt;
    let before = attempts();
    scene.prunella(&["heal", WEB]);
    assert!(attempts() > before);
    assert_eq!(lines_of_denials(&scene), 1);

    // By now the next try is further away than the next look.
    let again = scene.prunella(&["heal", WEB]);
    assert_eq!(again.code, Some(4), "{}{}", again.stdout, again.stderr);
    scene.systemctl(&["stop", "stranger.service"]).unwrap();
    let stopped = Instant::now();
    let detail = one_line(&scene.prunella_ok(&["status", WEB]));
    assert!(!detail.contains("refused"), "{detail}");
    scene.wait_healed(WEB);
    assert!(
        stopped.elapsed() < Duration::from_secs(18),
        "{:?}",
        stopped.elapsed()
    );
}

#[test]
fn an_order_heals_at_once_when_what_was_denied_to_be_ended_has_ended() {
    let scene = denied();
    scene.systemctl(&["stop", "stranger.service"]).unwrap();
    scene.prunella_ok(&["heal", WEB]);
    scene.wait_healed(WEB);
}
