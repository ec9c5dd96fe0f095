//! What comes before any healing: a machine in which nothing heals, and setup.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use prunella_core::policy::BUILTIN_STRATEGIES;
use prunella_e2e::{Scene, TIMEOUT, victim};

#[test]
fn nobody_heals_where_there_is_no_daemon() {
    let scene = Scene::builder()
        .service("web.service", &victim("", "--listen 8080"), "")
        .without_daemon();
    scene.start(&["web.service"]);
    assert!(scene.answers(8080));
    let first = scene.main_pid("web.service");
    assert_ne!(first, 0);

    scene.kill("web.service");
    scene.wait_until("web.service", "failed", TIMEOUT).unwrap();
    assert!(!scene.answers(8080));
    assert_eq!(scene.main_pid("web.service"), 0);
    assert_eq!(scene.runs("web.service"), 1);

    scene.systemctl(&["start", "web.service"]).unwrap();
    assert_ne!(scene.main_pid("web.service"), first);
    assert_eq!(scene.runs("web.service"), 2);
}

#[test]
fn setup_compiles_the_strategies_so_that_a_hook_need_not() {
    let scene = Scene::builder()
        .nothing_compiled()
        .service("web.service", &victim("", "--listen 8080"), "")
        .without_daemon();
    let all = BUILTIN_STRATEGIES.len();
    let would = scene.prunella_ok(&["setup", "--hook-only", "--dry-run"]);
    assert_eq!(would.matches("compiled").count(), all, "{would}");
    let said = scene.prunella_ok(&["setup", "--hook-only"]);
    assert_eq!(said.matches("compiled").count(), all, "{said}");
    // With the time that each was written at.
    let compiled = || {
        scene
            .run_ok(&["sh", "-c", "cd /var/cache/prunella && stat -c '%n %y' *"])
            .unwrap()
    };
    let before = compiled();
    assert_eq!(before.lines().count(), all, "{before}");

    scene.prunella_ok(&["enable", "web.service"]);
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.wait_healed("web.service");
    let again = scene.prunella_ok(&["setup", "--hook-only"]);
    assert!(!again.contains("compiled"), "{again}");
    assert_eq!(compiled(), before);
}
