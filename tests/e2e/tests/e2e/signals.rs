//! What is measured of services and of the host: limits that are passed, and look-alikes.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Builder, Scene, TIMEOUT, one_line};
use serde_json::Value;

/// Uses what it is told to, as long as the file for it is there.
const GREEDY: &str = r#"
import os, sys, time

name = sys.argv[1]
held, files = None, []
while True:
    wants = lambda what: os.path.exists(f"/run/test-{what}-{name}")
    if wants("memory") and held is None:
        held = bytearray(os.urandom(1 << 20) * 120)
    if wants("files") and not files:
        files = [open("/dev/null") for _ in range(80)]
    if not wants("files"):
        [file.close() for file in files]
        files = []
    if wants("cpu"):
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            pass
    else:
        time.sleep(0.2)
"#;

/// Every second, so that a test is short.
const MAIN: &str = "[metrics]\ninterval = \"1s\"\n";

/// Limits that what it is told to use is well beyond, on a busy host, too.
const LIMITS: &str = r#"
[health]
cpu-core = { degraded = "12%", clear = "6%", for = "3s" }
memory-size = { degraded = "100MiB", clear = "80MiB", for = "3s" }
descriptors = { degraded = "80%", clear = "60%", for = "3s" }
"#;

/// Passed for a minute they would count.
const PATIENT: &str = "[health]\ncpu-core = { degraded = \"12%\", clear = \"6%\", for = \"1m\" }\n";

const PRUNELLA: &str = "/opt/prunella/prunella";

fn greedy(name: &str) -> String {
    format!("[Service]\nExecStart=/usr/bin/python3 /opt/test/greedy.py {name}\nLimitNOFILE=100\n")
}

fn scene(main: &str) -> Builder {
    Scene::builder()
        .file("/etc/prunella/prunella.toml", main, 0o644)
        .file("/opt/test/greedy.py", GREEDY, 0o755)
        .service("web.service", &greedy("web"), LIMITS)
}

fn ask(scene: &Scene, arguments: &[&str]) -> Value {
    serde_json::from_str(&scene.prunella_ok(arguments)).unwrap()
}

/// Waits until a metric has been at least this; gives its points.
#[track_caller]
pub(crate) fn wait_measured(scene: &Scene, of: &str, metric: &str, least: u64) -> Vec<Value> {
    let mut last = Value::Null;
    scene
        .wait_for(&format!("{metric} of {of} at {least}"), 3 * TIMEOUT, || {
            last = ask(scene, &["metrics", of, metric, "--json"]);
            let points = last["series"][0]["points"].as_array().cloned();
            Ok(points.filter(|points| {
                points
                    .iter()
                    .any(|point| point["max"].as_u64().unwrap() >= least)
            }))
        })
        .unwrap_or_else(|error| panic!("{error}: {last:#}"))
}

fn tell(scene: &Scene, what: &str, name: &str) {
    let path = format!("/run/test-{what}-{name}");
    scene.write_file(path, "", 0o644).unwrap();
}

fn evidence(detail: &Value) -> &str {
    detail["service"]["evidence"].as_str().unwrap()
}

/// For as long as it says, the limit was passed.
fn held(detail: &Value) -> u64 {
    let symptom = &detail["service"]["symptoms"][0];
    detail["service"]["since"].as_u64().unwrap() - symptom["since"].as_u64().unwrap()
}

#[test]
fn a_service_that_spins_is_degraded_and_one_that_spins_for_a_moment_is_not() {
    let scene = scene(MAIN)
        .service("blip.service", &greedy("blip"), PATIENT)
        .with_daemon();
    scene.start(&["web.service", "blip.service"]);
    scene.wait_state("web.service", "healthy");
    tell(&scene, "cpu", "web");
    tell(&scene, "cpu", "blip");
    let degraded = scene.wait_state("web.service", "degraded");
    let symptom = &degraded["service"]["symptoms"][0];
    assert_eq!(symptom["metric"], "cpu-core-permille", "{degraded:#}");
    assert_eq!(symptom["threshold"], 120);
    assert!(held(&degraded) >= 3_000, "{degraded:#}");
    let why = evidence(&degraded);
    assert!(why.starts_with("it uses "), "{why}");
    assert!(why.contains(" % of one CPU core"), "{why}");
    assert!(why.ends_with(", with a limit of 12 %"), "{why}");
    let status = scene.prunella_ok(&["status"]);
    assert!(status.contains("running, degraded"), "{status}");

    // The other one was as busy, and not for as long as it may be.
    wait_measured(&scene, "blip.service", "cpu-core", 120);
    scene.remove_file("/run/test-cpu-blip").unwrap();
    scene.remove_file("/run/test-cpu-web").unwrap();
    let well = scene.wait_state("web.service", "healthy");
    assert_eq!(well["service"]["symptoms"], Value::Array(Vec::new()));
    let blip = scene.health("blip");
    let changes = blip["transitions"].as_array().unwrap();
    assert!(
        changes.iter().all(|change| change["to"] != "degraded"),
        "{blip:#}"
    );
    for unit in ["web.service", "blip.service"] {
        let is_told = |one: &prunella_e2e::Incident| one.cause == "degraded";
        assert!(scene.incidents_of(unit).iter().all(is_told));
        assert_eq!(scene.runs(unit), 1);
    }
}

#[test]
fn a_leak_of_memory_is_seen_and_ends_with_a_restart_by_an_operator() {
    let scene = scene(MAIN).with_daemon();
    scene.start(&["web.service"]);
    scene.wait_state("web.service", "healthy");
    tell(&scene, "memory", "web");
    let degraded = scene.wait_state("web.service", "degraded");
    let why = evidence(&degraded);
    assert!(why.contains(" MiB of memory"), "{why}");
    // The machine's control groups have no controller of memory.
    assert!(why.contains("(added up over its processes)"), "{why}");
    assert!(why.ends_with("with a limit of 100 MiB"), "{why}");
    assert!(held(&degraded) >= 3_000, "{degraded:#}");

    // Nothing that is measured is thought to be over while the daemon is away, nor forgotten.
    let before = wait_measured(&scene, "web.service", "memory-bytes", 100 << 20);
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    let again = scene.health("web");
    assert_eq!(again["service"]["state"], "degraded", "{again:#}");
    assert_eq!(again["service"]["since"], degraded["service"]["since"]);
    let after = wait_measured(&scene, "web.service", "memory-bytes", 100 << 20);
    let first = |points: &[Value]| points[0]["at"].clone();
    assert_eq!(first(&after), first(&before));

    scene.remove_file("/run/test-memory-web").unwrap();
    scene.systemctl(&["restart", "web.service"]).unwrap();
    let well = scene.wait_state("web.service", "healthy");
    let changes = well["transitions"].as_array().unwrap();
    assert!(
        changes.iter().all(|change| change["to"] != "failed"),
        "{well:#}"
    );
    let all = scene.incidents_of("web.service");
    assert!(all.iter().all(|one| one.cause == "degraded"), "{all:?}");

    // What is down uses nothing: its last values are none of now.
    let row = |scene: &Scene| {
        let all = scene.prunella_ok(&["metrics"]);
        let row = all
            .lines()
            .find(|row| row.starts_with("web "))
            .map(one_line);
        row.unwrap_or_else(|| panic!("no row of web in {all}"))
    };
    assert!(!row(&scene).contains(" ago"), "{}", row(&scene));
    scene.systemctl(&["stop", "web.service"]).unwrap();
    let last = scene
        .wait_for("its values to be of the past", TIMEOUT, || {
            let row = row(&scene);
            Ok(row.contains(" ago").then_some(row))
        })
        .unwrap();
    assert!(last.starts_with("web - - - -"), "{last}");
}

#[test]
fn what_a_service_uses_in_its_next_run_is_measured() {
    let scene = scene(MAIN).with_daemon();
    scene.start(&["web.service"]);
    wait_measured(&scene, "web.service", "descriptors", 1);
    // The control group of the run that is over had the same path.
    scene.systemctl(&["restart", "web.service"]).unwrap();
    let restarted = scene.wait_state("web.service", "healthy");
    assert_eq!(restarted["service"]["symptoms"], Value::Array(Vec::new()));
    tell(&scene, "cpu", "web");
    let degraded = scene.wait_state("web.service", "degraded");
    let symptom = &degraded["service"]["symptoms"][0];
    assert_eq!(symptom["metric"], "cpu-core-permille", "{degraded:#}");
}

#[test]
fn a_leak_of_descriptors_is_seen_and_metrics_draws_it() {
    let scene = scene(MAIN).with_daemon();
    scene.start(&["web.service"]);
    wait_measured(&scene, "web.service", "descriptors-permille", 1);
    tell(&scene, "files", "web");
    let degraded = scene.wait_state("web.service", "degraded");
    assert!(
        evidence(&degraded).starts_with("one of its processes has 8"),
        "{degraded:#}"
    );
    let points = wait_measured(&scene, "web.service", "descriptors-permille", 800);
    assert!(points.iter().any(|point| point["min"].as_u64() < Some(200)));

    let list = scene.prunella_ok(&["metrics", "web"]);
    for metric in ["cpu-permille", "memory-bytes", "tasks", "processes"] {
        assert!(list.contains(metric), "{list}");
    }
    let all = scene.prunella_ok(&["metrics"]);
    let rows: Vec<&str> = all.lines().collect();
    assert!(
        rows[1].starts_with("host ") && rows[2].starts_with("web "),
        "{all}"
    );
    for columns in ["80", "140"] {
        let columns_are = format!("COLUMNS={columns}");
        let command = [
            "env",
            &columns_are,
            PRUNELLA,
            "metrics",
            "web",
            "descriptors",
        ];
        let plot = scene.run_ok(&command).unwrap();
        assert!(plot.contains("web.service: open files\n"), "{plot}");
        assert!(plot.contains('█'), "{plot}");
        let widest = plot.lines().map(|line| line.chars().count()).max();
        assert!(widest <= columns.parse().ok(), "{plot}");
    }
    let wide = ["env", "COLUMNS=140", PRUNELLA, "health", "web"];
    let health = scene.run_ok(&wide).unwrap();
    assert!(health.contains("LAST HOUR\n"), "{health}");
    assert!(health.contains('█'), "{health}");

    let rows = scene.prunella_ok(&["metrics", "web", "descriptors"]);
    assert!(
        rows.lines().all(|row| row.split('\t').count() == 4),
        "{rows}"
    );

    scene.remove_file("/run/test-files-web").unwrap();
    scene.wait_state("web.service", "healthy");
    let all = scene.incidents_of("web.service");
    assert!(all.iter().all(|one| one.cause == "degraded"), "{all:?}");
}

#[test]
fn the_host_has_a_health_of_its_own() {
    let strict = format!("{MAIN}[health.host]\nprocesses = {{ degraded = 2, for = \"2s\" }}\n");
    let scene = scene(&strict).with_daemon();
    scene.start(&["web.service"]);
    let degraded = scene.wait_state("--host", "degraded");
    let why = evidence(&degraded);
    assert!(why.starts_with("there are "), "{why}");
    assert!(why.ends_with(" processes, with a limit of 2"), "{why}");
    let status = scene.prunella_ok(&["status"]);
    assert!(status.contains("host degraded for "), "{status}");
    let list = scene.prunella_ok(&["health"]);
    assert!(list.lines().nth(1).unwrap().starts_with("host "), "{list}");
    assert_eq!(scene.health("web")["service"]["state"], "healthy");
    let disk = ask(&scene, &["metrics", "host", "disk", "--json"]);
    let root = disk["series"].as_array().unwrap();
    assert!(root.iter().any(|one| one["instance"] == "/"), "{disk:#}");

    scene
        .write_file("/etc/prunella/prunella.toml", MAIN, 0o644)
        .unwrap();
    scene.prunella_ok(&["config", "check"]);
    scene.systemctl(&["reload", "prunella.service"]).unwrap();
    let well = scene.wait_state("--host", "healthy");
    assert_eq!(well["service"]["symptoms"], Value::Array(Vec::new()));
    let status = scene.prunella_ok(&["status"]);
    assert!(!status.contains("host degraded"), "{status}");
}

#[test]
fn nothing_is_measured_where_that_is_switched_off() {
    let scene = scene("[metrics]\ninterval = \"off\"\n").with_daemon();
    scene.start(&["web.service"]);
    let report = ask(&scene, &["metrics", "--json"]);
    assert_eq!(report["interval_ms"], Value::Null, "{report:#}");
    assert_eq!(report["metrics"], Value::Array(Vec::new()));
    let text = scene.prunella_ok(&["metrics", "web"]);
    assert!(text.contains("Nothing is measured"), "{text}");
    // That it is not known is no reason to say anything about the service.
    scene.wait_state("web.service", "healthy");
    let host = scene.health("--host");
    assert_eq!(host["service"]["state"], "unknown", "{host:#}");
}
