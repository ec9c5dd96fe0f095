//! Services that crash, hang, or do not stay up.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use prunella_e2e::{Builder, Scene, TIMEOUT, victim, victim_with};

#[test]
fn a_killed_service_is_healed() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--listen 8080"),
            r#"ports = ["tcp/8080"]"#,
        )
        .with_daemon();
    scene.start(&["web.service"]);
    let before = scene.main_pid("web.service");

    scene.kill("web.service");
    let incident = scene.wait_healed("web.service");

    assert_eq!(incident.cause, "signal");
    assert_eq!(incident.strategy.as_deref(), Some("service-restart"));
    assert_eq!(incident.attempt, 1);
    let record = scene.record(&incident);
    assert!(
        record
            .acts()
            .contains(&"unit-control.start web.service".to_owned()),
        "{:?}",
        record.acts()
    );
    assert_eq!(record.steps("proven").count(), 1);
    let after = scene.main_pid("web.service");
    assert!(after != 0 && after != before);
    assert!(scene.answers(8080));
    assert_eq!(scene.incidents().len(), 1);
}

#[test]
fn an_exit_code_is_healed() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--exit-when /run/end --exit-code 7"),
            "",
        )
        .with_daemon();
    scene.start(&["web.service"]);

    scene.write_file("/run/end", "", 0o644).unwrap();
    let incident = scene.wait_healed("web.service");

    assert_eq!(incident.cause, "exit-code");
    let report = scene.report(&incident);
    assert!(report.contains("web.service"), "{report}");
    assert!(
        report.contains('7'),
        "the report names the exit code: {report}"
    );
}

#[test]
fn journal_entries_of_an_incident_are_found_by_their_fields() {
    let scene = Scene::builder()
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    let incident = scene.wait_healed("web.service");

    scene
        .wait_entry("an entry with the incident's id", TIMEOUT, |entry| {
            entry["SYSLOG_IDENTIFIER"] == "prunella"
                && entry
                    .as_object()
                    .is_some_and(|fields| fields.values().any(|v| v == incident.id.as_str()))
        })
        .unwrap();
}

#[test]
fn a_service_that_failed_before_the_daemon_started_is_taken_up() {
    let scene = Scene::builder()
        .service("web.service", &victim("", "--listen 8080"), "")
        .without_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.wait_until("web.service", "failed", TIMEOUT).unwrap();

    scene.prunella_ok(&["setup"]);

    scene.wait_healed("web.service");
    assert!(scene.answers(8080));
}

#[test]
fn a_service_that_cannot_start_goes_to_people_and_is_healed_when_they_have_repaired_it() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--need-file /opt/needed"),
            "[budget]\nhealings = 2\nwindow = \"10m\"\nbackoff = [\"0s\", \"100ms\"]\n",
        )
        .with_daemon();
    scene.try_systemctl(&["start", "web.service"]).unwrap();

    let incident = scene.wait_ended("web.service", "escalated");
    let runs = scene.runs("web.service");
    assert!(
        (2..=3).contains(&runs),
        "one start by us, at most two by Prunella: {runs}"
    );
    let report = scene.report(&incident);
    assert!(
        report.contains("/opt/needed is missing"),
        "the evidence is shown: {report}"
    );

    scene.write_file("/opt/needed", "", 0o644).unwrap();
    // An operator's start works, and gives the service its budget back.
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.wait_healed("web.service");
}

#[test]
fn a_start_that_is_refused_is_tried_again_once_its_limit_is_cleared() {
    let limit = "StartLimitIntervalSec=600\nStartLimitBurst=1";
    let scene = Scene::builder()
        .service("web.service", &victim_with(limit, "", ""), "")
        .with_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");

    let incident = scene.wait_healed("web.service");
    assert_eq!(
        scene.record(&incident).acts(),
        [
            "unit-control.start web.service",
            "unit-control.reset-failed web.service",
            "unit-control.start web.service",
        ]
    );
    assert_eq!(scene.runs("web.service"), 2);
}

#[test]
fn a_service_at_its_start_limit_is_taken_up() {
    let scene = at_its_limit("");
    scene.prunella_ok(&["setup"]);
    scene.wait_healed("web.service");
    assert_eq!(scene.runs("web.service"), 3);
}

#[test]
fn a_start_limit_is_respected_where_the_operator_says_so() {
    let scene = at_its_limit(r#"start-limit = "respect""#);
    scene.prunella_ok(&["setup"]);
    let incident = scene.wait_left_alone("web.service", "start-limit");
    assert_eq!(
        scene.property("web.service", "ActiveState").unwrap(),
        "failed"
    );
    assert_eq!(scene.runs("web.service"), 2);
    let report = scene.report(&incident);
    assert!(
        report.contains("systemctl reset-failed web.service"),
        "it says how to clear the limit: {report}"
    );
    // The limit is a consequence of how it failed.
    let status = scene.prunella_ok(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let reason = status.pointer("/needs_people/0/reason").unwrap();
    assert!(reason.to_string().contains(" (SIGKILL"), "{reason}");
    let heal = scene.prunella(&["heal", "web.service"]);
    assert_eq!(heal.code, Some(4), "{heal:?}");
    for step in [
        "sudo systemctl reset-failed web.service",
        "sudo systemctl start web.service",
    ] {
        assert!(heal.stdout.contains(step), "{step} in {heal:?}");
    }
    assert_eq!(scene.runs("web.service"), 2);

    // Once somebody has cleared it, it is of the past.
    scene.systemctl(&["reset-failed", "web.service"]).unwrap();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    let incident = scene.wait_healed("web.service");
    assert_eq!(
        scene.record(&incident).acts(),
        ["unit-control.start web.service"]
    );
}

/// A service that was started as often as systemd allows, and has failed.
fn at_its_limit(declared: &str) -> Scene {
    let limit = "StartLimitIntervalSec=600\nStartLimitBurst=2";
    let scene = Scene::builder()
        .service("web.service", &victim_with(limit, "", ""), declared)
        .without_daemon();
    for _ in 0..2 {
        scene.start(&["web.service"]);
        scene.kill("web.service");
        scene.wait_until("web.service", "failed", TIMEOUT).unwrap();
    }
    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    scene
}

/// A web server that is asked every second whether it answers.
fn probed() -> Builder {
    Scene::builder().service(
        "web.service",
        &victim("", "--listen 8080"),
        "ports = [\"tcp/8080\"]\n\
         [[probe]]\nname = \"front\"\nhttp = \"http://127.0.0.1:8080/\"\ntimeout = \"300ms\"\n\
         interval = \"1s\"\nfailure-threshold = 2\n",
    )
}

/// Has the web server hang; it is restarted once `noticed`.
#[track_caller]
fn restarts_what_hangs(scene: &Scene, noticed: impl FnOnce()) {
    let before = scene.main_pid("web.service");
    scene
        .systemctl(&["kill", "--signal=USR1", "web.service"])
        .unwrap();
    noticed();
    let incident = scene.wait_healed("web.service");

    assert_eq!(incident.cause, "not-answering");
    assert_ne!(scene.main_pid("web.service"), before);
    assert!(scene.answers(8080));
}

#[test]
fn a_service_that_hangs_is_restarted() {
    let scene = probed().with_daemon();
    scene.start(&["web.service"]);
    scene.wait_probed("web.service");
    restarts_what_hangs(&scene, || {});
}

#[test]
fn a_sweep_restarts_what_hangs_and_nothing_else() {
    let scene = probed().without_daemon();
    scene.start(&["web.service"]);
    let before = scene.main_pid("web.service");
    let sweep = || drop(scene.prunella_ok(&["sweep"]));
    sweep();
    assert_eq!(scene.main_pid("web.service"), before);
    assert!(scene.incidents().is_empty());

    restarts_what_hangs(&scene, || {
        // A sweep asks a probe once in its interval, which is not over yet.
        scene
            .wait_for("a sweep to notice", TIMEOUT, || {
                sweep();
                Ok((!scene.incidents().is_empty()).then_some(()))
            })
            .unwrap();
    });
}

/// Under `Restart=always` it never stays failed, so no hook is told.
#[test]
fn a_sweep_tells_of_a_service_that_systemd_restarts_in_vain_and_leaves_it_to_systemd() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim_with(
                "StartLimitIntervalSec=0",
                "Restart=always\nRestartSec=100ms",
                "--need-file /opt/it",
            ),
            "",
        )
        .service("bystander.service", &victim("Restart=always", ""), "")
        .without_daemon();
    scene.start(&["bystander.service"]);
    scene
        .systemctl(&["start", "--no-block", "web.service"])
        .unwrap();
    let restarts = || -> u32 {
        let number = scene.property("web.service", "NRestarts").unwrap();
        number.parse().unwrap()
    };
    scene.prunella_ok(&["sweep"]);
    let before = restarts();
    scene
        .wait_for("more restarts", TIMEOUT, || {
            Ok((restarts() > before + 5).then_some(()))
        })
        .unwrap();
    scene.prunella_ok(&["sweep"]);
    let incident = scene.wait_ended("web.service", "escalated");
    assert_eq!(incident.cause, "restart-loop");
    let report = scene.report(&incident);
    assert!(report.contains("systemd keeps restarting it"), "{report}");
    // It is told once, however long it goes on, and nothing is done to it.
    scene.prunella_ok(&["sweep"]);
    assert_eq!(scene.incidents().len(), 1);
    assert_eq!(scene.record(&incident).acts(), Vec::<String>::new());
}

#[test]
fn a_relapse_during_the_proof_is_not_healed() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--exit-after-in /run/relapse"),
            "[proof]\nstable-for = \"3s\"\ntimeout = \"20s\"\n",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    // The next run, and only that, lasts for half a second.
    scene.write_file("/run/relapse", "500", 0o644).unwrap();
    scene.kill("web.service");

    scene.wait_healed("web.service");

    let relapses: usize = scene
        .incidents_of("web.service")
        .iter()
        .map(|incident| {
            let record = scene.record(incident);
            record
                .steps("not-proven")
                .filter(|step| step["relapse"] == true)
                .count()
        })
        .sum();
    assert_eq!(relapses, 1);
    assert!(!scene.exists("/run/relapse").unwrap());
}
