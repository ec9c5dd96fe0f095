//! Services that hit systemd's start limit: what comes of them, and what people hear of it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use std::time::{Duration, Instant};

use prunella_e2e::{Builder, Scene, ends_while, one_line};
use rstest::rstest;
use serde_json::Value;

use crate::receiver::{
    about, is_resolved, kind, receiver, scene, scene_telling_after, wait_end, wait_got,
};

const WEB: &str = "web.service";
const EXPIRED: &str = "/run/expired";
const FATAL: &str = "FATAL: the license is expired";
const RESPECT: &str = "start-limit = \"respect\"\n";

/// Crashes as often as a file says, and runs then.
const CRASHES: &str = r#"#!/bin/sh
left=$(cat /opt/crashes)
if [ "$left" -gt 0 ]; then
    echo $((left - 1)) >/opt/crashes
    echo "crash, $left left"
    # The last one once it is being proven.
    [ "$left" -gt 1 ] || sleep 1
    kill -SEGV $$
fi
exec sleep infinity
"#;

/// The run that Prunella starts crashes once more; systemd restarts it, and from then on it
/// is up.
#[rstest]
#[case::at_once("0")]
#[case::after_a_pause("700ms")]
fn a_run_that_systemd_has_started_since_is_proven_and_nobody_hears_that_it_is_down(
    #[case] pause: &str,
) {
    let unit = format!(
        "[Unit]\nStartLimitBurst=5\nStartLimitIntervalSec=1h\n[Service]\nRestart=on-failure\n\
         RestartSec={pause}\nExecStart=/opt/test/crashes\n"
    );
    let scene = scene_telling_after("9s")
        .file("/opt/test/crashes", CRASHES, 0o755)
        .file("/opt/crashes", "0", 0o644)
        .service(WEB, &unit, "[proof]\nstable-for = \"5s\"\n")
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&[WEB]);
    scene.write_file("/opt/crashes", "5", 0o644).unwrap();
    scene.kill(WEB);

    let incident = scene.wait_healed(WEB);
    let record = scene.record(&incident);
    assert_eq!(record.steps("heals").count(), 1, "{}", record.text());
    let kinds: Vec<String> = record.timed().into_iter().map(|(_, kind)| kind).collect();
    let since = kinds.iter().skip_while(|kind| *kind != "heals");
    assert!(since.clone().all(|kind| kind != "not-proven"), "{kinds:?}");
    let report = one_line(&scene.report(&incident));
    assert!(
        report.contains("the run that goes on is watched now"),
        "{report}"
    );
    assert_eq!(scene.property(WEB, "NRestarts").unwrap(), "1");

    wait_got(&scene, 1);
    let kinds: Vec<String> = about(&scene, WEB)
        .iter()
        .map(|m| kind(m).to_owned())
        .collect();
    assert_eq!(kinds, ["prunella.recovery"]);
}

/// A service that ends at each start once its licence has expired, until systemd gives up.
fn licensed() -> String {
    let end = format!("echo \"{FATAL}\"; exit 7");
    ends_while(EXPIRED, &end, "Restart=always\nRestartSec=100ms").replace(
        "StartLimitIntervalSec=0",
        "StartLimitBurst=4\nStartLimitIntervalSec=1h",
    )
}

/// Such a service whose start limit is respected, and was hit.
fn given_up(scene: Builder) -> Scene {
    let scene = scene.service(WEB, &licensed(), RESPECT).with_daemon();
    receiver(&scene, "200");
    scene.start(&[WEB]);
    scene.write_file(EXPIRED, "", 0o644).unwrap();
    scene.kill(WEB);
    scene.wait_left_alone(WEB, "start-limit");
    scene
}

#[test]
fn an_order_to_heal_what_hit_its_start_limit_goes_on_with_its_incident_and_names_the_cause() {
    let scene = given_up(scene());
    let incident = scene.only_incident_of(WEB);
    let heal = scene.prunella(&["heal", WEB]);
    assert_eq!(heal.code, Some(4), "{heal:?}");
    let said = one_line(&heal.stdout);
    assert!(said.contains(FATAL), "{said}");
    for part in ["started too often", "somebody asked systemd"] {
        assert!(!said.contains(part), "{part:?} in {said}");
    }
    assert_eq!(scene.only_incident_of(WEB).id, incident.id);

    // Since it failed, and not since somebody asked.
    let status = scene.prunella_ok(&["status", WEB, "--json"]);
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(
        status["needs_people"]["at"],
        incident.at.as_millis(),
        "{status}"
    );
    assert_eq!(
        status["failure"]["since"],
        incident.at.as_millis(),
        "{status}"
    );

    // Whoever has cleared the limit and orders it has it started.
    scene.remove_file(EXPIRED).unwrap();
    scene.systemctl(&["reset-failed", WEB]).unwrap();
    scene.prunella_ok(&["heal", WEB]);
    scene.wait_ended(WEB, "healed");
}

#[test]
fn what_was_left_at_its_start_limit_is_over_as_soon_as_it_is_proven() {
    let scene = given_up(scene());
    let incident = scene.only_incident_of(WEB);
    assert_eq!(kind(&wait_got(&scene, 1)[0]), "prunella.escalation");
    scene.remove_file(EXPIRED).unwrap();
    scene.systemctl(&["reset-failed", WEB]).unwrap();
    let started = Instant::now();
    scene.start(&[WEB]);
    wait_end(&scene, WEB);
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
    let over = scene.only_incident_of(WEB);
    assert!(over.is("recovered"), "{over:?}");
    assert_eq!(over.id, incident.id);
    let ends = about(&scene, WEB).into_iter().filter(is_resolved).count();
    // The channel that heard of it, and the one for recoveries.
    assert_eq!(ends, 2);
}

#[test]
fn a_stop_ends_what_was_left_at_its_start_limit() {
    let scene = given_up(scene());
    wait_got(&scene, 1);
    scene.systemctl(&["stop", WEB]).unwrap();
    scene.systemctl(&["reset-failed", WEB]).unwrap();
    wait_end(&scene, WEB);
    let over = scene.only_incident_of(WEB);
    assert_eq!(
        over.left_alone.as_deref(),
        Some("operator-stop"),
        "{over:?}"
    );
    let status = scene.prunella_ok(&["status", "--json"]);
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["needs_people"], Value::Array(Vec::new()), "{status}");
}

#[test]
fn who_ended_the_first_run_is_no_cause_of_the_failures_since() {
    let end = format!("sleep 0.5; echo \"{FATAL}\"; exit 7");
    let scene = Scene::builder()
        .service(
            WEB,
            &ends_while(EXPIRED, &end, ""),
            "[budget]\nhealings = 1\nwindow = \"10m\"\nbackoff = [\"0s\"]\n[proof]\nstable-for = \
             \"2s\"\n",
        )
        .with_daemon();
    scene.start(&[WEB]);
    scene.write_file(EXPIRED, "", 0o644).unwrap();
    scene.kill(WEB);
    scene.wait_ended(WEB, "escalated");
    let heal = scene.prunella(&["heal", WEB]);
    assert_eq!(heal.code, Some(4), "{heal:?}");
    let said = one_line(&heal.stdout);
    assert!(said.contains(FATAL), "{said}");
    assert!(!said.contains("somebody asked systemd"), "{said}");
}
