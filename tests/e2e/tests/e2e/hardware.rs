//! What disks and GPUs say of themselves, by programs that stand in for the real ones: they
//! print what the real ones print.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Scene, TIMEOUT, victim};
use serde_json::Value;

const MAIN: &str = r#"
[metrics]
interval = "1s"
smart = "10s"
gpus = "10s"

[health.host]
gpu-temperature = { degraded = 80, clear = 70, for = "1s" }
"#;

/// As smartctl 7.3 prints it of an NVMe disk.
const SMARTCTL: &str = r#"#!/bin/sh
[ "$*" = "${*#*--nocheck=standby /dev/}" ] && exit 1
if [ -e /run/test-failing ]; then
    echo '{"json_format_version":[1,0],"smartctl":{"version":[7,3],"exit_status":8},"device":{"name":"/dev/nvme0","info_name":"/dev/nvme0","type":"nvme","protocol":"NVMe"},"smart_status":{"passed":false,"nvme":{"value":16}}}'
    exit 8
fi
echo '{"json_format_version":[1,0],"smartctl":{"version":[7,3],"exit_status":0},"device":{"name":"/dev/nvme0","info_name":"/dev/nvme0","type":"nvme","protocol":"NVMe"},"smart_status":{"passed":true,"nvme":{"value":0}}}'
"#;

/// As nvidia-smi prints GPUs, one of which has no ECC, and one that is lost.
const NVIDIA_SMI: &str = r#"#!/bin/sh
hot=41
[ -e /run/test-hot ] && hot=91
echo "00000000:3B:00.0, 35, 8080, 16160, $hot, 0"
echo "00000000:AF:00.0, 100, 24000, 24576, 63, [N/A]"
echo "00000000:D8:00.0, [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost]"
"#;

/// Where the daemon looks for programs.
fn path(folder: &str) -> String {
    format!("[Service]\nEnvironment=PATH={folder}:/nowhere\n")
}

const DROP_IN: &str = "/etc/systemd/system/prunella.service.d/path.conf";

fn evidence(detail: &Value) -> &str {
    detail["service"]["evidence"].as_str().unwrap()
}

/// The latest values of the host's metrics with such a name, by instance.
fn latest(scene: &Scene, metric: &str) -> Vec<(String, u64)> {
    let text = scene.prunella_ok(&["metrics", "host", "--json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    let all = report["metrics"].as_array().unwrap();
    all.iter()
        .filter(|one| one["metric"] == metric)
        .map(|one| {
            let instance = one["instance"].as_str().unwrap().to_owned();
            (instance, one["value"].as_u64().unwrap())
        })
        .collect()
}

#[track_caller]
fn wait_latest(scene: &Scene, metric: &str, is_it: impl Fn(&[(String, u64)]) -> bool) {
    let mut last = Vec::new();
    scene
        .wait_for(metric, TIMEOUT, || {
            last = latest(scene, metric);
            Ok((!last.is_empty() && is_it(&last)).then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error}: {last:?}"));
}

#[test]
fn a_disk_that_says_it_is_failing_is_told_and_so_is_a_hot_gpu() {
    let scene = Scene::builder()
        .file("/etc/prunella/prunella.toml", MAIN, 0o644)
        .file("/opt/test/bin/smartctl", SMARTCTL, 0o755)
        .file("/opt/test/bin/nvidia-smi", NVIDIA_SMI, 0o755)
        .file(DROP_IN, path("/opt/test/bin"), 0o644)
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    wait_latest(&scene, "disk-failing", |all| {
        all.iter().all(|one| one.1 == 0)
    });
    wait_latest(&scene, "gpu-temperature-celsius", |all| {
        *all == [("0000:3b:00".to_owned(), 41), ("0000:af:00".to_owned(), 63)]
    });
    let memory = latest(&scene, "gpu-memory-permille");
    assert_eq!(memory[0], ("0000:3b:00".to_owned(), 500));
    assert_eq!(
        latest(&scene, "gpu-ecc-errors"),
        [("0000:3b:00".to_owned(), 0)]
    );

    let is_of = |detail: &Value, metric: &str| {
        let symptoms = detail["service"]["symptoms"].as_array().unwrap();
        symptoms.iter().any(|one| one["metric"] == metric)
    };
    let before = scene.health("--host");
    assert!(!is_of(&before, "disk-failing"), "{before:#}");
    scene.write_file("/run/test-failing", "", 0o644).unwrap();
    let mut last = Value::Null;
    scene
        .wait_for("a disk to be failing", TIMEOUT, || {
            last = scene.health("--host");
            Ok(is_of(&last, "disk-failing").then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error}: {last:#}"));
    assert_eq!(last["service"]["state"], "degraded");
    let why = evidence(&last);
    assert!(
        why.starts_with("disk ") && why.ends_with(" says that it is failing (SMART)"),
        "{why}"
    );
    let symptom = &last["service"]["symptoms"][0];
    assert_eq!(symptom["level"], "critical", "{last:#}");

    scene.remove_file("/run/test-failing").unwrap();
    scene.write_file("/run/test-hot", "", 0o644).unwrap();
    scene
        .wait_for(
            "a GPU to be hot, and no disk to be failing",
            TIMEOUT,
            || {
                last = scene.health("--host");
                let is_it =
                    is_of(&last, "gpu-temperature-celsius") && !is_of(&last, "disk-failing");
                Ok(is_it.then_some(()))
            },
        )
        .unwrap_or_else(|error| panic!("{error}: {last:#}"));
    let text = scene.prunella_ok(&["health", "--host"]);
    assert!(text.contains("GPU 0000:3b:00 measures 91"), "{text}");
    assert!(scene.incidents().is_empty());
}

#[test]
fn nothing_runs_that_is_not_installed_or_that_is_not_roots() {
    let scene = Scene::builder()
        .file("/etc/prunella/prunella.toml", MAIN, 0o644)
        .file("/opt/test/bin/nvidia-smi", NVIDIA_SMI, 0o777)
        .file(DROP_IN, path("/opt/test/bin"), 0o644)
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    // By then they would have been asked.
    wait_latest(&scene, "disk-permille", |all| !all.is_empty());
    let points = |scene: &Scene| {
        let text = scene.prunella_ok(&["metrics", "host", "cpu", "--json"]);
        let history: Value = serde_json::from_str(&text).unwrap();
        history["series"][0]["points"]
            .as_array()
            .map_or(0, Vec::len)
    };
    scene
        .wait_for("some samples", TIMEOUT, || {
            Ok((points(&scene) > 3).then_some(()))
        })
        .unwrap();
    assert_eq!(latest(&scene, "disk-failing"), []);
    assert_eq!(latest(&scene, "gpu-permille"), []);
    let lines = scene.journal(&["_PID=1"]).unwrap();
    let has_run = |line: &Value| {
        let message = line["MESSAGE"].as_str().unwrap_or_default();
        message.contains("prunella-smart-") || message.contains("prunella-gpus-")
    };
    assert!(!lines.iter().any(has_run));
}
