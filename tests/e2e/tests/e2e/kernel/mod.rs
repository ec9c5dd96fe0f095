//! On a kernel of its own, whose control groups have all controllers: what a container on a
//! host with version 1 control groups cannot have.
//!
//! Each machine is one test of several things, one after the other: it is interpreted, and
//! takes its time to begin.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

mod host;
mod load;
mod memory;
mod relief;

use prunella_e2e::{Builder, Scene, TIMEOUT};
use serde_json::Value;

/// Uses what it is told to: at SIGUSR1 what `/run/test-NAME` says, such as `memory 48`, and
/// nothing at SIGUSR2. In between it sleeps, and is not even woken.
const GREEDY: &str = r#"
import os, signal, subprocess, sys

name = sys.argv[1]
held, children = None, []

# Blocked, so that none is lost that comes before it is waited for.
told = {signal.SIGUSR1, signal.SIGUSR2}
signal.pthread_sigmask(signal.SIG_BLOCK, told)
open(f"/run/ready-{name}", "w").close()
while True:
    if signal.sigwait(told) == signal.SIGUSR2:
        held = None
        for child in children:
            child.kill()
            child.wait()
        children = []
        continue
    with open(f"/run/test-{name}") as file:
        what, much = (file.read().split() + [0])[:2]
    if what == "memory":
        held = b"x" * (int(much) << 20)
    elif what == "cache":
        path = f"/var/tmp/{name}"
        with open(path, "wb") as file:
            file.write(bytes(int(much) << 20))
            os.fsync(file.fileno())
        # What is read again and again is in use, for the kernel.
        for _ in range(4):
            with open(path, "rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass
    elif what == "tasks":
        children = [subprocess.Popen(["sleep", "infinity"]) for _ in range(int(much))]
    elif what == "zombies":
        children = [subprocess.Popen(["true"]) for _ in range(int(much))]
    elif what == "write":
        with open(f"/var/tmp/{name}", "wb", buffering=0) as file:
            while not signal.sigpending():
                os.pwrite(file.fileno(), bytes(1 << 18), 0)
                os.fsync(file.fileno())
    elif what == "cpu":
        while not signal.sigpending():
            pass
"#;

/// Every second, so that a test is short; and with time for strategies, whose processor is an
/// emulated one.
const MAIN: &str = "[metrics]\ninterval = \"1s\"\n[limits]\ncpu = \"20s\"\n";

/// A service that uses what it is told to; `service` are further lines of `[Service]`.
fn greedy(name: &str, service: &str) -> String {
    format!("[Service]\n{service}\nExecStart=/usr/bin/python3 /opt/test/greedy.py {name}\n")
}

fn with_greedy(builder: Builder) -> Builder {
    builder
        .own_kernel()
        .file("/opt/test/greedy.py", GREEDY, 0o755)
}

/// Waits until a service listens to what it is told: before that, a signal would end it.
#[track_caller]
fn wait_ready(scene: &Scene, name: &str) {
    let path = format!("/run/ready-{name}");
    scene
        .wait_for(&format!("{name} to be ready"), 2 * TIMEOUT, || {
            Ok(scene.exists(&path)?.then_some(()))
        })
        .unwrap();
}

/// Has a service use this, such as `memory 48`.
#[track_caller]
fn have_use(scene: &Scene, name: &str, what: &str) {
    let path = format!("/run/test-{name}");
    scene.write_file(path, what, 0o644).unwrap();
    scene.systemctl(&["kill", "--signal=USR1", name]).unwrap();
}

#[track_caller]
fn have_rest(scene: &Scene, name: &str) {
    scene.systemctl(&["kill", "--signal=USR2", name]).unwrap();
}

/// Waits until a service, or the host, has a symptom of this metric. Answers with its
/// sentence.
#[track_caller]
fn wait_symptom(scene: &Scene, of: &str, metric: &str) -> String {
    let mut last = Value::Null;
    scene
        .wait_for(&format!("{metric} of {of}"), 2 * TIMEOUT, || {
            last = scene.health(of);
            let symptoms = last["service"]["symptoms"].as_array().unwrap();
            let found = symptoms.iter().find(|one| one["metric"] == metric);
            Ok(found.map(|one| one["evidence"].as_str().unwrap().to_owned()))
        })
        .unwrap_or_else(|error| panic!("{error}: {last:#}"))
}

#[track_caller]
fn wait_without_symptoms(scene: &Scene, unit: &str) {
    let well = scene.wait_state(unit, "healthy");
    assert_eq!(
        well["service"]["symptoms"].as_array().map(Vec::len),
        Some(0)
    );
}

/// That a service was never anything but well.
#[track_caller]
fn assert_always_well(scene: &Scene, unit: &str) {
    let detail = scene.health(unit);
    let changes = detail["transitions"].as_array().unwrap();
    let is_ill = |change: &Value| change["to"] == "degraded" || change["to"] == "failed";
    assert!(!changes.iter().any(is_ill), "{detail:#}");
    assert!(scene.incidents_of(unit).is_empty());
    assert_eq!(scene.runs(unit), 1);
}
