//! One failure is one incident, whoever notices it and whichever of its runs they look at,
//! and people are told who is at work on it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Scene, TIMEOUT, ends_while, one_line, victim, victim_with};

use crate::receiver::{about, headline, kind, receiver, scene_telling_after, text, wait_got};

const WEB: &str = "web.service";
const BYSTANDER: &str = "bystander.service";
const EXPIRED: &str = "/run/expired";

/// A service that runs, and ends at each start once its licence has expired.
fn licensed(restart: &str) -> String {
    let end = "echo \"FATAL: the license is expired\"; exit 7";
    ends_while(EXPIRED, end, restart)
}

/// A service that needs a file, and that systemd gives up on after some starts.
fn limited() -> String {
    victim_with(
        "StartLimitBurst=7\nStartLimitIntervalSec=1h",
        "Restart=always\nRestartSec=100ms",
        "--need-file /opt/it",
    )
}

#[test]
fn hook_sweep_and_order_go_on_with_one_incident() {
    let scene = Scene::builder()
        .service(
            WEB,
            &victim("", "--need-file /opt/it"),
            "[budget]\nhealings = 1\nwindow = \"10m\"\nbackoff = [\"0s\"]\n",
        )
        .with_hooks();
    assert!(scene.systemctl(&["start", WEB]).is_err());
    let escalated = scene.wait_ended(WEB, "escalated");
    scene.wait_hook(WEB);
    // The run that Prunella started has failed last, and not the one that the hook told of.
    let runs = scene.runs(WEB);
    assert_eq!(runs, 2);
    scene.prunella_ok(&["sweep"]);
    let incident = scene.only_incident_of(WEB);
    assert!(incident.is("escalated"), "{incident:?}");
    assert_eq!(scene.runs(WEB), runs);

    // What fails anew meanwhile goes on with it, too.
    assert!(scene.systemctl(&["start", WEB]).is_err());
    scene.wait_hook(WEB);
    scene.prunella_ok(&["sweep"]);
    scene.only_incident_of(WEB);

    scene.write_file("/opt/it", "", 0o644).unwrap();
    scene.prunella_ok(&["heal", WEB]);
    let healed = scene.wait_healed(WEB);
    assert_eq!(healed.id, escalated.id);
    assert_eq!(scene.incidents_of(WEB).len(), 1);

    // The next failure is another one.
    scene.kill(WEB);
    scene
        .wait_for("the next incident", TIMEOUT, || {
            let incidents = scene.incidents_of(WEB);
            Ok((incidents.len() == 2).then_some(()))
        })
        .unwrap();
}

#[test]
fn a_start_limit_that_is_respected_is_one_incident_however_often_it_is_looked_at() {
    let scene = Scene::builder()
        .service(BYSTANDER, &victim("", ""), "")
        .service(WEB, &limited(), "start-limit = \"respect\"\n")
        .with_daemon();
    scene.systemctl(&["start", "--no-block", WEB]).unwrap();
    let incident = scene.wait_left_alone(WEB, "start-limit");
    let report = one_line(&scene.report(&incident));
    assert!(
        report.contains("To do: Remove the cause, then clear the start limit and start it."),
        "{report}"
    );
    // After this the daemon looks at every service again; and so does another one.
    scene.systemctl(&["daemon-reload"]).unwrap();
    scene.after_all_before(BYSTANDER);
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    scene.after_all_before(BYSTANDER);
    scene.only_incident_of(WEB);
}

#[test]
fn a_restart_of_the_daemon_starts_nothing_anew_that_people_have_to_see_to() {
    let scene = Scene::builder()
        .service(BYSTANDER, &victim("", ""), "")
        .service(
            WEB,
            &victim("", "--need-file /opt/it"),
            "[budget]\nhealings = 2\nwindow = \"2s\"\nbackoff = [\"0s\"]\n",
        )
        .with_daemon();
    assert!(scene.systemctl(&["start", WEB]).is_err());
    scene.wait_ended(WEB, "escalated");
    let runs = scene.runs(WEB);
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    scene.after_all_before(BYSTANDER);
    let incident = scene.only_incident_of(WEB);
    assert_eq!(scene.runs(WEB), runs, "{incident:?}");
}

#[test]
fn a_heal_while_systemd_is_about_to_restart_what_is_mended_sees_it_recover() {
    let scene = Scene::builder()
        .service(WEB, &licensed("Restart=always\nRestartSec=3s"), "")
        .with_daemon();
    scene.start(&[WEB]);
    scene.write_file(EXPIRED, "", 0o644).unwrap();
    scene.kill(WEB);
    let escalated = scene.wait_ended(WEB, "escalated");
    scene.wait_about_to_restart(WEB);
    scene.remove_file(EXPIRED).unwrap();
    let heal = scene.prunella(&["heal", WEB]);
    assert_eq!(heal.code, Some(0), "{heal:?}");
    let incident = scene.only_incident_of(WEB);
    assert!(incident.is("recovered"), "{incident:?}");
    assert_eq!(incident.id, escalated.id);
    assert_eq!(scene.record(&escalated).acts(), Vec::<String>::new());
}

#[test]
fn the_first_message_of_what_systemd_restarts_tells_its_latest_end_and_who_is_at_work() {
    // People are told between two of its runs.
    let scene = scene_telling_after("10s")
        .service(WEB, &licensed("Restart=always\nRestartSec=4s"), "")
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&[WEB]);
    scene.write_file(EXPIRED, "", 0o644).unwrap();
    scene.kill(WEB);
    let outage = wait_got(&scene, 1).remove(0);
    assert_eq!(kind(&outage), "prunella.outage", "{outage}");
    assert!(
        headline(&outage).contains("web.service is down (exit code 7: FATAL: the license"),
        "{outage}"
    );
    let told = one_line(text(&outage));
    for part in ["systemd is restarting it", "does not interfere", "SIGKILL"] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    for part in ["being healed", "tries again on", "somebody asked systemd"] {
        assert!(!told.contains(part), "{part:?} in {told}");
    }
    scene.systemctl(&["stop", WEB]).unwrap();
}

#[test]
fn a_question_is_put_at_once_and_its_answer_waits_for_the_budget() {
    let scene = Scene::builder()
        .service(
            WEB,
            &victim("", ""),
            "[budget]\nhealings = 5\nwindow = \"10m\"\nbackoff = [\"0s\", \"20s\"]\n",
        )
        .file(
            "/etc/prunella/prunella.toml",
            "[oversight]\nask = [\"unit-control.start\"]\n",
            0o644,
        )
        .with_daemon();
    let approve = || {
        let id = scene
            .wait_for("a question", TIMEOUT, || {
                let waiting = scene.prunella_ok(&["approvals", "--json"]);
                let Some(line) = waiting.lines().next() else {
                    return Ok(None);
                };
                let question: serde_json::Value = serde_json::from_str(line).unwrap();
                Ok(Some(question["id"].as_str().unwrap().to_owned()))
            })
            .unwrap();
        let asked = scene.incidents_of(WEB).remove(0);
        let waited = scene.record(&asked).steps("waits").count();
        scene.prunella_ok(&["approve", &id]);
        (asked.id, waited)
    };
    scene.start(&[WEB]);
    scene.kill(WEB);
    approve();
    scene.wait_healed(WEB);

    scene.kill(WEB);
    scene
        .wait_for("the second incident", TIMEOUT, || {
            Ok((scene.incidents_of(WEB).len() == 2).then_some(()))
        })
        .unwrap();
    let (second, waited) = approve();
    assert_eq!(
        waited, 0,
        "people are asked before the budget is waited for"
    );
    let healed = scene
        .wait_for("the second healing", TIMEOUT, || {
            let incidents = scene.incidents_of(WEB);
            Ok(incidents
                .into_iter()
                .find(|incident| incident.id == second && incident.is("healed")))
        })
        .unwrap();
    assert_eq!(
        scene.record(&healed).acts().last().map(String::as_str),
        Some("unit-control.start web.service")
    );
    assert_eq!(scene.runs(WEB), 3);
}

/// Waits until systemd has restarted a service at least so often.
fn wait_restarts(scene: &Scene, number: u32) {
    scene
        .wait_for("systemd to restart it", TIMEOUT, || {
            let restarts: u32 = scene.property(WEB, "NRestarts")?.parse().unwrap();
            Ok((restarts >= number).then_some(()))
        })
        .unwrap();
}

#[test]
fn a_loop_that_a_sweep_finds_is_told_once_and_with_its_reason() {
    let scene = scene_telling_after("3s")
        .service(WEB, &licensed("Restart=always\nRestartSec=500ms"), "")
        .with_hooks();
    receiver(&scene, "200");
    scene.start(&[WEB]);
    // Each by hand, so that one sees how it began.
    scene.systemctl(&["stop", "prunella-sweep.timer"]).unwrap();
    scene.prunella_ok(&["sweep"]);
    scene.write_file(EXPIRED, "", 0o644).unwrap();
    scene.kill(WEB);
    wait_restarts(&scene, 6);
    scene.prunella_ok(&["sweep"]);
    let incident = scene.only_incident_of(WEB);
    assert!(incident.is("escalated"), "{incident:?}");
    assert_eq!(incident.cause, "restart-loop");
    let told = about(&scene, WEB);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(kind(&told[0]), "prunella.escalation");
    assert!(
        told[0]
            .to_string()
            .contains("FATAL: the license is expired"),
        "{told:?}"
    );
}

#[test]
fn what_systemd_has_given_up_is_no_restart_loop() {
    let scene = Scene::builder()
        .service(WEB, &limited(), "start-limit = \"respect\"\n")
        .file("/opt/it", "", 0o644)
        .with_hooks();
    scene.systemctl(&["stop", "prunella-sweep.timer"]).unwrap();
    scene.start(&[WEB]);
    scene.prunella_ok(&["sweep"]);
    scene.remove_file("/opt/it").unwrap();
    scene.kill(WEB);
    let incident = scene.wait_left_alone(WEB, "start-limit");
    scene.wait_hook(WEB);
    scene.prunella_ok(&["sweep"]);
    assert_eq!(scene.only_incident_of(WEB).id, incident.id);
}
