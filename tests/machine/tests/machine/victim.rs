//! The misbehaving service: each misbehaviour that tests rely on.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use prunella_machine::{Linking, Machine, Profile, TIMEOUT, program};

const VICTIM: &str = "/opt/test/victim";

fn boot(units: &[(&str, &str)]) -> Machine {
    let victim = program("prunella-machine", "victim", Profile::Dev, Linking::Dynamic).unwrap();
    let mut builder = Machine::builder().bind_ro(victim, VICTIM);
    for (name, service) in units {
        builder = builder.unit(name, &format!("[Service]\n{service}\n"));
    }
    builder.boot().unwrap()
}

fn answers(machine: &Machine, port: u16) -> bool {
    let get =
        format!("exec 3<>/dev/tcp/127.0.0.1/{port}; echo GET >&3; read -t 5 line <&3; echo $line");
    machine
        .run(&["bash", "-c", &get])
        .unwrap()
        .stdout
        .starts_with("HTTP/1.1 200")
}

#[test]
fn it_answers_until_it_hangs_and_its_watchdog_bites() {
    let machine = boot(&[(
        "web.service",
        "Type=notify\nWatchdogSec=1\nExecStart=/opt/test/victim --listen 8080 --notify",
    )]);
    machine.systemctl(&["start", "web.service"]).unwrap();
    assert!(answers(&machine, 8080));
    machine
        .systemctl(&["kill", "--signal=USR1", "web.service"])
        .unwrap();
    machine
        .wait_until("web.service", "failed", TIMEOUT)
        .unwrap();
    assert_eq!(
        machine.property("web.service", "Result").unwrap(),
        "watchdog"
    );
}

#[test]
fn it_ends_when_told() {
    let machine = boot(&[
        (
            "file.service",
            "ExecStart=/opt/test/victim --exit-when /run/end --exit-code 7",
        ),
        (
            "time.service",
            "ExecStart=/opt/test/victim --exit-after 10 --exit-code 8",
        ),
        (
            "told.service",
            "ExecStart=/opt/test/victim --exit-after-in /opt/told --exit-code 9",
        ),
    ]);
    machine.write_file("/opt/told", "5\n", 0o644).unwrap();
    machine
        .systemctl(&["start", "file.service", "time.service", "told.service"])
        .unwrap();
    machine.wait_active("file.service", TIMEOUT).unwrap();
    machine.write_file("/run/end", "", 0o644).unwrap();
    for (unit, code) in [
        ("file.service", "7"),
        ("time.service", "8"),
        ("told.service", "9"),
    ] {
        machine.wait_until(unit, "failed", TIMEOUT).unwrap();
        assert_eq!(machine.property(unit, "ExecMainStatus").unwrap(), code);
    }
}

#[test]
fn it_fails_without_what_it_needs() {
    let machine = boot(&[
        (
            "file.service",
            "ExecStart=/opt/test/victim --need-file /opt/it",
        ),
        (
            "env.service",
            "EnvironmentFile=-/opt/env\nExecStart=/opt/test/victim --need-env KEY",
        ),
        (
            "config.service",
            "ExecStart=/opt/test/victim --config /opt/config",
        ),
        (
            "read.service",
            "User=nobody\nExecStart=/opt/test/victim --read /opt/secret",
        ),
        ("tcp.service", "ExecStart=/opt/test/victim --need-tcp 9000"),
    ]);
    let all = [
        "file.service",
        "env.service",
        "config.service",
        "read.service",
        "tcp.service",
    ];
    machine.write_file("/opt/env", "KEY=\n", 0o600).unwrap();
    machine
        .write_file("/opt/config", "a = b\nc\n", 0o644)
        .unwrap();
    machine.write_file("/opt/secret", "x", 0o600).unwrap();
    for unit in all {
        machine.systemctl(&["start", unit]).unwrap();
        machine.wait_until(unit, "failed", TIMEOUT).unwrap();
        assert_eq!(machine.property(unit, "ExecMainStatus").unwrap(), "1");
    }
    let check = machine
        .run(&[VICTIM, "--config", "/opt/config", "--check"])
        .unwrap();
    assert_eq!(check.code, Some(1));
    assert!(check.stderr.contains("/opt/config:2:"), "{}", check.stderr);

    machine.write_file("/opt/it", "", 0o644).unwrap();
    machine.write_file("/opt/env", "KEY=1\n", 0o600).unwrap();
    machine.write_file("/opt/config", "a = b\n", 0o644).unwrap();
    machine.write_file("/opt/secret", "x", 0o644).unwrap();
    machine
        .add_unit(
            "db.service",
            "[Service]\nExecStart=/opt/test/victim --notify --listen 9000\nType=notify\n",
        )
        .unwrap();
    machine.systemctl(&["start", "db.service"]).unwrap();
    for unit in all {
        machine.systemctl(&["start", unit]).unwrap();
        machine
            .wait_entry("it to be ready", TIMEOUT, |entry| {
                entry["_SYSTEMD_UNIT"] == unit && entry["MESSAGE"] == "victim: ready"
            })
            .unwrap();
    }
}

#[test]
fn a_child_keeps_the_port() {
    let machine = boot(&[(
        "web.service",
        "Type=notify\nKillMode=process\nExecStart=/opt/test/victim --notify --listen 8080 --leave-child",
    )]);
    machine.systemctl(&["start", "web.service"]).unwrap();
    let main = machine.property("web.service", "MainPID").unwrap();
    machine.run_ok(&["kill", "-KILL", &main]).unwrap();
    machine
        .wait_until("web.service", "failed", TIMEOUT)
        .unwrap();
    assert!(answers(&machine, 8080));
    assert!(machine.systemctl(&["start", "web.service"]).is_err());
    machine
        .wait_entry("the conflict", TIMEOUT, |entry| {
            entry["MESSAGE"]
                .as_str()
                .is_some_and(|text| text.contains("cannot listen on port 8080"))
        })
        .unwrap();
}

#[test]
fn it_can_fork_and_be_activated_by_a_socket() {
    let machine = boot(&[
        (
            "old.service",
            "Type=forking\nPIDFile=/run/old.pid\nExecStart=/opt/test/victim --listen 8081 --fork /run/old.pid",
        ),
        (
            "lazy.service",
            "StandardInput=socket\nStandardOutput=journal\nExecStart=/opt/test/victim --listen-stdin",
        ),
    ]);
    machine
        .add_unit("lazy.socket", "[Socket]\nListenStream=127.0.0.1:8082\n")
        .unwrap();
    machine
        .systemctl(&["start", "old.service", "lazy.socket"])
        .unwrap();
    assert!(answers(&machine, 8081));
    assert_eq!(
        machine.read_file("/run/old.pid").unwrap().trim(),
        machine.property("old.service", "MainPID").unwrap()
    );
    assert_eq!(
        machine.property("lazy.service", "ActiveState").unwrap(),
        "inactive"
    );
    assert!(answers(&machine, 8082));
    machine.wait_active("lazy.service", TIMEOUT).unwrap();
}
