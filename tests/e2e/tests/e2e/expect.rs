//! Work that an operator expects: what it strains is no degradation.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Scene, TIMEOUT, one_line, victim};
use serde_json::Value;

use crate::web::{self, SLOW, with_server};

const CARE: &str = r#"
objective = "99%"

[health]
latency = { degraded = "400ms", clear = "300ms", for = "2s" }

[[probe]]
name = "front"
http = "http://127.0.0.1:8080/"
interval = "1s"
failure-threshold = 3
"#;

fn scene() -> Scene {
    let scene = with_server(Scene::builder())
        .service("web.service", &web::unit(8080, ""), CARE)
        .service("bystander.service", &victim("", ""), "")
        .with_daemon();
    scene.start(&["web.service", "bystander.service"]);
    scene.wait_state("web.service", "healthy");
    scene
}

pub(crate) fn expect(scene: &Scene, more: &[&str]) {
    let arguments = ["expect", "web", "--for", "1h", "--reason", "nightly backup"];
    scene.prunella_ok(&[&arguments[..], more].concat());
    scene
        .wait_for("that the daemon expects it", TIMEOUT, || {
            let work = &scene.health("web.service")["service"]["expected_work"];
            Ok((work["reason"] == "nightly backup").then_some(()))
        })
        .unwrap();
}

/// Waits until this many slow answers have come, one after the other.
pub(crate) fn wait_slow(scene: &Scene, times: usize) {
    let mut seen = std::collections::BTreeSet::new();
    scene
        .wait_for("slow answers", 2 * TIMEOUT, || {
            let probe = &scene.health("web.service")["service"]["probes"][0];
            if probe["latency_ms"].as_u64() >= Some(600) {
                seen.insert(probe["asked_at"].as_u64());
            }
            Ok((seen.len() >= times).then_some(()))
        })
        .unwrap();
}

#[test]
fn what_is_expected_degrades_nothing_survives_a_restart_and_ends() {
    let scene = scene();
    expect(&scene, &[]);
    scene.write_file(SLOW, "", 0o644).unwrap();
    // Without it, three in three seconds are enough.
    wait_slow(&scene, 5);
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    wait_slow(&scene, 5);
    let detail = scene.health("web.service");
    assert_eq!(detail["service"]["symptoms"], Value::Array(Vec::new()));
    assert!(scene.incidents_of("web.service").is_empty(), "{detail:#}");

    let status = one_line(&scene.prunella_ok(&["status"]));
    assert!(
        status.contains("Expected work web.service: nightly backup, until"),
        "{status}"
    );
    let one = one_line(&scene.prunella_ok(&["status", "web"]));
    assert!(one.contains("sudo prunella expect web --end"), "{one}");
    let health = one_line(&scene.prunella_ok(&["health", "web"]));
    assert!(
        health.contains("Expected work: nightly backup, until"),
        "{health}"
    );
    let list = scene.prunella_ok(&["expect", "--list"]);
    assert!(list.contains("nightly backup"), "{list}");

    // Without a daemon it is the same.
    scene.systemctl(&["stop", "prunella.service"]).unwrap();
    for (command, words) in [
        (
            ["status"].as_slice(),
            "Expected work web.service: nightly backup, until",
        ),
        (&["status", "web"], "Expected nightly backup, until"),
        (&["health", "web"], "Expected work: nightly backup, until"),
    ] {
        let shown = one_line(&scene.prunella_ok(command));
        assert!(shown.contains(words), "{shown}");
        let of_another = one_line(&scene.prunella_ok(&["status", "bystander"]));
        assert!(!of_another.contains("nightly backup"), "{of_another}");
    }
    scene.systemctl(&["start", "prunella.service"]).unwrap();
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    wait_slow(&scene, 5);
    assert!(scene.incidents_of("web.service").is_empty());

    // It ends, and what goes on is a degradation after its own time.
    scene.prunella_ok(&["expect", "web", "--end"]);
    let slow = scene.wait_state("web.service", "degraded");
    assert_eq!(slow["service"]["symptoms"][0]["metric"], "latency-ms");
    let list = scene.prunella_ok(&["expect", "--list"]);
    assert!(list.contains("No work is expected"), "{list}");
}

#[test]
fn it_ends_by_itself() {
    let scene = scene();
    let arguments = ["expect", "web", "--for", "8s", "--reason", "short import"];
    scene.prunella_ok(&arguments);
    scene.write_file(SLOW, "", 0o644).unwrap();
    let slow = scene.wait_state("web.service", "degraded");
    assert_eq!(slow["service"]["expected_work"], Value::Null);
    let transitions = slow["transitions"].as_array().unwrap();
    let list: Value =
        serde_json::from_str(&scene.prunella_ok(&["expect", "--list", "--json"])).unwrap();
    assert_eq!(list, Value::Array(Vec::new()));
    let told = scene.incidents_of("web.service");
    assert_eq!(told.len(), 1, "{transitions:?}");
    let report = scene.report(&told[0]);
    assert!(!report.contains("short import"), "it was over: {report}");
}

#[test]
fn a_metric_that_is_not_named_counts_as_ever_and_so_does_being_down() {
    let scene = scene();
    expect(&scene, &["--allow", "cpu"]);
    scene.write_file(SLOW, "", 0o644).unwrap();
    scene.wait_state("web.service", "degraded");
    scene.remove_file(SLOW).unwrap();
    scene.wait_state("web.service", "healthy");

    expect(&scene, &[]);
    scene.kill("web.service");
    let healed = scene.wait_healed("web.service");
    let report = one_line(&scene.report(&healed));
    assert!(
        report.contains("expected nightly backup, until"),
        "{report}"
    );
    let refused = scene.prunella(&[
        "expect",
        "web",
        "--for",
        "1h",
        "--reason",
        "x",
        "--allow",
        "unanswered-in-a-row",
    ]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let stranger = scene.prunella(&["expect", "cron", "--for", "1h", "--reason", "x"]);
    assert_eq!(stranger.code, Some(6), "{stranger:?}");
}
