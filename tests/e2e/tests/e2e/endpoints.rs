//! What services measure of themselves: a metrics endpoint, and look-alikes of trouble.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Builder, Scene, TIMEOUT};
use prunella_machine::unpacked;
use serde_json::Value;

/// A service that counts 20 requests a second, in OpenMetrics' format. Files say what they
/// come to.
const COUNTER: &str = r##"
import http.server, os, threading, time

good = bad = slow = 0

def count():
    global good, bad, slow
    while True:
        failing = os.path.exists("/run/test-failing")
        bad += 4 if failing else 0
        good += 16 if failing else 20
        slow += 20 if os.path.exists("/run/test-slow") else 0
        time.sleep(1)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        while os.path.exists("/run/test-hang"):
            time.sleep(0.1)
        count, fast = good + bad, good + bad - slow
        text = f"""# TYPE shop_requests counter
# HELP shop_requests Requests.
shop_requests_total{{code="200"}} {good} # {{trace_id="a}}"}} 1 1520879607.789
shop_requests_total{{code="503"}} {bad}
# TYPE shop_duration_seconds histogram
# UNIT shop_duration_seconds seconds
shop_duration_seconds_bucket{{le="0.1"}} {fast}
shop_duration_seconds_bucket{{le="4.0"}} {count}
shop_duration_seconds_bucket{{le="+Inf"}} {count}
shop_duration_seconds_sum {fast * 0.05 + slow * 2.0}
shop_duration_seconds_count {count}
# EOF
"""
        wants = "openmetrics" in self.headers["Accept"]
        self.send_response(200 if wants else 406)
        self.send_header("Content-Type", "application/openmetrics-text; version=1.0.0")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass

threading.Thread(target=count, daemon=True).start()
http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
"##;

/// Every second, so that a test is short.
const MAIN: &str = "[metrics]\ninterval = \"1s\"\n";

const CARE: &str = r#"
[health]
request-errors = { degraded = "5%", clear = "2%", for = "2s" }
request-latency = { degraded = "1s", clear = "500ms", for = "2s" }

[metrics.prometheus]
url = "http://127.0.0.1:8080/metrics"
timeout = "1s"
requests = "shop_requests"
errors = 'shop_requests{code="5*"}'
latency = "shop_duration_seconds"
quantile = "90%"
"#;

const FAILING: &str = "/run/test-failing";
const SLOW: &str = "/run/test-slow";
const HANG: &str = "/run/test-hang";

fn builder(care: &str) -> Builder {
    Scene::builder()
        .file("/etc/prunella/prunella.toml", MAIN, 0o644)
        .file("/opt/test/counter.py", COUNTER, 0o755)
        .service(
            "web.service",
            "[Service]\nExecStart=/usr/bin/python3 /opt/test/counter.py\n",
            care,
        )
}

fn scene() -> Scene {
    let scene = builder(CARE).with_daemon();
    scene.start(&["web.service"]);
    scene.wait_state("web.service", "healthy");
    wait_measured(&scene, "requests-per-minute", |value| value > 600);
    scene
}

/// The latest value of a metric, unless it is older than a few intervals.
fn latest(scene: &Scene, metric: &str) -> Option<u64> {
    let text = scene.prunella_ok(&["metrics", "web", "--json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    let now = report["at"].as_u64().unwrap();
    let all = report["metrics"].as_array().unwrap();
    let one = all.iter().find(|one| one["metric"] == metric)?;
    let is_fresh = one["at"].as_u64().unwrap() + 4_000 > now;
    is_fresh.then(|| one["value"].as_u64().unwrap())
}

#[track_caller]
fn wait_measured(scene: &Scene, metric: &str, is_it: impl Fn(u64) -> bool) {
    let mut last = None;
    scene
        .wait_for(metric, 2 * TIMEOUT, || {
            last = latest(scene, metric);
            Ok(last.filter(|value| is_it(*value)).map(|_| ()))
        })
        .unwrap_or_else(|error| panic!("{error}: {last:?}"));
}

fn evidence(detail: &Value) -> &str {
    detail["service"]["evidence"].as_str().unwrap()
}

#[test]
fn errors_and_latency_are_told_and_a_counter_that_begins_anew_is_not() {
    let scene = scene();
    assert_eq!(latest(&scene, "request-errors-permille"), Some(0));
    assert!(latest(&scene, "request-latency-ms").unwrap() <= 100);
    // Its counters begin anew.
    scene.systemctl(&["restart", "web.service"]).unwrap();
    scene.wait_state("web.service", "healthy");
    wait_measured(&scene, "request-latency-ms", |value| value <= 100);
    assert!(scene.incidents_of("web.service").is_empty());

    scene.write_file(FAILING, "", 0o644).unwrap();
    let degraded = scene.wait_state("web.service", "degraded");
    let symptom = &degraded["service"]["symptoms"][0];
    assert_eq!(symptom["metric"], "request-errors-permille", "{degraded:#}");
    let why = evidence(&degraded);
    // One in five is beyond the limit from which it is critical, too.
    assert!(
        why.ends_with("% of its requests fail, by its own count, with a limit of 10 %"),
        "{why}"
    );
    assert_eq!(symptom["level"], "critical");
    let told = scene.incidents_of("web.service").remove(0);
    let report = scene.report(&told);
    assert!(report.contains("web.service has errors"), "{report}");

    // What was counted before the restart is not of this run.
    scene.remove_file(FAILING).unwrap();
    scene.systemctl(&["restart", "web.service"]).unwrap();
    scene.wait_state("web.service", "healthy");
    scene.wait_ended("web.service", "recovered");

    scene.write_file(SLOW, "", 0o644).unwrap();
    let degraded = scene.wait_state("web.service", "degraded");
    let symptom = &degraded["service"]["symptoms"][0];
    assert_eq!(symptom["metric"], "request-latency-ms", "{degraded:#}");
    assert_eq!(symptom["threshold"], 1_000);
    assert_eq!(
        scene.runs("web.service"),
        3,
        "the operator's restarts alone"
    );
}

#[test]
fn an_endpoint_that_hangs_tells_nothing_and_is_no_symptom() {
    let scene = scene();
    scene.write_file(HANG, "", 0o644).unwrap();
    let said = "its metrics endpoint tells nothing: it gave no answer within 1 s";
    scene
        .wait_for("it to be told", TIMEOUT, || {
            let lines = scene.journal(&["_SYSTEMD_UNIT=prunella.service"])?;
            let is_it = |line: &Value| line["MESSAGE"].as_str().is_some_and(|it| it.contains(said));
            Ok(lines.iter().any(is_it).then_some(()))
        })
        .unwrap();
    // Everything else goes on being measured.
    scene
        .wait_for("no request to be counted", TIMEOUT, || {
            let is_missing = latest(&scene, "requests-per-minute").is_none();
            Ok((is_missing && latest(&scene, "processes").is_some()).then_some(()))
        })
        .unwrap();
    assert_eq!(scene.health("web")["service"]["state"], "healthy");
    scene.remove_file(HANG).unwrap();
    wait_measured(&scene, "requests-per-minute", |value| value > 600);
    assert!(scene.incidents_of("web.service").is_empty());
}

#[test]
fn a_real_exporter_tells_what_is_asked_of_it() {
    let exporter = unpacked("prometheus-node-exporter").unwrap();
    let care = r#"
[metrics.prometheus]
url = "http://127.0.0.1:9100/metrics"
requests = "promhttp_metric_handler_requests_total"
errors = 'promhttp_metric_handler_requests_total{code="5*"}'
latency = "there_is_no_such_family"
"#;
    let scene = Scene::builder()
        .file("/etc/prunella/prunella.toml", MAIN, 0o644)
        .bind_ro(
            exporter.join("usr/bin/prometheus-node-exporter"),
            "/opt/test/node-exporter",
        )
        .service(
            "web.service",
            "[Service]\nExecStart=/opt/test/node-exporter --web.listen-address=127.0.0.1:9100\n",
            care,
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.wait_state("web.service", "healthy");
    // It counts that it is asked each second, on a busy host less often.
    wait_measured(&scene, "requests-per-minute", |value| {
        (10..=61).contains(&value)
    });
    wait_measured(&scene, "request-errors-permille", |value| value == 0);
    let said = "has nothing of what [metrics.prometheus] declares as latency";
    let lines = scene.journal(&["_SYSTEMD_UNIT=prunella.service"]).unwrap();
    let told = lines
        .iter()
        .filter(|line| line["MESSAGE"].as_str().is_some_and(|it| it.contains(said)))
        .count();
    assert_eq!(told, 1);
    assert_eq!(latest(&scene, "request-latency-ms"), None);
    assert!(scene.incidents_of("web.service").is_empty());
}
