//! A unit in care that somebody has masked, and another that needs it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Scene, TIMEOUT, victim};
use serde_json::Value;

use crate::receiver::{CONFIG, about, got, headline, is_resolved, kind, receiver, scene, text};

const DB: &str = "db.service";
const WEB: &str = "web.service";

/// The database was masked and has failed, and so has what needs it.
fn masked() -> Scene {
    let config = CONFIG.replace("[alerts]\n", "[alerts]\ninformation = [\"team\"]\n");
    let scene = scene()
        .file("/etc/prunella/prunella.toml", config, 0o644)
        .care(DB, "")
        .service(WEB, &victim("", ""), "depends-on = [\"db.service\"]\n")
        .without_daemon();
    // In /run, where a mask in /etc comes before it.
    scene
        .write_file("/run/systemd/system/db.service", victim("", ""), 0o644)
        .unwrap();
    scene.systemctl(&["daemon-reload"]).unwrap();
    scene.prunella_ok(&["setup"]);
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    receiver(&scene, "200");
    scene.start(&[DB, WEB]);
    scene.systemctl(&["mask", DB]).unwrap();
    scene.kill(DB);
    scene.wait_left_alone(DB, "masked");
    scene.kill(WEB);
    scene.wait_ended(WEB, "escalated");
    scene
}

#[test]
fn a_masked_unit_that_is_needed_is_never_said_to_be_well_or_to_need_nothing() {
    let scene = masked();
    let told = scene
        .wait_for("both to be told", TIMEOUT, || {
            let kinds = got(&scene);
            let has = |what| kinds.iter().any(|one| kind(one) == what);
            let both = has("prunella.information") && has("prunella.escalation");
            Ok(both.then(|| about(&scene, DB)))
        })
        .unwrap();
    for message in &told {
        assert!(!text(message).contains("Nothing to do now"), "{message}");
    }
    assert!(
        told.iter()
            .any(|one| text(one).contains("It stays down until somebody unmasks it.")),
        "{told:?}"
    );

    let status = scene.prunella_ok(&["status", "--json"]);
    let status: Value = serde_json::from_str(&status).unwrap();
    let needy: Vec<&Value> = status["needs_people"].as_array().unwrap().iter().collect();
    assert!(needy.iter().any(|one| one["unit"] == WEB), "{status}");
    let db = needy.iter().find(|one| one["unit"] == DB);
    let reason = db.unwrap()["reason"].as_str().unwrap();
    assert_eq!(reason, "it is masked, and web.service needs it");

    // What needs it can run without it after all.
    scene.start(&[WEB]);
    let end = scene
        .wait_for("its end", TIMEOUT, || {
            Ok(about(&scene, WEB).into_iter().find(is_resolved))
        })
        .unwrap();
    assert!(headline(&end).contains("web.service"), "{end}");
    assert!(!headline(&end).contains("db.service"), "{end}");
    assert!(!text(&end).contains("which is over"), "{end}");
    let status = scene.prunella_ok(&["status", "--json"]);
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["needs_people"], Value::Array(Vec::new()), "{status}");
}

#[test]
fn what_has_failed_while_it_was_masked_is_healed_once_it_is_unmasked() {
    let scene = masked();
    assert_eq!(scene.property(DB, "ActiveState").unwrap(), "failed");
    scene.systemctl(&["unmask", DB]).unwrap();
    let incident = scene.wait_healed(DB);
    assert_eq!(scene.only_incident_of(DB).id, incident.id);
    scene.wait_healed(WEB);
}
