//! The daemon is killed before every single write of its files in turn, and
//! each time the next one tells the truth and brings the service up.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use std::{collections::BTreeSet, path::PathBuf, process::Command};

use prunella_e2e::{Incident, Record, Scene, TIMEOUT, victim};
use rstest::rstest;
use serde_json::Value;

/// What tells the library when to strike.
const KILL_AT: &str = "/run/prunella/kill-at";

/// The library is put into the daemon, and nothing else is changed.
const DROP_IN: &str = "[Service]
Environment=LD_PRELOAD=/opt/test/killer.so
RestartSec=50ms
";

/// The leftover does not end by itself: it need not be waited for.
const MAIN: &str = r#"
[host-budget]
healings = 1000
[strategy.port-conflict.settings]
grace = "100ms"
"#;

/// Its port is held by a leftover of its own: it takes two acts, a termination
/// and a start, to heal it.
const CARE: &str = r#"
ports = ["tcp/8080"]
[proof]
stable-for = "100ms"
timeout = "20s"
[budget]
healings = 1000
window = "1h"
backoff = ["0s"]
"#;

/// `case` keeps tests apart that run side by side.
fn killer(case: usize) -> PathBuf {
    let library =
        std::env::temp_dir().join(format!("prunella-killer-{}-{case}.so", std::process::id()));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/killer.c");
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .args([source, "-ldl"])
        .status()
        .unwrap();
    assert!(made.success(), "cc cannot make {}", library.display());
    library
}

/// Two machines share the work.
#[rstest]
#[case::odd(1)]
#[case::even(2)]
fn a_daemon_killed_before_any_write_still_records_the_truth(#[case] first: usize) {
    let library = killer(first);
    let content = std::fs::read(&library).unwrap();
    let scene = Scene::builder()
        .bytes("/opt/test/killer.so", &content, 0o755)
        .file(
            "/etc/systemd/system/prunella.service.d/killer.conf",
            DROP_IN,
            0o644,
        )
        .file("/etc/prunella/prunella.toml", MAIN, 0o644)
        .service(
            "web.service",
            &victim("KillMode=process", "--listen 8080 --leave-child"),
            CARE,
        )
        .with_daemon();
    scene.start(&["web.service"]);

    let mut kills = 0;
    for round in 0.. {
        let at = first + 2 * round;
        let killed = strike(&scene, at, round);
        if !killed {
            break;
        }
        kills += 1;
        assert!(at < 400, "there is no end to it");
    }
    // A healing of two acts is written down in many steps.
    assert!(kills >= 10, "it was killed {kills} times only");
    let count = scene.incidents().len();
    assert_eq!(count, kills + 1, "each failure is one incident");
}

/// Has the service fail, and the daemon die before its `at`th write; true when
/// it died.
fn strike(scene: &Scene, at: usize, before: usize) -> bool {
    let runs = scene.runs("web.service");
    let daemon = scene.main_pid("prunella.service");
    scene.write_file(KILL_AT, format!("{at}\n"), 0o600).unwrap();
    let main = scene.main_pid("web.service").to_string();
    scene.run_ok(&["kill", "-KILL", &main]).unwrap();

    let what = format!("the truth about the failure in which write {at} kills the daemon");
    let mut last = Vec::new();
    let incident = scene
        .wait_for(&what, TIMEOUT, || {
            // While the daemon dies, nobody may answer.
            let Some(incidents) = listed(scene) else {
                return Ok(None);
            };
            last = incidents;
            let ended = last
                .iter()
                .all(|incident| incident.is("healed") || incident.is("recovered"));
            Ok((last.len() > before && ended).then(|| last[0].clone()))
        })
        .unwrap_or_else(|error| panic!("{error}: {last:#?}"));
    assert_eq!(last.len(), before + 1, "{last:#?}");
    scene.wait_active("prunella.service", TIMEOUT).unwrap();

    let killed = !scene.exists(KILL_AT).unwrap();
    let now = scene.main_pid("prunella.service");
    assert_eq!(killed, now != daemon, "write {at}: {daemon} and {now}");
    assert_eq!(
        scene.property("web.service", "ActiveState").unwrap(),
        "active"
    );
    assert!(scene.answers(8080));
    assert_eq!(
        scene.runs("web.service"),
        runs + 1,
        "write {at}: it was started once and not again"
    );
    let group = scene.property("web.service", "ControlGroup").unwrap();
    let group = format!("/sys/fs/cgroup{group}/cgroup.procs");
    let processes = scene.read_file(&group).unwrap();
    assert_eq!(
        processes.lines().count(),
        2,
        "write {at}: the new run and its child, and no leftover: {processes}"
    );
    is_true(at, &incident, &scene.record(&incident));
    if !killed {
        scene.remove_file(KILL_AT).unwrap();
    }
    killed
}

/// Does not start with a damaged cache, and makes a missing one anew.
const WITH_CACHE: &str = "[Unit]
StartLimitIntervalSec=0
[Service]
ExecStart=/bin/sh -c 'grep -qs damaged /var/cache/web/index && exit 1; echo good > /var/cache/web/index; exec sleep infinity'
";

/// Nothing but moving the cache aside heals it.
const CARE_FOR_CACHE: &str = r#"
strategies = ["cache-reset"]
[proof]
stable-for = "100ms"
timeout = "20s"
[budget]
healings = 1000
window = "1h"
backoff = ["0s"]
[[set-aside]]
name = "cache"
path = "/var/cache/web"
"#;

#[test]
fn a_daemon_killed_during_a_remedy_loses_nothing_and_heals() {
    let library = killer(3);
    let content = std::fs::read(&library).unwrap();
    let scene = Scene::builder()
        .bytes("/opt/test/killer.so", &content, 0o755)
        .file(
            "/etc/systemd/system/prunella.service.d/killer.conf",
            DROP_IN,
            0o644,
        )
        .file("/etc/prunella/prunella.toml", MAIN, 0o644)
        .file("/var/cache/web/index", "good", 0o644)
        .service("web.service", WITH_CACHE, CARE_FOR_CACHE)
        .with_daemon();
    scene.start(&["web.service"]);
    let mut kills = 0;
    for round in 0.. {
        let at = 1 + round;
        if !strike_remedy(&scene, at, round) {
            break;
        }
        kills += 1;
        assert!(at < 400, "there is no end to it");
    }
    assert!(kills >= 10, "it was killed {kills} times only");
}

/// Has the service fail with a damaged cache, and the daemon die before its `at`th write; true
/// when it died. Nothing of the cache is lost, whatever came in between.
fn strike_remedy(scene: &Scene, at: usize, before: usize) -> bool {
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    let damaged = format!("damaged in round {before}");
    let written = format!("echo '{damaged}' > /var/cache/web/index");
    scene.run_ok(&["sh", "-c", &written]).unwrap();
    scene.write_file(KILL_AT, format!("{at}\n"), 0o600).unwrap();
    // With a damaged cache it ends by itself.
    scene
        .run_ok(&["systemctl", "restart", "web.service"])
        .unwrap();
    let what = format!("the healing during which write {at} kills the daemon");
    let incident = scene
        .wait_for(&what, TIMEOUT, || {
            let Some(incidents) = listed(scene) else {
                return Ok(None);
            };
            let ended = incidents
                .iter()
                .all(|incident| incident.is("healed") || incident.is("recovered"));
            Ok((incidents.len() > before && ended).then(|| incidents[0].clone()))
        })
        .unwrap();
    let record = scene.record(&incident);
    let index = scene.read_file("/var/cache/web/index").unwrap();
    assert_eq!(index, "good\n", "write {at}: {}", record.text());
    let kept = scene
        .run_ok(&[
            "sh",
            "-c",
            &format!("grep -l '{damaged}' /var/cache/web.*/index"),
        ])
        .unwrap();
    assert_eq!(
        kept.lines().count(),
        1,
        "write {at}: {kept}{}",
        record.text()
    );
    let killed = !scene.exists(KILL_AT).unwrap();
    if !killed {
        scene.remove_file(KILL_AT).unwrap();
    }
    killed
}

fn listed(scene: &Scene) -> Option<Vec<Incident>> {
    let output = scene.prunella(&["incidents", "--json", "--limit", "1000"]);
    if !output.success() {
        return None;
    }
    let incidents = output.stdout.lines().map(Incident::from_line).collect();
    Some(incidents)
}

fn is_true(at: usize, incident: &Incident, record: &Record) {
    let actions = |kind| -> BTreeSet<u64> {
        record
            .steps(kind)
            .map(|step| step["action"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(
        actions("act-intended"),
        actions("act-ended"),
        "write {at}: every act has an end: {}",
        record.text()
    );
    let ends: Vec<&Value> = record.steps("ended").collect();
    assert_eq!(ends.len(), 1, "write {at}: {}", record.text());
    assert_eq!(
        ends[0]["ending"]["ended"].as_str(),
        incident.ended.as_deref(),
        "write {at}: the last step and the list say the same"
    );
    let starts = record
        .acts()
        .iter()
        .filter(|act| act.starts_with("unit-control.start"))
        .count();
    assert!(starts >= 1, "write {at}: {}", record.text());
    if incident.is("recovered") {
        // Nobody else was there to do it.
        let why = incident.why.as_deref().unwrap();
        assert!(
            why.contains("Prunella acted before it was interrupted"),
            "write {at}: {why}: {}",
            record.text()
        );
    } else {
        assert!(record.steps("proven").next().is_some(), "{}", record.text());
    }
}
