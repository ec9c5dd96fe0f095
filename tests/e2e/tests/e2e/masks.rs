//! Services that are masked: they are left alone as long as they are, and no longer, and
//! nobody is told that they are up.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Builder, Incident, Scene, TIMEOUT, one_line, victim};
use rstest::rstest;
use serde_json::Value;

use crate::receiver::{
    CONFIG, about, alert_group, got, headline, is_resolved, kind, receiver, scene as telling, text,
    units, wait_got,
};

const BYSTANDER: &str = "bystander.service";
const DB: &str = "db.service";
const WEB: &str = "web.service";

/// How Prunella is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Daemon,
    HookOnly,
}

/// With a database in /run, where a mask in /etc comes before it.
fn boot(builder: Builder, mode: Mode) -> Scene {
    let scene = builder
        .service(BYSTANDER, &victim("", ""), "")
        .care(DB, "")
        .without_daemon();
    scene
        .write_file(
            format!("/run/systemd/system/{DB}"),
            victim("", "--listen 6379"),
            0o644,
        )
        .unwrap();
    scene.systemctl(&["daemon-reload"]).unwrap();
    match mode {
        Mode::Daemon => {
            scene.prunella_ok(&["setup", "--without-hooks"]);
            scene.wait_active("prunella.service", TIMEOUT).unwrap();
        }
        Mode::HookOnly => {
            scene.prunella_ok(&["setup", "--hook-only"]);
            scene.prunella_ok(&["enable", DB, BYSTANDER]);
        }
    }
    scene.start(&[DB]);
    scene
}

/// The database fails while it is masked.
fn fail_masked(scene: &Scene, mode: Mode) -> Incident {
    scene.systemctl(&["mask", DB]).unwrap();
    scene.kill(DB);
    if mode == Mode::HookOnly {
        // Of a masked unit systemd knows no hook.
        scene.prunella_ok(&["sweep"]);
    }
    scene.wait_left_alone(DB, "masked")
}

#[track_caller]
fn is_left_as_it_was(scene: &Scene, before: &Incident) {
    let incident = scene.only_incident_of(DB);
    assert!(incident.is("left-alone"), "{incident:?}");
    assert_eq!(incident.attempt, before.attempt, "nothing is new");
    assert_eq!(scene.runs(DB), 1);
}

#[test]
fn what_failed_while_it_was_masked_is_healed_when_it_is_unmasked() {
    let scene = boot(Scene::builder(), Mode::Daemon);
    let left = fail_masked(&scene, Mode::Daemon);
    // After this the daemon looks at every service again.
    scene.systemctl(&["daemon-reload"]).unwrap();
    scene.after_all_before(BYSTANDER);
    is_left_as_it_was(&scene, &left);

    scene.systemctl(&["unmask", DB]).unwrap();
    let healed = scene.wait_healed(DB);
    assert_eq!(healed.id, left.id);
    scene.only_incident_of(DB);
    assert_eq!(scene.runs(DB), 2);
    assert!(scene.answers(6379));
}

#[test]
fn a_sweep_heals_what_failed_while_it_was_masked_and_is_not_any_more() {
    let scene = boot(Scene::builder(), Mode::HookOnly);
    let left = fail_masked(&scene, Mode::HookOnly);
    scene.prunella_ok(&["sweep"]);
    is_left_as_it_was(&scene, &left);

    scene.systemctl(&["unmask", DB]).unwrap();
    scene.prunella_ok(&["sweep"]);
    let healed = scene.wait_healed(DB);
    assert_eq!(healed.id, left.id);
    assert_eq!(scene.runs(DB), 2);
}

/// Whoever clears what has failed wants it to stay down.
#[test]
fn what_was_cleared_by_hand_while_it_was_masked_stays_down() {
    let scene = boot(Scene::builder(), Mode::Daemon);
    fail_masked(&scene, Mode::Daemon);
    scene.systemctl(&["reset-failed", DB]).unwrap();
    scene.systemctl(&["unmask", DB]).unwrap();
    scene.after_all_before(BYSTANDER);
    assert_eq!(scene.property(DB, "ActiveState").unwrap(), "inactive");
    assert_eq!(scene.runs(DB), 1);
}

#[rstest]
#[case::daemon(Mode::Daemon)]
#[case::hook_only(Mode::HookOnly)]
fn what_is_up_without_a_masked_cause_is_told_with_what_stays_down(#[case] mode: Mode) {
    let needs_db = "depends-on = [\"db.service\"]\n[[probe]]\nname = \"database\"\n\
                    redis = \"127.0.0.1:6379\"\nunit = \"db.service\"\ntimeout = \"1s\"\n";
    let scene = boot(
        telling().service(WEB, &victim("", "--listen 8080"), needs_db),
        mode,
    );
    receiver(&scene, "200");
    if mode == Mode::HookOnly {
        scene.prunella_ok(&["enable", WEB]);
    }
    scene.start(&[WEB]);
    fail_masked(&scene, mode);
    scene.kill(WEB);
    let escalation = wait_got(&scene, 1).remove(0);
    assert_eq!(kind(&escalation), "prunella.escalation", "{escalation}");
    assert_eq!(units(&escalation), [DB, WEB]);

    scene.start(&[WEB]);
    let end = scene
        .wait_for("its end", TIMEOUT, || {
            // As the timer does: what was handed to people is looked at when that is due.
            if mode == Mode::HookOnly {
                scene.prunella_ok(&["sweep"]);
            }
            Ok(about(&scene, WEB).into_iter().find(is_resolved))
        })
        .unwrap();
    assert_eq!(alert_group(&end), alert_group(&escalation));
    assert_eq!(kind(&end), "prunella.information", "{end}");
    assert!(
        headline(&end).contains("web.service is up again; db.service stays down: masked"),
        "{end}"
    );
    let text = one_line(text(&end));
    assert!(text.contains("systemctl unmask db.service"), "{text}");
    assert!(!text.contains("which is over"), "{text}");
    assert!(!text.contains("Resolved"), "{text}");
}

#[test]
fn a_masked_unit_that_is_needed_is_never_said_to_need_nothing() {
    let config = CONFIG.replace("[alerts]\n", "[alerts]\ninformation = [\"team\"]\n");
    let builder = telling()
        .file("/etc/prunella/prunella.toml", config, 0o644)
        .service(WEB, &victim("", ""), "depends-on = [\"db.service\"]\n");
    let scene = boot(builder, Mode::Daemon);
    receiver(&scene, "200");
    scene.start(&[WEB]);
    fail_masked(&scene, Mode::Daemon);
    scene.kill(WEB);
    scene.wait_ended(WEB, "escalated");
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
    let needy = needs_people(&scene);
    assert!(needy.iter().any(|one| one["unit"] == WEB), "{needy:?}");
    let db = needy.iter().find(|one| one["unit"] == DB);
    assert_eq!(
        db.unwrap()["reason"],
        "it is masked, and web.service needs it"
    );

    scene.systemctl(&["unmask", DB]).unwrap();
    scene.wait_healed(DB);
    scene.wait_healed(WEB);
    assert_eq!(needs_people(&scene), Vec::<Value>::new());
}

fn needs_people(scene: &Scene) -> Vec<Value> {
    let status = scene.prunella_ok(&["status", "--json"]);
    let status: Value = serde_json::from_str(&status).unwrap();
    status["needs_people"].as_array().unwrap().clone()
}
