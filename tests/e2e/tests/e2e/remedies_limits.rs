//! Limits of units, neighbours and zombies, without the kernel's controllers: what is declared
//! is done, comes back where it did not help, and is refused where it would harm.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Builder, Scene, TIMEOUT, victim};

const WEB: &str = "web.service";

/// Uses more than its operator wants, and a higher limit does not change that.
fn scene(declared: &str) -> Builder {
    let care = format!(
        "heal-degraded = [\"memory-relief\"]\n\
         [health]\nmemory-size = {{ degraded = \"20MiB\", clear = \"10MiB\", for = \"1s\" }}\n\
         [proof]\nstable-for = \"1s\"\n{declared}"
    );
    Scene::builder()
        .file(
            "/etc/prunella/prunella.toml",
            "[metrics]\ninterval = \"1s\"\n",
            0o644,
        )
        .service(
            WEB,
            "[Service]\nMemoryHigh=64M\nExecStart=/usr/bin/python3 -c \
             'import signal; held = b\"x\" * (40 << 20); signal.pause()'\n",
            &care,
        )
}

const ROOM: &str = "[[unit-limits]]\nname = \"room\"\n\
                    memory-high = { min = \"64MiB\", max = \"128MiB\", step = \"32MiB\" }\n";

#[test]
fn a_limit_that_did_not_help_goes_back_by_itself() {
    let scene = scene(ROOM).with_daemon();
    scene.start(&[WEB]);
    let incident = scene.wait_step(WEB, "undone", 4 * TIMEOUT);
    let record = scene.record(&incident);
    assert_eq!(record.acts(), ["unit-limits.raise"], "{}", record.text());
    let undone: Vec<_> = record.steps("undone").collect();
    assert_eq!(undone.len(), 1, "{}", record.text());
    assert_eq!(undone[0]["why"], "no-help");
    assert_eq!(scene.property(WEB, "MemoryHigh").unwrap(), "67108864");
    assert_eq!(scene.runs(WEB), 1);
}

#[test]
fn what_the_operator_set_meanwhile_stays() {
    let scene = scene(ROOM).with_daemon();
    scene.start(&[WEB]);
    scene.wait_step(WEB, "act-ended", 4 * TIMEOUT);
    scene
        .systemctl(&["set-property", "--runtime", WEB, "MemoryHigh=1G"])
        .unwrap();
    let incident = scene.wait_step(WEB, "undone", 4 * TIMEOUT);
    let record = scene.record(&incident);
    assert!(
        record.text().contains("it was set to 1 GiB since"),
        "{}",
        record.text()
    );
    assert_eq!(scene.property(WEB, "MemoryHigh").unwrap(), "1073741824");
}

#[test]
fn a_daemon_that_was_killed_in_between_leaves_the_old_limit() {
    let scene = scene(ROOM).with_daemon();
    scene.start(&[WEB]);
    scene.wait_step(WEB, "act-ended", 4 * TIMEOUT);
    scene
        .systemctl(&["kill", "--signal=KILL", "prunella.service"])
        .unwrap();
    scene.wait_step(WEB, "undone", 4 * TIMEOUT);
    assert_eq!(scene.property(WEB, "MemoryHigh").unwrap(), "67108864");
}

#[test]
fn a_limit_at_its_bound_and_a_kernel_that_cannot_reclaim_are_said() {
    let declared = "[[memory]]\nname = \"cache\"\nat-most = \"16MiB\"\n\
                    [[unit-limits]]\nname = \"room\"\n\
                    memory-high = { min = \"16MiB\", max = \"32MiB\" }\n";
    let scene = scene(declared).with_daemon();
    scene.start(&[WEB]);
    let incident = scene.wait_step(WEB, "watches", 4 * TIMEOUT);
    let record = scene.record(&incident);
    assert_eq!(record.acts(), Vec::<String>::new(), "{}", record.text());
    assert!(
        record
            .text()
            .contains("MemoryHigh of web.service is 64 MiB, and may be raised to 32 MiB"),
        "{}",
        record.text()
    );
    assert_eq!(scene.property(WEB, "MemoryHigh").unwrap(), "67108864");
}

#[test]
fn nobody_who_is_protected_or_critical_makes_way() {
    let declared = |name: &str, unit: &str| {
        format!(
            "[[offenders]]\nname = \"{name}\"\nunit = \"{unit}\"\nthrottle = {{ cpu-weight = 10 }}\n"
        )
    };
    let all = ["ssh.service", "api.service", "system.slice", WEB]
        .iter()
        .enumerate()
        .map(|(n, unit)| declared(&format!("one-{n}"), unit))
        .collect::<String>();
    let scene = Scene::builder()
        .service(WEB, &victim("", ""), &all)
        .service("api.service", &victim("", ""), "critical = true\n")
        .without_daemon();
    let checked = scene.prunella(&["config", "check"]);
    assert!(!checked.success());
    let said = format!("{}{}", checked.stdout, checked.stderr);
    for expected in [
        "`one-0` acts on ssh.service, which is protected",
        "`one-1` acts on api.service, which is critical",
        "system.slice holds what the host itself needs",
        "web.service cannot make way for itself",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}
