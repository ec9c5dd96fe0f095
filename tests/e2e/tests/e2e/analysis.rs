//! Real failures on a real systemd, and what the report says of their cause.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Builder, Incident, Scene, VICTIM, victim};
use serde_json::Value;

/// One try, so that it is soon for people.
const ONE_TRY: &str = "[budget]\nhealings = 1\nwindow = \"1h\"\n";

const MODEL: &str = "[analysis]\nmodel = \"llama\"\n";

/// The findings of an incident, as `cause/from`.
fn findings(scene: &Scene, incident: &Incident) -> Vec<(String, Value)> {
    scene
        .record(incident)
        .steps("diagnosed")
        .flat_map(|step| step["findings"].as_array().cloned().unwrap_or_default())
        .map(|finding| {
            let word = |key: &str| finding[key].as_str().unwrap_or("?").to_owned();
            (
                format!("{}/{}", word("cause"), word("from")),
                finding.clone(),
            )
        })
        .collect()
}

/// Has `unit` fail for good, and returns what was found first.
fn first_finding(scene: &Scene, unit: &str) -> (String, Value) {
    // Whether systemd says so at once depends on the unit's type.
    scene.try_systemctl(&["start", unit]).unwrap();
    let incident = scene.wait_ended(unit, "escalated");
    let findings = findings(scene, &incident);
    let Some((word, finding)) = findings.first().cloned() else {
        panic!("nothing was found: {}", scene.record(&incident).text());
    };
    let sentence = finding["sentence"].as_str().unwrap();
    let report = scene.report(&incident);
    // The report begins sentences with a capital, and wraps them.
    let tail = sentence.split(' ').nth(1).unwrap();
    assert!(report.contains(tail), "{sentence} in {report}");
    (word, finding)
}

fn service(builder: Builder, name: &str, lines: &str) -> Builder {
    builder.service(name, &format!("[Service]\n{lines}\n"), ONE_TRY)
}

#[test]
fn classic_causes_are_found() {
    let mut builder = Scene::builder()
        .unit("stranger.service", &victim("", "--listen 8080"))
        .file("/etc/shop/secret", "x", 0o600)
        // A file system of its own, with room for nothing.
        .unit(
            "full.mount",
            "[Mount]\nWhat=tmpfs\nWhere=/full\nType=tmpfs\nOptions=size=64k\n",
        );
    for (name, lines) in [
        // A machine may have no memory controller, so an address space does.
        (
            "greedy.service",
            "LimitAS=100M\nExecStart=/usr/bin/tail /dev/zero",
        ),
        ("taken.service", "ExecStart=/opt/test/victim --listen 8080"),
        ("missing.service", "ExecStart=/opt/shop/bin/shop --serve"),
        (
            "denied.service",
            "User=nobody\nExecStart=/bin/cat /etc/shop/secret",
        ),
    ] {
        builder = service(builder, name, lines);
    }
    let scene = builder
        .service(
            "full.service",
            "[Unit]\nRequires=full.mount\nAfter=full.mount\n[Service]\n\
             ExecStart=/bin/dd if=/dev/zero of=/full/data bs=1k count=1k\n",
            &format!("[[file]]\nname = \"data\"\npath = \"/full/data\"\n{ONE_TRY}"),
        )
        .with_daemon();

    let (word, finding) = first_finding(&scene, "greedy.service");
    assert_eq!(word, "no-memory/log", "{finding}");

    scene.start(&["stranger.service"]);
    let (word, finding) = first_finding(&scene, "taken.service");
    assert_eq!(word, "address-in-use/log", "{finding}");

    let (word, finding) = first_finding(&scene, "missing.service");
    assert_eq!(word, "missing-executable/unit");
    let because = finding["because"].as_str().unwrap();
    assert!(
        because.contains("203") && because.contains("/opt/shop/bin/shop"),
        "{because}"
    );

    let (word, finding) = first_finding(&scene, "denied.service");
    assert_eq!(word, "permission-denied/log");
    assert!(
        finding["sentence"]
            .as_str()
            .unwrap()
            .contains("/etc/shop/secret"),
        "{finding}"
    );

    let (word, finding) = first_finding(&scene, "full.service");
    assert_eq!(word, "disk-full/resources");
    assert!(
        finding["because"]
            .as_str()
            .unwrap()
            .contains("No space left"),
        "the line stands beside the fact: {finding}"
    );

    // Again, by hand; nothing is written into the incident by that.
    let incident = scene.wait_ended("denied.service", "escalated");
    let steps = scene.record(&incident).text();
    let told = scene.prunella_ok(&["analyse", &incident.id]);
    assert!(told.contains("permission-denied"), "{told}");
    assert_eq!(scene.record(&incident).text(), steps);
    // There is no model, so there is nothing that would be sent.
    let output = scene.prunella(&["analyse", &incident.id, "--show-request"]);
    assert!(
        output.stderr.contains("no model is configured"),
        "{output:?}"
    );
}

#[test]
fn a_recent_change_is_named() {
    let scene = Scene::builder()
        .file("/etc/shop/shop.conf", "key = value\n", 0o644)
        .service(
            "web.service",
            &victim("", "--config /etc/shop/shop.conf --exit-when /run/end"),
            &format!("[[file]]\nname = \"config\"\npath = \"/etc/shop/shop.conf\"\n{ONE_TRY}"),
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene
        .write_file("/etc/shop/shop.conf", "nonsense\n", 0o644)
        .unwrap();
    scene.write_file("/run/end", "", 0o644).unwrap();
    let incident = scene.wait_ended("web.service", "escalated");
    let changes: Vec<Value> = findings(&scene, &incident)
        .into_iter()
        .filter(|(word, _)| word == "recent-change/change")
        .map(|(_, finding)| finding)
        .collect();
    let because = changes[0]["because"].as_str().unwrap();
    assert!(
        because.contains("/etc/shop/shop.conf was modified"),
        "{because}"
    );
}

#[test]
fn a_kill_is_its_own_cause_and_no_other_is_made_up() {
    let scene = Scene::builder()
        .service("web.service", &victim("", "--listen 8080"), "")
        .with_daemon();
    scene.start(&["web.service"]);
    // Not by systemd, which would say who asked for it.
    let main = scene.main_pid("web.service").to_string();
    scene.run_ok(&["kill", "-KILL", &main]).unwrap();
    let incident = scene.wait_healed("web.service");
    let made_up: Vec<String> = findings(&scene, &incident)
        .into_iter()
        .map(|(word, _)| word)
        // The unit's own file is as new as the machine.
        .filter(|word| word != "recent-change/change")
        .collect();
    assert_eq!(made_up, Vec::<String>::new());
}

#[test]
fn a_kill_that_somebody_asked_systemd_for_is_named() {
    let scene = Scene::builder()
        .service("web.service", &victim("", "--listen 8080"), "")
        .with_daemon();
    scene.start(&["web.service"]);
    scene
        .systemctl(&["kill", "-s", "KILL", "web.service"])
        .unwrap();
    let incident = scene.wait_healed("web.service");
    let words: Vec<String> = findings(&scene, &incident)
        .into_iter()
        .map(|(word, _)| word)
        .collect();
    // Not the unit's own file, although it is as new as the machine.
    assert_eq!(words, ["kill-requested/log"]);
    let report = scene.report(&incident);
    assert!(report.contains("SIGKILL"), "{report}");
}

#[test]
fn a_restart_loop_shows_the_programs_own_lines() {
    let scene = Scene::builder()
        .service(
            "web.service",
            "[Service]\nExecStart=/bin/sh -c 'echo the cellar is flooded >&2; exit 1'\n\
             Restart=always\nRestartSec=100ms\n[Unit]\nStartLimitIntervalSec=0\n",
            ONE_TRY,
        )
        .with_daemon();
    scene.try_systemctl(&["start", "web.service"]).unwrap();
    let incident = scene.wait_ended("web.service", "escalated");
    let lines: Vec<String> = scene
        .record(&incident)
        .steps("evidence")
        .flat_map(|step| step["lines"].as_array().cloned().unwrap_or_default())
        .map(|line| line.as_str().unwrap().to_owned())
        .collect();
    assert!(!lines.is_empty(), "{}", scene.record(&incident).text());
    assert!(
        lines.iter().all(|line| line == "the cellar is flooded"),
        "{lines:?}"
    );
}

/// The first run is killed, and each after it says what is really wrong.
#[test]
fn how_it_failed_last_is_told_first() {
    let run = "test -e /opt/valid || { echo the license file is expired >&2; exit 1; }; \
               exec sleep infinity";
    let scene = Scene::builder()
        .file("/opt/valid", "", 0o644)
        .service(
            "web.service",
            &format!("[Service]\nExecStart=/bin/sh -c '{run}'\n"),
            ONE_TRY,
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.run_ok(&["rm", "/opt/valid"]).unwrap();
    scene.kill("web.service");
    let incident = scene.wait_ended("web.service", "escalated");
    assert_eq!(incident.cause, "exit-code");

    let report = scene.report(&incident);
    let place = |what: &str| {
        let at = report.find(what);
        at.unwrap_or_else(|| panic!("{what} is not in {report}"))
    };
    assert!(place("exited with code 1") < place("SIGKILL"), "{report}");
    assert!(
        place("license file is expired") < place("SIGKILL"),
        "{report}"
    );
    let headline = report.lines().next().unwrap_or_default();
    for part in ["at each start (exit code 1", "license file is"] {
        assert!(headline.contains(part), "{part} in {headline}");
    }
}

#[test]
fn lines_of_an_old_failure_are_not_used_after_a_stop() {
    let scene = Scene::builder()
        .file("/etc/shop/secret", "x", 0o600)
        .service(
            "web.service",
            "[Service]\nUser=nobody\nExecStart=/bin/sh -c 'cat /etc/shop/secret && exec sleep infinity'\n",
            ONE_TRY,
        )
        .with_daemon();
    let (word, _) = first_finding(&scene, "web.service");
    assert_eq!(word, "permission-denied/log");

    scene.run_ok(&["chmod", "644", "/etc/shop/secret"]).unwrap();
    scene.start(&["web.service"]);
    scene.systemctl(&["stop", "web.service"]).unwrap();
    let output = scene.prunella(&["heal", "web.service", "--dry-run"]);
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(!said.contains("not allowed"), "{said}");
}

/// The numbers of the first steps of these kinds.
fn places(scene: &Scene, incident: &Incident, kinds: &[&str]) -> Vec<usize> {
    let text = scene.prunella_ok(&["incidents", &incident.id, "--json"]);
    let record: Value = serde_json::from_str(&text).unwrap();
    let steps = record["steps"].as_array().unwrap();
    kinds
        .iter()
        .map(|kind| {
            steps
                .iter()
                .position(|entry| entry["step"]["step"] == *kind)
                .unwrap_or_else(|| panic!("no step `{kind}`: {text}"))
        })
        .collect()
}

#[test]
fn a_model_that_hangs_does_not_delay_a_healing() {
    // Connections are taken by the kernel, and nobody ever answers.
    let scene = Scene::builder()
        .unit("model.socket", "[Socket]\nListenStream=127.0.0.1:9999\n")
        .unit(
            "model.service",
            "[Service]\nExecStart=/bin/sleep infinity\n",
        )
        .file(
            "/etc/prunella/prunella.toml",
            format!("{MODEL}url = \"http://127.0.0.1:9999/v1\"\ntimeout = \"2s\"\n"),
            0o644,
        )
        .service("web.service", &victim("", "--listen 8080"), "")
        .with_daemon();
    scene.start(&["model.socket", "web.service"]);
    scene.kill("web.service");
    let incident = scene.wait_healed("web.service");
    let places = places(&scene, &incident, &["answering", "advised", "ended"]);
    assert!(places.is_sorted(), "{places:?}");
    let record = scene.record(&incident);
    let advised: Vec<&Value> = record.steps("advised").collect();
    assert_eq!(advised.len(), 1);
    let why = advised[0]["opinion"]["Err"].as_str().unwrap();
    assert!(why.contains("did not answer"), "{why}");
}

const ANSWER: &str = r#"#!/bin/bash
# A model's server for one connection, which is its standard input.
while IFS= read -r line; do
    line=${line%$'\r'}
    [ -z "$line" ] && break
    case "${line,,}" in content-length:*) length=${line#*: } ;; esac
done
head -c "$length" >/run/asked
body='{"choices":[{"finish_reason":"stop","message":{"role":"assistant","content":"{\"cause\":\"the configuration was broken by somebody\",\"explanation\":\"it says so\",\"confidence\":80,\"suggestions\":[],\"order\":[]}"}}]}'
printf 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %s\r\nconnection: close\r\n\r\n%s' "${#body}" "$body"
"#;

#[test]
fn an_opinion_is_in_the_report_and_the_request_can_be_looked_at() {
    let scene = Scene::builder()
        .file("/opt/test/answer", ANSWER, 0o755)
        .unit(
            "model.socket",
            "[Socket]\nListenStream=127.0.0.1:9999\nAccept=yes\n",
        )
        .unit(
            "model@.service",
            "[Service]\nExecStart=/opt/test/answer\nStandardInput=socket\nStandardOutput=socket\n",
        )
        .file(
            "/etc/prunella/prunella.toml",
            format!("{MODEL}url = \"http://127.0.0.1:9999/v1\"\n"),
            0o644,
        )
        .service(
            "web.service",
            &format!(
                "[Service]\nExecStart=/bin/sh -c 'echo ask 10.20.30.40, password=hunter2secret; \
                 exec {VICTIM} --need-file /none'\n"
            ),
            ONE_TRY,
        )
        .with_daemon();
    scene.start(&["model.socket"]);
    scene.try_systemctl(&["start", "web.service"]).unwrap();
    let incident = scene.wait_ended("web.service", "escalated");
    let report = scene.report(&incident);
    for part in ["llama", "broken by somebody"] {
        assert!(report.contains(part), "{part} in {report}");
    }
    let asked = scene.read_file("/run/asked").unwrap();
    assert!(asked.contains("web.service"), "{asked}");
    for hidden in ["hunter2", "10.20.30.40"] {
        assert!(!asked.contains(hidden), "{hidden} in {asked}");
    }

    scene.remove_file("/run/asked").unwrap();
    let request = scene.prunella_ok(&["analyse", &incident.id, "--show-request"]);
    assert!(request.starts_with("POST http://127.0.0.1:9999/v1/chat/completions"));
    assert!(
        request.contains("[address-1]") && !request.contains("hunter2"),
        "{request}"
    );
    assert!(!scene.exists("/run/asked").unwrap(), "nothing was sent");
    let told = scene.prunella_ok(&["analyze", &incident.id]);
    assert!(
        told.contains("What llama thinks (an opinion, 80 % sure"),
        "{told}"
    );
    assert!(scene.exists("/run/asked").unwrap());
}

#[test]
fn mistakes_in_the_configuration_are_shown_with_their_place() {
    let scene = Scene::builder()
        .file(
            "/etc/prunella/prunella.toml",
            format!("{MODEL}url = \"http://llm.example/v1\"\nkey = \"sk-1\"\n"),
            0o644,
        )
        .without_daemon();
    let output = scene.prunella(&["config", "check"]);
    let shown = format!("{}{}", output.stdout, output.stderr);
    for part in [
        "prunella.toml:3:7",
        "would go to llm.example unencrypted",
        "prunella.toml:4:1",
        "unknown key `key`",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}
