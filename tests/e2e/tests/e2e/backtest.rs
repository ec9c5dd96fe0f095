//! Limits that are tried on what was recorded.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Scene, TIMEOUT, one_line};
use serde_json::Value;

use crate::web::{self, SLOW, with_server};

const CARE: &str = r#"
heal-degraded = []

[health]
latency = { degraded = "400ms", clear = "300ms", for = "3s" }

[[probe]]
name = "front"
http = "http://127.0.0.1:8080/"
interval = "1s"
"#;

fn backtest(scene: &Scene, config: &str) -> Value {
    let arguments = ["health", "backtest", "web", "--since", "1h", "--json"];
    let text = scene.prunella_ok(&[&arguments[..], &["--config", config]].concat());
    serde_json::from_str(&text).unwrap()
}

/// A folder with the configuration as it is, but for what a `sed` script changes.
fn changed(scene: &Scene, folder: &str, script: &str) {
    let command = format!(
        "cp -a /etc/prunella {folder} && sed -i '{script}' {folder}/services.d/web.service.toml"
    );
    scene.run(&["/bin/sh", "-c", &command]).unwrap();
}

#[test]
fn limits_in_force_find_what_was_told_and_others_find_other_spells() {
    let scene = with_server(Scene::builder())
        .file(
            "/etc/prunella/prunella.toml",
            "[metrics]\ninterval = \"1s\"\n",
            0o644,
        )
        .service("web.service", &web::unit(8080, ""), CARE)
        .with_daemon();
    scene.start(&["web.service"]);
    scene.wait_state("web.service", "healthy");
    scene.write_file(SLOW, "", 0o644).unwrap();
    scene.wait_state("web.service", "degraded");
    scene.remove_file(SLOW).unwrap();
    scene.wait_state("web.service", "healthy");
    let told = scene
        .wait_for("the end of the degradation", TIMEOUT, || {
            let all = scene.incidents_of("web.service");
            Ok(all.into_iter().find(|one| one.ended.is_some()))
        })
        .unwrap();
    // What is recorded is a second coarser than what was seen: a few values more.
    let enough = told.at.as_millis() + 5_000;
    scene
        .wait_for("more answers", TIMEOUT, || {
            let probe = &scene.health("web.service")["service"]["probes"][0];
            let asked_at = probe["asked_at"].as_u64().unwrap_or_default();
            let well = scene.health("web.service")["service"]["since"]
                .as_u64()
                .unwrap();
            Ok((asked_at >= enough.max(well + 5_000)).then_some(()))
        })
        .unwrap();
    // What was measured last is written at its end.
    scene.systemctl(&["stop", "prunella.service"]).unwrap();

    let report = backtest(&scene, "/etc/prunella");
    let found = report["would_begin"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{report:#}");
    assert_eq!(found[0]["happened"]["id"], told.id, "{report:#}");
    assert_eq!(found[0]["healed_by"], Value::Array(Vec::new()));
    let symptom = &found[0]["symptoms"][0];
    assert_eq!(symptom["symptom"]["metric"], "latency-ms", "{report:#}");
    assert!(symptom["worst"].as_u64().unwrap() >= 600, "{report:#}");
    let began = found[0]["at"].as_u64().unwrap();
    assert!(began.abs_diff(told.at.as_millis()) <= 3_000, "{report:#}");
    assert!(found[0]["ended"].as_u64().unwrap() > began, "{report:#}");
    assert_eq!(report["would_not_begin"], Value::Array(Vec::new()));

    changed(&scene, "/root/patient", "s/\"400ms\"/\"20s\"/");
    let report = backtest(&scene, "/root/patient");
    assert_eq!(report["would_begin"], Value::Array(Vec::new()));
    assert_eq!(report["would_not_begin"][0]["id"], told.id, "{report:#}");

    changed(
        &scene,
        "/root/healing",
        "s/heal-degraded = .*/heal-degraded = [\"service-restart\"]/",
    );
    let report = backtest(&scene, "/root/healing");
    let healed_by = &report["would_begin"][0]["healed_by"][0];
    assert_eq!(healed_by, "service-restart", "{report:#}");

    let text = one_line(&scene.prunella_ok(&["health", "backtest", "web"]));
    assert!(
        text.contains("1 degradation would have begun, of which 1 did."),
        "{text}"
    );
    assert!(text.contains("told, not healed"), "{text}");
    assert!(text.contains(&told.id), "{text}");
    assert!(
        text.contains("Single answers of probes are not kept"),
        "{text}"
    );
}

#[test]
fn mistakes_and_what_was_never_recorded_are_told() {
    let scene = with_server(Scene::builder())
        .service("web.service", &web::unit(8080, ""), CARE)
        .without_daemon();
    changed(&scene, "/root/wrong", "s/\"400ms\"/\"soon\"/");
    let wrong = scene.prunella(&["health", "backtest", "web", "--config", "/root/wrong"]);
    assert_eq!(wrong.code, Some(3), "{wrong:?}");
    let wrong = one_line(&wrong.stderr);
    assert!(wrong.contains("web.service.toml:"), "{wrong}");
    let unknown = scene.prunella(&["health", "backtest", "cron"]);
    assert_eq!(unknown.code, Some(6), "{unknown:?}");
    let nothing = scene.prunella_ok(&["health", "backtest", "web"]);
    assert!(
        nothing.contains("No degradation would have begun."),
        "{nothing}"
    );
    assert!(one_line(&nothing).contains("Nothing was recorded of web.service"));
}
