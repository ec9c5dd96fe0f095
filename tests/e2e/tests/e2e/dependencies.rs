//! Services that need others.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::Duration;

use prunella_e2e::{Builder, Incident, Scene, TIMEOUT, victim, victim_with};

const NEEDS_DB: &str = "depends-on = [\"db.service\"]\n\
    [[probe]]\nname = \"database\"\nredis = \"127.0.0.1:6379\"\nunit = \"db.service\"\ntimeout = \"1s\"\n";

fn web() -> String {
    victim("", "--listen 8080 --need-tcp 6379")
}

#[test]
fn a_dead_database_in_care_is_healed_first() {
    let scene = Scene::builder()
        .service(
            "db.service",
            &victim("", "--listen 6379"),
            "ports = [\"tcp/6379\"]",
        )
        .service("web.service", &web(), NEEDS_DB)
        .with_daemon();
    // One after the other: the web server does not start without its database.
    scene.start(&["db.service"]);
    scene.start(&["web.service"]);

    scene
        .systemctl(&["kill", "--signal=KILL", "db.service", "web.service"])
        .unwrap();
    let db = scene.wait_healed("db.service");
    let web = scene.wait_healed("web.service");

    // Nobody started the web server against a dead database: its only new run
    // is the one that worked.
    assert_eq!(scene.runs("web.service"), 2);
    assert_eq!(scene.runs("db.service"), 2);
    for (incident, unit) in [(&db, "db.service"), (&web, "web.service")] {
        let mut acts = scene.record(incident).acts();
        // One that has waited for the other may clear its failed state first.
        acts.retain(|act| *act != format!("unit-control.reset-failed {unit}"));
        assert_eq!(acts, [format!("unit-control.start {unit}")]);
    }
    assert!(scene.answers(8080));
}

/// Nobody would heal the database, so nobody waits for it in silence.
#[test]
fn a_service_whose_database_is_out_of_force_is_handed_to_people() {
    let scene = Scene::builder()
        .service("db.service", &victim("", "--listen 6379"), "")
        .service("web.service", &web(), NEEDS_DB)
        .with_daemon();
    scene.start(&["db.service"]);
    scene.start(&["web.service"]);
    let file = "/etc/prunella/services.d/db.service.toml";
    let whole = scene.misspell(file);
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    scene.kill("db.service");
    scene.wait_left_alone("db.service", "misconfigured");
    scene.kill("web.service");
    let incident = scene.wait_ended("web.service", "escalated");
    let report = scene.report(&incident);
    assert!(
        report.contains("services.d/db.service.toml:1"),
        "it says why: {report}"
    );
    assert_eq!(scene.record(&incident).acts(), Vec::<String>::new());
    assert_eq!(scene.runs("web.service"), 1);

    scene.write_file(file, &whole, 0o644).unwrap();
    scene.prunella_ok(&["reload"]);
    scene.wait_healed("db.service");
    scene.wait_healed("web.service");
}

/// A web server that died when its database was stopped, which is out of care:
/// the scene and the incident, given up.
fn dead_with_a_database_out_of_care() -> (Scene, Incident) {
    let scene = Scene::builder()
        .unit("db.service", &victim("", "--listen 6379"))
        .service("web.service", &web(), NEEDS_DB)
        .with_daemon();
    // One after the other: the web server does not start without its database.
    scene.start(&["db.service"]);
    scene.start(&["web.service"]);

    scene.systemctl(&["stop", "db.service"]).unwrap();
    scene.kill("web.service");
    let incident = scene.wait_ended("web.service", "escalated");
    (scene, incident)
}

#[test]
fn a_dead_database_out_of_care_is_named_and_left_alone() {
    let (scene, incident) = dead_with_a_database_out_of_care();

    assert_eq!(scene.runs("web.service"), 1);
    assert_eq!(scene.runs("db.service"), 1);
    assert_eq!(
        scene.property("db.service", "ActiveState").unwrap(),
        "inactive"
    );
    assert_eq!(scene.record(&incident).acts(), Vec::<String>::new());
    let report = scene.report(&incident);
    assert!(report.contains("db.service"), "{report}");
}

/// A web server that died while its database, which is in care, was masked: the scene and
/// the incident, given up.
fn dead_with_a_masked_database() -> (Scene, Incident) {
    let scene = Scene::builder()
        .care("db.service", "")
        .service("web.service", &web(), NEEDS_DB)
        .without_daemon();
    // In /run, where a mask in /etc comes before it.
    scene
        .write_file(
            "/run/systemd/system/db.service",
            victim("", "--listen 6379"),
            0o644,
        )
        .unwrap();
    scene.systemctl(&["daemon-reload"]).unwrap();
    scene.prunella_ok(&["setup"]);
    scene.start(&["db.service"]);
    scene.start(&["web.service"]);
    scene.systemctl(&["mask", "--now", "db.service"]).unwrap();
    scene.kill("web.service");

    let incident = scene.wait_ended("web.service", "escalated");
    (scene, incident)
}

/// It is left alone, and what needs it says so and how to end that.
#[test]
fn a_masked_database_in_care_is_named_with_the_command_that_unmasks_it() {
    let (scene, incident) = dead_with_a_masked_database();
    let report = scene.report(&incident);
    assert!(report.contains("systemctl unmask db.service"), "{report}");
    assert!(report.contains("masked"), "{report}");
    assert!(!report.contains("not in Prunella's care"), "{report}");
    // Nothing is waited for that cannot come.
    let status = scene.prunella_ok(&["status", "web.service"]);
    let status = status.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(status.contains("db.service is masked"), "{status}");
    assert!(status.contains("systemctl unmask db.service"), "{status}");
    assert!(!status.contains("has waited for"), "{status}");
    let record = scene.record(&incident);
    assert!(record.steps("blocked").count() <= 2, "{}", record.text());
}

#[test]
fn a_service_goes_on_when_what_it_needs_is_back_and_out_of_care() {
    let (scene, _) = dead_with_a_database_out_of_care();
    assert_eq!(scene.runs("web.service"), 1);

    // Nobody tells Prunella.
    scene.start(&["db.service"]);
    goes_on_with_its_database(&scene);
}

#[test]
fn a_service_goes_on_as_soon_as_the_database_it_needs_is_unmasked_and_up() {
    let (scene, _) = dead_with_a_masked_database();
    scene.systemctl(&["unmask", "db.service"]).unwrap();
    scene.start(&["db.service"]);
    goes_on_with_its_database(&scene);
    let status = scene.prunella_ok(&["status"]);
    assert!(!status.contains("masked"), "{status}");
}

/// Not by the clock, but because the database is up.
#[track_caller]
fn goes_on_with_its_database(scene: &Scene) {
    let incident = scene.wait_healed("web.service");
    assert!(scene.answers(8080));
    let record = scene.record(&incident);
    let last = record.steps("unblocked").last().unwrap().to_string();
    assert!(last.contains("db.service"), "{last}");
    assert!(last.contains("\"healthy\":true"), "{last}");
    assert_eq!(scene.runs("web.service"), 2);
}

/// Each of three needs the next; each proof takes long beside what healing takes.
fn three_in_a_row() -> Builder {
    const SLOW_PROOF: &str = "[proof]\nstable-for = \"4s\"\ntimeout = \"20s\"\n";
    Scene::builder()
        .service("c.service", &victim("", "--listen 8083"), SLOW_PROOF)
        .service(
            "b.service",
            &victim("", "--listen 8082 --need-tcp 8083"),
            &format!("depends-on = [\"c.service\"]\n{SLOW_PROOF}"),
        )
        .service(
            "a.service",
            &victim("", "--listen 8081 --need-tcp 8082"),
            &format!("depends-on = [\"b.service\"]\n{SLOW_PROOF}"),
        )
}

fn kill_three(scene: &Scene) {
    for unit in ["c.service", "b.service", "a.service"] {
        scene.start(&[unit]);
    }
    let all = ["a.service", "b.service", "c.service"];
    scene
        .systemctl(&[&["kill", "--signal=KILL"], &all[..]].concat())
        .unwrap();
}

#[test]
fn a_chain_of_three_does_not_wait_for_each_others_proof() {
    let scene = three_in_a_row().with_daemon();
    kill_three(&scene);
    let last = scene.wait_healed("a.service");
    for unit in ["a.service", "b.service", "c.service"] {
        scene.wait_healed(unit);
        assert_eq!(scene.runs(unit), 2, "{unit}");
    }
    // It was up before the first of the others was proven to stay so.
    let up = last.at.saturating_add(last.recovered_after.unwrap());
    let proven = scene.wait_healed("c.service").at;
    let proven = proven.saturating_add(Duration::from_secs(4));
    assert!(up < proven, "up at {up:?}, c.service proven at {proven:?}");
}

#[test]
fn three_hooks_and_a_sweep_heal_a_chain_of_three_together() {
    let scene = three_in_a_row().with_hooks();
    kill_three(&scene);
    scene
        .systemctl(&["start", "--no-block", "prunella-sweep.service"])
        .unwrap();
    for unit in ["a.service", "b.service", "c.service"] {
        scene.wait_healed(unit);
        // Whoever got to it first: it was started once, and is one incident.
        assert_eq!(scene.runs(unit), 2, "{unit}");
        assert_eq!(scene.incidents_of(unit).len(), 1, "{unit}");
    }
}

/// A database that is up, for systemd, a good second before it answers.
fn slow_database() -> Builder {
    Scene::builder()
        .service(
            "db.service",
            &victim(
                "Type=simple\nNotifyAccess=main",
                "--start-takes 1200 --listen 6379",
            ),
            "",
        )
        .service("web.service", &web(), NEEDS_DB)
}

/// Kills it, and what needs it: nobody is asked for help meanwhile.
fn is_waited_for(scene: &Scene) {
    scene.start(&["db.service"]);
    scene
        .wait_for("the database", TIMEOUT, || {
            Ok(scene.answers(6379).then_some(()))
        })
        .unwrap();
    scene.start(&["web.service"]);
    scene
        .systemctl(&["kill", "--signal=KILL", "db.service", "web.service"])
        .unwrap();
    let web = scene.wait_healed("web.service");
    assert_eq!(scene.record(&web).steps("ended").count(), 1);
    assert_eq!(scene.runs("web.service"), 2);
    assert_eq!(scene.runs("db.service"), 2);
}

#[test]
fn a_database_that_is_up_before_it_answers_is_waited_for_by_the_daemon() {
    is_waited_for(&slow_database().with_daemon());
}

#[test]
fn a_database_that_is_up_before_it_answers_is_waited_for_by_hooks() {
    is_waited_for(&slow_database().with_hooks());
}

#[test]
fn a_failed_requirement_is_the_cause() {
    let scene = Scene::builder()
        .service("db.service", &victim("", "--need-file /opt/disk"), BUDGET)
        .service(
            "web.service",
            &victim_with("Requires=db.service\nAfter=db.service", "", "--listen 8080"),
            BUDGET,
        )
        .with_daemon();

    assert!(scene.systemctl(&["start", "web.service"]).is_err());

    scene.wait_ended("db.service", "escalated");
    let incidents = scene
        .wait_for("an incident of the dependant", TIMEOUT, || {
            let incidents = scene.incidents_of("web.service");
            Ok((!incidents.is_empty()).then_some(incidents))
        })
        .unwrap();
    assert_eq!(incidents.first().unwrap().cause, "dependency");
    assert_eq!(
        scene.property("web.service", "ActiveState").unwrap(),
        "inactive"
    );
}

const BUDGET: &str = "[budget]\nhealings = 2\nwindow = \"10m\"\nbackoff = [\"0s\"]\n";
