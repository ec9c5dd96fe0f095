//! A machine with a kernel of its own.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use prunella_machine::{Machine, TIMEOUT};

#[test]
fn it_has_all_controllers_and_does_what_a_container_can() {
    let machine = Machine::builder()
        .own_kernel()
        .file("/opt/test/file", "1", 0o640)
        .bind_ro("/etc/hostname", "/opt/test/bound")
        .unit(
            "web.service",
            "[Service]\nMemoryMax=32M\nExecStart=/bin/sleep infinity\n",
        )
        .boot()
        .unwrap();
    let controllers = machine.read_file("/sys/fs/cgroup/cgroup.controllers");
    for controller in ["cpu", "io", "memory", "pids"] {
        assert!(
            controllers.as_ref().unwrap().contains(controller),
            "{controllers:?}"
        );
    }
    assert!(machine.exists("/opt/test/bound").unwrap());
    let mode = ["stat", "-c", "%a %s", "/opt/test/file"];
    assert_eq!(machine.run_ok(&mode).unwrap(), "640 1\n");

    machine.systemctl(&["start", "web.service"]).unwrap();
    machine.wait_active("web.service", TIMEOUT).unwrap();
    let limit = "/sys/fs/cgroup/system.slice/web.service/memory.max";
    assert_eq!(machine.read_file(limit).unwrap(), "33554432\n");
    machine
        .systemctl(&["kill", "--signal=KILL", "web.service"])
        .unwrap();
    machine
        .wait_until("web.service", "failed", TIMEOUT)
        .unwrap();
    machine
        .wait_entry("the unit's failure", TIMEOUT, |entry| {
            entry["UNIT"] == "web.service" && entry["UNIT_RESULT"] == "signal"
        })
        .unwrap();

    let answer = machine
        .run(&["sh", "-c", "echo out; echo err >&2; exit 3"])
        .unwrap();
    assert_eq!(answer.code, Some(3));
    assert_eq!(
        (answer.stdout.as_str(), answer.stderr.as_str()),
        ("out\n", "err\n")
    );
    machine.write_file("/run/a/b", [0, 255], 0o600).unwrap();
    let size = machine.run_ok(&["stat", "-c", "%a %s", "/run/a/b"]);
    assert_eq!(size.unwrap(), "600 2\n");
    machine.remove_file("/run/a/b").unwrap();
    assert!(!machine.exists("/run/a/b").unwrap());
    let error = machine.read_file("/run/a/b").unwrap_err();
    assert!(format!("{error:#}").contains("/run/a/b"), "{error:#}");
}

#[test]
fn what_one_has_done_no_other_one_sees() {
    let boot = || Machine::builder().own_kernel().boot().unwrap();
    let one = boot();
    one.write_file("/var/mine", "1", 0o644).unwrap();
    let two = boot();
    assert!(!two.exists("/var/mine").unwrap());
    let random = ["cat", "/proc/sys/kernel/random/uuid"];
    assert_ne!(one.run_ok(&random).unwrap(), two.run_ok(&random).unwrap());
    drop(one);
    assert_eq!(two.run_ok(&["id", "-un"]).unwrap(), "root\n");
}
