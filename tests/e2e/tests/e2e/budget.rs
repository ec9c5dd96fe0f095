//! Healing has its limits, and they outlive everything.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Scene, TIMEOUT, victim};

const THREE: &str = "[budget]\nhealings = 3\nwindow = \"30m\"\nbackoff = [\"0s\", \"50ms\"]\n";

/// Comes up, and goes down again before it counts as healed.
fn flapping() -> String {
    victim("", "--exit-after 100")
}

#[test]
fn a_service_that_flaps_is_handed_to_people() {
    let scene = Scene::builder()
        .service("web.service", &flapping(), THREE)
        .with_daemon();
    scene
        .systemctl(&["start", "--no-block", "web.service"])
        .unwrap();

    let incident = scene.wait_ended("web.service", "escalated");

    // The operator's start and three healings.
    assert_eq!(scene.runs("web.service"), 4);
    let report = scene.report(&incident);
    assert!(
        report.contains("systemctl"),
        "it says what to do now: {report}"
    );
}

/// Each failed start has systemd call the hook, which hands the failure over.
#[test]
fn each_healing_is_one_attempt_with_daemon_and_hook() {
    let scene = Scene::builder()
        .unit("web.service", &victim("", "--need-file /opt/it"))
        .without_daemon();
    scene.prunella_ok(&["setup"]);
    scene.prunella_ok(&["enable", "web.service"]);
    let file = "/etc/prunella/services.d/web.toml";
    let more = format!("cat >> {file} <<'END'\n{THREE}END\n");
    scene.run(&["bash", "-c", &more]).unwrap();
    scene.systemctl(&["reload", "prunella.service"]).unwrap();
    assert!(scene.systemctl(&["start", "web.service"]).is_err());

    let incident = scene.wait_ended("web.service", "escalated");
    assert_eq!(scene.runs("web.service"), 4);
    // The hook of the last failure may still be under way.
    let hooks = || scene.property("prunella-hook@web.service.service", "ActiveState");
    scene
        .wait_for("the hook to end", TIMEOUT, || {
            Ok((hooks()? != "activating").then_some(()))
        })
        .unwrap();
    let incidents = scene.incidents_of("web.service");
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    assert_eq!(incidents[0].attempt, 3, "{incidents:?}");
    let record = scene.record(&incident);
    assert_eq!(record.steps("heals").count(), 3);
    assert_eq!(record.steps("ended").count(), 1);
    // What it may be is said once.
    let said = scene.journal(&["SYSLOG_IDENTIFIER=prunella"]).unwrap();
    let mut probably: Vec<&str> = said
        .iter()
        .filter_map(|entry| entry["MESSAGE"].as_str())
        .filter(|message| message.contains("probable cause"))
        .collect();
    let all = probably.len();
    probably.sort_unstable();
    probably.dedup();
    assert_eq!(probably.len(), all, "{probably:?}");
}

/// A service that fails at boot is there before the daemon: its hook begins alone, and the
/// daemon goes on. Both spend one budget, and the boot does not wait for its pauses.
#[test]
fn a_service_that_fails_at_boot_has_one_budget_with_hook_and_daemon() {
    let unit = "[Unit]\nBefore=prunella.service\n[Service]\nExecStart=/opt/test/victim \
                --exit-after 300 --exit-code 3\n[Install]\nWantedBy=multi-user.target\n";
    let mut scene = Scene::builder().unit("web.service", unit).without_daemon();
    scene.prunella_ok(&["setup"]);
    scene.prunella_ok(&["enable", "web.service"]);
    let file = "/etc/prunella/services.d/web.toml";
    let budget = "[budget]\nhealings = 3\nwindow = \"30m\"\nbackoff = [\"0s\", \"4s\"]\n";
    let more = format!("cat >> {file} <<'END'\n{budget}END\n");
    scene.run(&["bash", "-c", &more]).unwrap();
    scene.systemctl(&["enable", "web.service"]).unwrap();

    scene.machine.reboot().unwrap();
    let incident = scene.wait_ended("web.service", "escalated");
    assert_eq!(
        scene.runs("web.service"),
        4,
        "its boot's start and three healings"
    );
    assert_eq!(scene.incidents_of("web.service").len(), 1);
    assert_eq!(scene.record(&incident).steps("heals").count(), 3);
    scene
        .wait_for("the boot to be over", TIMEOUT, || {
            let state = scene.systemctl(&["is-system-running"]).unwrap_or_default();
            Ok((!state.contains("starting")).then_some(()))
        })
        .unwrap();
}

/// A hook is at work on one run's failure when the daemon comes and sees the
/// failure of the next.
#[test]
fn hook_and_daemon_have_one_incident_for_a_service() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--need-file /opt/it"),
            "[budget]\nhealings = 3\nwindow = \"30m\"\nbackoff = [\"0s\", \"8s\"]\n",
        )
        .with_hooks();
    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    scene
        .wait_for("the hook's first start", TIMEOUT, || {
            Ok((scene.runs("web.service") == 2).then_some(()))
        })
        .unwrap();
    scene.wait_until("web.service", "failed", TIMEOUT).unwrap();
    scene.prunella_ok(&["setup"]);
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    scene.write_file("/opt/it", "", 0o644).unwrap();
    scene
        .wait_for("the incident to end", TIMEOUT, || {
            let incidents = scene.incidents_of("web.service");
            assert_eq!(incidents.len(), 1, "{incidents:?}");
            Ok(incidents[0].is("healed").then_some(()))
        })
        .unwrap();
    assert_eq!(scene.runs("web.service"), 3);
}

#[test]
fn a_spent_budget_stays_spent_over_a_restart_and_a_reboot() {
    let mut scene = Scene::builder()
        .service("web.service", &flapping(), THREE)
        .service("bystander.service", &victim("", ""), "")
        .with_daemon();
    scene
        .systemctl(&["start", "--no-block", "web.service"])
        .unwrap();
    scene.wait_ended("web.service", "escalated");
    assert_eq!(scene.runs("web.service"), 4);

    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    scene.after_all_before("bystander.service");
    assert_eq!(scene.runs("web.service"), 4);
    let incidents = scene.incidents_of("web.service");
    assert_eq!(incidents.len(), 1, "it is the same failure: {incidents:?}");

    scene.machine.reboot().unwrap();
    // Started by a person who does not know; that run fails as well.
    scene.start(&["bystander.service"]);
    scene.after_all_before("bystander.service");
    assert_eq!(scene.runs("web.service"), 4, "nobody has started it since");
}

#[test]
fn a_persons_order_passes_a_spent_budget() {
    let scene = Scene::builder()
        .service("web.service", &victim("", "--need-file /opt/it"), THREE)
        .with_daemon();
    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    scene.wait_ended("web.service", "escalated");
    scene.write_file("/opt/it", "", 0o644).unwrap();
    scene.prunella_ok(&["heal", "web.service"]);
    let incident = scene.wait_healed("web.service");
    let record = scene.record(&incident).text();
    assert!(record.contains("a person asked"), "{record}");
}

#[test]
fn an_operators_start_gives_the_budget_back() {
    let scene = Scene::builder()
        .service("web.service", &victim("", "--need-file /opt/it"), THREE)
        .with_daemon();
    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    scene.wait_ended("web.service", "escalated");
    scene.write_file("/opt/it", "", 0o644).unwrap();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.wait_healed("web.service");
}

/// A healing that the budget puts off is left to the next sweep, with its story.
#[test]
fn a_sweep_ends_whatever_a_service_waits_for_and_the_next_goes_on() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--need-file /opt/it"),
            "[budget]\nhealings = 5\nwindow = \"1h\"\nbackoff = [\"0s\", \"30s\"]\n",
        )
        .without_daemon();
    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    let starts = || {
        let incident = scene.incidents_of("web.service").remove(0);
        let record = scene.record(&incident);
        (record.steps("heals").count(), record.steps("ended").count())
    };
    scene.prunella_ok(&["sweep"]);
    assert_eq!(starts(), (2, 0));
    scene.prunella_ok(&["sweep"]);
    assert_eq!(starts(), (3, 0));
    let incidents = scene.incidents_of("web.service");
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    // The operator's start, and theirs.
    assert_eq!(scene.runs("web.service"), 4);
}

/// Fails until its file is there, in hook-only mode, and waits so long for its second healing.
fn waits_for(pause: &str) -> Scene {
    let budget =
        format!("[budget]\nhealings = 5\nwindow = \"1h\"\nbackoff = [\"0s\", \"{pause}\"]\n");
    let scene = Scene::builder()
        .service("web.service", &victim("", "--need-file /opt/it"), &budget)
        .with_hooks();
    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    let waits = || {
        let incident = scene.incidents_of("web.service").pop()?;
        let record = scene.record(&incident);
        record.steps("waits").next().map(|_| ())
    };
    scene
        .wait_for("its incident to wait", TIMEOUT, || Ok(waits()))
        .unwrap();
    scene
        .wait_for("the hook to end", TIMEOUT, || {
            Ok((hook(&scene) != "activating").then_some(()))
        })
        .unwrap();
    scene
}

fn hook(scene: &Scene) -> String {
    scene
        .property("prunella-hook@web.service.service", "ActiveState")
        .unwrap()
}

/// systemd starts no hook that is still running: one that waited would miss the next failure.
#[test]
fn a_failure_is_noticed_at_once_while_an_earlier_healing_waited_for_the_budget() {
    let scene = waits_for("10m");
    scene.write_file("/opt/it", "", 0o644).unwrap();
    scene.prunella_ok(&["heal", "web.service"]);
    let first = scene.wait_healed("web.service");

    // Nothing else may notice it.
    scene.systemctl(&["stop", "prunella-sweep.timer"]).unwrap();
    scene
        .systemctl(&["stop", "prunella-sweep.service"])
        .unwrap();
    scene.kill("web.service");
    let second = scene
        .wait_for("the second failure to be noticed", TIMEOUT, || {
            let mut incidents = scene.incidents_of("web.service").into_iter();
            Ok(incidents.find(|incident| incident.id != first.id))
        })
        .unwrap();
    let record = scene.record(&second);
    assert_eq!(record.detection()["by"], "hook", "{}", record.text());
    // It has a budget of its own to wait for, and a person passes that.
    scene.prunella_ok(&["heal", "web.service"]);
    scene.wait_healed("web.service");
    assert_eq!(scene.incidents_of("web.service").len(), 2);
}

/// What a hook leaves waiting goes on by the clock, whoever comes with it meanwhile.
#[test]
fn what_a_hook_leaves_waiting_goes_on_when_it_is_due_and_not_before() {
    let scene = waits_for("8s");
    // The sweep that the hook has started is at it by now; these find nothing to do.
    scene
        .systemctl(&["start", "--no-block", "prunella-hook@web.service.service"])
        .unwrap();
    let healings = || {
        let incident = scene.incidents_of("web.service").remove(0);
        let record = scene.record(&incident);
        let timed = record.timed().into_iter();
        timed
            .filter(|(_, step)| step == "heals")
            .map(|(at, _)| at)
            .collect::<Vec<u64>>()
    };
    let at = scene
        .wait_for("the second healing", TIMEOUT, || {
            let at = healings();
            Ok((at.len() > 1).then_some(at))
        })
        .unwrap();
    let pause = at[1] - at[0];
    // Of the clock of the healings, which is not that of the steps.
    assert!((7_900..12_000).contains(&pause), "{at:?}");
    assert_eq!(scene.incidents_of("web.service").len(), 1);
}

/// What a hook has left waiting is the daemon's as soon as there is one.
#[test]
fn what_a_hook_leaves_waiting_is_handed_to_a_daemon_that_is_set_up_meanwhile() {
    let scene = waits_for("15s");
    scene.prunella_ok(&["setup"]);
    scene
        .wait_for("the sweep to hand over", TIMEOUT, || {
            let sweep = scene.property("prunella-sweep.service", "ActiveState")?;
            Ok((sweep != "activating").then_some(()))
        })
        .unwrap();
    let said = scene
        .journal(&["_SYSTEMD_UNIT=prunella-sweep.service"])
        .unwrap();
    assert!(
        said.iter()
            .filter_map(|entry| entry["MESSAGE"].as_str())
            .any(|message| message.contains("a daemon runs by now")),
        "{said:#?}"
    );
    scene.write_file("/opt/it", "", 0o644).unwrap();
    let incident = scene.wait_healed("web.service");
    assert_eq!(scene.incidents_of("web.service").len(), 1);
    assert_eq!(scene.record(&incident).steps("heals").count(), 2);
    // The operator's start and two healings.
    assert_eq!(scene.runs("web.service"), 3);
}
