//! Acts that wait until a person agrees.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends with a panic"
)]

use prunella_e2e::{Scene, TIMEOUT, one_line, victim};

const ASKS: &str = "[oversight]\nask = [\"unit-control.start\"]\n";

fn down_and_waiting() -> (Scene, String) {
    let scene = Scene::builder()
        .service("web.service", &victim("", "--listen 8080"), "")
        .file("/etc/prunella/prunella.toml", ASKS, 0o644)
        .with_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    let incident = scene.wait_ended("web.service", "escalated");
    assert_eq!(scene.record(&incident).acts(), Vec::<String>::new());
    assert_eq!(
        scene.property("web.service", "ActiveState").unwrap(),
        "failed"
    );
    let waiting = scene.prunella_ok(&["approvals", "--json"]);
    let approval: serde_json::Value = serde_json::from_str(waiting.trim()).unwrap();
    let id = approval["id"].as_str().unwrap().to_owned();
    let report = scene.report(&incident);
    assert!(
        report.contains(&format!("prunella approve {id}")),
        "the report says how to agree: {report}"
    );
    let list = scene.prunella_ok(&["approvals"]);
    for part in [
        "start web.service",
        "web.service (strategy service-restart)",
        "why",
        "asked",
        "expires",
        &format!("prunella approve {id}"),
    ] {
        assert!(list.contains(part), "{part} in {list}");
    }
    (scene, id)
}

#[test]
fn a_start_that_has_to_be_approved_waits_and_then_heals() {
    let (scene, id) = down_and_waiting();

    // Readers may look, and only root may agree.
    let nobody = scene
        .run(&[
            "setpriv",
            "--reuid=65534",
            "--clear-groups",
            "/opt/prunella/prunella",
            "approve",
            &id,
        ])
        .unwrap();
    assert_eq!(nobody.code, Some(7), "only root may: {nobody:?}");
    let said = &nobody.stderr;
    assert!(said.contains("this command needs root"), "{said}");
    let next = format!("sudo prunella approve {id}");
    assert!(said.contains(&next), "{next} in {said}");
    assert!(!said.contains("systemd-journal"), "{said}");
    assert_eq!(scene.runs("web.service"), 1);

    let said = scene.prunella_ok(&["approve", &id]);
    assert!(said.contains("Approved, once"), "{said}");
    let incident = scene.wait_healed("web.service");
    assert_eq!(
        scene.record(&incident).acts(),
        ["unit-control.start web.service"]
    );
    assert_eq!(scene.runs("web.service"), 2);
    assert_eq!(scene.prunella_ok(&["approvals", "--json"]).trim(), "");
    let all = scene.prunella_ok(&["approvals", "--all"]);
    assert!(all.contains("used"), "{all}");
    assert!(all.contains("root"), "the account that agreed: {all}");
}

/// What was asked before a reboot is asked anew, with another id, and people are told that.
#[test]
fn the_question_that_is_asked_anew_after_a_reboot_is_told() {
    // Nobody listens there: what is to be told stands among the alerts.
    let main = format!(
        "{ASKS}[alerts]\nescalation = [\"ops\"]\ngroup-wait = \"0s\"\n[channel.ops]\nkind = \
         \"webhook\"\nurl = \"http://127.0.0.1:9/\"\nsecret-file = \
         \"/etc/prunella/secrets/ops\"\n"
    );
    let web = victim("", "--need-file /opt/it");
    let web = format!("{web}[Install]\nWantedBy=multi-user.target\n");
    let mut scene = Scene::builder()
        .service("web.service", &web, "")
        .enabled("web.service")
        .file("/etc/prunella/prunella.toml", &main, 0o644)
        .file(
            "/etc/prunella/secrets/ops",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            0o600,
        )
        .with_daemon();
    let id = |scene: &Scene| {
        let waiting = scene.prunella_ok(&["approvals", "--json"]);
        let approval: serde_json::Value = serde_json::from_str(waiting.trim()).ok()?;
        Some(approval["id"].as_str()?.to_owned())
    };
    let told = |scene: &Scene, id: &str| {
        let alerts = scene.prunella_ok(&["alerts", "--json"]);
        alerts.contains(&format!("prunella approve {id}"))
    };
    scene.wait_ended("web.service", "escalated");
    let before = id(&scene).unwrap();
    scene
        .wait_for("the question to be told", TIMEOUT, || {
            Ok(told(&scene, &before).then_some(()))
        })
        .unwrap();

    scene.machine.reboot().unwrap();
    let after = scene
        .wait_for("the question to be asked anew", TIMEOUT, || {
            Ok(id(&scene).filter(|id| *id != before))
        })
        .unwrap();
    scene
        .wait_for("that to be told", TIMEOUT, || {
            Ok(told(&scene, &after).then_some(()))
        })
        .unwrap();
}

#[test]
fn a_question_is_withdrawn_when_its_incident_ends() {
    let (scene, id) = down_and_waiting();
    scene.start(&["web.service"]);
    scene.wait_ended("web.service", "recovered");
    assert_eq!(scene.prunella_ok(&["approvals", "--json"]).trim(), "");
    let all = scene.prunella_ok(&["approvals", "--all"]);
    assert!(all.contains("withdrawn"), "{all}");

    let pid = scene.main_pid("web.service");
    let late = scene.prunella(&["approve", &id]);
    assert_eq!(late.code, Some(6), "{late:?}");
    assert!(late.stderr.contains("withdrawn: incident"), "{late:?}");
    assert_eq!(scene.main_pid("web.service"), pid);
}

/// A stranger holds the port, and people are asked about it.
fn held_by_a_stranger() -> (Scene, String) {
    let scene = Scene::builder()
        .unit("stranger.service", &victim("", "--listen 8080"))
        .service(
            "web.service",
            &victim("", "--listen 8080"),
            "ports = [\"tcp/8080\"]\n",
        )
        .file(
            "/etc/prunella/prunella.toml",
            "[oversight]\nforeign-processes = \"ask\"\n",
            0o644,
        )
        .with_daemon();
    scene.start(&["stranger.service"]);
    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    let incident = scene.wait_ended("web.service", "escalated");
    assert_eq!(scene.record(&incident).acts(), Vec::<String>::new());
    assert_eq!(scene.runs("web.service"), 1, "nothing is started in vain");
    let report = scene.report(&incident);
    assert!(
        one_line(&report).starts_with(
            "web.service waits for approval: stranger.service holds tcp/8080; terminate process "
        ),
        "{report}"
    );
    assert!(
        report.contains("To do:  Decide whether Prunella may terminate process "),
        "{report}"
    );

    // A person sees in the overview what they are asked, and how to answer.
    let status = one_line(&scene.prunella_ok(&["status"]));
    for part in ["approve or deny prunella approve ", "asked again at "] {
        assert!(status.contains(part), "{part} in {status}");
    }
    assert!(!status.contains("tried again at"), "{status}");

    let waiting = scene.prunella_ok(&["approvals", "--json"]);
    let approval: serde_json::Value = serde_json::from_str(waiting.trim()).unwrap();
    assert_eq!(
        approval["proposal"]["act"].as_str().unwrap(),
        "process-control.terminate"
    );
    let why = approval["why"].as_str().unwrap();
    assert!(why.contains("stranger.service"), "{why}");
    (scene, approval["id"].as_str().unwrap().to_owned())
}

#[test]
fn a_foreign_process_is_ended_when_a_person_agrees() {
    let (scene, id) = held_by_a_stranger();
    let dry = scene.prunella(&["heal", "--dry-run", "web.service"]);
    let told = dry.stdout + &dry.stderr;
    assert!(told.contains("would wait until somebody agrees"), "{told}");
    assert_ne!(scene.main_pid("stranger.service"), 0);

    scene.prunella_ok(&["approve", &id]);
    let incident = scene.wait_healed("web.service");
    let acts = scene.record(&incident).acts();
    assert!(acts[0].starts_with("process-control.terminate"), "{acts:?}");
    assert_eq!(scene.main_pid("stranger.service"), 0);
    // The story is whole, and nothing is left to do.
    let report = scene.report(&incident);
    let told = report.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "kept down by this: stranger.service holds tcp/8080",
        "approved, and it was done: terminate process ",
        "To do: Nothing to do now.",
    ] {
        assert!(told.contains(part), "{part:?} in {report}");
    }
    assert!(!report.contains("\n  prunella approve"), "{report}");
    assert!(scene.answers(8080));
    assert_eq!(scene.runs("web.service"), 2);
}

#[test]
fn a_foreign_process_stays_when_a_person_refuses() {
    let (scene, id) = held_by_a_stranger();
    let pid = scene.main_pid("stranger.service");
    scene.prunella_ok(&["deny", &id, "--reason", "it is the new shop"]);
    // They are told at once, without anybody asking for a heal.
    let incident = scene
        .wait_for("the refusal to be told", TIMEOUT, || {
            let incidents = scene.incidents_of("web.service");
            let told = incidents.into_iter().find(|one| {
                one.is("escalated") && scene.report(one).contains("it is the new shop")
            });
            Ok(told)
        })
        .unwrap();
    assert_eq!(scene.record(&incident).acts(), Vec::<String>::new());
    let report = scene.report(&incident);
    // Among what to do now, that is: the timeline tells what was asked.
    let asks = |line: &str| {
        line.trim_start_matches("sudo ")
            .starts_with("prunella approve")
    };
    assert!(!report.lines().map(str::trim).any(asks), "{report}");
    let status = one_line(&scene.prunella_ok(&["status", "web.service"]));
    assert!(!status.contains("at once by"), "{status}");
    assert!(status.contains("as long as that denial stands"), "{status}");
    assert!(status.contains("denial stands until"), "{status}");
    // What is in the way goes before the start, which would fail.
    let stop = report.find("systemctl stop stranger.service").unwrap();
    let start = report.find("systemctl start web.service").unwrap();
    assert!(stop < start, "{report}");
    let heal = scene.prunella(&["heal", "web.service"]);
    assert_eq!(heal.code, Some(4), "{heal:?}");
    let said = one_line(&heal.stdout);
    assert_eq!(said.matches("has denied").count(), 1, "{said}");
    for part in [
        "To do: root (uid 0) denied the request to",
        "will not do that by itself until",
        "systemctl stop stranger.service",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert_eq!(scene.main_pid("stranger.service"), pid);
    assert_eq!(scene.runs("web.service"), 1);
}

/// Lets the time of every question run out.
fn expire(scene: &Scene) {
    let sql = "import sqlite3; c = sqlite3.connect('/var/lib/prunella/prunella.db'); \
               c.execute('UPDATE approvals SET until_ms = until_ms - 7200000, \
               asked_at_ms = asked_at_ms - 7200000'); c.commit()";
    scene.run_ok(&["python3", "-c", sql]).unwrap();
    assert_eq!(scene.prunella_ok(&["approvals", "--json"]).trim(), "");
}

fn waiting(scene: &Scene) -> Vec<String> {
    let waiting = scene.prunella_ok(&["approvals", "--json"]);
    waiting
        .lines()
        .map(|line| {
            let approval: serde_json::Value = serde_json::from_str(line).unwrap();
            approval["id"].as_str().unwrap().to_owned()
        })
        .collect()
}

/// The command of a mail that is read late.
#[test]
fn a_question_whose_time_is_over_can_still_be_answered_by_the_same_command() {
    let (scene, id) = held_by_a_stranger();
    expire(&scene);
    let said = scene.prunella_ok(&["approve", &id]);
    assert!(said.contains("Approved, once"), "{said}");
    let incident = scene.wait_healed("web.service");
    let acts = scene.record(&incident).acts();
    assert!(acts[0].starts_with("process-control.terminate"), "{acts:?}");
    assert_eq!(scene.main_pid("stranger.service"), 0);
}

#[test]
fn a_question_keeps_its_id_when_it_is_asked_again_and_what_replaces_it_is_told() {
    let (scene, id) = held_by_a_stranger();
    let asks = |id: &str| format!("prunella approve {id}");
    expire(&scene);
    // Among what to do now, that is: the timeline tells what was asked.
    let to_do = |report: &str| {
        let commands: Vec<&str> = report
            .lines()
            .map(|line| line.trim().trim_start_matches("sudo "))
            .filter(|line| line.starts_with("prunella approve"))
            .collect();
        commands.join("\n")
    };
    scene.prunella(&["heal", "web.service"]);
    assert_eq!(waiting(&scene), std::slice::from_ref(&id));
    let report = scene.report(&scene.wait_ended("web.service", "escalated"));
    assert_eq!(to_do(&report).matches(&asks(&id)).count(), 1, "{report}");

    // Another process holds the port now.
    scene.systemctl(&["stop", "prunella.service"]).unwrap();
    scene.systemctl(&["restart", "stranger.service"]).unwrap();
    scene.wait_active("stranger.service", TIMEOUT).unwrap();
    expire(&scene);
    scene.systemctl(&["start", "prunella.service"]).unwrap();
    scene.prunella(&["heal", "web.service"]);
    let now = waiting(&scene);
    assert_eq!(now.len(), 1, "{now:?}");
    assert_ne!(now[0], id);
    let late = scene.prunella(&["approve", &id]);
    assert_eq!(late.code, Some(6), "{late:?}");
    assert!(late.stderr.contains(&asks(&now[0])), "{late:?}");
    let report = scene.report(&scene.wait_ended("web.service", "escalated"));
    let to_do = to_do(&report);
    assert!(to_do.contains(&asks(&now[0])), "{report}");
    assert!(!to_do.contains(&asks(&id)), "{report}");
    assert_ne!(scene.main_pid("stranger.service"), 0);
    scene.prunella_ok(&["approve", &now[0]]);
    scene.wait_healed("web.service");
}

#[test]
fn nobody_agrees_to_end_a_process_that_has_gone() {
    let (scene, id) = held_by_a_stranger();
    scene.systemctl(&["stop", "stranger.service"]).unwrap();
    let said = scene.prunella(&["approve", &id]);
    assert_eq!(said.code, Some(6), "{said:?}");
    assert!(!said.stdout.contains("Approved"), "{said:?}");
    assert!(said.stderr.contains("nothing was approved"), "{said:?}");
    assert!(said.stderr.contains("has ended"), "{said:?}");
    // What was in the way is.
    let incident = scene.wait_healed("web.service");
    assert_eq!(
        scene.record(&incident).acts(),
        ["unit-control.start web.service"]
    );
}

#[test]
fn a_start_that_is_denied_is_not_done() {
    let (scene, id) = down_and_waiting();
    let said = scene.prunella_ok(&["deny", &id, "--reason", "not tonight"]);
    assert!(said.starts_with("Denied: unit-control.start"), "{said}");

    let incident = scene
        .wait_for("the denial to be told", TIMEOUT, || {
            let incidents = scene.incidents_of("web.service");
            let told = incidents
                .into_iter()
                .find(|one| one.is("escalated") && scene.report(one).contains("not tonight"));
            Ok(told)
        })
        .unwrap();
    let report = scene.report(&incident);
    assert_eq!(scene.runs("web.service"), 1);
    // The denial comes first, with its end.
    let whole = report.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "web.service stays down: root (uid 0) denied the request to start web.service",
        "so Prunella will not do that by itself until",
        "`prunella heal` does it all the same",
    ] {
        assert!(whole.contains(part), "{part} in {report}");
    }
    let status = one_line(&scene.prunella_ok(&["status", "web.service"]));
    assert!(status.contains("`prunella heal web.service`"), "{status}");

    // What is recommended works: a person may change their mind.
    scene.prunella_ok(&["heal", "web.service"]);
    scene.wait_healed("web.service");
    assert_eq!(scene.runs("web.service"), 2);
}

/// Whoever orders the healing has agreed to the start.
#[test]
fn an_order_agrees_to_the_start_of_the_service() {
    let (scene, _) = down_and_waiting();
    scene.prunella_ok(&["heal", "web.service"]);
    let incident = scene.wait_healed("web.service");
    let record = scene.record(&incident);
    let by = record
        .steps("approved")
        .next()
        .and_then(|step| step["by"].as_str());
    assert_eq!(by, Some("whoever ordered the healing"), "{}", record.text());
    assert_eq!(scene.prunella_ok(&["approvals", "--json"]).trim(), "");
}

/// An approval names the process by when it started, which has to come out the same
/// at the next look.
#[test]
fn a_leftover_is_ended_once_that_is_approved() {
    const ASKS: &str = "[oversight]\nask = [\"process-control.terminate\"]\n";
    let terminates = |act: &String| act.starts_with("process-control.terminate");
    let scene = Scene::builder()
        .service(
            "web.service",
            &victim("KillMode=process", "--listen 8080 --leave-child"),
            "ports = [\"tcp/8080\"]\nstrategies = [\"port-conflict\"]",
        )
        .file("/etc/prunella/prunella.toml", ASKS, 0o644)
        .with_daemon();
    scene.start(&["web.service"]);
    let main = scene.main_pid("web.service").to_string();
    // Only the main process: its child lives on and keeps the port.
    scene.run_ok(&["kill", "-KILL", &main]).unwrap();
    let incident = scene.wait_ended("web.service", "escalated");
    assert!(!scene.record(&incident).acts().iter().any(terminates));
    assert!(scene.answers(8080));

    let waiting = scene.prunella_ok(&["approvals", "--json"]);
    let approval: serde_json::Value = serde_json::from_str(waiting.trim()).unwrap();
    scene.prunella_ok(&["approve", approval["id"].as_str().unwrap()]);
    let incident = scene.wait_healed("web.service");
    assert!(scene.record(&incident).acts().iter().any(terminates));
    assert_eq!(scene.prunella_ok(&["approvals", "--json"]).trim(), "");
}

/// The messages that were told of a service.
fn messages(scene: &Scene) -> Vec<String> {
    let alerts = scene.prunella_ok(&["alerts", "--json"]);
    alerts.lines().map(str::to_owned).collect()
}

/// One question is one message, and while it waits for its answer nothing is tried, and nobody
/// is said to have denied anything. What it is about may go by itself.
#[test]
fn while_a_question_waits_nothing_is_tried_and_it_is_told_once() {
    // Nobody listens there: what is to be told stands among the alerts.
    let main = "[oversight]\nforeign-processes = \"ask\"\n[alerts]\nescalation = [\"ops\"]\n\
                group-wait = \"0s\"\n[channel.ops]\nkind = \"webhook\"\nurl = \
                \"http://127.0.0.1:9/\"\nsecret-file = \"/etc/prunella/secrets/ops\"\n";
    let scene = Scene::builder()
        .unit("stranger.service", &victim("", "--listen 8080"))
        .service(
            "web.service",
            &victim("", "--listen 8080"),
            "ports = [\"tcp/8080\"]\n",
        )
        .service("bystander.service", &victim("", ""), "")
        .file("/etc/prunella/prunella.toml", main, 0o644)
        .file(
            "/etc/prunella/secrets/ops",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            0o600,
        )
        .with_daemon();
    scene.start(&["web.service"]);
    scene.systemctl(&["stop", "web.service"]).unwrap();
    scene.start(&["stranger.service"]);
    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    let incident = scene.wait_ended("web.service", "escalated");
    scene
        .wait_for("the question to be told", TIMEOUT, || {
            Ok((messages(&scene).len() == 1).then_some(()))
        })
        .unwrap();
    // It is the same question when somebody tries again in vain, and after a restart.
    assert!(scene.systemctl(&["start", "web.service"]).is_err());
    scene.after_all_before("bystander.service");
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    scene.wait_active("prunella.service", TIMEOUT).unwrap();
    let attempt = scene.only_incident_of("web.service").attempt;
    // It used to be looked at again 5, 10 and 20 s after the question.
    scene.run_ok(&["sleep", "25"]).unwrap();
    let now = scene.only_incident_of("web.service");
    assert!(now.is("escalated"), "{now:?}");
    assert_eq!(now.attempt, attempt, "something was tried meanwhile");
    assert_eq!(messages(&scene).len(), 1, "{:?}", messages(&scene));
    let record = scene.record(&incident);
    assert_eq!(record.steps("act-denied").count(), 0, "{}", record.text());
    let journal = scene
        .run_ok(&["journalctl", "-u", "prunella.service", "-o", "cat"])
        .unwrap();
    assert!(!journal.contains("denied"), "{journal}");

    // What held the port goes: there is no question any more, and nothing in its way.
    scene.systemctl(&["stop", "stranger.service"]).unwrap();
    let healed = scene.wait_healed("web.service");
    assert_eq!(healed.id, incident.id);
    assert_eq!(
        scene.record(&healed).acts(),
        ["unit-control.start web.service"]
    );
    assert_eq!(scene.prunella_ok(&["approvals", "--json"]).trim(), "");
}
