//! Circuits: a service that fails again and again is isolated, and tried after a growing time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use std::time::Duration;

use prunella_e2e::{Builder, Incident, Record, Scene, TIMEOUT};
use serde_json::Value;

use crate::{
    killed::{DROP_IN, KILL_AT, killer},
    receiver::{self, about, wait_end},
};

const WEB: &str = "web.service";
const APP: &str = "app.service";
/// What the service does not start without.
const CAUSE: &str = "/etc/web.conf";

const NEEDS_ITS_FILE: &str = "[Unit]
StartLimitIntervalSec=0
[Service]
ExecStart=/bin/sh -c 'test -e /etc/web.conf || exit 1; exec sleep infinity'
[Install]
WantedBy=multi-user.target
";

const SLEEPS: &str = "[Service]\nExecStart=/bin/sleep infinity\n";

/// A circuit that opens at the third failure.
fn circuit(wait: &str, most: &str) -> String {
    format!(
        "[proof]\nstable-for = \"300ms\"\ntimeout = \"20s\"\n\
         [budget]\nhealings = 50\nwindow = \"1h\"\nbackoff = [\"0s\"]\n\
         [[circuit]]\nname = \"web\"\nwait = \"{wait}\"\nwait-most = \"{most}\"\n"
    )
}

fn builder(wait: &str, most: &str) -> Builder {
    declared(Scene::builder(), wait, most)
}

fn declared(scene: Builder, wait: &str, most: &str) -> Builder {
    scene
        .file(CAUSE, "", 0o644)
        .service(WEB, NEEDS_ITS_FILE, &circuit(wait, most))
        .service(APP, SLEEPS, "")
}

/// Takes away what the service needs, and has it fail.
fn break_for_good(scene: &Scene) {
    scene.remove_file(CAUSE).unwrap();
    scene.kill(WEB);
}

/// Waits until the circuit was opened so many times in the incident.
#[track_caller]
fn wait_opened(scene: &Scene, times: usize) -> Incident {
    let what = format!("the circuit to be opened {times} times");
    scene
        .wait_for(&what, TIMEOUT, || {
            let is_so =
                |one: &Incident| one.is("escalated") && openings(&scene.record(one)).len() >= times;
            Ok(scene.incidents_of(WEB).into_iter().find(is_so))
        })
        .unwrap_or_else(|error| panic!("{error}: {:#?}", scene.incidents_of(WEB)))
}

fn count(record: &Record, act: &str) -> usize {
    let acts = record.acts();
    acts.iter().filter(|one| *one == act).count()
}

/// When each opening was intended, in milliseconds, and for how long it was to last.
fn openings(record: &Record) -> Vec<u64> {
    record
        .steps("act-intended")
        .filter(|step| step["act"] == "circuit.open")
        .map(|step| step["plan"]["lease"]["milliseconds"].as_u64().unwrap())
        .collect()
}

fn state(scene: &Scene) -> String {
    scene.property(WEB, "ActiveState").unwrap()
}

#[test]
fn a_service_that_always_fails_is_isolated_and_tried_after_a_growing_time() {
    let scene = declared(receiver::scene(), "2s", "5s").with_daemon();
    receiver::receiver(&scene, "200");
    scene.start(&[WEB]);
    // One failure alone isolates nothing.
    scene.kill(WEB);
    let once = scene.wait_healed(WEB);
    assert_eq!(
        scene.record(&once).acts(),
        ["unit-control.start web.service"]
    );

    break_for_good(&scene);
    let isolated = wait_opened(&scene, 3);
    let record = scene.record(&isolated);
    let lasts = openings(&record);
    assert_eq!(&lasts[..3], [2_000, 4_000, 5_000], "{}", record.text());
    // After the first failure one start was left, and the tries take nothing from the budget.
    assert_eq!(
        count(&record, "unit-control.start web.service"),
        1,
        "{}",
        record.text()
    );
    assert!(count(&record, "circuit.half-open web") >= 2);
    let timed = record.timed();
    let at = |wanted: &str| -> Vec<u64> {
        let acts = record.acts();
        let intended = timed.iter().filter(|(_, kind)| kind == "act-intended");
        let both = intended.zip(acts);
        both.filter(|(_, act)| act == wanted)
            .map(|((at, _), _)| *at)
            .collect()
    };
    let (opened, tried) = (at("circuit.open web"), at("circuit.half-open web"));
    for (number, wait) in [(0, 2_000), (1, 4_000)] {
        let waited = tried[number] - opened[number];
        assert!(waited >= wait, "{waited} ms: {}", record.text());
    }
    assert_ne!(state(&scene), "active");
    let status = scene.prunella_ok(&["status", WEB]);
    assert!(status.contains("circuit `web` is open"), "{status}");
    assert!(status.contains("in a row"), "{status}");
    assert!(!status.contains("operator"), "{status}");
    let report = scene.report(&isolated);
    assert!(report.contains("circuit `web` is open"), "{report}");

    scene.write_file(CAUSE, "", 0o644).unwrap();
    let healed = scene
        .wait_for("the circuit to be closed", TIMEOUT, || {
            let incidents = scene.incidents_of(WEB);
            let same = |one: &Incident| one.id == isolated.id && one.is("healed");
            Ok(incidents.into_iter().find(same))
        })
        .unwrap();
    assert_eq!(healed.strategy.as_deref(), Some("circuit-breaker"));
    assert_eq!(state(&scene), "active");
    assert_eq!(scene.incidents_of(WEB).len(), 2);
    let status = scene.prunella_ok(&["status", WEB]);
    assert!(!status.contains("is open"), "{status}");
    // People heard of it once, and of its end.
    wait_end(&scene, WEB);
    let told = about(&scene, WEB);
    let isolated = |message: &&Value| receiver::headline(message).contains("is isolated");
    assert_eq!(told.iter().filter(isolated).count(), 1, "{told:#?}");
}

/// What comes up at each start and fails again is isolated as well, and once more for longer.
#[test]
fn a_service_that_is_healed_and_fails_again_is_isolated() {
    let scene = builder("1s", "10s").with_daemon();
    scene.start(&[WEB]);
    let fail_until_isolated = |before: usize| {
        for number in 1.. {
            scene.kill(WEB);
            let healed = scene
                .wait_for("it to be healed", TIMEOUT, || {
                    let now = scene.incidents_of(WEB);
                    let all = now.iter().all(|one| one.is("healed"));
                    Ok((all && now.len() >= before + number).then(|| now[0].clone()))
                })
                .unwrap();
            if healed.strategy.as_deref() == Some("circuit-breaker") {
                return (number, scene.record(&healed));
            }
        }
        unreachable!()
    };
    let (failures, record) = fail_until_isolated(0);
    assert_eq!(failures, 3);
    assert_eq!(
        record.acts(),
        ["circuit.open web", "circuit.half-open web"],
        "it was not started once more"
    );
    assert_eq!(openings(&record), [1_000]);
    let (failures, record) = fail_until_isolated(3);
    assert_eq!(
        failures, 3,
        "what was before the circuit was closed counts no more"
    );
    assert_eq!(openings(&record), [2_000], "{}", record.text());
}

#[test]
fn no_dependant_is_started_against_an_open_circuit() {
    let scene = Scene::builder()
        .file(CAUSE, "", 0o644)
        .service(WEB, NEEDS_ITS_FILE, &circuit("1s", "2s"))
        .service(APP, SLEEPS, "depends-on = [\"web.service\"]\n")
        .with_daemon();
    scene.start(&[WEB]);
    scene.start(&[APP]);
    break_for_good(&scene);
    wait_opened(&scene, 1);
    scene.kill(APP);
    let waits = scene.wait_step(APP, "blocked", TIMEOUT);
    let opened = openings(&scene.record(&scene.only_incident_of(WEB))).len();
    wait_opened(&scene, opened + 3);
    assert_eq!(scene.runs(APP), 1);
    let record = scene.record(&waits);
    assert_eq!(record.acts(), Vec::<String>::new(), "{}", record.text());
    assert!(record.text().contains("its circuit `web` is open"));

    scene.write_file(CAUSE, "", 0o644).unwrap();
    scene.wait_healed(WEB);
    let healed = scene.wait_healed(APP);
    assert_eq!(healed.id, waits.id, "it waited in one incident");
    assert_eq!(scene.runs(APP), 2);
}

/// What a person says of a service whose circuit is open.
#[test]
fn people_can_try_it_close_it_and_leave_it_stopped() {
    let scene = builder("1h", "2h").with_daemon();
    scene.start(&[WEB]);
    break_for_good(&scene);
    let isolated = wait_opened(&scene, 1);
    let runs = scene.runs(WEB);

    // A try at once, which fails.
    let _ = scene.prunella(&["heal", WEB]);
    let record = scene.record(&wait_opened(&scene, 2));
    assert_eq!(openings(&record), [3_600_000, 7_200_000]);
    assert_eq!(scene.runs(WEB), runs + 1);

    scene.write_file(CAUSE, "", 0o644).unwrap();
    let done = scene.prunella_ok(&["undo", &isolated.id]);
    assert!(done.contains("closed circuit `web`"), "{done}");
    assert_eq!(state(&scene), "active");
    scene.wait_ended(WEB, "recovered");

    // systemctl start is a try as well.
    break_for_good(&scene);
    scene
        .wait_for("the circuit to be open", TIMEOUT, || {
            let now = scene.incidents_of(WEB);
            Ok(now.iter().any(|one| one.is("escalated")).then_some(()))
        })
        .unwrap();
    scene.write_file(CAUSE, "", 0o644).unwrap();
    scene.systemctl(&["start", WEB]).unwrap();
    scene
        .wait_for("it to be proven", TIMEOUT, || {
            let now = scene.incidents_of(WEB);
            Ok(now.iter().all(|one| one.is("recovered")).then_some(()))
        })
        .unwrap();

    // What is stopped by hand while its circuit is open stays down.
    break_for_good(&scene);
    scene
        .wait_for("the circuit to be open", TIMEOUT, || {
            let now = scene.incidents_of(WEB);
            Ok(now.iter().any(|one| one.is("escalated")).then_some(()))
        })
        .unwrap();
    scene.systemctl(&["stop", WEB]).unwrap();
    let left = scene.wait_ended(WEB, "left-alone");
    assert_eq!(left.left_alone.as_deref(), Some("operator-stop"));
    let runs = scene.runs(WEB);
    scene.write_file(CAUSE, "", 0o644).unwrap();
    scene.after_all_before(APP);
    assert_eq!(scene.runs(WEB), runs);
    assert_ne!(state(&scene), "active");
}

#[test]
fn a_reboot_is_a_try_of_what_is_enabled() {
    let mut scene = builder("1h", "2h").enabled(WEB).with_daemon();
    scene.wait_active(WEB, TIMEOUT).unwrap();
    break_for_good(&scene);
    let isolated = wait_opened(&scene, 1);
    scene.write_file(CAUSE, "", 0o644).unwrap();
    scene.machine.reboot().unwrap();
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    let recovered = scene.wait_ended(WEB, "recovered");
    assert_eq!(recovered.id, isolated.id);
    assert_eq!(state(&scene), "active");
    let status = scene.prunella_ok(&["status", WEB]);
    assert!(!status.contains("is open"), "{status}");
}

#[test]
fn without_the_daemon_the_sweep_tries_it() {
    let scene = builder("1s", "1s").with_hooks();
    scene.start(&[WEB]);
    break_for_good(&scene);
    let isolated = wait_opened(&scene, 1);
    scene.write_file(CAUSE, "", 0o644).unwrap();
    let healed = scene
        .wait_for("a sweep to try it", TIMEOUT, || {
            scene.systemctl(&["start", "prunella-sweep.service"])?;
            let incidents = scene.incidents_of(WEB);
            let same = |one: &Incident| one.id == isolated.id && one.is("healed");
            Ok(incidents.into_iter().find(same))
        })
        .unwrap();
    assert_eq!(healed.strategy.as_deref(), Some("circuit-breaker"));
    assert_eq!(state(&scene), "active");
}

/// The daemon dies before a write of its files, at each of them in turn: the service is isolated
/// or it is not, and nobody forgets it.
#[test]
fn a_daemon_killed_while_it_isolates_forgets_nothing() {
    let content = std::fs::read(killer(7)).unwrap();
    let scene = builder("1s", "1s")
        .bytes("/opt/test/killer.so", &content, 0o755)
        .file(
            "/etc/systemd/system/prunella.service.d/killer.conf",
            DROP_IN,
            0o644,
        )
        .with_daemon();
    scene.start(&[WEB]);
    let mut kills = 0;
    for round in 0.. {
        scene.wait_active("prunella.service", TIMEOUT).unwrap();
        let at = 2 + 3 * round;
        scene.write_file(KILL_AT, format!("{at}\n"), 0o600).unwrap();
        break_for_good(&scene);
        wait_opened_again(&scene, round);
        scene.write_file(CAUSE, "", 0o644).unwrap();
        scene
            .wait_for("it to be well again", TIMEOUT, || {
                let incidents = listed(&scene);
                let over = incidents
                    .iter()
                    .all(|one| one.is("healed") || one.is("recovered"));
                let is_up = scene.property(WEB, "ActiveState")? == "active";
                Ok((over && is_up && incidents.len() > round).then_some(()))
            })
            .unwrap_or_else(|error| panic!("write {at}: {error}: {:#?}", listed(&scene)));
        let killed = !scene.exists(KILL_AT).unwrap();
        if !killed {
            scene.remove_file(KILL_AT).unwrap();
            break;
        }
        kills += 1;
        assert!(at < 400, "there is no end to it");
    }
    assert!(kills >= 8, "it was killed {kills} times only");
}

/// The incidents of the service; none, while the daemon dies.
fn listed(scene: &Scene) -> Vec<Incident> {
    let output = scene.prunella(&["incidents", "--json", "--limit", "1000"]);
    let lines = output.stdout.lines().filter(|_| output.success());
    lines
        .map(Incident::from_line)
        .filter(|one| one.unit == WEB)
        .collect()
}

/// Waits until the latest of more than `before` incidents is handed to people, its circuit open.
fn wait_opened_again(scene: &Scene, before: usize) {
    scene
        .wait_for(
            "the circuit to be open",
            TIMEOUT + Duration::from_secs(30),
            || {
                let incidents = listed(scene);
                let latest = incidents.first().filter(|_| incidents.len() > before);
                Ok(latest.filter(|one| one.is("escalated")).map(|_| ()))
            },
        )
        .unwrap_or_else(|error| panic!("{error}: {:#?}", listed(scene)));
}
