//! What a strategy remembers from one incident of a service to the next.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

use prunella_core::hash::sha256;
use prunella_e2e::{Scene, TIMEOUT, victim};

/// It says how often it has healed a service, and counts when it has.
const COUNTS: &[u8] = prunella_contract::COUNTING;

fn scene() -> Scene {
    let main_file = format!(
        "[budget]\nbackoff = [\"0s\"]\n\n\
         [strategy.counts]\ncomponent = \"plugins/counts.wasm\"\nsha256 = \"{}\"\n\n\
         [[strategy.counts.allow]]\nact = \"unit-control\"\non = [\"self\"]\n",
        sha256(COUNTS)
    );
    Scene::builder()
        .file("/etc/prunella/prunella.toml", main_file, 0o644)
        .file("/etc/prunella/plugins/counts.wasm", COUNTS, 0o644)
        .service("web.service", &victim("", ""), "strategies = [\"counts\"]")
        .service(
            "other.service",
            &victim("", ""),
            "strategies = [\"counts\"]",
        )
        .with_daemon()
}

/// Kills the service; once it is healed, gives the report.
#[track_caller]
fn kill(scene: &Scene, unit: &str, times: usize) -> String {
    scene.kill(unit);
    let last = scene
        .wait_for("another healing", TIMEOUT, || {
            let mut healed = scene.incidents_of(unit);
            healed.retain(|incident| incident.is("healed"));
            let last = healed.iter().max_by_key(|incident| incident.at).cloned();
            Ok(last.filter(|_| healed.len() == times))
        })
        .unwrap();
    scene.report(&last)
}

#[test]
fn a_strategy_remembers_each_service_for_itself_and_outlives_the_daemon() {
    let scene = scene();
    scene.start(&["web.service", "other.service"]);
    let report = kill(&scene, "web.service", 1);
    assert!(report.contains("was healed 0 times before"), "{report}");
    let report = kill(&scene, "web.service", 2);
    assert!(report.contains("was healed 1 times before"), "{report}");

    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    // A dry run only seems to count.
    scene.systemctl(&["stop", "web.service"]).unwrap();
    scene.prunella_ok(&["heal", "web.service", "--dry-run"]);
    scene.start(&["web.service"]);
    let report = kill(&scene, "web.service", 3);
    assert!(report.contains("was healed 2 times before"), "{report}");

    let report = kill(&scene, "other.service", 1);
    assert!(report.contains("was healed 0 times before"), "{report}");
}
