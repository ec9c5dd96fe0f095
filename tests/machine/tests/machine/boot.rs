//! The machine itself: what tests that use it rely on.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{path::Path, time::Duration};

use prunella_machine::{Machine, Systemd, TIMEOUT};

const SLEEPER: &str = "[Service]\nExecStart=/bin/sleep infinity\n";

#[test]
fn a_killed_service_is_failed() {
    let machine = Machine::builder()
        .unit("web.service", SLEEPER)
        .boot()
        .unwrap();
    machine.systemctl(&["start", "web.service"]).unwrap();
    machine.wait_active("web.service", TIMEOUT).unwrap();

    machine
        .systemctl(&["kill", "--signal=KILL", "web.service"])
        .unwrap();
    machine
        .wait_until("web.service", "failed", TIMEOUT)
        .unwrap();

    assert_eq!(machine.property("web.service", "Result").unwrap(), "signal");
    machine
        .wait_entry("the unit's failure", TIMEOUT, |entry| {
            entry["UNIT"] == "web.service" && entry["UNIT_RESULT"] == "signal"
        })
        .unwrap();
}

#[test]
fn commands_are_units_of_its_own_init_without_the_right_to_set_the_clock() {
    let machine = Machine::builder().boot().unwrap();

    let group = machine.run_ok(&["cat", "/proc/self/cgroup"]).unwrap();
    assert!(group.contains("/system.slice/"), "{group}");
    let answer = machine
        .run(&["sh", "-c", "echo out; echo err >&2; exit 3"])
        .unwrap();
    assert_eq!(answer.code, Some(3));
    assert_eq!(
        (answer.stdout.as_str(), answer.stderr.as_str()),
        ("out\n", "err\n")
    );
    let user = machine.run_with(&["User=nobody"], &["id", "-un"]).unwrap();
    assert_eq!(user.stdout, "nobody\n");

    assert!(
        !machine
            .run(&["date", "-s", "2001-01-01"])
            .unwrap()
            .success()
    );
}

#[test]
fn files_are_resolved_inside_the_machine() {
    let machine = Machine::builder()
        .file("/opt/a/first", "1", 0o640)
        .boot()
        .unwrap();
    assert_eq!(machine.read_file("/opt/a/first").unwrap(), "1");
    let mode = machine
        .run_ok(&["stat", "-c", "%a", "/opt/a/first"])
        .unwrap();
    assert_eq!(mode, "640\n");

    // Outside, /run/inside-only is no folder; inside it is one in memory.
    machine
        .run_ok(&["ln", "-s", "/run/inside-only", "/opt/link"])
        .unwrap();
    machine
        .write_file("/run/inside-only/x", "2", 0o600)
        .unwrap();
    machine.write_file("/opt/link/y", "3", 0o600).unwrap();
    assert_eq!(machine.read_file("/opt/link/x").unwrap(), "2");
    assert_eq!(machine.run_ok(&["cat", "/run/inside-only/y"]).unwrap(), "3");
    assert!(!Path::new("/run/inside-only").exists());

    machine.remove_file("/opt/link").unwrap();
    assert!(!machine.exists("/opt/link").unwrap());
    assert!(machine.read_file("/opt/link").is_err());
}

#[test]
fn a_reboot_keeps_the_disk_and_forgets_the_memory() {
    let mut machine = Machine::builder()
        .unit("web.service", SLEEPER)
        .enabled("web.service")
        .boot()
        .unwrap();
    let boot_id = |machine: &Machine| {
        machine
            .read_file("/proc/sys/kernel/random/boot_id")
            .unwrap()
    };
    machine.wait_active("web.service", TIMEOUT).unwrap();
    machine.write_file("/var/lib/kept", "kept", 0o600).unwrap();
    machine.write_file("/run/lost", "lost", 0o600).unwrap();
    let first = boot_id(&machine);

    machine.reboot().unwrap();

    assert_ne!(boot_id(&machine), first);
    assert_eq!(machine.boots(), 2);
    machine.wait_active("web.service", TIMEOUT).unwrap();
    assert_eq!(machine.read_file("/var/lib/kept").unwrap(), "kept");
    assert!(!machine.exists("/run/lost").unwrap());

    let second = boot_id(&machine);
    machine.power_cut().unwrap();
    assert_ne!(boot_id(&machine), second);
    machine.wait_active("web.service", TIMEOUT).unwrap();
    assert_eq!(machine.read_file("/var/lib/kept").unwrap(), "kept");
    // The journal was followed through all three boots.
    let started = |entry: &&serde_json::Value| {
        entry["UNIT"] == "web.service" && entry["MESSAGE_ID"] == "39f53479d3a045ac8e11786248231fbf"
    };
    machine
        .wait_for("three starts in the journal", TIMEOUT, || {
            let starts = machine.entries().iter().filter(started).count();
            Ok((starts == 3).then_some(()))
        })
        .unwrap();
}

#[test]
fn a_start_limit_that_reboots_really_reboots_the_machine() {
    let mut machine = Machine::builder()
        .unit(
            "fatal.service",
            "[Unit]\nStartLimitIntervalSec=60\nStartLimitBurst=1\nStartLimitAction=reboot\n\
             [Service]\nType=oneshot\nExecStart=/bin/false\n",
        )
        .boot()
        .unwrap();
    assert!(machine.systemctl(&["start", "fatal.service"]).is_err());
    // Whether this one is still answered is a race with the reboot.
    let _ = machine.try_systemctl(&["start", "fatal.service"]);
    machine.wait_reboot(1).unwrap();
    assert_eq!(machine.boots(), 2);
}

#[test]
fn machines_are_isolated_from_each_other() {
    let one = Machine::builder()
        .unit("web.service", SLEEPER)
        .boot()
        .unwrap();
    let mut two = Machine::builder()
        .unit("web.service", SLEEPER)
        .boot()
        .unwrap();
    assert_ne!(one.name(), two.name());
    one.systemctl(&["start", "web.service"]).unwrap();
    one.wait_active("web.service", TIMEOUT).unwrap();
    assert_eq!(
        two.property("web.service", "ActiveState").unwrap(),
        "inactive"
    );
    two.poweroff().unwrap();
    assert!(two.run(&["true"]).is_err());
    assert_eq!(
        one.property("web.service", "ActiveState").unwrap(),
        "active"
    );
}

#[test]
fn dropping_a_machine_leaves_nothing_behind() {
    let machine = Machine::builder().boot().unwrap();
    let root = machine.host_path("/").unwrap();
    assert!(root.join("etc/passwd").is_file());
    drop(machine);
    assert!(!root.exists());
}

#[test]
fn a_timeout_names_what_was_waited_for() {
    let machine = Machine::builder()
        .unit("web.service", SLEEPER)
        .boot()
        .unwrap();
    let error = machine
        .wait_active("web.service", Duration::from_millis(1))
        .unwrap_err();
    let shown = format!("{error:#}");
    assert!(shown.contains("web.service is inactive"), "{shown}");
}

#[test]
fn systemd_247() {
    boots(Systemd::V247);
}

#[test]
fn systemd_252() {
    boots(Systemd::V252);
}

#[test]
fn systemd_257() {
    boots(Systemd::V257);
}

fn boots(systemd: Systemd) {
    let version = systemd.version().unwrap();
    let mut machine = Machine::builder()
        .version(systemd)
        .unit("web.service", SLEEPER)
        .enabled("web.service")
        .boot()
        .unwrap();
    machine.wait_active("web.service", TIMEOUT).unwrap();
    let says = machine.systemctl(&["--version"]).unwrap();
    assert!(says.starts_with(&format!("systemd {version} ")), "{says}");
    assert_eq!(machine.run_ok(&["id", "-un"]).unwrap(), "root\n");
    machine.reboot().unwrap();
    machine.wait_active("web.service", TIMEOUT).unwrap();
}
