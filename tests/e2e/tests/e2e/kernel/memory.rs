//! Memory that a control group limits, and swap.

use prunella_e2e::{Scene, TIMEOUT};

use super::{
    MAIN, assert_always_well, greedy, have_rest, have_use, wait_ready, wait_symptom,
    wait_without_symptoms, with_greedy,
};
use crate::signals::wait_measured;

const LIMITED: &str = "MemoryMax=64M";

const CARE: &str = "[health]\nmemory = { degraded = \"80%\", clear = \"60%\", for = \"3s\" }\n";

#[test]
fn a_limit_that_comes_near_is_told_and_the_cache_of_files_is_not_and_an_oom_kill_is_healed() {
    let scene = with_greedy(Scene::builder())
        .file("/etc/prunella/prunella.toml", MAIN, 0o644)
        .service("web.service", &greedy("web", LIMITED), CARE)
        .service("reader.service", &greedy("reader", LIMITED), CARE)
        .with_daemon();
    scene.start(&["web.service", "reader.service"]);
    wait_ready(&scene, "web");
    wait_ready(&scene, "reader");
    have_use(&scene, "reader", "cache 46");
    have_use(&scene, "web", "memory 48");

    let why = wait_symptom(&scene, "web.service", "memory-permille");
    assert!(why.starts_with("it uses 8"), "{why}");
    // By its control group, and not added up over its processes.
    assert!(
        why.ends_with(" % of its memory limit of 64 MiB, with a limit of 80 %"),
        "{why}"
    );
    scene.wait_state("web.service", "degraded");

    // The group of the other one is as full, of files that it reads.
    let current = "/sys/fs/cgroup/system.slice/reader.service/memory.current";
    scene
        .wait_for("the cache to fill", TIMEOUT, || {
            let bytes: u64 = scene.read_file(current)?.trim().parse()?;
            Ok((bytes > 52 << 20).then_some(()))
        })
        .unwrap();

    have_rest(&scene, "web");
    wait_without_symptoms(&scene, "web.service");
    assert_eq!(scene.runs("web.service"), 1);
    let told = scene.only_incident_of("web.service");
    assert_eq!(told.cause, "degraded", "{told:?}");
    assert_always_well(&scene, "reader.service");

    have_use(&scene, "web", "memory 200");
    let healed = scene.wait_healed("web.service");
    assert_eq!(healed.strategy.as_deref(), Some("service-restart"));
    let report = scene.report(&healed);
    assert!(
        report.contains("The kernel's OOM killer killed it"),
        "{report}"
    );
    assert!(report.contains("MemoryMax"), "{report}");
    assert_eq!(scene.runs("web.service"), 2);
    scene.wait_state("web.service", "healthy");
}

#[test]
fn what_is_swapped_out_is_told_of_service_and_host() {
    let main = format!(
        "{MAIN}[health.host]\nswap = {{ degraded = \"40%\", clear = \"30%\", for = \"2s\" }}\n"
    );
    let care = "[health]\nmemory = \"off\"\n\
                swap = { degraded = \"30MiB\", clear = \"20MiB\", for = \"2s\" }\n\
                memory-pressure = { degraded = \"2%\", clear = \"1%\", for = \"1s\" }\n";
    let scene = with_greedy(Scene::builder())
        .file("/etc/prunella/prunella.toml", &main, 0o644)
        .service("web.service", &greedy("web", "MemoryHigh=24M"), care)
        .with_daemon();
    let swap = "fallocate -l 96M /swap && chmod 600 /swap && mkswap -q /swap && swapon /swap";
    scene.run_ok(&["sh", "-c", swap]).unwrap();
    scene.start(&["web.service"]);
    wait_ready(&scene, "web");
    scene.wait_state("--host", "healthy");
    have_use(&scene, "web", "memory 80");

    let why = wait_symptom(&scene, "web.service", "swap-bytes");
    assert!(why.contains(" MiB of its memory are swapped out"), "{why}");
    let why = wait_symptom(&scene, "--host", "swap-permille");
    assert!(why.contains(" % of the swap is in use"), "{why}");
    wait_measured(&scene, "web.service", "pressure-memory", 20);
    wait_measured(&scene, "host", "pressure-memory", 20);

    have_rest(&scene, "web");
    scene.wait_state("web.service", "healthy");
    scene.wait_state("--host", "healthy");
    assert_eq!(scene.runs("web.service"), 1);
}
