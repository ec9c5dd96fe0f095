//! Limits that are moved, memory that is reclaimed, neighbours that make way and zombies that
//! are asked about: by systemd and the kernel, within what the operator declared.

use prunella_e2e::{Incident, Scene, TIMEOUT};

use super::{MAIN, greedy, have_rest, have_use, wait_ready, wait_symptom, with_greedy};

const MIB: u64 = 1 << 20;

/// Has children that end, and misses that they do; when it is told again, it asks.
const MISSES: &str = r#"
import os, signal

def ask(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass

told = {signal.SIGUSR1}
signal.pthread_sigmask(signal.SIG_BLOCK, told)
open("/run/ready-misses", "w").close()
signal.sigwait(told)
for _ in range(16):
    if os.fork() == 0:
        os._exit(0)
for _ in range(16):
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
signal.signal(signal.SIGCHLD, ask)
while True:
    signal.pause()
"#;

fn limit(scene: &Scene, unit: &str, property: &str) -> String {
    scene.property(unit, property).unwrap()
}

/// What stands in a file of a unit's control group.
fn group(scene: &Scene, path: &str) -> String {
    let text = scene.read_file(format!("/sys/fs/cgroup/{path}")).unwrap();
    text.trim().to_owned()
}

/// That a service was healed by this strategy, without a restart.
#[track_caller]
fn healed_by(scene: &Scene, unit: &str, strategy: &str) -> Incident {
    let healed = scene
        .wait_for(&format!("{unit} to be healed"), 6 * TIMEOUT, || {
            let all = scene.incidents_of(unit);
            Ok(all.into_iter().find(|one| one.is("healed")))
        })
        .unwrap();
    assert_eq!(healed.strategy.as_deref(), Some(strategy));
    assert_eq!(scene.runs(unit), 1);
    healed
}

#[test]
fn a_service_near_its_memory_limit_may_have_more_for_a_time() {
    let care = "heal-degraded = [\"memory-relief\", \"service-restart\"]\n\
                [health]\nmemory = { degraded = \"80%\", clear = \"70%\", for = \"2s\" }\n\
                [proof]\nstable-for = \"2s\"\n\
                [[memory]]\nname = \"cache\"\nat-most = \"32MiB\"\n\
                [[unit-limits]]\nname = \"room\"\nlease = \"10m\"\n\
                memory-high = { min = \"64MiB\", max = \"128MiB\", step = \"32MiB\" }\n";
    let scene = with_greedy(Scene::builder())
        .file("/etc/prunella/prunella.toml", MAIN, 0o644)
        .service("web.service", &greedy("web", "MemoryHigh=64M"), care)
        .service("reader.service", &greedy("reader", "MemoryHigh=64M"), care)
        .with_daemon();
    scene.start(&["web.service", "reader.service"]);
    wait_ready(&scene, "web");
    wait_ready(&scene, "reader");
    scene.wait_state("web.service", "healthy");
    // A cache of files is no reason to do anything.
    have_use(&scene, "reader", "cache 40");
    have_use(&scene, "web", "memory 50");

    let healed = healed_by(&scene, "web.service", "memory-relief");
    let record = scene.record(&healed);
    assert_eq!(
        record.acts(),
        ["memory.reclaim cache", "unit-limits.raise room"],
        "{}",
        record.text()
    );
    assert_eq!(
        limit(&scene, "web.service", "MemoryHigh"),
        (96 * MIB).to_string()
    );
    let high = group(&scene, "system.slice/web.service/memory.high");
    assert_eq!(high, (96 * MIB).to_string());
    let report = scene.report(&healed);
    assert!(
        report.contains("raise MemoryHigh of web.service from 64 MiB to 96 MiB"),
        "{report}"
    );
    // How much was reclaimed was measured.
    let reclaimed = record
        .steps("act-ended")
        .find_map(|step| step["receipt"]["measured"]["value"].as_u64());
    assert!(reclaimed.is_some(), "{}", record.text());

    have_rest(&scene, "web");
    let done = scene.prunella_ok(&["undo", &healed.id]);
    assert!(
        done.contains("set MemoryHigh of web.service back to 64 MiB"),
        "{done}"
    );
    assert_eq!(
        limit(&scene, "web.service", "MemoryHigh"),
        (64 * MIB).to_string()
    );
    assert!(scene.incidents_of("reader.service").is_empty());
    assert_eq!(
        limit(&scene, "reader.service", "MemoryHigh"),
        (64 * MIB).to_string()
    );
}

#[test]
fn a_neighbour_makes_way_and_a_quota_is_raised_until_their_time_is_over() {
    let waits = "heal-degraded = [\"cpu-relief\"]\n\
                 [health]\ncpu-pressure = { degraded = \"30%\", clear = \"15%\", for = \"2s\" }\n\
                 [proof]\nstable-for = \"2s\"\n\
                 [[offenders]]\nname = \"batch\"\nunit = \"batch.slice\"\n\
                 throttle = { cpu-weight = 1, cpu-quota = \"5%\" }\nlease = \"10m\"\n";
    let own = "heal-degraded = [\"cpu-relief\"]\n\
               [health]\nthrottled = { degraded = \"60%\", clear = \"30%\", for = \"2s\" }\n\
               cpu = \"off\"\n\
               [proof]\nstable-for = \"2s\"\n\
               [[unit-limits]]\nname = \"quota\"\nlease = \"10m\"\n\
               cpu-quota = { min = \"10%\", max = \"400%\" }\n";
    let scene = with_greedy(Scene::builder())
        .file("/etc/prunella/prunella.toml", MAIN, 0o644)
        .service("web.service", &greedy("web", ""), waits)
        .service("own.service", &greedy("own", "CPUQuota=10%"), own)
        .unit("batch.slice", "[Slice]\n")
        .unit(
            "batch.service",
            "[Service]\nSlice=batch.slice\n\
             ExecStart=/bin/sh -c 'for n in 1 2 3 4; do (while :; do :; done) & done; wait'\n",
        )
        .with_daemon();
    scene.start(&["web.service", "own.service"]);
    wait_ready(&scene, "web");
    wait_ready(&scene, "own");
    scene.wait_state("web.service", "healthy");
    scene.wait_state("own.service", "healthy");

    have_use(&scene, "own", "cpu");
    let healed = healed_by(&scene, "own.service", "cpu-relief");
    assert_eq!(scene.record(&healed).acts(), ["unit-limits.raise quota"]);
    assert_eq!(limit(&scene, "own.service", "CPUQuotaPerSecUSec"), "4s");
    have_rest(&scene, "own");

    scene.start(&["batch.service"]);
    have_use(&scene, "web", "cpu");
    let healed = healed_by(&scene, "web.service", "cpu-relief");
    let record = scene.record(&healed);
    assert_eq!(
        record.acts(),
        ["offenders.throttle batch"],
        "{}",
        record.text()
    );
    assert_eq!(limit(&scene, "batch.slice", "CPUWeight"), "1");
    assert_eq!(group(&scene, "batch.slice/cpu.weight"), "1");
    // Who it was is kept from before.
    assert!(
        record.text().contains("most processor time: sh ("),
        "{}",
        record.text()
    );
    have_rest(&scene, "web");
    scene.prunella_ok(&["undo", &healed.id]);
    assert_eq!(limit(&scene, "batch.slice", "CPUWeight"), "[not set]");
    assert_eq!(
        limit(&scene, "batch.slice", "CPUQuotaPerSecUSec"),
        "infinity"
    );
    assert_eq!(
        scene.property("batch.service", "ActiveState").unwrap(),
        "active"
    );
}

#[test]
fn a_frozen_neighbour_goes_on_when_its_time_is_over() {
    let main = format!("{MAIN}[oversight]\nallow = [\"offenders.freeze\"]\n");
    let care = "heal-degraded = [\"cpu-relief\"]\n\
                [health]\ncpu-pressure = { degraded = \"30%\", clear = \"15%\", for = \"2s\" }\n\
                [proof]\nstable-for = \"2s\"\n\
                [[offenders]]\nname = \"batch\"\nunit = \"batch.service\"\n\
                freeze = true\nlease = \"100s\"\n";
    let scene = with_greedy(Scene::builder())
        .file("/etc/prunella/prunella.toml", &main, 0o644)
        .service("web.service", &greedy("web", ""), care)
        .unit(
            "batch.service",
            "[Service]\n\
             ExecStart=/bin/sh -c 'for n in 1 2 3 4; do (while :; do :; done) & done; wait'\n",
        )
        .with_daemon();
    scene.start(&["web.service", "batch.service"]);
    wait_ready(&scene, "web");
    have_use(&scene, "web", "cpu");
    let healed = healed_by(&scene, "web.service", "cpu-relief");
    assert_eq!(scene.record(&healed).acts(), ["offenders.freeze batch"]);
    assert_eq!(
        group(&scene, "system.slice/batch.service/cgroup.freeze"),
        "1"
    );
    have_rest(&scene, "web");
    scene
        .wait_for("batch.service to go on", 6 * TIMEOUT, || {
            let frozen = group(&scene, "system.slice/batch.service/cgroup.freeze");
            Ok((frozen == "0").then_some(()))
        })
        .unwrap();
    let record = scene.record(&healed);
    let undone: Vec<_> = record.steps("undone").collect();
    assert_eq!(undone.len(), 1, "{}", record.text());
    assert_eq!(undone[0]["why"], "lease-over");
}

#[test]
fn zombies_are_asked_about_and_a_service_may_have_more_tasks() {
    let care = "heal-degraded = [\"process-relief\"]\n\
                [health]\ntasks = { degraded = \"80%\", clear = \"50%\", for = \"2s\" }\n\
                [proof]\nstable-for = \"2s\"\n\
                [[zombies]]\nname = \"children\"\nat-least = 10\n\
                [[unit-limits]]\nname = \"tasks\"\n\
                tasks-max = { min = 20, max = 60, step = 40 }\n";
    let scene = with_greedy(Scene::builder())
        .file("/etc/prunella/prunella.toml", MAIN, 0o644)
        .file("/opt/test/misses.py", MISSES, 0o755)
        .service(
            "misses.service",
            "[Service]\nTasksMax=20\nExecStart=/usr/bin/python3 /opt/test/misses.py\n",
            care,
        )
        .service("forks.service", &greedy("forks", "TasksMax=20"), care)
        .with_daemon();
    scene.start(&["misses.service", "forks.service"]);
    wait_ready(&scene, "misses");
    wait_ready(&scene, "forks");
    scene.wait_state("misses.service", "healthy");
    scene
        .systemctl(&["kill", "--signal=USR1", "misses.service"])
        .unwrap();
    let why = wait_symptom(&scene, "misses.service", "tasks-permille");
    assert!(why.contains(" % of the tasks it may have"), "{why}");
    let healed = healed_by(&scene, "misses.service", "process-relief");
    let record = scene.record(&healed);
    assert_eq!(
        record.acts(),
        ["zombies.reap children"],
        "{}",
        record.text()
    );
    let report = scene.report(&healed);
    assert!(report.contains("(16 processes)"), "{report}");
    assert_eq!(limit(&scene, "misses.service", "TasksMax"), "20");

    // Those run: none of them is ended.
    have_use(&scene, "forks", "tasks 17");
    let healed = healed_by(&scene, "forks.service", "process-relief");
    assert_eq!(scene.record(&healed).acts(), ["unit-limits.raise tasks"]);
    assert_eq!(limit(&scene, "forks.service", "TasksMax"), "60");
    assert_eq!(limit(&scene, "forks.service", "TasksCurrent"), "18");
}
