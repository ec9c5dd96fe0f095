//! The harness itself, without Prunella's doing: what it shows of a machine is
//! so.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

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
