//! What services log: floods and patterns that are told, and look-alikes that are not.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use std::time::Duration;

use prunella_e2e::{Builder, Scene, TIMEOUT};
use serde_json::Value;

/// Logs as many lines a second as a file says; each line of another file once.
const TALKER: &str = r#"
import os, sys, time

name = sys.argv[1]
number = 0
while True:
    begun = time.monotonic()
    try:
        rate = int(open(f"/run/test-rate-{name}").read())
    except (OSError, ValueError):
        rate = 0
    for _ in range(rate // 10):
        number += 1
        print(f"<6>request {number} of a customer was answered as it should be", flush=False)
    try:
        said = open(f"/run/test-say-{name}").read()
        os.remove(f"/run/test-say-{name}")
        print(said, flush=False)
    except OSError:
        pass
    sys.stdout.flush()
    time.sleep(max(0, begun + 0.1 - time.monotonic()))
"#;

/// Would have a pattern healed, if anything did.
const HEALS: &str = "heal-degraded = [\"service-restart\"]\n";

/// Every second, so that a test is short.
const MAIN: &str = "[metrics]\ninterval = \"1s\"\n";

const FLOOD: &str = "[health]\nlog-lines = { degraded = 3000, clear = 100, for = \"2s\" }\n";

const PATTERNS: &str = r#"
[health]
log-errors = { degraded = 3, for = "0s" }

[health.logs.deadlock]
pattern = "deadlock * detected"
degraded = 1
for = "0s"

[health.logs.slow-query]
pattern = "slow query"
"#;

fn talker(name: &str) -> String {
    format!("[Service]\nExecStart=/usr/bin/python3 /opt/test/talker.py {name}\n")
}

fn scene(care: &str) -> Builder {
    Scene::builder()
        .file("/etc/prunella/prunella.toml", MAIN, 0o644)
        .file("/opt/test/talker.py", TALKER, 0o755)
        .service("web.service", &talker("web"), care)
        .service("quiet.service", &talker("quiet"), care)
}

fn started(scene: Builder) -> Scene {
    let scene = scene.with_daemon();
    scene.start(&["web.service", "quiet.service"]);
    scene.wait_state("web.service", "healthy");
    scene.wait_state("quiet.service", "healthy");
    scene
}

fn rate(scene: &Scene, name: &str, lines_a_second: u32) {
    let path = format!("/run/test-rate-{name}");
    let text = lines_a_second.to_string();
    scene.write_file(path, text, 0o644).unwrap();
}

fn says(scene: &Scene, name: &str, text: &str) {
    // In one piece: the service looks ten times a second.
    let path = format!("/run/test-say-{name}");
    let new = format!("{path}.new");
    scene.write_file(&new, text, 0o644).unwrap();
    scene.run_ok(&["mv", &new, &path]).unwrap();
}

/// The latest values of a service's metric: by instance.
fn latest(scene: &Scene, of: &str, metric: &str) -> Vec<(Option<String>, u64)> {
    let text = scene.prunella_ok(&["metrics", of, "--json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    let all = report["metrics"].as_array().unwrap();
    all.iter()
        .filter(|one| one["metric"] == metric)
        .map(|one| {
            let instance = one["instance"].as_str().map(str::to_owned);
            (instance, one["value"].as_u64().unwrap())
        })
        .collect()
}

#[track_caller]
fn wait_lines(scene: &Scene, of: &str, least: u64) {
    scene
        .wait_for(&format!("{least} lines of {of}"), TIMEOUT, || {
            let now = latest(scene, of, "log-lines-per-minute");
            Ok(now.iter().any(|one| one.1 >= least).then_some(()))
        })
        .unwrap();
}

fn evidence(detail: &Value) -> &str {
    detail["service"]["evidence"].as_str().unwrap()
}

#[track_caller]
fn was_never_degraded(scene: &Scene, unit: &str) {
    let detail = scene.health(unit);
    let changes = detail["transitions"].as_array().unwrap();
    let degraded = changes.iter().any(|change| change["to"] == "degraded");
    assert!(!degraded, "{detail:#}");
    assert!(scene.incidents_of(unit).is_empty());
}

#[test]
fn a_flood_of_lines_is_told_and_ends_with_it_and_others_are_left_alone() {
    let scene = started(scene(FLOOD));
    rate(&scene, "web", 1_000);
    rate(&scene, "quiet", 10);
    let degraded = scene.wait_state("web.service", "degraded");
    let symptom = &degraded["service"]["symptoms"][0];
    assert_eq!(symptom["metric"], "log-lines-per-minute", "{degraded:#}");
    let why = evidence(&degraded);
    assert!(why.starts_with("it logs lines at a rate of "), "{why}");
    assert!(why.ends_with("/min, with a limit of 3,000/min"), "{why}");
    let told = scene.incidents_of("web.service").remove(0);
    let report = scene.report(&told);
    assert!(
        report.contains("web.service floods the journal"),
        "{report}"
    );
    wait_lines(&scene, "quiet.service", 30);

    rate(&scene, "web", 0);
    scene.systemctl(&["restart", "web.service"]).unwrap();
    scene.wait_state("web.service", "healthy");
    scene.wait_ended("web.service", "recovered");
    was_never_degraded(&scene, "quiet.service");
    assert_eq!(scene.runs("web.service"), 2, "the operator's restart alone");
}

#[test]
fn what_journald_drops_is_a_flood_too() {
    // It keeps 50 lines of each 2 s: 1,500 a minute, which is below the limit.
    let conf = "[Journal]\nRateLimitIntervalSec=2s\nRateLimitBurst=10\n";
    let scene = started(scene(FLOOD).file("/etc/systemd/journald.conf.d/test.conf", conf, 0o644));
    rate(&scene, "web", 500);
    let degraded = scene.wait_state("web.service", "degraded");
    let symptom = &degraded["service"]["symptoms"][0];
    assert_eq!(symptom["metric"], "log-lines-per-minute", "{degraded:#}");
    let kept = scene.journal(&["_SYSTEMD_UNIT=web.service"]).unwrap().len();
    let counted = symptom["value"].as_u64().unwrap();
    assert!(counted >= 3_000, "{counted}");
    assert!(kept < 2_500, "{kept}");
}

#[test]
fn errors_and_patterns_are_counted_and_told_and_other_lines_are_not() {
    let scene = started(scene(&format!("{HEALS}{PATTERNS}")));
    // Look-alikes, and one that has no limit.
    says(
        &scene,
        "web",
        "<6>deadlock avoided\n<6>a slow query of 3 s\n<3>an error\n<4>a warning",
    );
    scene
        .wait_for("the slow query", TIMEOUT, || {
            let now = latest(&scene, "web", "log-matches-per-minute");
            let slow = (Some("slow-query".to_owned()), 1);
            Ok(now.contains(&slow).then_some(()))
        })
        .unwrap();
    assert_eq!(latest(&scene, "web", "log-errors-per-minute"), [(None, 1)]);
    let deadlock = (Some("deadlock".to_owned()), 0);
    assert!(latest(&scene, "web", "log-matches-per-minute").contains(&deadlock));
    was_never_degraded(&scene, "web.service");

    // So long that journald packs it.
    let long = "of transaction 4711 ".repeat(60);
    says(&scene, "web", &format!("<6>deadlock {long} detected"));
    let degraded = scene.wait_state("web.service", "degraded");
    let symptom = &degraded["service"]["symptoms"][0];
    assert_eq!(symptom["metric"], "log-matches-per-minute", "{degraded:#}");
    assert_eq!(symptom["instance"], "deadlock");
    assert_eq!(
        evidence(&degraded),
        "it logs lines with pattern `deadlock` at a rate of 1/min, with a limit of 1/min"
    );

    // How many errors there are is no text of somebody's: that is healed.
    says(&scene, "quiet", "<3>one\n<2>two\n<0>three\n<4>no error");
    let healed = scene.wait_healed("quiet.service");
    let record = scene.record(&healed);
    let symptom = &record.detection()["symptoms"][0];
    assert_eq!(
        symptom["metric"],
        "log-errors-per-minute",
        "{}",
        record.text()
    );
    assert_eq!(symptom["value"], 3);
    let told = &scene.incidents_of("web.service")[0];
    assert_eq!(scene.record(told).acts(), Vec::<String>::new());
    assert_eq!(scene.runs("web.service"), 1);
}

/// Processor time so far, in ticks of 10 ms.
fn ticks(scene: &Scene, unit: &str) -> u64 {
    let pid = scene.main_pid(unit);
    let stat = scene.read_file(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
    ticks(11) + ticks(12)
}

#[test]
fn a_storm_costs_the_daemon_little() {
    // Nothing of it is dropped.
    let conf = "[Journal]\nRateLimitIntervalSec=0\n";
    let care = "[health]\nlog-lines = \"off\"\n[health.logs.never]\npattern = \"never * said\"\n";
    let scene = started(scene(care).file("/etc/systemd/journald.conf.d/test.conf", conf, 0o644));
    let before = ticks(&scene, "prunella.service");
    let begin = std::time::Instant::now();
    rate(&scene, "web", 10_000);
    wait_lines(&scene, "web.service", 60_000);
    let used = Duration::from_millis(10 * (ticks(&scene, "prunella.service") - before));
    let took = begin.elapsed();
    // Unoptimized, and with whoever asks for its measurements again and again.
    assert!(used < took / 4, "{used:?} of {took:?}");
}
