//! Processors, tasks and disks, as a control group limits them.

use prunella_e2e::Scene;

use super::{
    MAIN, assert_always_well, greedy, have_rest, have_use, wait_ready, wait_symptom,
    wait_without_symptoms, with_greedy,
};
use crate::signals::wait_measured;

#[test]
fn a_quota_that_is_used_up_is_told_and_a_short_burst_is_not() {
    let limits = "[health]\n\
                  cpu = { degraded = \"80%\", clear = \"40%\", for = \"3s\" }\n\
                  throttled = { degraded = \"60%\", clear = \"30%\", for = \"3s\" }\n";
    let patient = "[health]\ncpu = { degraded = \"80%\", clear = \"40%\", for = \"5m\" }\n";
    let quota = "CPUQuota=40%";
    let scene = with_greedy(Scene::builder())
        .file("/etc/prunella/prunella.toml", MAIN, 0o644)
        .service("web.service", &greedy("web", quota), limits)
        .service("burst.service", &greedy("burst", quota), patient)
        .service(
            "idle.service",
            "[Service]\nCPUQuota=40%\nExecStart=/bin/sleep infinity\n",
            limits,
        )
        .with_daemon();
    scene.start(&["web.service", "burst.service", "idle.service"]);
    // Its start may take more than its quota.
    wait_ready(&scene, "web");
    wait_ready(&scene, "burst");
    scene.wait_state("web.service", "healthy");
    have_use(&scene, "web", "cpu");
    have_use(&scene, "burst", "cpu");

    let why = wait_symptom(&scene, "web.service", "throttled-permille");
    assert!(why.starts_with("it had used up its CPU quota in "), "{why}");
    assert!(
        why.ends_with(" % of all periods, with a limit of 60 %"),
        "{why}"
    );
    // By their control groups, and not added up over their processes.
    assert!(!why.contains("added up"), "{why}");
    let why = wait_symptom(&scene, "web.service", "cpu-permille");
    assert!(why.contains(" % of its CPU quota of 40 %"), "{why}");
    wait_measured(&scene, "burst.service", "cpu", 800);
    have_rest(&scene, "burst");
    have_rest(&scene, "web");

    // It does not run at all now: then it is not held back either.
    wait_without_symptoms(&scene, "web.service");
    assert_eq!(scene.runs("web.service"), 1);
    assert_always_well(&scene, "burst.service");
    assert_always_well(&scene, "idle.service");
}

#[test]
fn tasks_near_their_limit_and_a_disk_that_is_waited_for_are_told() {
    let tasks = "[health]\ntasks = { degraded = \"80%\", clear = \"50%\", for = \"2s\" }\n";
    let waits = "[health]\nio-pressure = { degraded = \"30%\", clear = \"10%\", for = \"2s\" }\n";
    let scene = with_greedy(Scene::builder())
        .file("/etc/prunella/prunella.toml", MAIN, 0o644)
        .service("forks.service", &greedy("forks", "TasksMax=20"), tasks)
        .service(
            "writes.service",
            &greedy("writes", "IOWriteBandwidthMax=/var/tmp 1M"),
            waits,
        )
        .with_daemon();
    scene.start(&["forks.service", "writes.service"]);
    wait_ready(&scene, "forks");
    wait_ready(&scene, "writes");
    have_use(&scene, "forks", "tasks 17");
    have_use(&scene, "writes", "write");

    let why = wait_symptom(&scene, "forks.service", "tasks-permille");
    assert!(
        why.starts_with("it has 90 % of the tasks it may have, with a limit"),
        "{why}"
    );
    let why = wait_symptom(&scene, "writes.service", "pressure-io-permille");
    assert!(why.starts_with("it waits for I/O "), "{why}");
    let written = wait_measured(&scene, "writes.service", "io-write", 256 << 10);
    // No more than it may, and what was let through in advance.
    let most = written
        .iter()
        .filter_map(|point| point["max"].as_u64())
        .max();
    assert!(most < Some(8 << 20), "{written:?}");

    have_rest(&scene, "forks");
    have_rest(&scene, "writes");
    scene.wait_state("forks.service", "healthy");
    scene.wait_state("writes.service", "healthy");
    assert_eq!(scene.runs("forks.service"), 1);
    assert_eq!(scene.runs("writes.service"), 1);
}
