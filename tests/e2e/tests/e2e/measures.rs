//! What a strategy is told of what was measured.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_core::hash::sha256;
use prunella_e2e::{Builder, Scene, TIMEOUT, one_line, victim};
use serde_json::Value;

/// It says what was measured of its service, of the host and of `other.service`.
const MEASURES: &[u8] = prunella_contract::MEASURING;

/// What the shell holds on to in its memory: far more than a victim without it.
const HELD_MIB: u64 = 24;

const LOOKS_AT_OTHERS: &str =
    "[[strategy.measures.allow]]\nobserve = \"metrics\"\non = [\"other.service\"]\n";

fn scene(granted: &str) -> Builder {
    let main_file = format!(
        "[budget]\nbackoff = [\"0s\"]\n\n[metrics]\ninterval = \"1s\"\n\n\
         [strategy.measures]\ncomponent = \"plugins/measures.wasm\"\nsha256 = \"{}\"\n\n\
         [[strategy.measures.allow]]\nact = \"unit-control\"\non = [\"self\"]\n{granted}",
        sha256(MEASURES)
    );
    let holds = format!(
        "[Service]\nExecStart=/bin/sh -c 'held=$$(head -c {} /dev/zero | tr \"\\\\0\" x); \
         while :; do sleep 60; done; echo $$held'\n",
        HELD_MIB << 20
    );
    Scene::builder()
        .file("/etc/prunella/prunella.toml", main_file, 0o644)
        .bytes("/etc/prunella/plugins/measures.wasm", MEASURES, 0o644)
        .service("web.service", &holds, "strategies = [\"measures\"]")
        .service("other.service", &victim("", ""), "")
}

/// What `prunella metrics` has of a unit's memory, once that is what the service holds.
fn wait_measured(scene: &Scene, unit: &str, least: u64) {
    let of = |metric: &Value| {
        let is_memory = metric["metric"] == "memory-bytes";
        metric["value"].as_u64().filter(|_| is_memory)
    };
    scene
        .wait_for("what was measured", TIMEOUT, || {
            let text = scene.prunella_ok(&["metrics", unit, "--json"]);
            let report: Value = serde_json::from_str(&text).unwrap();
            let found = report["metrics"].as_array().unwrap().iter().find_map(of);
            Ok(found.filter(|value| *value >= least))
        })
        .unwrap();
}

/// What it said of one subject: `123 (100 to 150)`, or a failure's code.
fn said<'t>(text: &'t str, subject: &str) -> &'t str {
    let (_, after) = text
        .split_once(&format!("{subject}: "))
        .unwrap_or_else(|| panic!("nothing of {subject}: {text}"));
    let end = after.find(';').unwrap_or(after.len());
    after.get(..end).unwrap()
}

/// The latest value, and the extremes of the last hour.
fn numbers(said: &str) -> [u64; 3] {
    let numbers: Vec<u64> = said
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|word| word.parse().ok())
        .collect();
    numbers
        .try_into()
        .unwrap_or_else(|_| panic!("no measurements: {said}"))
}

/// What the strategy said when it assessed the only incident.
fn assessed(scene: &Scene) -> String {
    let healed = scene.wait_healed("web.service");
    one_line(&scene.report(&healed))
}

#[test]
fn a_strategy_reads_what_was_measured_of_its_service_and_of_the_host() {
    let scene = scene("").with_daemon();
    scene.start(&["web.service", "other.service"]);
    wait_measured(&scene, "web.service", HELD_MIB << 20);
    wait_measured(&scene, "other.service", 1);
    scene.kill("web.service");
    let report = assessed(&scene);
    let [latest, min, max] = numbers(said(&report, "own"));
    assert!((HELD_MIB << 20..1 << 30).contains(&latest), "{report}");
    assert!((min..=max).contains(&latest), "{report}");
    let [latest, min, max] = numbers(said(&report, "host"));
    assert!((2..100_000).contains(&latest), "{report}");
    assert!((min..=max).contains(&latest), "{report}");
    // Nobody granted it that.
    assert_eq!(said(&report, "other"), "out-of-scope", "{report}");
}

#[test]
fn with_a_grant_it_reads_of_another_service_and_without_a_daemon_what_was_kept() {
    let scene = scene(LOOKS_AT_OTHERS).with_daemon();
    scene.start(&["web.service", "other.service"]);
    wait_measured(&scene, "web.service", HELD_MIB << 20);
    wait_measured(&scene, "other.service", 1);
    // What is not written yet is written at its end.
    scene.systemctl(&["stop", "prunella.service"]).unwrap();
    scene.systemctl(&["stop", "web.service"]).unwrap();
    let said_here = one_line(&scene.prunella_ok(&["heal", "web.service", "--dry-run"]));
    let [latest, ..] = numbers(said(&said_here, "own"));
    assert!(latest >= HELD_MIB << 20, "{said_here}");
    let [latest, ..] = numbers(said(&said_here, "other"));
    assert!((1 << 10..HELD_MIB << 20).contains(&latest), "{said_here}");
}

#[test]
fn where_nothing_was_ever_measured_it_is_told_so() {
    let scene = scene(LOOKS_AT_OTHERS).without_daemon();
    let said_here = one_line(&scene.prunella_ok(&["heal", "web.service", "--dry-run"]));
    for subject in ["own", "host", "other"] {
        assert_eq!(said(&said_here, subject), "not-measured", "{said_here}");
    }
}
