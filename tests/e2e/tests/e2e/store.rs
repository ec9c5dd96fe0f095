//! The incident store in trouble: healing goes on, people are told once, and a
//! working store is there again as soon as one can be.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};

use prunella_core::{
    Monotonic, Timestamp, UnitName,
    incident::{DetectedBy, Detection, Ending, Incident, IncidentId},
    trail::{Entry, Step},
};
use prunella_e2e::{Builder, Scene, TIMEOUT, victim};
use prunella_store::Store;
use serde_json::Value;

const FOLDER: &str = "/var/lib/prunella";
const STORE: &str = "/var/lib/prunella/prunella.db";

fn scene() -> Builder {
    Scene::builder().service(
        "web.service",
        &victim("", "--listen 8080"),
        "ports = [\"tcp/8080\"]\n[proof]\nstable-for = \"100ms\"\ntimeout = \"20s\"\n",
    )
}

fn with_daemon(scene: &Scene) {
    scene.prunella_ok(&["setup"]);
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    scene.start(&["web.service"]);
}

/// A store with a past: so long that not all of it is in anybody's memory.
fn a_long_past(incidents: u16) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prunella.db");
    let store = Store::open(&path).unwrap();
    // So lately that nothing of it is forgotten meanwhile.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let first = u64::try_from(now.as_millis()).unwrap() - u64::from(incidents) * 60_000;
    for number in 0..incidents {
        let at = first + u64::from(number) * 60_000;
        let detection = Detection {
            unit: UnitName::new("old.service").unwrap(),
            by: DetectedBy::Signal,
            at: Timestamp::from_millis(at),
            cause: "signal".into(),
            invocation: Some(format!("run-{number}")),
            exit_code: None,
            signal: Some("KILL".to_owned()),
            failed_monotonic: None,
            restarts_before: None,
            symptoms: Vec::new(),
            unusual: Vec::new(),
            follows: None,
            expected_work: None,
        };
        let incident = Incident {
            id: IncidentId::new(Timestamp::from_millis(at), number),
            key: detection.key("boot"),
            detection,
            attempt: 1,
            boot_id: "boot".to_owned(),
            parent: None,
        };
        let entry = Entry {
            incident: incident.id.clone(),
            number: 0,
            at: Timestamp::from_millis(at),
            monotonic: Monotonic::from_micros(1),
            attempt: 1,
            step: Step::Note {
                message: "x".repeat(2_000),
            },
        };
        store
            .open_incident_with(&incident, std::slice::from_ref(&entry))
            .unwrap();
        let ending = Ending::Recovered {
            by: "itself".to_owned(),
        };
        store
            .end(&incident.id, Timestamp::from_millis(at + 1), &ending)
            .unwrap();
    }
    drop(store);
    std::fs::read(&path).unwrap()
}

/// Has the service fail, and waits until it is healed: the journal tells, also
/// where the store does not.
fn fails_and_comes_back(scene: &Scene) {
    let healed = || {
        scene
            .entries()
            .iter()
            .filter_map(|entry| entry.get("MESSAGE").and_then(Value::as_str))
            .filter(|message| message.starts_with("web.service: healed by "))
            .count()
    };
    let before = healed();
    scene.kill("web.service");
    scene
        .wait_for("the service to be healed", TIMEOUT, || {
            Ok((healed() > before).then_some(()))
        })
        .unwrap();
    assert_eq!(
        scene.property("web.service", "ActiveState").unwrap(),
        "active"
    );
    assert!(scene.answers(8080));
}

/// What Prunella has said of its own, at the priority of errors.
fn errors(scene: &Scene) -> Vec<String> {
    scene
        .journal(&["SYSLOG_IDENTIFIER=prunella", "PRIORITY=3"])
        .unwrap()
        .iter()
        .filter(|entry| entry.get("PRUNELLA_INCIDENT").is_none())
        .filter_map(|entry| entry.get("MESSAGE").and_then(Value::as_str))
        .map(str::to_owned)
        .collect()
}

/// Waits until Prunella has told that of its store, and makes sure that it told
/// nothing else.
fn told_once(scene: &Scene, what: &str) {
    let mut last = Vec::new();
    scene
        .wait_for(&format!("an error about {what}"), TIMEOUT, || {
            last = errors(scene);
            Ok(last.iter().any(|error| error.contains(what)).then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error}: {last:#?}"));
    assert_eq!(last.len(), 1, "{last:#?}");
}

/// So many incidents of the service, all of them healed.
fn healed(scene: &Scene, count: usize) {
    let mut last = Vec::new();
    scene
        .wait_for(&format!("{count} healed incidents"), TIMEOUT, || {
            last = scene.incidents_of("web.service");
            let healed = last.iter().filter(|incident| incident.is("healed")).count();
            Ok((healed == count && last.len() == count).then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error}: {last:#?}"));
}

#[test]
fn a_full_disk_does_not_keep_a_service_down() {
    let scene = scene().without_daemon();
    scene.run_ok(&["mkdir", "-m", "0700", FOLDER]).unwrap();
    let mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "none"];
    scene
        .run_ok(&mount.into_iter().chain([FOLDER]).collect::<Vec<_>>())
        .unwrap();
    with_daemon(&scene);
    fails_and_comes_back(&scene);
    healed(&scene, 1);

    let fill = format!("of={FOLDER}/filler");
    let filled = scene.run(&["dd", "if=/dev/zero", &fill, "bs=4k"]).unwrap();
    assert!(filled.stderr.contains("No space left"), "{}", filled.stderr);
    fails_and_comes_back(&scene);
    fails_and_comes_back(&scene);
    told_once(&scene, "no space is left");
    let status = scene.prunella_ok(&["status"]);
    assert!(status.contains("no space is left"), "{status}");

    // With room again, what was done meanwhile is written down too.
    scene.remove_file(format!("{FOLDER}/filler")).unwrap();
    healed(&scene, 3);
    let status = scene.prunella_ok(&["status"]);
    assert!(!status.contains("no space is left"), "{status}");
}

#[test]
fn a_disk_that_becomes_read_only_does_not_keep_a_service_down() {
    let scene = scene().without_daemon();
    scene.run_ok(&["mkdir", "-m", "0700", FOLDER]).unwrap();
    let mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "none"];
    scene
        .run_ok(&mount.into_iter().chain([FOLDER]).collect::<Vec<_>>())
        .unwrap();
    with_daemon(&scene);
    fails_and_comes_back(&scene);
    healed(&scene, 1);

    // The files that are open for writing stand in the way of a remount, so
    // the daemon begins on the disk that is read-only.
    scene.systemctl(&["stop", "prunella.service"]).unwrap();
    scene
        .run_ok(&["mount", "-o", "remount,ro", FOLDER])
        .unwrap();
    scene.systemctl(&["start", "prunella.service"]).unwrap();
    fails_and_comes_back(&scene);
    fails_and_comes_back(&scene);
    told_once(&scene, "read-only");

    scene
        .run_ok(&["mount", "-o", "remount,rw", FOLDER])
        .unwrap();
    // The daemon's own view of the disk is as old as the daemon.
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    fails_and_comes_back(&scene);
    healed(&scene, 2);
}

/// Writes over the middle of the store, which stays open where it is.
fn damage(scene: &Scene, length: usize) {
    let store = format!("of={STORE}");
    let pages = length / 4096;
    let seek = format!("seek={}", pages / 8);
    let count = format!("count={}", pages * 3 / 4);
    let command = ["dd", "if=/dev/urandom", &store, "bs=4096", "conv=notrunc"];
    scene
        .run_ok(
            &command
                .into_iter()
                .chain([seek.as_str(), count.as_str()])
                .collect::<Vec<_>>(),
        )
        .unwrap();
}

fn set_aside(scene: &Scene) -> usize {
    let all = scene.run_ok(&["ls", FOLDER]).unwrap();
    all.lines()
        .filter(|name| name.starts_with("prunella.db.damaged-"))
        .filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm"))
        .count()
}

#[test]
fn damage_while_the_daemon_runs_begins_a_new_store() {
    let past = a_long_past(3_000);
    let scene = scene().bytes(STORE, &past, 0o600).without_daemon();
    scene.run_ok(&["chmod", "0700", FOLDER]).unwrap();
    with_daemon(&scene);
    let daemon = scene.main_pid("prunella.service");
    damage(&scene, past.len());

    fails_and_comes_back(&scene);
    // Whoever looks at the past makes the daemon find the damage, if healing
    // has not.
    scene.prunella(&["incidents", "--limit", "5000"]);
    scene.prunella(&["incidents", "export"]);
    told_once(&scene, "it is kept as");
    fails_and_comes_back(&scene);
    assert_eq!(set_aside(&scene), 1);
    assert_eq!(scene.main_pid("prunella.service"), daemon);
    let units: BTreeSet<String> = scene.incidents().into_iter().map(|one| one.unit).collect();
    assert_eq!(
        units,
        BTreeSet::from(["web.service".to_owned()]),
        "the past is in the old file"
    );
    assert_eq!(
        scene.wait_healed("web.service").ended.as_deref(),
        Some("healed")
    );
}

#[test]
fn damage_found_at_the_start_begins_a_new_store() {
    let past = a_long_past(50);
    let scene = scene().bytes(STORE, &past, 0o600).without_daemon();
    scene.run_ok(&["chmod", "0700", FOLDER]).unwrap();
    let store = format!("of={STORE}");
    scene
        .run_ok(&[
            "dd",
            "if=/dev/urandom",
            &store,
            "bs=4096",
            "count=1",
            "conv=notrunc",
        ])
        .unwrap();
    with_daemon(&scene);
    told_once(&scene, "it is kept as");
    fails_and_comes_back(&scene);
    healed(&scene, 1);
    assert_eq!(set_aside(&scene), 1);
}

#[test]
fn a_store_of_a_newer_version_is_left_as_it_is() {
    let mut past = a_long_past(5);
    // `user_version` in the file's head: see https://sqlite.org/fileformat.html
    past[60..64].copy_from_slice(&99_u32.to_be_bytes());
    let scene = scene().bytes(STORE, &past, 0o600).without_daemon();
    scene.run_ok(&["chmod", "0700", FOLDER]).unwrap();
    let sum = |scene: &Scene, path: &str| scene.run_ok(&["cksum", path]).unwrap();
    let before = sum(&scene, STORE);
    with_daemon(&scene);
    fails_and_comes_back(&scene);
    fails_and_comes_back(&scene);
    told_once(&scene, "version 99");
    assert_eq!(sum(&scene, STORE), before);
    assert_eq!(set_aside(&scene), 0);

    // As the error advises; a new one is begun without a restart.
    scene
        .run_ok(&["mv", STORE, "/var/lib/prunella/newer.db"])
        .unwrap();
    healed(&scene, 2);
}

#[test]
fn a_store_that_another_process_keeps_locked_is_not_waited_for_long() {
    let scene = scene().with_daemon();
    scene.start(&["web.service"]);
    fails_and_comes_back(&scene);
    healed(&scene, 1);
    let lock = "import sqlite3, time; c = sqlite3.connect('/var/lib/prunella/prunella.db', \
                isolation_level=None); c.execute('BEGIN IMMEDIATE'); print('locked', flush=True); \
                time.sleep(600)";
    scene
        .run_ok(&[
            "systemd-run",
            "--quiet",
            "--unit=locker.service",
            "python3",
            "-c",
            lock,
        ])
        .unwrap();
    scene
        .wait_entry("the lock", TIMEOUT, |entry| {
            entry.get("MESSAGE").and_then(Value::as_str) == Some("locked")
        })
        .unwrap();
    fails_and_comes_back(&scene);
    fails_and_comes_back(&scene);
    told_once(&scene, "another process kept the store busy");
    scene.systemctl(&["stop", "locker.service"]).unwrap();
    healed(&scene, 3);
}

#[test]
fn what_was_tried_is_shown_and_exported() {
    let scene = scene().with_daemon();
    scene.start(&["web.service"]);
    fails_and_comes_back(&scene);
    healed(&scene, 1);
    let shown = scene.prunella_ok(&["strategies", "--service", "web"]);
    assert!(shown.contains("web.service"), "{shown}");
    let lines = scene.prunella_ok(&["strategies", "--json"]);
    let all: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(all.len(), 1, "{lines}");
    assert_eq!(
        (&all[0]["strategy"], &all[0]["tries"], &all[0]["proofs"]),
        (&"service-restart".into(), &1.into(), &1.into())
    );

    let record = scene.prunella_ok(&[
        "incidents",
        "export",
        "--since",
        "1h",
        "--outcome",
        "healed",
    ]);
    let record: Value = serde_json::from_str(record.trim_end()).unwrap();
    assert_eq!(record["ending"]["strategy"], "service-restart");
    assert_eq!(record["steps"][0]["step"]["step"], "detected");
    let none = scene.prunella_ok(&["incidents", "export", "--until", "1h"]);
    assert_eq!(none, "");
    scene.prunella_ok(&["incidents", "export", "/root/all.jsonl"]);
    let mode = scene
        .run_ok(&["stat", "-c", "%a", "/root/all.jsonl"])
        .unwrap();
    assert_eq!(mode.trim(), "600");
}
