//! Probes that were never answered: they are no evidence of anything.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Builder, Scene, TIMEOUT, victim};
use rstest::rstest;

/// A probe of a port at which nobody listens unless `side.service` does.
const PROBE: &str = "[[probe]]\nname = \"front\"\ntcp = \"127.0.0.1:9090\"\ntimeout = \"300ms\"\n";

/// One that cannot even be asked.
const COMMAND: &str =
    "[[probe]]\nname = \"front\"\ncommand = [\"/usr/bin/no-such-check\"]\ntimeout = \"300ms\"\n";

const ASKED: &str = "interval = \"1s\"\nfailure-threshold = 2\n";

const NEVER: &str = "has never been answered";

fn scene(interval: &str) -> Builder {
    scene_with(PROBE, interval)
}

fn scene_with(probe: &str, interval: &str) -> Builder {
    Scene::builder()
        .unit("side.service", &victim("", "--listen 9090"))
        .service(
            "web.service",
            &victim("", ""),
            &format!("{probe}{interval}"),
        )
        .service("bystander.service", &victim("", ""), "")
}

/// What of Prunella's journal has this in it.
fn said(scene: &Scene, part: &str) -> Vec<String> {
    scene
        .journal(&["SYSLOG_IDENTIFIER=prunella"])
        .unwrap()
        .iter()
        .filter_map(|entry| entry["MESSAGE"].as_str())
        .filter(|message| message.contains(part))
        .map(str::to_owned)
        .collect()
}

#[track_caller]
fn wait_said(scene: &Scene, part: &str) {
    scene
        .wait_for(part, TIMEOUT, || {
            Ok((!said(scene, part).is_empty()).then_some(()))
        })
        .unwrap();
}

#[rstest]
#[case::nobody_listens(PROBE)]
#[case::no_such_command(COMMAND)]
fn a_probe_that_was_never_answered_heals_nothing_and_is_told_once(#[case] probe: &str) {
    let scene = scene_with(probe, ASKED).with_daemon();
    scene.start(&["web.service", "bystander.service"]);
    wait_said(&scene, NEVER);
    let status = scene.prunella_ok(&["status"]);
    assert!(status.contains("probe `front` of web.service has never been answered"));
    let one = scene.prunella_ok(&["status", "web.service"]);
    assert!(one.contains("never answered yet"), "{one}");

    // Not by another daemon either.
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    scene.kill("bystander.service");
    scene.wait_healed("bystander.service");
    assert_eq!(scene.runs("web.service"), 1);
    assert!(scene.incidents_of("web.service").is_empty());
    assert_eq!(said(&scene, NEVER).len(), 1);

    // A crash is healed, with what proof there is.
    scene.kill("web.service");
    let incident = scene.wait_healed("web.service");
    assert_eq!(scene.incidents_of("web.service").len(), 1);
    let evidence = scene.record(&incident).steps("proven").next().unwrap()["evidence"].to_string();
    assert!(evidence.contains(NEVER), "{evidence}");
    // Nor is there anything to do for who asks.
    scene.prunella_ok(&["heal", "web.service"]);
    assert_eq!(scene.runs("web.service"), 2);
}

/// That a check is gone tells nothing of the service.
#[test]
fn a_probe_that_cannot_be_asked_any_more_fails_no_proof() {
    const CHECK: &str = "/opt/check";
    let probe = format!("[[probe]]\nname = \"front\"\ncommand = [\"{CHECK}\"]\n");
    let scene = scene_with(&probe, ASKED)
        .file(CHECK, "#!/bin/sh\nexit 0\n", 0o755)
        .with_daemon();
    scene.start(&["web.service"]);
    scene.wait_probed("web.service");
    scene.remove_file(CHECK).unwrap();
    scene.kill("web.service");
    let incident = scene.wait_healed("web.service");
    let evidence = scene.record(&incident).steps("proven").next().unwrap()["evidence"].to_string();
    assert!(evidence.contains("cannot be asked"), "{evidence}");
    assert_eq!(scene.runs("web.service"), 2);
}

#[test]
fn a_probe_counts_from_its_first_answer_on_over_a_restart_of_the_daemon() {
    let scene = scene(ASKED).with_daemon();
    scene.start(&["web.service"]);
    wait_said(&scene, NEVER);
    scene.start(&["side.service"]);
    wait_said(&scene, "is answered for the first time");
    let status = scene.prunella_ok(&["status"]);
    assert!(!status.contains(NEVER), "{status}");

    scene.systemctl(&["stop", "prunella.service"]).unwrap();
    scene.systemctl(&["stop", "side.service"]).unwrap();
    scene.systemctl(&["start", "prunella.service"]).unwrap();
    let incident = scene
        .wait_for("the hang to be noticed", TIMEOUT, || {
            Ok(scene.incidents_of("web.service").pop())
        })
        .unwrap();
    assert_eq!(incident.cause, "not-answering");

    // Declared anew it has no past, and does not say that the hang is over.
    let file = "/etc/prunella/services.d/web.service.toml";
    let text = scene.read_file(file).unwrap();
    scene
        .write_file(file, text.replace(":9090", ":9091"), 0o644)
        .unwrap();
    scene.systemctl(&["reload", "prunella.service"]).unwrap();
    let unknown = "whether it answers is not known";
    scene
        .wait_for(unknown, 2 * TIMEOUT, || {
            Ok((!said(&scene, unknown).is_empty()).then_some(()))
        })
        .unwrap();
    scene.wait_ended("web.service", "escalated");
}

/// One without an interval is part of the proof as soon as it was answered once.
#[test]
fn a_probe_without_an_interval_is_asked_until_its_first_answer() {
    let scene = scene("interval = \"never\"\n").with_daemon();
    scene.start(&["web.service", "side.service"]);
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    scene.wait_probed("web.service");
    scene.systemctl(&["stop", "side.service"]).unwrap();
    scene.kill("web.service");
    let incident = scene
        .wait_for("a proof that fails", 2 * TIMEOUT, || {
            let incident = scene.incidents_of("web.service").pop();
            Ok(incident.filter(|one| {
                let record = scene.record(one);
                record.steps("not-proven").next().is_some()
            }))
        })
        .unwrap();
    let why = scene.record(&incident).steps("not-proven").next().unwrap()["reason"].to_string();
    assert!(why.contains("probe `front` is not answered"), "{why}");
}

#[test]
fn a_sweep_heals_nothing_by_a_probe_that_was_never_answered() {
    let scene = scene(ASKED).without_daemon();
    scene.start(&["web.service"]);
    let sweep = |property: &str| {
        scene
            .run_ok(&[
                "systemd-run",
                "--wait",
                &format!("--unit={property}"),
                "--property=SyslogIdentifier=prunella",
                "/opt/prunella/prunella",
                "sweep",
            ])
            .unwrap()
    };
    sweep("first");
    sweep("second");
    assert_eq!(scene.runs("web.service"), 1);
    assert!(scene.incidents().is_empty());
    assert_eq!(said(&scene, NEVER).len(), 1);
}

/// Whoever heals a hang does not wait for a probe that nobody ever answered.
#[test]
fn a_probe_that_was_never_answered_does_not_delay_the_healing_of_a_hang() {
    let scene = Scene::builder()
        .unit("side.service", &victim("", "--listen 9090"))
        .service(
            "web.service",
            &victim("", "--listen 8080"),
            "[[probe]]\nname = \"aside\"\nhttp = \"http://127.0.0.1:9090/\"\ntimeout = \"3s\"\n\
             interval = \"1s\"\nfailure-threshold = 2\n\
             [[probe]]\nname = \"front\"\nhttp = \"http://127.0.0.1:8080/\"\n\
             timeout = \"300ms\"\ninterval = \"1s\"\nfailure-threshold = 2\n",
        )
        .without_daemon();
    scene.start(&["side.service", "web.service"]);
    // It takes connections, and never answers.
    scene
        .systemctl(&["kill", "--signal=STOP", "side.service"])
        .unwrap();
    scene.prunella_ok(&["setup", "--without-hooks"]);
    wait_said(&scene, NEVER);
    scene
        .systemctl(&["kill", "--signal=USR1", "web.service"])
        .unwrap();
    let incident = scene.wait_healed("web.service");
    assert_eq!(incident.cause, "not-answering");
    // From the first silence on: two rounds of the good probe, and a restart.
    let after = incident.recovered_after.unwrap();
    assert!(after < std::time::Duration::from_secs(6), "{after:?}");
}

/// Whoever hears of it while the restart goes on may be quicker.
#[test]
fn what_stopped_a_service_that_hangs_is_known_while_it_is_restarted() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("TimeoutStopSec=60", "--listen 8080 --ignore-term"),
            "[[probe]]\nname = \"front\"\nhttp = \"http://127.0.0.1:8080/\"\n\
             timeout = \"300ms\"\ninterval = \"1s\"\nfailure-threshold = 2\n",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.wait_probed("web.service");
    scene
        .systemctl(&["kill", "--signal=STOP", "web.service"])
        .unwrap();
    let report = scene
        .wait_for("the cause", TIMEOUT, || {
            let incident = scene.incidents_of("web.service").pop();
            let report = incident.map(|incident| scene.report(&incident));
            Ok(report.filter(|report| report.contains("SIGSTOP")))
        })
        .unwrap();
    assert!(report.contains("being healed"), "{report}");
    // The stop of the old run goes on.
    assert_eq!(
        scene.property("web.service", "ActiveState").unwrap(),
        "deactivating"
    );
}

/// More than a pool of threads has.
const CROWD: usize = 600;

/// A daemon that waits for an answer with a thread has hundreds of them here, and none left for
/// the probe of somebody else.
#[test]
fn servers_that_hang_cost_no_threads_and_delay_no_other_probe() {
    let crowd: String = (0..CROWD)
        .map(|number| {
            format!(
                "[[probe]]\nname = \"p{number}\"\nhttp = \"http://127.0.0.1:9090/\"\n\
                 timeout = \"60s\"\ninterval = \"5s\"\nfailure-threshold = 1000\n"
            )
        })
        .collect();
    let scene = Scene::builder()
        .service("crowd.service", &victim("", "--listen 9090"), &crowd)
        .service(
            "web.service",
            &victim("", "--listen 8080"),
            "[[probe]]\nname = \"front\"\nhttp = \"http://127.0.0.1:8080/\"\ninterval = \"1s\"\n",
        )
        .with_daemon();
    scene.start(&["crowd.service", "web.service"]);
    scene.wait_state("crowd.service", "healthy");
    scene
        .systemctl(&["kill", "--signal=USR1", "crowd.service"])
        .unwrap();
    let pid = scene.main_pid("prunella.service");
    let count = |script: &str| -> usize {
        let script = script.replace("PID", &pid.to_string());
        let said = scene.run_ok(&["sh", "-c", &script]).unwrap();
        said.trim().parse().unwrap()
    };
    scene
        .wait_for("all of them to be waited for", TIMEOUT, || {
            Ok((count("ls /proc/PID/fd | wc -l") > CROWD).then_some(()))
        })
        .unwrap();
    let mut asked = std::collections::BTreeSet::new();
    scene
        .wait_for("the other probe to be asked on and on", TIMEOUT, || {
            let health = scene.health("web.service");
            asked.insert(health["service"]["probes"][0]["asked_at"].as_u64());
            Ok((asked.len() > 5).then_some(()))
        })
        .unwrap();
    assert!(
        count("ls /proc/PID/fd | wc -l") > CROWD,
        "they are waited for"
    );
    let threads = count("ls /proc/PID/task | wc -l");
    assert!(threads < 60, "{threads} threads");
    scene.wait_state("web.service", "healthy");
    assert!(scene.incidents().is_empty());
    for unit in ["crowd.service", "web.service"] {
        assert_eq!(scene.runs(unit), 1, "{unit}");
    }
}
