//! Kinds of units, and what systemd does by itself.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Builder, Incident, Scene, TIMEOUT, VICTIM, ends_while, victim, victim_with};
use rstest::rstest;

const BYSTANDER: &str = "bystander.service";

fn scene() -> Builder {
    Scene::builder().service(BYSTANDER, &victim("", ""), "")
}

/// Waits until systemd has restarted `web.service`, whose process was `before`.
fn wait_restarted(scene: &Scene, before: u32) {
    scene
        .wait_for("systemd to restart it", TIMEOUT, || {
            let now = scene.main_pid("web.service");
            Ok((now != 0 && now != before).then_some(()))
        })
        .unwrap();
}

/// Kills `web.service`, which systemd restarts by itself, and waits for the end of
/// that incident.
fn crash(scene: &Scene, incidents: usize) -> Incident {
    let before = scene.main_pid("web.service");
    scene.kill("web.service");
    wait_restarted(scene, before);
    scene
        .wait_for("the incident to end", TIMEOUT, || {
            let found = scene.incidents_of("web.service");
            let ended = found.iter().all(|incident| incident.is("recovered"));
            let latest = found.first().filter(|_| ended && found.len() == incidents);
            Ok(latest.cloned())
        })
        .unwrap()
}

#[test]
fn a_crash_that_systemd_restarts_is_told_and_left_to_systemd() {
    let scene = scene()
        .service(
            "web.service",
            &victim("Restart=on-failure\nRestartSec=300ms", "--listen 8080"),
            "critical = true\nports = [\"tcp/8080\"]\n[proof]\nstable-for = \"100ms\"\n",
        )
        .with_daemon();
    scene.start(&["web.service"]);

    for crashes in 1..=3 {
        let incident = crash(&scene, crashes);
        assert_eq!(incident.cause, "signal");
        assert_eq!(scene.record(&incident).acts(), Vec::<String>::new());
        let report = scene.report(&incident);
        assert!(
            report.contains("systemd restarted it (Restart=on-failure)"),
            "{report}"
        );
        assert!(report.contains("SIGKILL"), "{report}");
        if crashes == 3 {
            assert!(report.contains("3 times"), "it is counted: {report}");
        }
    }

    // systemd restarts what ended well, too, and an operator's restart is none of its.
    scene.systemctl(&["restart", "web.service"]).unwrap();
    scene.after_all_before(BYSTANDER);
    assert_eq!(scene.incidents_of("web.service").len(), 3);
    assert_eq!(scene.runs("web.service"), 5);
}

#[test]
fn a_restart_after_success_is_no_incident() {
    let scene = scene()
        .service(
            "web.service",
            &victim_with(
                "StartLimitIntervalSec=0",
                "Restart=always\nRestartSec=100ms",
                "--exit-when /run/end --exit-code 0",
            ),
            "",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    let before = scene.main_pid("web.service");
    scene.write_file("/run/end", "", 0o644).unwrap();
    wait_restarted(&scene, before);
    scene.after_all_before(BYSTANDER);
    assert!(scene.incidents_of("web.service").is_empty());
}

#[test]
fn a_restart_loop_is_reported_and_not_joined() {
    let scene = scene()
        .service(
            "web.service",
            // Never hits its start limit, and never stays up.
            &victim_with(
                "StartLimitIntervalSec=0",
                "Restart=always\nRestartSec=100ms",
                "--exit-after 50 --exit-code 3",
            ),
            "",
        )
        .with_daemon();
    scene
        .systemctl(&["start", "--no-block", "web.service"])
        .unwrap();
    let incident = scene.wait_ended("web.service", "escalated");
    let report = scene.report(&incident);
    assert!(report.contains("systemd keeps restarting it"), "{report}");
    assert_eq!(scene.record(&incident).acts(), Vec::<String>::new());
    assert_eq!(scene.incidents_of("web.service").len(), 1);
    scene.systemctl(&["stop", "web.service"]).unwrap();
}

#[test]
fn a_loop_that_systemd_gives_up_is_one_incident_with_its_healing() {
    let scene = scene()
        .service(
            "web.service",
            &victim_with(
                "StartLimitBurst=8\nStartLimitIntervalSec=1h",
                "Restart=always\nRestartSec=100ms",
                "--need-file /opt/it",
            ),
            "",
        )
        .with_daemon();
    scene
        .systemctl(&["start", "--no-block", "web.service"])
        .unwrap();
    scene
        .wait_for("a start", TIMEOUT, || {
            let acts = scene
                .incidents_of("web.service")
                .iter()
                .flat_map(|incident| scene.record(incident).acts())
                .collect::<Vec<_>>();
            Ok(acts
                .contains(&"unit-control.start web.service".to_owned())
                .then_some(()))
        })
        .unwrap();
    assert_eq!(scene.incidents_of("web.service").len(), 1);
    for incident in scene.incidents_of("web.service") {
        let ends: Vec<_> = scene.record(&incident).steps("ended").cloned().collect();
        assert!(
            ends.is_empty(),
            "nobody was told that it was left: {ends:?}"
        );
    }
    scene.systemctl(&["stop", "web.service"]).unwrap();
}

#[test]
fn a_failed_oneshot_is_healed_and_a_finished_one_is_fine() {
    let scene = scene()
        .service(
            "job.service",
            "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'test -e /run/ok || { touch /run/ok; exit 3; }'\n",
            "",
        )
        .service("done.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n", "")
        .with_daemon();
    scene.systemctl(&["start", "done.service"]).unwrap();
    assert!(scene.systemctl(&["start", "job.service"]).is_err());

    // Success of a oneshot is to be inactive again.
    scene.wait_ended("job.service", "healed");
    assert_eq!(scene.property("job.service", "Result").unwrap(), "success");
    assert_eq!(scene.runs("job.service"), 2);
    scene.after_all_before(BYSTANDER);
    assert_eq!(scene.runs("done.service"), 1);
    assert!(scene.incidents_of("done.service").is_empty());
}

#[test]
fn a_forking_service_is_healed() {
    let scene = Scene::builder()
        .service(
            "old.service",
            &format!(
                "[Service]\nType=forking\nPIDFile=/run/old.pid\n\
                 ExecStart={VICTIM} --listen 8080 --fork /run/old.pid\n"
            ),
            "ports = [\"tcp/8080\"]",
        )
        .with_daemon();
    scene.start(&["old.service"]);
    scene.kill("old.service");
    scene.wait_healed("old.service");
    assert!(scene.answers(8080));
}

#[test]
fn one_instance_of_a_template_is_healed_and_the_others_are_untouched() {
    let scene = Scene::builder()
        .unit("worker@.service", &victim("", "--listen %i"))
        .care("worker@8081.service", "ports = [\"tcp/8081\"]")
        .care("worker@8082.service", "ports = [\"tcp/8082\"]")
        .with_daemon();
    scene.start(&["worker@8081.service", "worker@8082.service"]);
    let other = scene.main_pid("worker@8082.service");
    scene.kill("worker@8081.service");
    scene.wait_healed("worker@8081.service");
    assert_eq!(scene.main_pid("worker@8082.service"), other);
    assert_eq!(scene.incidents().len(), 1);
}

#[test]
fn an_alias_is_the_unit_it_stands_for() {
    let unit = victim("", "--listen 8080") + "[Install]\nAlias=front.service\n";
    let scene = Scene::builder().unit("web.service", &unit).without_daemon();
    scene.systemctl(&["enable", "web.service"]).unwrap();
    scene.prunella_ok(&["setup"]);
    scene.start(&["web.service"]);

    scene.prunella_ok(&["enable", "front.service"]);
    assert!(scene.exists("/etc/prunella/services.d/web.toml").unwrap());

    scene.kill("front.service");
    let incident = scene.wait_healed("web.service");
    assert_eq!(incident.unit, "web.service");
}

#[test]
fn a_unit_whose_start_limit_reboots_the_host_is_never_started() {
    let scene = scene()
        .service(
            "fatal.service",
            &victim_with("StartLimitAction=reboot\nStartLimitBurst=1", "", ""),
            "",
        )
        .with_daemon();
    scene.start(&["fatal.service"]);
    scene.kill("fatal.service");
    scene.wait_left_alone("fatal.service", "failure-action");
    scene.after_all_before(BYSTANDER);
    assert_eq!(scene.runs("fatal.service"), 1);
    assert_eq!(scene.boots(), 1);
}

#[test]
fn failures_after_a_restart_of_dbus_are_seen() {
    let scene = Scene::builder()
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    scene.start(&["web.service"]);
    let before = scene.main_pid("prunella.service");
    scene.systemctl(&["restart", "dbus.service"]).unwrap();
    scene.kill("web.service");
    scene.wait_healed("web.service");
    assert_eq!(scene.main_pid("prunella.service"), before);
}

#[test]
fn failures_while_dbus_is_down_are_seen_when_it_is_back() {
    let scene = Scene::builder()
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    scene.start(&["web.service"]);
    scene
        .systemctl(&["stop", "dbus.socket", "dbus.service"])
        .unwrap();
    // Without a bus, systemctl as root reaches init directly.
    scene.kill("web.service");
    scene.wait_until("web.service", "failed", TIMEOUT).unwrap();
    scene
        .systemctl(&["start", "dbus.socket", "dbus.service"])
        .unwrap();
    scene.wait_healed("web.service");
}

#[test]
fn a_daemon_reload_during_a_healing_is_harmless() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--listen 8080 --start-takes 1000"),
            "ports = [\"tcp/8080\"]",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene
        .wait_until("web.service", "activating", TIMEOUT)
        .unwrap();
    scene.systemctl(&["daemon-reload"]).unwrap();
    scene.systemctl(&["daemon-reload"]).unwrap();
    scene.wait_healed("web.service");
    assert_eq!(scene.runs("web.service"), 2);
    assert_eq!(scene.incidents().len(), 1);
}

/// What systemd restarts without a pause is up at one look and down at the next.
#[rstest]
#[case(20)]
#[case(100)]
#[case(300)]
fn a_service_that_systemd_restarts_at_once_has_one_story(#[case] lives: u32) {
    let scene = Scene::builder()
        .service(
            "zero.service",
            &format!(
                "[Service]\nRestart=on-failure\nRestartSec=0\n\
                 ExecStart={VICTIM} --exit-after {lives} --exit-code 3\n"
            ),
            "[budget]\nhealings = 1\nwindow = \"10m\"\nbackoff = [\"0s\"]\n",
        )
        .with_daemon();
    scene
        .systemctl(&["start", "--no-block", "zero.service"])
        .unwrap();
    let incident = scene.wait_ended("zero.service", "escalated");
    assert_eq!(scene.incidents_of("zero.service").len(), 1);
    let record = scene.record(&incident);
    let ended: Vec<String> = record.steps("ended").map(ToString::to_string).collect();
    assert_eq!(ended.len(), 1, "{ended:#?}");
    // It was handed to people once it had been healed in vain.
    assert_eq!(record.steps("heals").count(), 1);
    assert!(!ended[0].contains("no strategy applies"), "{ended:#?}");
}

/// What comes before the first is proven is one incident, which says how many they were.
#[test]
fn crashes_in_a_row_that_systemd_restarts_are_one_incident_that_counts_them() {
    let scene = scene()
        .service(
            "web.service",
            &victim("Restart=on-failure\nRestartSec=100ms", "--listen 8080"),
            "ports = [\"tcp/8080\"]\n[proof]\nstable-for = \"5s\"\n",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    for _ in 0..3 {
        let before = scene.main_pid("web.service");
        scene.kill("web.service");
        wait_restarted(&scene, before);
    }
    let incident = scene.wait_ended("web.service", "recovered");
    assert_eq!(scene.incidents_of("web.service").len(), 1);
    assert_eq!(scene.record(&incident).acts(), Vec::<String>::new());
    let report = scene.report(&incident);
    assert!(report.contains("systemd restarted it 3 times"), "{report}");
}

#[test]
fn a_restart_of_dbus_ends_no_incident_that_waits_for_systemd() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &ends_while("/opt/broken", "exit 1", "Restart=always\nRestartSec=6s"),
            "",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.write_file("/opt/broken", "", 0o644).unwrap();
    scene.kill("web.service");
    scene.wait_step("web.service", "waits", TIMEOUT);
    scene.systemctl(&["restart", "dbus.service"]).unwrap();
    scene.remove_file("/opt/broken").unwrap();
    let incident = scene.wait_ended("web.service", "recovered");
    let record = scene.record(&incident);
    assert_eq!(record.steps("ended").count(), 1, "{}", record.text());
    assert_eq!(record.acts(), Vec::<String>::new());
    assert_eq!(scene.incidents().len(), 1);
}
