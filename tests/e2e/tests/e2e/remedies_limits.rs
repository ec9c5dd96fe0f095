//! Limits of units, neighbours and zombies, without the kernel's controllers: what is declared
//! is done, comes back where it did not help, and is refused where it would harm.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Builder, Scene, TIMEOUT, victim};

use crate::web::{self, SLOW, with_server};

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
    assert_eq!(
        record.acts(),
        ["unit-limits.raise room"],
        "{}",
        record.text()
    );
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
fn what_a_daemon_lent_that_was_killed_goes_back_when_its_time_is_over() {
    let scene = scene(&format!("{ROOM}lease = \"30s\"\n")).with_daemon();
    scene.start(&[WEB]);
    scene.wait_step(WEB, "act-ended", 4 * TIMEOUT);
    scene
        .systemctl(&["kill", "--signal=KILL", "prunella.service"])
        .unwrap();
    let incident = scene.wait_step(WEB, "undone", 4 * TIMEOUT);
    let record = scene.record(&incident);
    let undone: Vec<_> = record.steps("undone").collect();
    assert_eq!(undone.len(), 1, "{}", record.text());
    assert_eq!(undone[0]["why"], "lease-over");
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

/// A service that is slow until a second instance of its application runs.
fn scaled(declared: &str) -> Scene {
    let care = format!(
        "heal-degraded = [\"scale\"]\n\
         [health]\nlatency = {{ degraded = \"400ms\", clear = \"300ms\", for = \"2s\" }}\n\
         [proof]\nstable-for = \"1s\"\n\
         [[probe]]\nname = \"front\"\nhttp = \"http://127.0.0.1:8080/\"\ninterval = \"1s\"\n\
         failure-threshold = 5\n\
         [[instances]]\nname = \"app\"\ntemplate = \"app@.service\"\nmax = 2\n{declared}\
         [[check]]\nname = \"drained\"\ncommand = [\"/usr/bin/test\", \"-e\", \"/run/drained\"]\n"
    );
    let app = format!(
        "[Service]\nExecStart=/bin/sh -c 'if [ %i = 2 ]; then rm -f {SLOW}; fi; exec sleep infinity'\n"
    );
    let scene = with_server(Scene::builder())
        .service(WEB, &web::unit(8080, ""), &care)
        .unit("app@.service", &app)
        .with_daemon();
    scene.start(&[WEB, "app@1.service"]);
    scene.wait_state(WEB, "healthy");
    scene
}

fn state(scene: &Scene, unit: &str) -> String {
    scene.property(unit, "ActiveState").unwrap()
}

#[test]
fn a_slow_service_gets_one_more_instance_which_is_drained_before_it_goes() {
    let scene = scaled("cooldown = \"1ms\"\ndrain = \"drained\"\n");
    scene.write_file(SLOW, "", 0o644).unwrap();
    let healed = scene.wait_healed(WEB);
    assert_eq!(healed.strategy.as_deref(), Some("scale"));
    let record = scene.record(&healed);
    assert_eq!(record.acts(), ["instances.up app"], "{}", record.text());
    assert_eq!(state(&scene, "app@2.service"), "active");
    assert_eq!(scene.runs(WEB), 1);

    let refused = scene.prunella(&["undo", &healed.id]);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(
        said.contains("it is not drained: check `drained` fails"),
        "{said}"
    );
    assert_eq!(state(&scene, "app@2.service"), "active");
    scene.write_file("/run/drained", "", 0o644).unwrap();
    let done = scene.prunella_ok(&["undo", &healed.id]);
    assert!(done.contains("stopped app@2.service"), "{done}");
    assert_eq!(state(&scene, "app@2.service"), "inactive");
    assert_eq!(state(&scene, "app@1.service"), "active");
}

#[test]
fn an_instance_that_was_added_goes_when_its_time_is_over() {
    let scene = scaled("cooldown = \"1ms\"\nlease = \"30s\"\n");
    scene.write_file(SLOW, "", 0o644).unwrap();
    let healed = scene.wait_healed(WEB);
    scene
        .wait_for("app@2.service to go", TIMEOUT, || {
            Ok((scene.property("app@2.service", "ActiveState")? == "inactive").then_some(()))
        })
        .unwrap();
    scene.wait_step(WEB, "undone", TIMEOUT);
    let record = scene.record(&healed);
    let undone: Vec<_> = record.steps("undone").collect();
    assert_eq!(undone.len(), 1, "{}", record.text());
    assert_eq!(undone[0]["why"], "lease-over");
    assert_eq!(state(&scene, "app@1.service"), "active");
}

#[test]
fn nothing_is_scaled_before_the_cooldown_is_over() {
    let scene = scaled("");
    scene.write_file(SLOW, "", 0o644).unwrap();
    let incident = scene.wait_step(WEB, "watches", 2 * TIMEOUT);
    let record = scene.record(&incident);
    assert_eq!(record.acts(), Vec::<String>::new(), "{}", record.text());
    assert!(
        record
            .text()
            .contains("an instance of app@.service was started less than 5m ago"),
        "{}",
        record.text()
    );
    assert_eq!(state(&scene, "app@2.service"), "inactive");
}

#[test]
fn nothing_is_scaled_during_a_package_upgrade() {
    let scene = scaled("cooldown = \"1ms\"\n");
    scene
        .run_ok(&[
            "systemd-run",
            "--unit=upgrade",
            "--property=Type=notify",
            "--property=NotifyAccess=all",
            "/usr/bin/python3",
            "-c",
            "import fcntl, os, subprocess, signal; \
             os.makedirs('/var/lib/dpkg', exist_ok=True); held = open('/var/lib/dpkg/lock', 'w'); \
             fcntl.lockf(held, fcntl.LOCK_EX); subprocess.run(['systemd-notify', '--ready']); \
             signal.pause()",
        ])
        .unwrap();
    scene.write_file(SLOW, "", 0o644).unwrap();
    let left = scene.wait_left_alone(WEB, "package-upgrade");
    let record = scene.record(&left);
    assert_eq!(record.acts(), Vec::<String>::new(), "{}", record.text());
    assert_eq!(state(&scene, "app@2.service"), "inactive");
    scene.systemctl(&["stop", "upgrade.service"]).unwrap();
    // It was only put off.
    scene.wait_healed(WEB);
    assert_eq!(state(&scene, "app@2.service"), "active");
}
