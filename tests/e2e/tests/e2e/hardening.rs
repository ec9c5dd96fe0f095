//! Everything that heals works from within the units as they are shipped.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use prunella_e2e::{Builder, Incident, Scene, TIMEOUT, victim};
use serde_json::Value;

/// Needs every kind of act at once: its port is held by a leftover of another
/// user, its file has a wrong mode, a link is missing, and a check has to run first.
fn scene() -> Builder {
    Scene::builder()
        .file("/opt/data/app.db", "data", 0o644)
        .file("/opt/web.conf", "a = b\n", 0o644)
        .service(
            "web.service",
            &victim(
                "User=www-data\nKillMode=process",
                "--listen 8080 --leave-child --read /opt/current --config /opt/web.conf",
            ),
            "ports = [\"tcp/8080\"]\n\
             [[file]]\nname = \"database\"\npath = \"/opt/data/app.db\"\nmode = \"0644\"\n\
             [[file]]\nname = \"release\"\npath = \"/opt/current\"\nrole = \"symlink\"\n\
             target = \"/opt/data/app.db\"\n\
             [[check]]\nname = \"config\"\nvalidates = true\n\
             command = [\"/opt/test/victim\", \"--config\", \"/opt/web.conf\", \"--check\"]\n",
        )
}

fn start(scene: &Scene) {
    let link = ["ln", "-s", "/opt/data/app.db", "/opt/current"];
    scene.run_ok(&link).unwrap();
    scene.start(&["web.service"]);
}

fn break_and_wait(scene: &Scene) -> Incident {
    let main = scene.main_pid("web.service").to_string();
    scene
        .run_ok(&["chmod", "0600", "/opt/data/app.db"])
        .unwrap();
    scene.remove_file("/opt/current").unwrap();
    scene.run_ok(&["kill", "-KILL", &main]).unwrap();
    let incident = scene.wait_healed("web.service");
    assert!(scene.answers(8080));
    let acts = scene.record(&incident).acts();
    for act in [
        "process-control.terminate",
        "file-repair.mode",
        "file-repair.target",
        "unit-control.start",
    ] {
        assert!(
            acts.iter().any(|one| one.starts_with(act)),
            "{act}: {acts:?}"
        );
    }
    incident
}

/// Nothing that Prunella wanted to do was forbidden, and it had no trouble of
/// its own.
fn assert_no_trouble(scene: &Scene, unit: &str) {
    let entries = scene
        .journal(&[
            "SYSLOG_IDENTIFIER=prunella",
            &format!("_SYSTEMD_UNIT={unit}"),
        ])
        .unwrap();
    assert!(!entries.is_empty());
    let text = |entry: &Value, field: &str| -> String {
        entry
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    for entry in &entries {
        let message = text(entry, "MESSAGE").to_lowercase();
        for forbidden in ["not permitted", "permission denied", "read-only", "cannot"] {
            assert!(!message.contains(forbidden), "{entry}");
        }
        let priority: u8 = text(entry, "PRIORITY").parse().unwrap();
        assert!(
            priority > 4 || entry.get("PRUNELLA_INCIDENT").is_some(),
            "{entry}"
        );
    }
}

#[test]
fn the_daemon_heals_from_within_its_unit() {
    let scene = scene().without_daemon();
    // All that is declared is there before the daemon looks.
    start(&scene);
    scene.prunella_ok(&["setup", "--without-hooks"]);
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    for (property, value) in [
        ("MemoryDenyWriteExecute", "yes"),
        ("ProtectSystem", "strict"),
        ("NoNewPrivileges", "yes"),
        ("RuntimeDirectoryPreserve", "yes"),
    ] {
        let now = scene.property("prunella.service", property).unwrap();
        assert_eq!(now, value, "{property}");
    }
    break_and_wait(&scene);
    assert_no_trouble(&scene, "prunella.service");

    // What has to outlive the daemon does.
    let kept = || {
        scene
            .run_ok(&["stat", "-c", "%n %i", "/run/prunella/lock/web.service"])
            .unwrap()
    };
    let before = kept();
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    assert_eq!(kept(), before);
    assert_no_trouble(&scene, "prunella.service");
}

#[test]
fn a_hook_heals_from_within_its_unit() {
    let scene = scene().with_hooks();
    start(&scene);
    break_and_wait(&scene);
    assert_no_trouble(&scene, "prunella-hook@web.service.service");
}

/// What no strategy has a call for, tried by a program in Prunella's place: control
/// groups, the kernel's settings, devices, the kernel's log, and files of others.
#[test]
fn the_hooks_sandbox_allows_no_change_to_the_kernel() {
    const TRY: &str = "/opt/test/try";
    // Prints the name of each that is possible.
    let script = "#!/bin/bash\n\
        try() { name=$1; shift; if \"$@\" 2>/dev/null; then echo \"$name\"; fi; }\n\
        write() { was=$(cat \"$1\") && echo \"$was\" > \"$1\"; }\n\
        try cgroup mkdir \"/sys/fs/cgroup/made-by-$$\"\n\
        try freeze write /sys/fs/cgroup/system.slice/web.service/cgroup.freeze\n\
        try setting write /proc/sys/net/ipv4/ip_forward\n\
        try adjust write \"/proc/$(systemctl show -P MainPID web.service)/oom_score_adj\"\n\
        try device mknod \"/run/prunella/device-$$\" c 1 3\n\
        try kmsg dd if=/dev/kmsg of=/dev/null iflag=nonblock count=1\n\
        try etc touch \"/etc/made-by-$$\"\n\
        try root touch \"/made-by-$$\"\n\
        echo tried\n";
    let scene = scene().file(TRY, script, 0o755).with_hooks();
    start(&scene);
    let possible = |unit: &str| -> Vec<String> {
        scene.systemctl(&["start", unit]).unwrap();
        scene.run_ok(&["journalctl", "--sync"]).unwrap();
        let entries = scene.journal(&[&format!("_SYSTEMD_UNIT={unit}")]).unwrap();
        entries
            .iter()
            .filter(|entry| entry.get("SYSLOG_IDENTIFIER").and_then(Value::as_str) == Some("try"))
            .filter_map(|entry| entry.get("MESSAGE")?.as_str().map(str::to_owned))
            .collect()
    };
    let instead = format!("[Service]\nExecStart=\nExecStart={TRY}\n");
    for unit in ["prunella-hook@.service", "prunella-sweep.service"] {
        let path = format!("/etc/systemd/system/{unit}.d/try.conf");
        scene.write_file(&path, &instead, 0o644).unwrap();
    }
    scene
        .write_file(
            "/etc/systemd/system/free.service",
            format!("[Service]\nType=oneshot\nExecStart={TRY}\n"),
            0o644,
        )
        .unwrap();
    scene.systemctl(&["daemon-reload"]).unwrap();

    // Without the units' sandbox these are possible, so it is the sandbox that
    // forbids them. Devices and the kernel's log the machine itself may forbid.
    let free = possible("free.service");
    for name in [
        "cgroup", "freeze", "setting", "adjust", "etc", "root", "tried",
    ] {
        assert!(free.iter().any(|one| one == name), "{name}: {free:?}");
    }
    for unit in [
        "prunella-hook@web.service.service",
        "prunella-sweep.service",
    ] {
        assert_eq!(possible(unit), ["tried"], "{unit}");
    }
}

#[test]
fn only_readers_of_the_journal_may_ask_and_only_root_may_act() {
    let scene = scene().with_daemon();
    start(&scene);
    let folder = "/run/prunella";
    let modes = scene
        .run_ok(
            &["stat", "-c", "%a %U:%G %n"]
                .into_iter()
                .chain([
                    folder,
                    "/run/prunella/control.sock",
                    "/run/prunella/status.sock",
                    "/var/lib/prunella",
                ])
                .collect::<Vec<_>>(),
        )
        .unwrap();
    assert_eq!(
        modes,
        "755 root:root /run/prunella\n\
         600 root:root /run/prunella/control.sock\n\
         660 root:systemd-journal /run/prunella/status.sock\n\
         700 root:root /var/lib/prunella\n"
    );

    let prunella = "/opt/prunella/prunella";
    let anybody = ["User=nobody"];
    let reader = ["User=nobody", "SupplementaryGroups=systemd-journal"];
    let status = scene.run_with(&reader, &[prunella, "status"]).unwrap();
    assert_eq!(status.code, Some(0), "{}{}", status.stdout, status.stderr);
    assert!(status.stdout.contains("web"), "{}", status.stdout);
    let refused = scene.run_with(&anybody, &[prunella, "status"]).unwrap();
    assert_ne!(refused.code, Some(0), "{}", refused.stdout);
    assert!(
        refused.stderr.contains("systemd-journal"),
        "{}",
        refused.stderr
    );
    let pause = [prunella, "pause", "web.service", "--reason", "x"];
    let refused = scene.run_with(&reader, &pause).unwrap();
    assert_ne!(refused.code, Some(0), "{}", refused.stdout);

    scene.kill("web.service");
    scene.wait_healed("web.service");
}
