//! `rollback`: a release that is to blame is taken back, and one that is not stays.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Builder, Incident, Record, Scene, TIMEOUT, one_line, victim};

use crate::killed::{DROP_IN, KILL_AT, killer};

const WEB: &str = "web.service";
const LINK: &str = "/srv/web/current";

/// What it starts is what the link leads to.
const UNIT: &str = "[Service]\nExecStart=/bin/sh /srv/web/current/run\n";

const GOOD: &str = "exec sleep infinity\n";
const BROKEN: &str = "echo no such module; exit 1\n";

/// One start, and one after a roll-back; then it is for people.
const FEW: &str = "[budget]\nhealings = 3\nwindow = \"10m\"\nbackoff = [\"0s\"]\n";

const MANY: &str = "[budget]\nhealings = 1000\nwindow = \"10m\"\nbackoff = [\"0s\"]\n";

const CARE: &str = r#"
[[release]]
name = "current"
path = "/srv/web/current"
healthy-for = "1s"
"#;

const ALLOWED: &str =
    "[host-budget]\nhealings = 1000\n[oversight]\nallow = [\"release.roll-back\"]\n";

const ROLL_BACK: &str = "release.roll-back current";
const START: &str = "unit-control.start web.service";

fn builder(care: &str, main: &str) -> Builder {
    Scene::builder()
        .file("/srv/web/releases/1/run", GOOD, 0o644)
        .file("/srv/web/releases/2/run", BROKEN, 0o644)
        .file("/etc/prunella/prunella.toml", main, 0o644)
        .service(WEB, UNIT, &format!("{care}{CARE}"))
}

/// Runs the first release until it is proven.
fn proven(scene: Scene) -> Scene {
    point(&scene, "1");
    scene.start(&[WEB]);
    scene
        .wait_for("the proof of the first release", TIMEOUT, || {
            let journal = scene.journal(&["SYSLOG_IDENTIFIER=prunella"])?;
            let proven = journal.iter().any(|entry| {
                entry["MESSAGE"] == "web.service is proven healthy with release 1 (`current`)"
            });
            Ok(proven.then_some(()))
        })
        .unwrap();
    scene
}

fn scene() -> Scene {
    proven(builder(FEW, ALLOWED).with_daemon())
}

/// Makes another release the one in force.
fn point(scene: &Scene, release: &str) {
    let target = format!("releases/{release}");
    scene.run_ok(&["ln", "-sfn", &target, LINK]).unwrap();
}

/// The same, and starts it.
fn deploy(scene: &Scene, release: &str) {
    point(scene, release);
    let _ = scene.run(&["systemctl", "restart", WEB]).unwrap();
}

#[track_caller]
fn assert_in_force(scene: &Scene, release: &str) {
    let target = scene.run_ok(&["readlink", LINK]).unwrap();
    assert_eq!(target.trim(), format!("releases/{release}"));
    let beside = scene.run_ok(&["ls", "-A", "/srv/web"]).unwrap();
    assert_eq!(beside, "current\nreleases\n", "nothing is left behind");
}

/// An incident in which the release stays: with the reason that its record gives.
#[track_caller]
fn assert_stays(scene: &Scene, incident: &Incident, because: &str) {
    let record = scene.record(incident);
    assert!(!rolled_back(&record), "{}", record.text());
    assert!(record.text().contains(because), "{}", record.text());
    assert_in_force(scene, "2");
}

fn rolled_back(record: &Record) -> bool {
    record.acts().iter().any(|act| act == ROLL_BACK)
}

#[test]
fn a_broken_release_is_rolled_back_and_can_be_brought_back() {
    let scene = scene();
    deploy(&scene, "2");
    let incident = scene.wait_healed(WEB);
    assert_eq!(incident.strategy.as_deref(), Some("rollback"));
    let record = scene.record(&incident);
    assert_eq!(
        record.acts(),
        [START, ROLL_BACK, START],
        "{}",
        record.text()
    );
    assert_in_force(&scene, "1");
    let report = one_line(&scene.report(&incident));
    for part in [
        "point /srv/web/current back from 2 to 1",
        "pointed /srv/web/current back to 1",
    ] {
        assert!(report.contains(part), "{part} in {report}");
    }

    let plan = scene.prunella_ok(&["undo", &incident.id, "--dry-run"]);
    assert!(
        plan.contains("would  point /srv/web/current to releases/2 again"),
        "{plan}"
    );
    assert_in_force(&scene, "1");
    scene.prunella_ok(&["undo", &incident.id]);
    assert_in_force(&scene, "2");
}

#[test]
fn a_release_that_was_not_to_blame_comes_back_and_is_not_tried_again() {
    let scene = scene();
    // Nobody has declared that it is needed.
    scene
        .write_file("/srv/web/releases/1/run", BROKEN, 0o644)
        .unwrap();
    deploy(&scene, "2");
    let incident = scene.wait_ended(WEB, "escalated");
    let record = scene.record(&incident);
    assert!(rolled_back(&record), "{}", record.text());
    let undone: Vec<_> = record.steps("undone").collect();
    assert_eq!(undone.len(), 1, "{}", record.text());
    assert_eq!(undone[0]["why"], "no-help");
    assert_in_force(&scene, "2");

    let again = scene.prunella(&["heal", WEB]);
    assert_ne!(again.code, Some(0), "{again:?}");
    let record = scene.record(&scene.incidents_of(WEB)[0]);
    let tries = record.acts().iter().filter(|act| *act == ROLL_BACK).count();
    assert_eq!(tries, 1, "{}", record.text());
    assert!(
        record
            .text()
            .contains("`current` was rolled back from this release before"),
        "{}",
        record.text()
    );
    assert_in_force(&scene, "2");
}

#[test]
fn people_are_asked_first_unless_they_allow_it() {
    let scene = proven(builder(FEW, "").with_daemon());
    deploy(&scene, "2");
    let incident = scene.wait_ended(WEB, "escalated");
    let record = scene.record(&incident);
    assert!(!rolled_back(&record), "{}", record.text());
    assert_in_force(&scene, "2");
    let waiting = scene.prunella_ok(&["approvals", "--json"]);
    let approval: serde_json::Value = serde_json::from_str(waiting.trim()).unwrap();
    let list = one_line(&scene.prunella_ok(&["approvals"]));
    assert!(
        list.contains("point /srv/web/current back from 2 to 1"),
        "{list}"
    );
    scene.prunella_ok(&["approve", approval["id"].as_str().unwrap()]);
    let incident = scene.wait_healed(WEB);
    assert!(rolled_back(&scene.record(&incident)));
    assert_in_force(&scene, "1");
}

#[test]
fn a_release_is_not_to_blame_while_the_database_is_dead() {
    let care = "depends-on = [\"db.service\"]\n";
    let scene = proven_with_database(care);
    scene.systemctl(&["stop", "db.service"]).unwrap();
    deploy(&scene, "2");
    let incident = scene.wait_ended(WEB, "escalated");
    let record = scene.record(&incident);
    assert!(!rolled_back(&record), "{}", record.text());
    assert!(record.text().contains("db.service"), "{}", record.text());
    assert_in_force(&scene, "2");
}

/// The same where nothing but a probe tells.
#[test]
fn a_release_is_not_to_blame_while_the_database_does_not_answer() {
    let care = "depends-on = [\"db.service\"]\n[[probe]]\nname = \"database\"\n\
                unit = \"db.service\"\nredis = \"127.0.0.1:6379\"\ntimeout = \"500ms\"\n";
    let scene = proven_with_database(care);
    // It hangs.
    scene
        .systemctl(&["kill", "--kill-who=main", "--signal=USR1", "db.service"])
        .unwrap();
    deploy(&scene, "2");
    let incident = scene.wait_ended(WEB, "escalated");
    let record = scene.record(&incident);
    assert!(!rolled_back(&record), "{}", record.text());
    assert_in_force(&scene, "2");
}

fn proven_with_database(care: &str) -> Scene {
    let scene = builder(care, ALLOWED)
        .unit("db.service", &victim("", "--listen 6379"))
        .with_daemon();
    scene.start(&["db.service"]);
    proven(scene)
}

#[test]
fn an_old_change_is_not_to_blame() {
    let scene = scene();
    point(&scene, "2");
    scene
        .run_ok(&["touch", "-h", "-d", "2 hours ago", LINK])
        .unwrap();
    scene.kill(WEB);
    let incident = scene.wait_ended(WEB, "escalated");
    assert_stays(
        &scene,
        &incident,
        "after `current` was changed, and only 30m count",
    );
}

#[test]
fn nothing_is_gone_back_to_that_was_not_proven() {
    let care = format!("{FEW}{}", CARE.replace("1s", "1h"));
    let scene = Scene::builder()
        .file("/srv/web/releases/1/run", GOOD, 0o644)
        .file("/srv/web/releases/2/run", BROKEN, 0o644)
        .file("/etc/prunella/prunella.toml", ALLOWED, 0o644)
        .service(WEB, UNIT, &care)
        .with_daemon();
    point(&scene, "1");
    scene.start(&[WEB]);
    deploy(&scene, "2");
    let incident = scene.wait_ended(WEB, "escalated");
    assert_stays(
        &scene,
        &incident,
        "not proven healthy with any release of `current` before this one",
    );
}

#[test]
fn a_path_that_is_no_link_is_told_of() {
    let scene = builder("", ALLOWED).without_daemon();
    scene.run_ok(&["mkdir", LINK]).unwrap();
    let check = scene.prunella(&["config", "check"]);
    let said = one_line(&format!("{}{}", check.stdout, check.stderr));
    assert!(
        said.contains("/srv/web/current (`current`) is not a symbolic link"),
        "{said}"
    );
}

/// The daemon is killed before one write after the other.
#[test]
fn a_daemon_that_is_killed_meanwhile_leaves_the_old_release_or_the_new_one() {
    let library = std::fs::read(killer(4)).unwrap();
    let scene = builder(MANY, ALLOWED)
        .bytes("/opt/test/killer.so", &library, 0o755)
        .file(
            "/etc/systemd/system/prunella.service.d/killer.conf",
            DROP_IN,
            0o644,
        )
        .with_daemon();
    let scene = proven(scene);
    let (mut healed, mut kept) = (0, 0);
    for round in 0_usize.. {
        let at = 3 + 5 * round;
        assert!(at < 400, "there is no end to it");
        // Each round has a release of its own: none is rolled back from twice.
        let release = format!("at-{at}");
        scene
            .write_file(format!("/srv/web/releases/{release}/run"), BROKEN, 0o644)
            .unwrap();
        scene.write_file(KILL_AT, format!("{at}\n"), 0o600).unwrap();
        let daemon = scene.main_pid("prunella.service");
        deploy(&scene, &release);
        let incident = over_or_undone(&scene, round + 1);
        if incident.ended.is_none() {
            kept += 1;
            assert_in_force(&scene, &release);
            // Somebody deploys the old one.
            deploy(&scene, "1");
            scene
                .wait_for("the end of the incident", TIMEOUT, || {
                    let newest = newest(&scene, round + 1);
                    Ok(newest.filter(|one| one.ended.is_some()).map(drop))
                })
                .unwrap();
        } else {
            healed += 1;
            assert!(
                incident.is("healed") || incident.is("recovered"),
                "{incident:?}"
            );
        }
        assert_in_force(&scene, "1");
        assert_eq!(scene.property(WEB, "ActiveState").unwrap(), "active");
        if scene.main_pid("prunella.service") == daemon {
            assert!(round >= 5, "it was killed {round} times only");
            break;
        }
    }
    assert!(healed > 0, "{healed} healed, {kept} kept");
}

/// The incident of this round, once it is over, or once what was done was undone. Where nothing
/// had been done, Prunella goes on.
fn over_or_undone(scene: &Scene, count: usize) -> Incident {
    let what = "the end of the incident, or of the roll-back";
    scene
        .wait_for(what, TIMEOUT, || {
            let Some(newest) = newest(scene, count) else {
                return Ok(None);
            };
            let record = scene.prunella(&["incidents", &newest.id, "--json"]);
            let is_undone = record.stdout.contains("/srv/web/current to releases/at-");
            Ok((newest.ended.is_some() || is_undone).then_some(newest))
        })
        .unwrap()
}

/// The last of so many incidents; none while the daemon is away.
fn newest(scene: &Scene, count: usize) -> Option<Incident> {
    let listed = scene.prunella(&["incidents", "--json", "--limit", "1000"]);
    let incidents: Vec<Incident> = listed.stdout.lines().map(Incident::from_line).collect();
    let newest = incidents.first().cloned();
    newest.filter(|_| listed.success() && incidents.len() == count)
}
