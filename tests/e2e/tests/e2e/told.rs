//! What people are told: the cause that was there to be seen, and nothing that is over.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Scene, TIMEOUT, one_line, victim};
use serde_json::Value;

use crate::receiver::{headline, kind, receiver, scene, text, wait_got};

/// Fails, tries again at once, and then waits for half an hour.
const WAITS: &str = "[budget]\nhealings = 5\nwindow = \"1h\"\nbackoff = [\"0s\", \"30m\"]\n";

/// What stands behind `Why:` or `To do:` at the head of a report.
#[track_caller]
fn head(report: &str, label: &str) -> String {
    let mut lines = report.lines().skip_while(|line| !line.starts_with(label));
    let first = lines
        .next()
        .unwrap_or_else(|| panic!("{label} in {report}"));
    let rest = lines.take_while(|line| line.starts_with("        "));
    let all: Vec<&str> = std::iter::once(first).chain(rest).collect();
    one_line(&all.join(" "))
}

#[test]
fn a_stopped_main_process_is_the_cause_of_a_hang() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--listen 8080"),
            "ports = [\"tcp/8080\"]\n\
             [[probe]]\nname = \"front\"\nhttp = \"http://127.0.0.1:8080/\"\ntimeout = \"300ms\"\n\
             interval = \"1s\"\nfailure-threshold = 2\n",
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.wait_probed("web.service");
    let pid = scene.main_pid("web.service");
    scene.run_ok(&["kill", "-STOP", &pid.to_string()]).unwrap();

    let incident = scene.wait_healed("web.service");
    let report = scene.report(&incident);
    let why = head(&report, "Why:");
    assert!(
        why.contains("runs but does not respond; its main process was stopped by a signal"),
        "{report}"
    );
    assert!(
        report.contains(&format!("process {pid} was in state T")),
        "{report}"
    );
    let to_do = head(&report, "To do:");
    assert!(to_do.contains("Find out who stopped it"), "{report}");

    // One that hangs by itself was not stopped by anybody.
    scene
        .systemctl(&["kill", "--signal=USR1", "web.service"])
        .unwrap();
    let second = scene
        .wait_for("the second healing", TIMEOUT, || {
            let mut all = scene.incidents_of("web.service");
            all.retain(|one| one.is("healed") && one.id != incident.id);
            Ok(all.pop())
        })
        .unwrap();
    let report = scene.report(&second);
    assert!(!report.contains("stopped by a signal"), "{report}");
    // What is lost with its processes was kept.
    let record = scene.record(&second).text();
    let kept = "before unit-control.restart: process ";
    assert!(record.contains(kept), "{record}");
    assert!(record.contains("open files"), "{record}");
}

#[test]
fn the_status_of_a_service_that_waits_says_how_it_failed() {
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("", "--need-file /opt/it"),
            &format!(
                "{WAITS}[[check]]\nname = \"syntax\"\ncommand = [\"/bin/true\"]\nvalidates = true\n"
            ),
        )
        .service("well.service", &victim("", ""), "")
        .with_daemon();
    scene.start(&["well.service"]);
    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    scene
        .wait_for("the healing to wait", TIMEOUT, || {
            let status = scene.prunella_ok(&["status"]);
            Ok(status.contains("failed, waiting").then_some(()))
        })
        .unwrap();
    let detail = one_line(&scene.prunella_ok(&["status", "web"]));
    for part in [
        "Failure Its main process exited with code 1",
        "Last log line",
        "/opt/it is missing",
    ] {
        assert!(detail.contains(part), "{part:?} in {detail}");
    }
    let json = scene.prunella_ok(&["status", "web", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let incident = scene.incidents_of("web.service").remove(0);
    // Since it failed, and not since the latest try.
    assert_eq!(json["failure"]["since"], incident.at.as_millis(), "{json}");

    // A check is not run for a look at the status, and nothing is claimed of it.
    scene.write_file("/opt/it", "", 0o644).unwrap();
    scene.prunella_ok(&["heal", "web.service"]);
    scene.wait_healed("web.service");
    let detail = one_line(&scene.prunella_ok(&["status", "web"]));
    for part in [
        "nothing known stands in its way",
        "the check is run first: syntax",
    ] {
        assert!(detail.contains(part), "{part:?} in {detail}");
    }
    assert!(!detail.contains("Failure"), "{detail}");
    let json = scene.prunella_ok(&["status", "well", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["failure"], Value::Null, "{json}");
}

#[test]
fn a_state_is_not_cut_in_a_terminal_nor_a_reason_in_a_pipe() {
    let scene = Scene::builder()
        .unit("stranger.service", &victim("", "--listen 8081"))
        .service(
            "a-service-with-a-long-name.service",
            &victim("", "--listen 8081"),
            "domain = \"the web shop of a friend of ours\"\nports = [\"tcp/8081\"]\n",
        )
        .with_daemon();
    scene.start(&["stranger.service"]);
    let unit = "a-service-with-a-long-name.service";
    assert!(scene.systemctl(&["start", unit]).is_err());
    scene.wait_ended(unit, "escalated");
    let status = scene
        .run_ok(&["env", "COLUMNS=80", "/opt/prunella/prunella", "status"])
        .unwrap();
    assert!(status.contains("failed, needs people"), "{status}");
    let list = scene.prunella_ok(&["incidents"]);
    assert!(!list.contains('…'), "{list}");
    assert!(list.contains("cannot work until it is free"), "{list}");
}

#[test]
fn a_recovery_names_what_kept_it_down_and_leaves_nothing_to_do() {
    let scene = scene()
        .unit("stranger.service", &victim("", "--listen 8080"))
        .service(
            "web.service",
            &victim("", "--listen 8080"),
            "ports = [\"tcp/8080\"]\n",
        )
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&["stranger.service"]);
    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    let escalation = wait_got(&scene, 1).remove(0);
    assert_eq!(kind(&escalation), "prunella.escalation");
    assert!(
        text(&escalation).contains("systemctl stop stranger.service"),
        "{escalation}"
    );

    scene.systemctl(&["stop", "stranger.service"]).unwrap();
    let incident = scene.wait_healed("web.service");
    let recovery = wait_got(&scene, 3).pop().unwrap();
    assert_eq!(kind(&recovery), "prunella.recovery");
    let text = text(&recovery);
    let why = head(text, "Why:");
    assert!(
        why.contains("kept down by this, which is over: stranger.service holds tcp/8080"),
        "{text}"
    );
    assert_eq!(head(text, "To do:"), "To do: Nothing to do now.");
    assert!(!text.contains("ss -ltnup"), "{text}");
    assert!(!text.contains("systemctl stop stranger.service"), "{text}");
    assert_eq!(
        head(&scene.report(&incident), "To do:"),
        "To do: Nothing to do now."
    );
}

#[test]
fn that_a_service_is_down_is_told_with_the_reason() {
    let scene = scene()
        .service("web.service", &victim("", "--need-file /opt/it"), WAITS)
        .with_daemon();
    receiver(&scene, "200");
    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    let outage = wait_got(&scene, 1).remove(0);
    assert_eq!(kind(&outage), "prunella.outage");
    assert!(
        headline(&outage).contains("web.service is down (exit code 1: victim: /opt/it is missing)"),
        "{outage}"
    );
    assert!(head(text(&outage), "Why:").contains("/opt/it"), "{outage}");
    // It waits for its budget, and nobody is at work on it meanwhile.
    let to_do = head(text(&outage), "To do:");
    assert!(to_do.contains("Prunella tries again on "), "{outage}");
}

#[test]
fn commands_begin_with_sudo_where_there_is_one() {
    let scene = scene()
        .service(
            "web.service",
            &victim("", "--need-file /opt/it"),
            "[budget]\nhealings = 1\nwindow = \"10m\"\nbackoff = [\"0s\"]\n",
        )
        .without_daemon();
    // The machine has the host's /usr, which cannot be written.
    scene
        .run_ok(&["mount", "-t", "tmpfs", "tmpfs", "/usr/local/bin"])
        .unwrap();
    scene
        .run_ok(&[
            "install",
            "-m",
            "755",
            "/usr/bin/true",
            "/usr/local/bin/sudo",
        ])
        .unwrap();
    scene.prunella_ok(&["setup"]);
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    receiver(&scene, "200");
    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    let escalation = wait_got(&scene, 1).remove(0);
    let text = text(&escalation);
    for command in [
        "\n  systemctl status web.service\n",
        "\n  sudo journalctl -u web.service ",
        "\n  sudo prunella heal web.service\n",
    ] {
        assert!(text.contains(command), "{command:?} in {text}");
    }
    // Root, who reads it on the machine, needs none.
    let incident = scene.wait_ended("web.service", "escalated");
    let report = scene.report(&incident);
    assert!(!report.contains("sudo"), "{report}");
    assert!(
        report.contains("\n  prunella heal web.service\n"),
        "{report}"
    );
}

#[test]
fn a_model_that_is_left_alone_for_a_while_is_told_of_in_the_status() {
    let scene = Scene::builder()
        .file(
            "/etc/prunella/prunella.toml",
            "[analysis]\nmodel = \"llama\"\nurl = \"http://127.0.0.1:9999/v1\"\n",
            0o644,
        )
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    scene.start(&["web.service"]);
    let status = one_line(&scene.prunella_ok(&["status"]));
    assert!(!status.contains("llama"), "{status}");

    scene.kill("web.service");
    scene.wait_healed("web.service");
    let status = one_line(&scene.prunella_ok(&["status"]));
    assert!(
        status.contains("the model llama: it is not asked before "),
        "{status}"
    );
    assert!(status.contains("could not be reached"), "{status}");
}

#[test]
fn a_reload_does_not_count_as_a_start() {
    let scene = Scene::builder()
        .service("web.service", &victim("ExecReload=/bin/false", ""), "")
        .with_daemon();
    scene.start(&["web.service"]);
    let since = || {
        let json = scene.prunella_ok(&["status", "web", "--json"]);
        let json: Value = serde_json::from_str(&json).unwrap();
        json["service"]["since"].as_u64().unwrap()
    };
    let before = since();
    assert!(scene.systemctl(&["reload", "web.service"]).is_err());
    // Both are computed from systemd's microseconds, and rounded to milliseconds.
    assert!(since().abs_diff(before) <= 1, "{} and {before}", since());
}
