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

/// A hook that waits gives its incident to a daemon that is set up meanwhile.
#[test]
fn a_hook_that_waits_hands_over_to_a_daemon_that_is_set_up_meanwhile() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--need-file /opt/it"),
            "[budget]\nhealings = 2\nwindow = \"30m\"\nbackoff = [\"0s\", \"20s\"]\n",
        )
        .with_hooks();
    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    let waits = || {
        let incident = scene.incidents_of("web.service").pop()?;
        let record = scene.record(&incident);
        record.steps("waits").next().map(|_| ())
    };
    scene
        .wait_for("the hook to wait", TIMEOUT, || Ok(waits()))
        .unwrap();
    let hook = || {
        scene
            .property("prunella-hook@web.service.service", "ActiveState")
            .unwrap()
    };
    assert_eq!(hook(), "activating");

    scene.prunella_ok(&["setup"]);
    scene
        .wait_for("the hook to hand over", TIMEOUT, || {
            Ok((hook() != "activating").then_some(()))
        })
        .unwrap();
    let said = scene
        .journal(&["_SYSTEMD_UNIT=prunella-hook@web.service.service"])
        .unwrap();
    assert!(
        said.iter()
            .filter_map(|entry| entry["MESSAGE"].as_str())
            .any(|message| message.contains("the daemon goes on with it")),
        "{said:#?}"
    );
    let incident = scene.wait_ended("web.service", "escalated");
    let incidents = scene.incidents_of("web.service");
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    assert_eq!(scene.record(&incident).steps("heals").count(), 2);
    // The operator's start and two healings: one budget.
    assert_eq!(scene.runs("web.service"), 3);
}
