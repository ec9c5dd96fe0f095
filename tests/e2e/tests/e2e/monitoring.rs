//! A real Prometheus reads what Prunella did, and a collector gets incidents as traces.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

use std::{collections::BTreeSet, process::Command};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span,
};
use prost::Message as _;
use prunella_e2e::{Builder, Scene, TIMEOUT, victim};
use prunella_machine::unpacked;
use serde_json::Value;

const RULES: &str = include_str!("../../../../packaging/prometheus/prunella.rules.yml");
const RULES_TEST: &str = include_str!("../../../../packaging/prometheus/prunella.rules.test.yml");
const DASHBOARD: &str = include_str!("../../../../packaging/grafana/prunella.json");

/// Passes on what comes to a port of this host to the readers' socket.
const RELAY: &str = r#"
import socket, threading

def pump(a, b):
    while data := a.recv(65536):
        b.sendall(data)
    b.shutdown(socket.SHUT_WR)

def serve(caller):
    daemon = socket.socket(socket.AF_UNIX)
    try:
        daemon.connect("/run/prunella/status.sock")
        threading.Thread(target=pump, args=(caller, daemon), daemon=True).start()
        pump(daemon, caller)
    except OSError:
        pass
    daemon.close()
    caller.close()

listener = socket.create_server(("127.0.0.1", 9780))
while True:
    caller, _ = listener.accept()
    threading.Thread(target=serve, args=(caller,), daemon=True).start()
"#;

/// Asks Prometheus.
const ASK: &str = r#"
import sys, urllib.error, urllib.parse, urllib.request

path, *params = sys.argv[1:]
query = "?" + urllib.parse.urlencode({"query": params[0]}) if params else ""
try:
    print(urllib.request.urlopen("http://127.0.0.1:9090/api/v1/" + path + query).read().decode())
except urllib.error.HTTPError as error:
    print(error.read().decode())
except OSError:
    print("{}")
"#;

const PROMETHEUS: &str = "global: {scrape_interval: 1s, evaluation_interval: 1s}\n\
    rule_files: [/etc/prometheus/prunella.rules.yml]\n\
    scrape_configs:\n- job_name: prunella\n  static_configs:\n  - targets: [\"127.0.0.1:9780\"]\n";

const WEB: &str = "web.service";

const CARE: &str = "ports = [\"tcp/8080\"]\n\
    [[probe]]\nname = \"front\"\nhttp = \"http://127.0.0.1:8080/\"\ninterval = \"1s\"\n";

fn builder() -> Builder {
    let prometheus = unpacked("prometheus").unwrap();
    Scene::builder()
        .bind_ro(
            prometheus.join("usr/bin/prometheus"),
            "/opt/test/prometheus",
        )
        .bind_ro(prometheus.join("usr/bin/promtool"), "/opt/test/promtool")
        .file("/opt/test/relay.py", RELAY, 0o755)
        .file("/opt/test/ask.py", ASK, 0o755)
        .file("/etc/prometheus/prometheus.yml", PROMETHEUS, 0o644)
        .file("/etc/prometheus/prunella.rules.yml", RULES, 0o644)
        .unit(
            "relay.service",
            "[Service]\nExecStart=/usr/bin/python3 /opt/test/relay.py\n",
        )
        .unit(
            "prometheus.service",
            "[Service]\nStateDirectory=prometheus\n\
             ExecStart=/opt/test/prometheus --config.file=/etc/prometheus/prometheus.yml \
             --storage.tsdb.path=/var/lib/prometheus --web.listen-address=127.0.0.1:9090\n",
        )
        .service(WEB, &victim("", "--listen 8080"), CARE)
}

fn ask(scene: &Scene, arguments: &[&str]) -> Value {
    let mut command = vec!["python3", "/opt/test/ask.py"];
    command.extend(arguments);
    serde_json::from_str(&scene.run_ok(&command).unwrap()).unwrap()
}

/// The value of an expression that comes to one; nothing while it comes to none.
fn value(scene: &Scene, expression: &str) -> Option<f64> {
    let answer = ask(scene, &["query", expression]);
    let value = answer["data"]["result"][0]["value"][1].as_str()?;
    Some(value.parse().unwrap())
}

#[track_caller]
fn wait_value(scene: &Scene, expression: &str, wanted: f64) {
    let mut last = None;
    scene
        .wait_for(expression, TIMEOUT, || {
            last = value(scene, expression);
            Ok(last.filter(|value| *value == wanted).map(|_| ()))
        })
        .unwrap_or_else(|error| panic!("{error}: {last:?}"));
}

/// All expressions of the dashboard, with values for its variables.
fn shown() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let annotations = dashboard["annotations"]["list"].as_array().unwrap().iter();
    targets
        .chain(annotations)
        .map(|one| {
            let expression = one["expr"].as_str().unwrap();
            expression
                .replace("$instance", ".*")
                .replace("$unit", ".*")
                .replace("$__rate_interval", "5m")
                .replace("$__interval", "1m")
        })
        .collect()
}

#[test]
fn prometheus_reads_what_was_done_and_counters_outlive_the_daemon() {
    let scene = builder().with_daemon();
    scene.start(&[WEB, "relay.service", "prometheus.service"]);
    scene.wait_state(WEB, "healthy");
    let healthy = "prunella_service_health{unit=\"web.service\",state=\"healthy\"}";
    wait_value(&scene, healthy, 1.0);
    wait_value(&scene, "prunella_probe_latency_seconds_count > bool 0", 1.0);
    assert_eq!(value(&scene, "sum(prunella_incidents_total)"), Some(0.0));

    scene.kill(WEB);
    scene.wait_healed(WEB);
    wait_value(&scene, "sum(prunella_incidents_total)", 1.0);
    wait_value(&scene, "sum(prunella_proofs_total)", 1.0);
    wait_value(
        &scene,
        "sum(prunella_attempts_total{outcome=\"healed\"})",
        1.0,
    );
    wait_value(&scene, "sum(prunella_recovery_seconds_count)", 1.0);
    wait_value(
        &scene,
        "sum(prunella_acts_total{act=\"unit-control.start\"})",
        1.0,
    );
    for nothing in [
        "prunella_relapses_total",
        "prunella_acts_denied_total",
        "prunella_acts_failed_total",
        "prunella_incident_needs_people",
        "prunella_approvals_waiting",
        "prunella_config_problems",
    ] {
        assert_eq!(
            value(&scene, &format!("sum({nothing})")),
            Some(0.0),
            "{nothing}"
        );
    }

    let exported = || scene.prunella_ok(&["metrics", "export"]);
    let counted = "prunella_incidents_total{unit=\"web.service\",kind=\"failure\"} 1";
    assert!(exported().contains(counted));
    let started = |text: &str| {
        let mut lines = text.lines();
        let line = lines.find(|line| line.starts_with("prunella_daemon_start_time_seconds "));
        line.unwrap().to_owned()
    };
    let before = started(&exported());
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    let after = exported();
    assert_ne!(before, started(&after));
    assert!(after.contains(counted), "{after}");

    // What rules and dashboard ask for, Prometheus understands.
    let rules = ask(&scene, &["rules"]);
    let groups = rules["data"]["groups"].as_array().unwrap();
    let rules: Vec<&Value> = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .collect();
    assert!(rules.len() > 10, "{rules:?}");
    for rule in rules {
        assert_ne!(rule["health"], "err", "{rule}");
    }
    for expression in shown() {
        let answer = ask(&scene, &["query", &expression]);
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
    }
}

#[test]
fn promtool_finds_nothing_and_a_file_has_the_same() {
    let scene = builder().with_daemon();
    scene.start(&[WEB]);
    scene.wait_state(WEB, "healthy");
    scene.kill(WEB);
    scene.wait_healed(WEB);
    const FILE: &str = "/var/lib/prunella.prom";
    scene.prunella_ok(&["metrics", "export", "--output", FILE]);
    let check = format!("/opt/test/promtool check metrics <{FILE}");
    scene.run_ok(&["sh", "-c", &check]).unwrap();
    let text = scene.read_file(FILE).unwrap();
    assert!(text.contains("\nprunella_daemon_running 1.0\n"), "{text}");
    assert!(!text.contains("agent_"), "nobody asked for these: {text}");
    // What the dashboard shows is there.
    let known: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    for expression in shown() {
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in words.filter(|word| word.starts_with("prunella_")) {
            let family = name.strip_suffix("_bucket").unwrap_or(name);
            // Nobody was told of anything here.
            let is_there = known.contains(family) || family.starts_with("prunella_messages");
            assert!(is_there, "{name} of {expression}");
        }
    }

    let open = scene.prunella_ok(&["metrics", "export", "--format", "openmetrics"]);
    assert!(open.ends_with("# EOF\n"), "{open}");

    let main = "[metrics]\nagent-names = true\n";
    scene
        .write_file("/etc/prunella/prunella.toml", main, 0o644)
        .unwrap();
    scene.systemctl(&["reload", "prunella.service"]).unwrap();
    let text = scene.prunella_ok(&["metrics", "export"]);
    for line in [
        "agent_incidents_total{service=\"web.service\"} 1",
        "agent_success_rate 1.0",
        "service_health_status{service=\"web.service\"} 1.0",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }

    // Nobody watches, and what was counted is still there.
    scene.systemctl(&["stop", "prunella.service"]).unwrap();
    let text = scene.prunella_ok(&["metrics", "export"]);
    for line in [
        "prunella_daemon_running 0.0",
        "prunella_service_health{unit=\"web.service\",state=\"unknown\"} 1.0",
        "prunella_incidents_total{unit=\"web.service\",kind=\"failure\"} 1",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn the_rules_tell_of_what_they_are_for() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("prunella.rules.yml", RULES),
        ("prunella.rules.test.yml", RULES_TEST),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let promtool = unpacked("prometheus").unwrap().join("usr/bin/promtool");
    for arguments in [
        ["check", "rules", "prunella.rules.yml"],
        ["test", "rules", "prunella.rules.test.yml"],
    ] {
        let done = Command::new(&promtool)
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    }
}

/// Writes each request down as the status that it answers with, its type, and its body in
/// hexadecimal. The status stands in a file.
const COLLECTOR: &str = r#"
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with open("/etc/collector-answers") as file:
            status = int(file.read())
        with open("/run/collector-got", "a") as got:
            got.write(f"{status} {self.path} {self.headers['content-type']} {body.hex()}\n")
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass

ThreadingHTTPServer(("127.0.0.1", 4318), Collector).serve_forever()
"#;

const ANSWERS: &str = "/etc/collector-answers";

/// What the collector got and answered so.
fn collected(scene: &Scene, status: &str) -> Vec<Vec<Span>> {
    if !scene.exists("/run/collector-got").unwrap() {
        return Vec::new();
    }
    let text = scene.read_file("/run/collector-got").unwrap();
    let of_status = text.lines().filter(|line| line.starts_with(status));
    of_status
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(words[1..3], ["/v1/traces", "application/x-protobuf"]);
            let hex = words[3].as_bytes().chunks(2);
            let bytes: Vec<u8> = hex
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect();
            let request = ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap();
            let resources = request.resource_spans.into_iter();
            let scopes = resources.flat_map(|of| of.scope_spans);
            scopes.flat_map(|of| of.spans).collect()
        })
        .collect()
}

fn wait_collected(scene: &Scene, status: &str, number: usize) -> Vec<Vec<Span>> {
    scene
        .wait_for(&format!("{number} traces"), 2 * TIMEOUT, || {
            let got = collected(scene, status);
            Ok((got.len() >= number).then_some(got))
        })
        .unwrap()
}

#[test]
fn a_collector_gets_each_incident_once_and_healing_does_not_wait_for_it() {
    let scene = Scene::builder()
        .file(
            "/etc/prunella/prunella.toml",
            "[telemetry]\ntraces-url = \"http://127.0.0.1:4318/v1/traces\"\n",
            0o644,
        )
        .file("/opt/test/collector.py", COLLECTOR, 0o755)
        .file(ANSWERS, "503", 0o644)
        .unit(
            "collector.service",
            "[Service]\nExecStart=/usr/bin/python3 /opt/test/collector.py\n",
        )
        .service(WEB, &victim("", "--listen 8080"), CARE)
        .with_daemon();
    scene.start(&[WEB, "collector.service"]);
    scene.wait_state(WEB, "healthy");
    assert!(collected(&scene, "").is_empty(), "nothing has happened");

    scene.kill(WEB);
    scene.wait_healed(WEB);
    let refused = wait_collected(&scene, "503", 1);
    scene.write_file(ANSWERS, "200", 0o644).unwrap();
    let taken = wait_collected(&scene, "200", 1).remove(0);
    assert_eq!(refused[0], taken, "it is the same trace");
    let root = taken.iter().find(|span| span.name == "incident").unwrap();
    for name in ["assess", "heal", "unit-control.start", "prove"] {
        let span = taken.iter().find(|span| span.name == name);
        let span = span.unwrap_or_else(|| panic!("{name} in {taken:#?}"));
        assert_eq!(span.trace_id, root.trace_id, "{name}");
        assert!(
            span.start_time_unix_nano >= root.start_time_unix_nano,
            "{name}"
        );
        assert!(
            span.start_time_unix_nano <= span.end_time_unix_nano,
            "{name}"
        );
        assert!(span.end_time_unix_nano <= root.end_time_unix_nano, "{name}");
    }

    // The next daemon knows what was sent.
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    scene.wait_state(WEB, "healthy");
    scene.kill(WEB);
    let traces = wait_collected(&scene, "200", 2);
    assert_eq!(traces.len(), 2);
    assert_ne!(traces[1][0].trace_id, root.trace_id);
}
