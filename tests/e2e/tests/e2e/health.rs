//! How services are: slow, failed, healed, stopped, paused, not known.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Builder, Scene, TIMEOUT, one_line, victim};
use serde_json::Value;

use crate::web::{self, BROKEN, SLOW, with_server};

/// Asked every second, with a limit that the slow answers are well beyond.
const CARE: &str = r#"
[health]
latency = { degraded = "400ms", clear = "300ms", for = "3s" }

[[probe]]
name = "front"
http = "http://127.0.0.1:8080/"
interval = "1s"
"#;

fn scene() -> Builder {
    let unit = web::unit(8080, &format!("ExecStartPre=/bin/rm -f {BROKEN}\n"));
    with_server(Scene::builder())
        .service("web.service", &unit, CARE)
        .service("bystander.service", &victim("", ""), "")
}

/// The states that a service came to, the oldest first.
fn states(detail: &Value) -> Vec<&str> {
    let changes = detail["transitions"].as_array().unwrap();
    let states = changes.iter().map(|change| change["to"].as_str().unwrap());
    states.rev().collect()
}

/// How long each state lasted before the next: milliseconds, and its name.
fn spans(detail: &Value) -> Vec<(&str, u64)> {
    let changes = detail["transitions"].as_array().unwrap();
    let at = |change: &Value| change["at"].as_u64().unwrap();
    let pairs = changes.windows(2).rev();
    pairs
        .map(|pair| (pair[1]["to"].as_str().unwrap(), at(&pair[0]) - at(&pair[1])))
        .collect()
}

#[test]
fn slow_answers_degrade_and_fast_ones_clear_and_nothing_is_done() {
    let scene = scene().with_daemon();
    scene.start(&["web.service", "bystander.service"]);
    scene.wait_state("web.service", "healthy");
    scene.write_file(SLOW, "", 0o644).unwrap();
    let slow = scene.wait_state("web.service", "degraded");
    let symptom = &slow["service"]["symptoms"][0];
    assert_eq!(symptom["metric"], "latency-ms", "{slow:#}");
    assert_eq!(symptom["threshold"], 400);
    assert!(symptom["value"].as_u64().unwrap() >= 600, "{symptom}");
    // For as long as it says, the answers were slow.
    let held = slow["service"]["since"].as_u64().unwrap() - symptom["since"].as_u64().unwrap();
    assert!(held >= 3_000, "{slow:#}");

    let status = scene.prunella_ok(&["status"]);
    assert!(status.contains("running, degraded"), "{status}");
    assert!(status.contains("Not well\n"), "{status}");
    let one = scene.prunella_ok(&["status", "web.service"]);
    assert!(one.contains("Health         degraded for "), "{one}");
    let list = scene.prunella_ok(&["health"]);
    assert!(list.lines().nth(1).unwrap().starts_with("host "), "{list}");
    let first = list.lines().nth(2).unwrap();
    assert!(first.starts_with("web "), "the worst first: {list}");
    assert!(first.contains("with a limit of 400 ms"), "{list}");
    assert!(scene.prunella_ok(&["health", "web"]).contains("Symptoms\n"));

    scene.remove_file(SLOW).unwrap();
    let well = scene.wait_state("web.service", "healthy");
    assert_eq!(well["service"]["symptoms"], Value::Array(Vec::new()));
    let all = states(&well);
    assert!(all.ends_with(&["degraded", "healthy"]), "{all:?}");
    let degraded = spans(&well).into_iter().rfind(|span| span.0 == "degraded");
    assert!(degraded.unwrap().1 >= 3_000, "{well:#}");

    scene.after_all_before("bystander.service");
    let all = scene.incidents_of("web.service");
    assert!(all.iter().all(|one| one.cause == "degraded"), "{all:?}");
    assert_eq!(scene.runs("web.service"), 1);
}

#[test]
fn a_hang_is_failed_then_recovering_then_healthy() {
    let scene = scene().with_daemon();
    scene.start(&["web.service"]);
    scene.wait_state("web.service", "healthy");
    scene.write_file(BROKEN, "", 0o644).unwrap();
    scene.wait_healed("web.service");
    let well = scene.wait_state("web.service", "healthy");
    let all = states(&well);
    assert!(
        all.ends_with(&["failed", "recovering", "healthy"]),
        "{all:?}"
    );
    let changes = well["transitions"].as_array().unwrap();
    let failed = changes.iter().find(|change| change["to"] == "failed");
    let symptom = &failed.unwrap()["symptom"];
    assert_eq!(symptom["metric"], "unanswered-in-a-row", "{well:#}");
    assert!(
        well["service"]["evidence"]
            .as_str()
            .unwrap()
            .contains("healed it"),
        "{well:#}"
    );
    assert_eq!(scene.incidents_of("web.service").len(), 1);
}

#[test]
fn a_crash_is_seen_without_a_probe() {
    let scene = Scene::builder()
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    scene.start(&["web.service"]);
    scene.wait_state("web.service", "healthy");
    scene.kill("web.service");
    scene.wait_healed("web.service");
    let well = scene.wait_state("web.service", "healthy");
    let all = states(&well);
    assert!(
        all.ends_with(&["failed", "recovering", "healthy"]),
        "{all:?}"
    );
}

#[test]
fn an_operators_stop_is_stopped_and_a_pause_paused() {
    let scene = scene().with_daemon();
    scene.start(&["web.service", "bystander.service"]);
    scene.wait_state("web.service", "healthy");
    scene.prunella_ok(&["pause", "web", "--for", "1h", "--reason", "a test"]);
    let paused = scene.wait_state("web.service", "paused");
    let why = paused["service"]["evidence"].as_str().unwrap();
    assert!(why.ends_with("a test"), "{why}");
    scene.prunella_ok(&["resume", "web"]);
    scene.wait_state("web.service", "healthy");

    scene.systemctl(&["stop", "web.service"]).unwrap();
    let stopped = scene.wait_state("web.service", "stopped");
    assert_eq!(stopped["service"]["evidence"], "an operator stopped it");
    scene.after_all_before("bystander.service");
    assert_eq!(scene.health("web.service")["service"]["state"], "stopped");
    assert!(
        scene
            .incidents_of("web.service")
            .iter()
            .all(|one| one.is("left-alone"))
    );
    assert_eq!(scene.runs("web.service"), 1);
    // What it was is not what it is: until the probe was answered again, or was a moment
    // ago, that is not known.
    scene.start(&["web.service"]);
    scene.wait_state("web.service", "healthy");
}

#[test]
fn a_probe_that_was_never_answered_leaves_it_unknown() {
    let probe = "[[probe]]\nname = \"front\"\ntcp = \"127.0.0.1:9090\"\ninterval = \"1s\"\n";
    let scene = Scene::builder()
        .unit("side.service", &victim("", "--listen 9090"))
        .service("web.service", &victim("", ""), probe)
        .service("bystander.service", &victim("", ""), "")
        .with_daemon();
    scene.start(&["web.service", "bystander.service"]);
    scene.wait_state("bystander.service", "healthy");
    let said = || {
        let detail = scene.health("web.service");
        let evidence = detail["service"]["evidence"].as_str().unwrap().to_owned();
        evidence.contains("never been answered").then_some(detail)
    };
    let unknown = scene.wait_for("that it was never answered", TIMEOUT, || Ok(said()));
    assert_eq!(unknown.unwrap()["service"]["state"], "unknown");
    let status = scene.prunella_ok(&["status"]);
    assert!(status.contains("web.service: unknown for "), "{status}");
    scene.after_all_before("bystander.service");
    let states: Vec<String> = states(&scene.health("web.service"))
        .into_iter()
        .map(str::to_owned)
        .collect();
    assert!(!states.contains(&"healthy".to_owned()), "{states:?}");
    assert!(!states.contains(&"failed".to_owned()), "{states:?}");
    assert!(scene.incidents_of("web.service").is_empty());

    scene.start(&["side.service"]);
    scene.wait_state("web.service", "healthy");
}

#[test]
fn health_outlives_the_daemon() {
    let scene = scene().with_daemon();
    scene.start(&["web.service"]);
    scene.wait_state("web.service", "healthy");
    scene.write_file(SLOW, "", 0o644).unwrap();
    let before = scene.wait_state("web.service", "degraded");

    scene.systemctl(&["stop", "prunella.service"]).unwrap();
    let dead = scene.health("web.service");
    assert_eq!(dead["last_known"], true);
    assert_eq!(dead["service"]["state"], "degraded");
    assert_eq!(dead["transitions"], before["transitions"]);
    let list = scene.prunella_ok(&["health"]);
    assert!(list.starts_with("No daemon runs: "), "{list}");

    // The one that comes next goes on where it was: that it is slow is old news.
    scene.systemctl(&["start", "prunella.service"]).unwrap();
    let asked = |detail: &Value| detail["service"]["probes"][0]["asked_at"].is_u64();
    let after = scene
        .wait_for("its probe to be asked again", TIMEOUT, || {
            let now = scene.health("web.service");
            Ok((now["last_known"] == false && asked(&now)).then_some(now))
        })
        .unwrap();
    assert_eq!(after["service"]["state"], "degraded", "{after:#}");
    assert_eq!(after["service"]["since"], before["service"]["since"]);
    assert_eq!(after["transitions"], before["transitions"]);
    scene.remove_file(SLOW).unwrap();
    scene.wait_state("web.service", "healthy");
    assert_eq!(scene.runs("web.service"), 1);
}

/// What a daemon knew in another boot is no evidence of this one.
#[test]
fn after_a_reboot_it_is_unknown_until_it_is_seen() {
    let mut scene = Scene::builder()
        .service(
            "web.service",
            &format!(
                "{}\n[Install]\nWantedBy=multi-user.target\n",
                victim("", "")
            ),
            "",
        )
        .enabled("web.service")
        .with_daemon();
    let before = scene.wait_state("web.service", "healthy");
    scene.machine.reboot().unwrap();
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    let after = scene
        .wait_for("it to be seen again", TIMEOUT, || {
            let now = scene.health("web.service");
            let is_well = now["service"]["state"] == "healthy" && now["last_known"] == false;
            Ok(is_well.then_some(now))
        })
        .unwrap();
    let last = &after["transitions"][0];
    assert_eq!(last["from"], "unknown", "{after:#}");
    assert!(last["at"].as_u64() > before["at"].as_u64(), "{after:#}");
    // And what was before is still known.
    let all = states(&after);
    assert!(all.starts_with(&states(&before)), "{all:?}");
}

#[test]
fn a_store_that_does_not_work_keeps_nothing_from_being_healed() {
    let scene = scene().with_daemon();
    scene.start(&["web.service"]);
    scene.wait_state("web.service", "healthy");
    // Another process holds the write lock.
    let hold = "import sqlite3, time\n\
                c = sqlite3.connect('/var/lib/prunella/prunella.db', isolation_level=None)\n\
                c.execute('BEGIN IMMEDIATE')\n\
                open('/run/test-held', 'w')\n\
                time.sleep(600)\n";
    scene
        .run_ok(&["systemd-run", "--unit=hold", "python3", "-c", hold])
        .unwrap();
    scene
        .wait_for("the store to be locked", TIMEOUT, || {
            Ok(scene.read_file("/run/test-held").ok())
        })
        .unwrap();
    scene.write_file(BROKEN, "", 0o644).unwrap();
    scene
        .wait_for("it to be restarted", 2 * TIMEOUT, || {
            Ok((scene.runs("web.service") == 2).then_some(()))
        })
        .unwrap();
    scene.systemctl(&["stop", "hold.service"]).unwrap();
    let well = scene.wait_state("web.service", "healthy");
    scene
        .wait_for("what was to be written", TIMEOUT, || {
            let now = scene.health("web.service");
            Ok(states(&now).contains(&"recovering").then_some(()))
        })
        .unwrap();
    assert_eq!(well["last_known"], false);
}

/// A crowd of processes, and that makes the host degraded.
const CROWD: &str = "[Service]\nExecStart=/bin/sh -c \
                     'for i in $(seq 300); do sleep infinity & done; wait'\n";

#[test]
fn a_host_that_is_flapping_is_said_once_and_as_often_as_the_operator_allows() {
    // Of what else the tests' own host is short of, nothing is asked.
    let main = "[metrics]\ninterval = \"1s\"\n[health.host]\ncpu = \"off\"\nmemory = \"off\"\n\
                disk = \"off\"\ninodes = \"off\"\nfile-handles = \"off\"\n\
                processes = { degraded = 250, clear = 200, for = \"0s\" }\n\
                flapping = { changes = 3, within = \"20m\" }\n";
    let scene = scene()
        .file("/etc/prunella/prunella.toml", main, 0o644)
        .unit("crowd.service", CROWD)
        .with_daemon();
    let said = || {
        let entries = scene.entries();
        let messages = entries
            .iter()
            .filter_map(|entry| entry.get("MESSAGE").and_then(Value::as_str));
        messages
            .filter(|message| message.contains("the host is flapping"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    scene.wait_state("--host", "healthy");
    scene.start(&["crowd.service"]);
    scene.wait_state("--host", "degraded");
    scene.systemctl(&["stop", "crowd.service"]).unwrap();
    let calm = scene.wait_state("--host", "healthy");
    assert!(calm["service"]["flapping"].is_null(), "{calm:#}");
    assert_eq!(said(), Vec::<String>::new());

    // The third change.
    scene.start(&["crowd.service"]);
    let flapping = scene.wait_state("--host", "degraded");
    assert_eq!(
        flapping["service"]["flapping"]["changes"], 3,
        "{flapping:#}"
    );
    let shown = one_line(&scene.prunella_ok(&["health", "--host"]));
    assert!(
        shown.contains("it is flapping: 3 changes within 20m"),
        "{shown}"
    );
    scene.systemctl(&["stop", "crowd.service"]).unwrap();
    let flapping = scene.wait_state("--host", "healthy");
    assert_eq!(
        flapping["service"]["flapping"]["changes"], 4,
        "{flapping:#}"
    );
    assert_eq!(
        said(),
        ["the host is flapping: 3 changes within 20m of its health"]
    );
}
