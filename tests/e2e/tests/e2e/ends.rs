//! Ends that nobody asked for, and ends after which the author of a unit does not
//! want another start.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::Duration;

use prunella_e2e::{Builder, Scene, TIMEOUT, VICTIM, victim, victim_with};
use rstest::rstest;

const BYSTANDER: &str = "bystander.service";
const ALWAYS: &str = "run-policy = \"always\"";

fn scene() -> Builder {
    Scene::builder().service(BYSTANDER, &victim("", ""), "")
}

/// Ends the main process with SIGTERM, as anybody may: systemd calls it success.
fn terminate(scene: &Scene, unit: &str) {
    let pid = scene.main_pid(unit);
    assert_ne!(pid, 0);
    scene
        .run(&["kill", &pid.to_string()])
        .unwrap()
        .into_stdout("kill")
        .unwrap();
}

/// Nothing was begun, and nobody was told.
fn assert_untouched(scene: &Scene, unit: &str) {
    scene.after_all_before(BYSTANDER);
    assert_eq!(scene.property(unit, "ActiveState").unwrap(), "inactive");
    assert_eq!(scene.runs(unit), 1);
    for incident in scene.incidents_of(unit) {
        assert!(incident.is("left-alone"), "{incident:?}");
        assert_eq!(scene.record(&incident).acts(), Vec::<String>::new());
    }
}

#[test]
fn a_service_that_somebody_ended_is_healed() {
    let scene = scene()
        .service("web.service", &victim("", "--listen 8080"), ALWAYS)
        .with_daemon();
    scene.start(&["web.service"]);
    terminate(&scene, "web.service");

    let incident = scene.wait_healed("web.service");
    assert_eq!(incident.cause, "ended");
    assert!(scene.answers(8080));
    assert_eq!(scene.incidents_of("web.service").len(), 1);
    let report = scene.report(&incident);
    assert!(report.contains("SIGTERM"), "{report}");

    // And again, by its next run.
    terminate(&scene, "web.service");
    scene
        .wait_for("the second end to be healed", TIMEOUT, || {
            let incidents = scene.incidents_of("web.service");
            Ok((incidents.len() == 2 && incidents.iter().all(|i| i.is("healed"))).then_some(()))
        })
        .unwrap();
    // A stop is a stop.
    scene.systemctl(&["stop", "web.service"]).unwrap();
    scene.after_all_before(BYSTANDER);
    assert_eq!(
        scene.property("web.service", "ActiveState").unwrap(),
        "inactive"
    );
    assert_eq!(scene.runs("web.service"), 3);
}

#[test]
fn a_service_that_ends_by_itself_with_success_is_healed_where_it_holds_ports() {
    let scene = scene()
        .service(
            "web.service",
            &victim("", "--listen 8080 --exit-when /run/end --exit-code 0"),
            "ports = [\"tcp/8080\"]",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.write_file("/run/end", "", 0o644).unwrap();
    let incident = scene.wait_healed("web.service");
    assert_eq!(incident.cause, "ended");
    assert!(scene.answers(8080));
}

#[test]
fn an_end_with_success_is_none_of_ours_where_only_failures_are() {
    let scene = scene()
        .service(
            "web.service",
            &victim("", "--listen 8080"),
            "run-policy = \"on-failure\"\nports = [\"tcp/8080\"]",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    terminate(&scene, "web.service");
    assert_untouched(&scene, "web.service");
}

#[rstest]
#[case::by_an_operator(&["systemctl", "stop", "web.service"])]
#[case::along_with_another_unit(&["systemctl", "stop", "base.service"])]
fn a_stop_of_a_service_that_is_meant_to_run_is_a_stop(#[case] stop: &[&str]) {
    let scene = scene()
        .unit("base.service", &victim("", ""))
        .service(
            "web.service",
            &victim_with("Requires=base.service\nAfter=base.service", "", ""),
            ALWAYS,
        )
        .with_daemon();
    scene.start(&["base.service", "web.service"]);
    scene.run(stop).unwrap();
    scene
        .wait_until("web.service", "inactive", TIMEOUT)
        .unwrap();
    assert_untouched(&scene, "web.service");
}

#[test]
fn a_service_that_finished_its_work_is_left_alone() {
    let once = "[Service]\nType=oneshot\nExecStart=/bin/true\n";
    let idle = "[Service]\nExecStart=/bin/sleep 0.2\n";
    let scene = scene()
        .service("job.service", once, ALWAYS)
        .unit(
            "lazy.socket",
            "[Socket]\nListenStream=127.0.0.1:8081\nFlushPending=yes\n",
        )
        .service("lazy.service", idle, ALWAYS)
        .unit("timed.timer", "[Timer]\nOnActiveSec=1h\n")
        .service("timed.service", idle, ALWAYS)
        .with_daemon();
    scene.start(&["lazy.socket", "timed.timer"]);
    let units = ["job.service", "lazy.service", "timed.service"];
    for unit in units {
        scene.systemctl(&["start", unit]).unwrap();
        scene.wait_until(unit, "inactive", TIMEOUT).unwrap();
    }
    for unit in units {
        assert_untouched(&scene, unit);
    }
}

#[test]
fn a_sweep_finds_what_was_ended_and_leaves_alone_what_was_stopped() {
    let scene = Scene::builder()
        .service("web.service", &victim("", "--listen 8080"), ALWAYS)
        .service("api.service", &victim("", "--listen 8081"), ALWAYS)
        .service("idle.service", &victim("", ""), ALWAYS)
        .without_daemon();
    scene.start(&["web.service", "api.service"]);
    terminate(&scene, "web.service");
    scene
        .wait_until("web.service", "inactive", TIMEOUT)
        .unwrap();
    scene.systemctl(&["stop", "api.service"]).unwrap();

    scene.prunella_ok(&["sweep"]);

    let incident = scene.wait_healed("web.service");
    assert_eq!(incident.cause, "ended");
    assert!(scene.answers(8080));
    // Stopped by an operator, and never started at all.
    for (unit, runs) in [("api.service", 1), ("idle.service", 0)] {
        assert_eq!(scene.property(unit, "ActiveState").unwrap(), "inactive");
        assert_eq!(scene.runs(unit), runs);
        assert_eq!(scene.incidents_of(unit).len(), 0);
    }
}

#[test]
fn an_end_before_the_daemon_started_is_taken_up() {
    let scene = Scene::builder()
        .service("web.service", &victim("", "--listen 8080"), ALWAYS)
        .without_daemon();
    scene.start(&["web.service"]);
    terminate(&scene, "web.service");
    scene
        .wait_until("web.service", "inactive", TIMEOUT)
        .unwrap();
    scene.prunella_ok(&["setup"]);
    scene.wait_healed("web.service");
}

#[test]
fn enable_says_which_ends_are_failures_and_why() {
    let enabled = "\n[Install]\nWantedBy=multi-user.target\n";
    let scene = Scene::builder()
        .unit("web.service", &victim("", "--listen 8080"))
        .unit("worker.service", &(victim("", "") + enabled))
        .enabled("worker.service")
        .unit("helper.service", &victim("", ""))
        .without_daemon();
    let units = [
        ("web", "always", "it holds ports"),
        ("worker", "always", "it is enabled"),
        ("helper", "on-failure", "it is not enabled"),
    ];
    for (unit, policy, why) in units {
        let unit_name = format!("{unit}.service");
        scene.start(&[&unit_name]);
        scene.prunella_ok(&["enable", &unit_name]);
        let file = format!("/etc/prunella/services.d/{unit}.toml");
        let text = scene.run(&["cat", &file]).unwrap().stdout;
        let line = format!("run-policy = \"{policy}\"");
        assert!(text.contains(&line), "{text}");
        let (before, _) = text.split_once(&line).unwrap();
        assert!(before.lines().last().unwrap().contains(why), "{text}");
    }
    scene.prunella_ok(&["config", "check"]);
}

/// A service of whose unit `service` are further lines, and which ends with
/// `code` once it is told to.
fn ends_with(service: &str, code: u8) -> String {
    victim(
        service,
        &format!("--listen 8080 --exit-when /run/end --exit-code {code}"),
    )
}

#[rstest]
#[case::by_itself("RestartPreventExitStatus=3")]
#[case::with_systemds_own_restarts("Restart=on-failure\nRestartPreventExitStatus=3 SIGUSR2")]
fn an_exit_that_prevents_a_restart_is_respected_and_told_once(#[case] service: &str) {
    let scene = scene()
        .service("web.service", &ends_with(service, 3), ALWAYS)
        .with_daemon();
    scene.start(&["web.service"]);
    scene.write_file("/run/end", "", 0o644).unwrap();

    let incident = scene.wait_left_alone("web.service", "restart-prevented");
    scene.after_all_before(BYSTANDER);
    assert_eq!(scene.runs("web.service"), 1);
    assert_eq!(scene.incidents_of("web.service").len(), 1);
    let report = scene.report(&incident);
    assert!(report.contains("exit status 3"), "{report}");
    // A person's start is none of the author's concern.
    scene.prunella_ok(&["heal", "web.service"]);
    assert!(scene.answers(8080));
}

#[test]
fn another_exit_than_the_one_that_prevents_a_restart_is_healed() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &ends_with("RestartPreventExitStatus=3", 4),
            "",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.write_file("/run/end", "", 0o644).unwrap();
    scene.wait_healed("web.service");
}

#[test]
fn a_signal_that_prevents_a_restart_is_respected() {
    let scene = scene()
        .service(
            "web.service",
            &victim("RestartPreventExitStatus=SIGKILL", ""),
            "",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.wait_left_alone("web.service", "restart-prevented");
    scene.after_all_before(BYSTANDER);
    assert_eq!(scene.runs("web.service"), 1);
}

/// The run that Prunella began ends as the author said.
#[test]
fn an_exit_that_prevents_a_restart_ends_the_healing_that_it_came_in() {
    let scene = scene()
        .service(
            "web.service",
            &victim(
                "RestartPreventExitStatus=3",
                "--exit-after-in /run/relapse --exit-code 3",
            ),
            "",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.write_file("/run/relapse", "100", 0o644).unwrap();
    scene.kill("web.service");
    let incident = scene.wait_ended("web.service", "left-alone");
    assert_eq!(incident.left_alone.as_deref(), Some("restart-prevented"));
    scene.after_all_before(BYSTANDER);
    assert_eq!(scene.runs("web.service"), 2);
}

#[test]
fn an_exit_that_counts_as_success_is_no_failure() {
    let scene = scene()
        .service(
            "web.service",
            &ends_with("SuccessExitStatus=7", 7),
            "run-policy = \"on-failure\"",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.write_file("/run/end", "", 0o644).unwrap();
    scene
        .wait_until("web.service", "inactive", TIMEOUT)
        .unwrap();
    assert_untouched(&scene, "web.service");
}

#[rstest]
#[case::condition("ConditionPathExists=/opt/wanted")]
#[case::assertion("AssertPathExists=/opt/wanted")]
fn a_start_that_systemd_refuses_is_not_repeated(#[case] line: &str) {
    let scene = scene()
        .service("web.service", &victim_with(line, "", ""), "")
        .without_daemon();
    scene.write_file("/opt/wanted", "", 0o644).unwrap();
    scene.prunella_ok(&["setup"]);
    scene.start(&["web.service"]);
    scene.run(&["rm", "/opt/wanted"]).unwrap();
    scene.kill("web.service");

    let incident = scene.wait_ended("web.service", "left-alone");
    assert_eq!(incident.left_alone.as_deref(), Some("condition-unmet"));
    // Only a start has systemd look at it.
    let record = scene.record(&incident);
    assert_eq!(record.acts(), ["unit-control.start web.service"]);
    assert_eq!(scene.runs("web.service"), 1);
    let report = scene.report(&incident);
    assert!(report.contains(line), "{report}");
    scene.after_all_before(BYSTANDER);
    assert_eq!(scene.incidents_of("web.service").len(), 1);
}

#[test]
fn a_unit_that_refuses_manual_starts_is_left_alone() {
    let scene = scene()
        .service(
            "part.service",
            &victim_with("RefuseManualStart=yes", "", ""),
            "",
        )
        .unit(
            "whole.service",
            &victim_with("Wants=part.service\nAfter=part.service", "", ""),
        )
        .with_daemon();
    scene.start(&["whole.service"]);
    scene.wait_active("part.service", TIMEOUT).unwrap();
    scene.kill("part.service");
    scene.wait_left_alone("part.service", "refuses-start");
}

/// A start of 35 s is longer than what every service gets, and shorter than what
/// systemd gives it.
#[test]
fn a_slow_start_is_waited_for_and_credited() {
    let web =
        |takes: u32| format!("[Service]\nExecStart={VICTIM} --listen 8080 --start-takes {takes}\n");
    let scene = Scene::builder()
        .service(
            "web.service",
            &web(0),
            "ports = [\"tcp/8080\"]\n[proof]\nstable-for = \"500ms\"\n",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene
        .write_file("/etc/systemd/system/web.service", web(35_000), 0o644)
        .unwrap();
    scene.systemctl(&["daemon-reload"]).unwrap();
    scene.kill("web.service");
    let incident = scene
        .wait_for("the slow start", Duration::from_secs(120), || {
            let incidents = scene.incidents_of("web.service");
            Ok(incidents.into_iter().find(|i| i.ended.is_some()))
        })
        .unwrap();
    assert!(incident.is("healed"), "{incident:?}");
    assert_eq!(incident.strategy.as_deref(), Some("service-restart"));
    assert_eq!(incident.attempt, 1);
    let record = scene.record(&incident);
    assert_eq!(record.acts(), ["unit-control.start web.service"]);
    assert_eq!(record.steps("not-proven").count(), 0);
    assert_eq!(scene.runs("web.service"), 2);
    assert!(scene.answers(8080));
}
