//! Everything fails at once.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

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
    scene.systemctl(&kill).unwrap();

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
