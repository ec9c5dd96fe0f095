//! Everything fails at once.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::Instant;

use prunella_e2e::{Scene, TIMEOUT, victim};

#[test]
fn a_hundred_services_that_fail_at_the_same_moment_are_all_healed() {
    let names: Vec<String> = (1..=100)
        .map(|number| format!("s@{number}.service"))
        .collect();
    let units: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut builder = Scene::builder().unit("s@.service", &victim("", ""));
    for unit in &units {
        builder = builder.care(unit, "");
    }
    let scene = builder.with_daemon();
    scene.start(&units);

    let mut kill = vec!["kill", "--signal=KILL"];
    kill.extend(&units);
    let killed = Instant::now();
    scene.systemctl(&kill).unwrap();

    // Figures for people, not for the test: machines differ.
    scene
        .wait_for("a hundred services to be up again", TIMEOUT * 3, || {
            let healed = scene.incidents();
            let up = healed.iter().filter(|i| i.recovered_after.is_some());
            Ok((up.count() == 100).then_some(()))
        })
        .unwrap();
    let slowest = scene
        .incidents()
        .iter()
        .filter_map(|incident| incident.recovered_after)
        .max()
        .unwrap();
    let daemon = scene.main_pid("prunella.service");
    let memory = scene.read_file(format!("/proc/{daemon}/status")).unwrap();
    let memory: Vec<&str> = memory
        .lines()
        .filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"))
        .collect();
    eprintln!(
        "the last of a hundred was up {} ms after its failure, all were seen healed after {} ms; {}",
        slowest.as_millis(),
        killed.elapsed().as_millis(),
        memory.join(", ").replace('\t', " ")
    );

    scene
        .wait_for("a hundred healings", TIMEOUT * 3, || {
            let healed = scene.incidents().iter().filter(|i| i.is("healed")).count();
            Ok((healed == 100).then_some(()))
        })
        .unwrap();
    assert_eq!(scene.incidents().len(), 100);
    for unit in units {
        assert_eq!(
            scene.property(unit, "ActiveState").unwrap(),
            "active",
            "{unit}"
        );
        assert_eq!(scene.runs(unit), 2, "{unit}");
    }
}
