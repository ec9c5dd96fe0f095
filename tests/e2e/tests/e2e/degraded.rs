//! From a symptom to an incident: who is told, when Prunella acts, and what ends it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Builder, Incident, Record, Scene, TIMEOUT, one_line, victim};
use serde_json::Value;

use crate::{
    receiver::{
        self, about, alert_group, headline, is_resolved, kind, receiver, text, wait_end, wait_got,
    },
    web::{self, BY_TURNS, ERRORS, SLOW, with_server},
};

/// Asked every second, with a limit that the slow answers are well beyond.
const CARE: &str = r#"
[health]
latency = { degraded = "400ms", clear = "300ms", for = "2s" }

[[probe]]
name = "front"
http = "http://127.0.0.1:8080/"
interval = "1s"
failure-threshold = 5
"#;

const HEALS: &str = "heal-degraded = [\"service-restart\"]\n";

/// Of one whose restart cures it.
const CURED: &str = "ExecStopPost=/bin/rm -f /run/test-slow\n";

/// A server, and somebody else; `service` are further lines of the server's `[Service]`.
fn scene_of(service: &str, care: &str) -> Builder {
    with_server(receiver::scene())
        .service("web.service", &web::unit(8080, service), care)
        .service("bystander.service", &victim("", ""), "")
}

fn scene(care: &str) -> Scene {
    let scene = scene_of("", care).with_daemon();
    begin(&scene);
    scene
}

/// Starts what is in the scene, and waits until it is well.
fn begin(scene: &Scene) {
    receiver(scene, "200");
    scene.start(&["web.service", "bystander.service"]);
    scene.wait_state("web.service", "healthy");
}

fn slow(scene: &Scene) {
    scene.write_file(SLOW, "", 0o644).unwrap();
}

fn fast(scene: &Scene) {
    scene.remove_file(SLOW).unwrap();
}

/// The text of a message in one line.
fn words(message: &Value) -> String {
    one_line(text(message))
}

/// From what a strategy did to the proof that it helped: milliseconds.
#[track_caller]
fn proof_took(record: &Record) -> u64 {
    let steps = record.timed();
    let at = |kind: &str| steps.iter().find(|step| step.1 == kind).unwrap().0;
    at("proven") - at("returned")
}

#[test]
fn it_is_told_once_with_what_is_known_and_its_end_to_those_who_heard() {
    let scene = scene(CARE);
    slow(&scene);
    let told = wait_got(&scene, 1).remove(0);
    assert_eq!(kind(&told), "prunella.degradation", "{told:#}");
    assert_eq!(told["path"], "/pager");
    assert_eq!(told["body"]["data"]["severity"], "warning");
    assert!(
        headline(&told).contains(" web.service is slow: probe `front` took 6"),
        "{told:#}"
    );
    let report = words(&told);
    let head: String = report.chars().take(500).collect();
    for part in [
        "with a limit of 400 ms",
        "Why: Since ",
        "latency of probe `front` 6",
        "Prunella does not act on it by itself",
        "`heal-degraded = [\"service-restart\"]` in /etc/prunella/services.d/web.service.toml",
    ] {
        assert!(head.contains(part), "{part:?} in\n{}", text(&told));
    }
    // The host may well be busy with other tests.
    let cause = [
        "; perhaps because ",
        "; likely cause: the host has more to do",
    ];
    assert!(cause.iter().any(|one| head.contains(one)), "{report}");

    let open = scene.incidents_of("web.service").remove(0);
    assert_eq!(open.ended, None, "{open:?}");
    assert_eq!(open.cause, "degraded");
    let list = scene.prunella_ok(&["incidents", "--kind", "degradation"]);
    assert!(list.contains("web"), "{list}");
    let failures = scene.prunella_ok(&["incidents", "--kind", "failure", "--unit", "web"]);
    assert!(failures.contains("No incident is like that"), "{failures}");
    let record = scene.record(&open);
    let symptom = &record.detection()["symptoms"][0];
    assert_eq!(symptom["metric"], "latency-ms", "{}", record.text());
    assert_eq!(symptom["instance"], "front");

    // However long it goes on.
    scene.after_all_before("bystander.service");
    fast(&scene);
    let ended = scene.wait_ended("web.service", "recovered");
    assert_eq!(ended.id, open.id);
    let end = wait_end(&scene, "web.service");
    assert_eq!(alert_group(&end), alert_group(&told));
    assert!(
        headline(&end).ends_with("web.service is no longer degraded"),
        "{end:#}"
    );
    let report = words(&end);
    assert!(report.contains("It was degraded for "), "{report}");
    assert!(report.contains("up to 6"), "{report}");
    let to_pager: Vec<Value> = about(&scene, "web.service")
        .into_iter()
        .filter(|message| message["path"] == "/pager")
        .collect();
    assert_eq!(to_pager.len(), 2, "told once, and once that it is over");
    assert_eq!(scene.runs("web.service"), 1);
    assert!(scene.record(&ended).acts().is_empty());
}

#[test]
fn a_blip_is_told_to_nobody() {
    let scene = scene(CARE);
    for _ in 0..2 {
        slow(&scene);
        let seen = || {
            let probe = &scene.health("web.service")["service"]["probes"][0];
            Ok((probe["latency_ms"].as_u64() >= Some(600)).then_some(()))
        };
        scene.wait_for("a slow answer", TIMEOUT, seen).unwrap();
        fast(&scene);
        let seen = || {
            let probe = &scene.health("web.service")["service"]["probes"][0];
            Ok((probe["latency_ms"].as_u64() < Some(300)).then_some(()))
        };
        scene.wait_for("a fast answer", TIMEOUT, seen).unwrap();
    }
    scene.after_all_before("bystander.service");
    assert!(scene.incidents_of("web.service").is_empty());
    assert!(about(&scene, "web.service").is_empty());
    assert_eq!(scene.runs("web.service"), 1);
}

/// Waits until so many more answers were slow.
fn wait_slow(scene: &Scene, times: usize) {
    let mut seen = std::collections::BTreeSet::new();
    scene
        .wait_for("slow answers", 2 * TIMEOUT, || {
            let probe = &scene.health("web.service")["service"]["probes"][0];
            if probe["latency_ms"].as_u64() >= Some(600) {
                seen.insert(probe["asked_at"].as_u64());
            }
            Ok((seen.len() >= times).then_some(()))
        })
        .unwrap();
}

/// Never three in a row, and yet whoever asks waits every second time.
#[test]
fn what_is_slow_by_turns_is_told_once_and_what_is_seldom_slow_to_nobody() {
    let scene = scene(CARE);
    scene.write_file(BY_TURNS, "5", 0o644).unwrap();
    wait_slow(&scene, 7);
    assert!(scene.incidents_of("web.service").is_empty());

    scene.write_file(BY_TURNS, "2", 0o644).unwrap();
    let told = wait_got(&scene, 1).remove(0);
    assert_eq!(kind(&told), "prunella.degradation", "{told:#}");
    assert!(
        headline(&told).contains(" web.service is slow: probe `front` took 6"),
        "{told:#}"
    );
    let report = words(&told);
    assert!(
        report.contains(" to answer again and again, with a limit of 400 ms"),
        "{report}"
    );
    // The fast answers between do not end it.
    wait_slow(&scene, 4);
    let all = scene.incidents_of("web.service");
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0].ended, None, "{all:?}");

    scene.remove_file(BY_TURNS).unwrap();
    wait_end(&scene, "web.service");
    let mut told = about(&scene, "web.service");
    told.retain(|message| kind(message) == "prunella.degradation");
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(scene.runs("web.service"), 1);
}

#[test]
fn a_restart_cures_it_where_the_operator_lists_that_and_the_symptom_is_the_proof() {
    let care = format!("{HEALS}{CARE}");
    let scene = scene_of(CURED, &care).with_daemon();
    begin(&scene);
    slow(&scene);
    let healed = scene.wait_healed("web.service");
    assert_eq!(healed.strategy.as_deref(), Some("service-restart"));
    assert_eq!(scene.runs("web.service"), 2);
    let record = scene.record(&healed);
    assert_eq!(record.acts(), ["unit-control.restart web.service"]);
    // For as long as the condition says, the answers were fast.
    assert!(proof_took(&record) >= 2_000, "{}", record.text());
    assert!(
        record.text().contains("the symptom has cleared"),
        "{}",
        record.text()
    );
    let told = scene
        .wait_for("the healing to be told", TIMEOUT, || {
            Ok(about(&scene, "web.service").pop())
        })
        .unwrap();
    assert_eq!(kind(&told), "prunella.recovery", "{told:#}");
    assert!(
        headline(&told).contains(" web.service was degraded; healed by service-restart in "),
        "{told:#}"
    );
    scene.wait_state("web.service", "healthy");
    scene.after_all_before("bystander.service");
    assert_eq!(about(&scene, "web.service").len(), 1);
    assert_eq!(scene.incidents_of("web.service").len(), 1);
}

#[test]
fn a_restart_that_does_not_help_is_tried_once_and_handed_to_people() {
    let scene = scene(&format!("{HEALS}{CARE}"));
    slow(&scene);
    let incident = scene.wait_step("web.service", "watches", 2 * TIMEOUT);
    let record = scene.record(&incident);
    assert_eq!(record.acts(), ["unit-control.restart web.service"]);
    let watches = record.steps("watches").next().unwrap();
    assert_eq!(watches["tried"], true, "{watches:#}");
    let told = wait_got(&scene, 1).remove(0);
    assert_eq!(kind(&told), "prunella.escalation", "{told:#}");
    let report = words(&told);
    assert!(
        headline(&told).contains(" web.service is slow, and no healing helped: "),
        "{told:#}"
    );
    assert!(report.contains("service-restart did not help"), "{report}");
    // It is measured on and on, and nothing more is done.
    scene.wait_state("web.service", "degraded");
    scene.after_all_before("bystander.service");
    assert_eq!(scene.runs("web.service"), 2);
    assert_eq!(about(&scene, "web.service").len(), 1);

    fast(&scene);
    let ended = scene.wait_ended("web.service", "recovered");
    assert_eq!(ended.id, incident.id);
    assert_eq!(scene.runs("web.service"), 2);
    assert_eq!(scene.incidents_of("web.service").len(), 1);
}

#[test]
fn what_fails_in_the_end_is_one_story() {
    let scene = scene(CARE);
    slow(&scene);
    let told = wait_got(&scene, 1).remove(0);
    fast(&scene);
    scene.kill("web.service");
    let healed = scene.wait_healed("web.service");
    let all = scene.incidents_of("web.service");
    assert_eq!(all.len(), 2, "{all:?}");
    let degradation = all.iter().find(|one| one.cause == "degraded").unwrap();
    assert!(degradation.is("continued"), "{degradation:?}");
    let record = scene.record(&healed);
    assert_eq!(record.detection()["follows"], degradation.id.as_str());
    let end = wait_end(&scene, "web.service");
    assert_eq!(alert_group(&end), alert_group(&told));
    scene.wait_state("web.service", "healthy");
    scene.after_all_before("bystander.service");
    let groups = about(&scene, "web.service");
    assert!(
        groups
            .iter()
            .all(|message| alert_group(message) == alert_group(&told)),
        "{groups:#?}"
    );
    assert_eq!(scene.incidents_of("web.service").len(), 2);
}

#[test]
fn a_slow_dependency_and_its_dependant_are_one_incident() {
    let need = r#"
[health]
latency = { degraded = "400ms", clear = "300ms", for = "1s" }

[[probe]]
name = "data"
http = "http://127.0.0.1:8081/"
interval = "1s"
failure-threshold = 5
"#;
    let scene = scene_of("", &format!("depends-on = [\"db.service\"]\n{CARE}"))
        .service("db.service", &web::unit(8081, ""), need)
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&["db.service", "web.service", "bystander.service"]);
    scene.wait_state("web.service", "healthy");
    scene.wait_state("db.service", "healthy");
    slow(&scene);
    let incident = scene.wait_step("web.service", "blocked", 2 * TIMEOUT);
    let why = scene.record(&incident).text();
    assert!(why.contains("db.service is degraded"), "{why}");
    let told = wait_got(&scene, 1);
    scene.after_all_before("bystander.service");
    assert_eq!(told.len(), 1);
    assert_eq!(receiver::got(&scene).len(), 1, "one cause, one message");
    assert_eq!(receiver::units(&told[0]).first(), Some(&"db.service"));
    fast(&scene);
    scene.wait_ended("db.service", "recovered");
    let ended = scene.wait_ended("web.service", "recovered");
    assert_eq!(ended.id, incident.id);
    assert!(
        scene.record(&ended).steps("watches").next().is_none(),
        "nobody was told of it for itself"
    );
}

/// Its own probe, at this port.
fn care_at(port: u16) -> String {
    CARE.replace("8080", &port.to_string())
}

/// The same, asked so seldom that whoever needs it is noticed to be slow before it is.
fn seldom_asked_at(port: u16) -> String {
    care_at(port).replace("interval = \"1s\"", "interval = \"4s\"")
}

#[test]
fn a_slow_database_and_two_that_need_it_are_one_alert() {
    is_one_alert_with_two_that_need_it(&care_at(8081));
}

#[test]
fn a_slow_database_that_is_noticed_after_two_that_need_it_is_one_alert_with_them() {
    let (scene, incidents) = is_one_alert_with_two_that_need_it(&seldom_asked_at(8081));
    for incident in incidents {
        let record = scene.record(&incident);
        let waits = record.steps("waits").next().unwrap();
        assert_eq!(waits["on"], "need", "{waits:#}");
        let reason = waits["reason"].as_str().unwrap();
        assert_eq!(reason, "probe `front` of db.service may show the cause");
    }
}

/// Answers with the incidents of the two.
fn is_one_alert_with_two_that_need_it(care_of_db: &str) -> (Scene, Vec<Incident>) {
    let needs = |port| format!("depends-on = [\"db.service\"]\n{}", care_at(port));
    let scene = scene_of("", &needs(8080))
        .service("shop.service", &web::unit(8082, ""), &needs(8082))
        .service("db.service", &web::unit(8081, ""), care_of_db)
        .with_daemon();
    receiver(&scene, "200");
    let all = ["db.service", "web.service", "shop.service"];
    scene.start(&[all[0], all[1], all[2], "bystander.service"]);
    for unit in all {
        scene.wait_state(unit, "healthy");
    }
    slow(&scene);
    let waiting: Vec<Incident> = all[1..]
        .iter()
        .map(|unit| scene.wait_step(unit, "blocked", 2 * TIMEOUT))
        .collect();
    // One of the two may be measured to be slow a moment after that was told.
    let of_them = || {
        let mut got = receiver::got(&scene);
        got.retain(|message| receiver::units(message) != ["bystander.service"]);
        got
    };
    wait_got(&scene, 1);
    scene.after_all_before("bystander.service");
    let told = of_them();
    assert_eq!(told.len(), 1, "one cause, one message: {told:#?}");
    assert_eq!(receiver::units(&told[0]).first(), Some(&"db.service"));
    fast(&scene);
    for unit in all {
        scene.wait_ended(unit, "recovered");
    }
    wait_end(&scene, "db.service");
    scene.after_all_before("bystander.service");
    for channel in ["/pager", "/team"] {
        let mut ends = of_them();
        ends.retain(|message| message["path"] == channel && is_resolved(message));
        assert_eq!(ends.len(), 1, "{channel}: {ends:#?}");
    }
    for unit in all {
        assert_eq!(scene.runs(unit), 1);
    }
    for incident in &waiting {
        let told = scene.record(incident).steps("watches").count();
        assert_eq!(told, 0, "{incident:?}");
    }
    (scene, waiting)
}

#[test]
fn one_that_is_slow_by_itself_is_told_though_it_needs_a_database_that_is_well() {
    is_told_by_itself(&care_at(8081));
}

#[test]
fn it_is_told_once_a_database_that_is_seldom_asked_was_found_well() {
    is_told_by_itself(&seldom_asked_at(8081));
}

/// No later than a database that became slow with it would have been found to be.
fn is_told_by_itself(care_of_db: &str) {
    // Three answers, which may take 5 s each, and 2 s.
    let at_most = 17_000;
    let needs = format!("depends-on = [\"db.service\"]\n{CARE}");
    let scene = scene_of("", &needs)
        .service("db.service", &web::unit(8081, ""), care_of_db)
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&["db.service", "web.service", "bystander.service"]);
    scene.wait_state("web.service", "healthy");
    scene.wait_state("db.service", "healthy");
    let slow_alone = format!("{SLOW}-8080");
    scene.write_file(&slow_alone, "", 0o644).unwrap();
    let told = wait_got(&scene, 1).remove(0);
    assert_eq!(kind(&told), "prunella.degradation", "{told:#}");
    assert_eq!(receiver::units(&told), ["web.service"]);
    assert!(scene.incidents_of("db.service").is_empty());
    let record = scene.record(&scene.only_incident_of("web.service"));
    let began = record.detection()["symptoms"][0]["since"].as_u64().unwrap();
    let steps = record.timed();
    let told_at = steps.iter().find(|step| step.1 == "watches").unwrap().0;
    assert!(told_at - began <= at_most, "{}", record.text());
    scene.remove_file(&slow_alone).unwrap();
    scene.wait_ended("web.service", "recovered");
    assert_eq!(scene.runs("db.service"), 1);
}

#[test]
fn while_it_is_paused_nothing_begins() {
    let scene = scene(&format!("{HEALS}{CARE}"));
    scene.prunella_ok(&["pause", "web", "--for", "1h", "--reason", "a test"]);
    scene.wait_state("web.service", "paused");
    slow(&scene);
    scene
        .wait_for("the symptom", 2 * TIMEOUT, || {
            let symptoms = &scene.health("web.service")["service"]["symptoms"];
            Ok((!symptoms.as_array().unwrap().is_empty()).then_some(()))
        })
        .unwrap();
    scene.after_all_before("bystander.service");
    assert!(scene.incidents_of("web.service").is_empty());
    assert!(about(&scene, "web.service").is_empty());
    assert_eq!(scene.runs("web.service"), 1);
    // And it begins when the pause ends.
    scene.prunella_ok(&["resume", "web"]);
    scene
        .wait_for("the healing", 2 * TIMEOUT, || {
            Ok((scene.runs("web.service") == 2).then_some(()))
        })
        .unwrap();
}

#[test]
fn an_operators_stop_and_a_kill_switch_end_and_hold_it() {
    let scene = scene(&format!("{HEALS}{CARE}"));
    scene.write_file("/etc/prunella/off", "", 0o644).unwrap();
    slow(&scene);
    let held = scene
        .wait_for("it to be held", 2 * TIMEOUT, || {
            let all = scene.incidents_of("web.service");
            Ok(all.into_iter().find(|one| one.left_alone.is_some()))
        })
        .unwrap();
    assert_eq!(held.left_alone.as_deref(), Some("kill-switch"));
    scene.systemctl(&["stop", "web.service"]).unwrap();
    scene.remove_file("/etc/prunella/off").unwrap();
    scene.prunella_ok(&["reload"]);
    let left = scene.wait_left_alone("web.service", "operator-stop");
    assert_eq!(left.id, held.id);
    scene.after_all_before("bystander.service");
    assert_eq!(scene.runs("web.service"), 1);
    assert!(about(&scene, "web.service").is_empty());
}

#[test]
fn an_open_degradation_outlives_the_daemon() {
    let scene = scene(CARE);
    slow(&scene);
    wait_got(&scene, 1);
    let open = scene.incidents_of("web.service").remove(0);
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    scene.wait_state("web.service", "degraded");
    scene.after_all_before("bystander.service");
    assert_eq!(about(&scene, "web.service").len(), 1, "told once");
    assert_eq!(scene.only_incident_of("web.service").ended, None);
    fast(&scene);
    let ended = scene.wait_ended("web.service", "recovered");
    assert_eq!(ended.id, open.id);
}

#[test]
fn what_comes_and_goes_is_told_twice_and_then_goes_on() {
    let scene = scene(CARE);
    for _ in 0..2 {
        let before = scene.incidents_of("web.service").len();
        slow(&scene);
        scene.wait_state("web.service", "degraded");
        fast(&scene);
        scene.wait_state("web.service", "healthy");
        scene
            .wait_for("another incident", TIMEOUT, || {
                Ok((scene.incidents_of("web.service").len() > before).then_some(()))
            })
            .unwrap();
        if before == 0 {
            scene.wait_ended("web.service", "recovered");
        }
    }
    slow(&scene);
    scene.wait_state("web.service", "degraded");
    fast(&scene);
    scene.wait_state("web.service", "healthy");
    scene.after_all_before("bystander.service");
    let all = scene.incidents_of("web.service");
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(all[0].ended, None, "the second one goes on: {all:?}");
    let told: Vec<Value> = about(&scene, "web.service")
        .into_iter()
        .filter(|message| kind(message) == "prunella.degradation")
        .collect();
    assert_eq!(told.len(), 2, "{told:#?}");
}

#[test]
fn a_restart_waits_until_people_agree_where_they_want_that() {
    let main = format!(
        "{}\n[oversight]\nask = [\"unit-control.restart\"]\n",
        receiver::CONFIG
    );
    let scene = scene_of(CURED, &format!("{HEALS}{CARE}"))
        .file("/etc/prunella/prunella.toml", &main, 0o644)
        .with_daemon();
    begin(&scene);
    slow(&scene);
    let told = wait_got(&scene, 1).remove(0);
    assert!(
        headline(&told).contains(" web.service is slow: waits for approval to restart"),
        "{told:#}"
    );
    assert_eq!(scene.runs("web.service"), 1);
    let asked: Value = serde_json::from_str(
        scene
            .prunella_ok(&["approvals", "--json"])
            .lines()
            .next()
            .unwrap(),
    )
    .unwrap();
    scene.prunella_ok(&["approve", asked["id"].as_str().unwrap()]);
    let healed = scene.wait_healed("web.service");
    assert_eq!(scene.runs("web.service"), 2);
    assert_eq!(
        scene.record(&healed).acts(),
        ["unit-control.restart web.service"]
    );
}

/// The memory of an earlier run proves nothing about the next, and nor does its absence.
#[test]
fn what_is_sampled_has_to_stay_away_for_as_long_as_it_would_take_to_be_seen() {
    let greedy = "import os, time\nheld = None\nwhile True:\n    \
                  if os.path.exists('/run/test-greedy') and held is None:\n        \
                  held = bytearray(os.urandom(1 << 20) * 120)\n    time.sleep(0.2)\n";
    let limit = "[health]\n\
                 memory-size = { degraded = \"100MiB\", clear = \"80MiB\", for = \"3s\" }\n";
    let main = format!("{}\n[metrics]\ninterval = \"1s\"\n", receiver::CONFIG);
    let scene = receiver::scene()
        .file("/etc/prunella/prunella.toml", &main, 0o644)
        .file("/opt/test/greedy.py", greedy, 0o755)
        .service(
            "web.service",
            "[Service]\nExecStart=/usr/bin/python3 /opt/test/greedy.py\n\
             ExecStopPost=/bin/rm -f /run/test-greedy\n",
            &format!("{HEALS}{limit}"),
        )
        .service("bystander.service", &victim("", ""), "")
        .with_daemon();
    begin(&scene);
    scene.write_file("/run/test-greedy", "", 0o644).unwrap();
    let healed = scene.wait_healed("web.service");
    let record = scene.record(&healed);
    assert_eq!(record.acts(), ["unit-control.restart web.service"]);
    // `for`, by samples, and then the proof's `stable-for`.
    assert!(proof_took(&record) >= 3_500, "{}", record.text());
    assert_eq!(scene.runs("web.service"), 2);
}

#[test]
fn errors_are_told_as_what_they_are() {
    let care = r#"
[health]
error-rate = { degraded = "20%", failed = "90%", clear = "5%", for = "1s", window = "10s" }

[[probe]]
name = "front"
http = "http://127.0.0.1:8080/"
interval = "1s"
failure-threshold = 5
"#;
    let scene = scene(care);
    scene.write_file(ERRORS, "", 0o644).unwrap();
    let told = wait_got(&scene, 1).remove(0);
    assert_eq!(kind(&told), "prunella.degradation", "{told:#}");
    assert!(
        headline(&told).contains(" web.service has errors: "),
        "{told:#}"
    );
    scene.remove_file(ERRORS).unwrap();
    scene.wait_ended("web.service", "recovered");
    assert_eq!(scene.runs("web.service"), 1);
}

#[test]
fn without_the_daemon_a_failure_is_healed_whatever_it_has_left_open() {
    let scene = scene(CARE);
    slow(&scene);
    wait_got(&scene, 1);
    scene.systemctl(&["stop", "prunella.service"]).unwrap();
    // Neither of the two that there are then measures.
    scene.prunella_ok(&["setup", "--hook-only"]);
    scene.prunella_ok(&["enable", "web.service"]);
    scene.prunella_ok(&["sweep"]);
    let open = scene.incidents_of("web.service");
    assert!(open.len() == 1 && open[0].ended.is_none(), "{open:?}");
    assert_eq!(scene.runs("web.service"), 1);
    fast(&scene);
    scene.kill("web.service");
    let healed = scene.wait_healed("web.service");
    assert_ne!(healed.cause, "degraded");
    let all = scene.incidents_of("web.service");
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all.iter().any(|one| one.is("continued")), "{all:?}");
    assert_eq!(scene.runs("web.service"), 2);
}

#[test]
fn a_strategy_that_does_not_treat_degradations_is_a_mistake() {
    let scene =
        scene_of("", &format!("heal-degraded = [\"port-conflict\"]\n{CARE}")).without_daemon();
    let out = scene.prunella(&["config", "check"]);
    assert!(!out.success());
    let said = one_line(&format!("{}{}", out.stdout, out.stderr));
    for part in [
        "strategy `port-conflict` does not treat degradations",
        "services.d/web.service.toml:2:",
        "these do: ",
        "service-restart",
    ] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
}

#[test]
fn people_hear_of_the_host_once_and_when_it_is_well_again() {
    let main = format!(
        "{}\n[metrics]\ninterval = \"1s\"\n\n[health.host]\n\
         disk = {{ degraded = \"90%\", for = \"1s\" }}\n",
        receiver::CONFIG
    );
    let scene = receiver::scene()
        .file("/etc/prunella/prunella.toml", &main, 0o644)
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&["web.service"]);
    scene
        .run_ok(&["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", "/tmp"])
        .unwrap();
    scene
        .run_ok(&["dd", "if=/dev/zero", "of=/tmp/full", "bs=1M", "count=15"])
        .unwrap();
    let told = wait_got(&scene, 1);
    assert_eq!(kind(&told[0]), "prunella.degradation");
    let subject = headline(&told[0]);
    assert!(subject.contains("The host is degraded"), "{subject}");
    assert!(subject.contains("/tmp"), "{subject}");
    assert_eq!(receiver::units(&told[0]), Vec::<&str>::new());
    assert!(!is_resolved(&told[0]));

    // Whoever begins anew knows that it was told.
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    scene.wait_state("--host", "degraded");
    scene.remove_file("/tmp/full").unwrap();
    let told = wait_got(&scene, 2);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(is_resolved(&told[1]));
    assert!(headline(&told[1]).contains("The host is well again"));
    assert_eq!(alert_group(&told[1]), alert_group(&told[0]));
    assert_eq!(scene.incidents_of("web.service").len(), 0);
}

#[test]
fn a_host_that_is_short_and_the_services_that_are_slow_with_it_are_one_matter() {
    let main = format!(
        "{}\n[metrics]\ninterval = \"1s\"\n\n[health.host]\n\
         disk = \"off\"\n\
         inodes = {{ degraded = \"90%\", critical = \"91%\", for = \"1s\" }}\n",
        receiver::CONFIG
    );
    // It may be restarted, which would not help.
    let scene = scene_of(CURED, &format!("{HEALS}{CARE}"))
        .file("/etc/prunella/prunella.toml", &main, 0o644)
        .service("shop.service", &web::unit(8082, ""), &care_at(8082))
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&["web.service", "shop.service", "bystander.service"]);
    scene.wait_state("web.service", "healthy");
    scene.wait_state("shop.service", "healthy");
    let small = [
        "mount",
        "-t",
        "tmpfs",
        "-o",
        "nr_inodes=50",
        "tmpfs",
        "/tmp",
    ];
    scene.run_ok(&small).unwrap();
    let fill = "mkdir /tmp/full && cd /tmp/full && touch $(seq 46)";
    scene.run_ok(&["sh", "-c", fill]).unwrap();
    let told = wait_got(&scene, 1);
    let subject = headline(&told[0]);
    assert!(subject.contains("The host is degraded: "), "{subject}");
    assert!(
        subject.contains(" of the inodes of /tmp are in use"),
        "{subject}"
    );
    slow(&scene);
    let slow_alone = format!("{SLOW}-8082");
    scene.write_file(&slow_alone, "", 0o644).unwrap();
    for unit in ["web.service", "shop.service"] {
        let waits = scene.wait_step(unit, "waits", 2 * TIMEOUT);
        let why = scene.record(&waits).text();
        assert!(why.contains("the host is degraded: "), "{why}");
        assert!(why.contains("of the inodes of /tmp"), "{why}");
    }
    let told = wait_got(&scene, 2);
    let subject = headline(&told[1]);
    assert!(subject.contains(" with it: "), "{subject}");
    assert!(words(&told[1]).contains("Degraded because of it: "));
    assert!(!receiver::units(&told[1]).is_empty());
    assert_eq!(alert_group(&told[1]), alert_group(&told[0]));
    scene.after_all_before("bystander.service");
    assert_eq!(receiver::got(&scene).len(), 2, "no message of each");

    // The host and one of them are well again, the other is not, and is told for itself.
    fast(&scene);
    scene.run_ok(&["rm", "-r", "/tmp/full"]).unwrap();
    scene.wait_ended("web.service", "recovered");
    let own = scene
        .wait_for("its own message", 2 * TIMEOUT, || {
            Ok(about(&scene, "shop.service").into_iter().find(|message| {
                kind(message) == "prunella.degradation"
                    && receiver::units(message).len() == 1
                    && headline(message).contains("is slow")
            }))
        })
        .unwrap();
    assert_ne!(alert_group(&own), alert_group(&told[0]));
    scene.remove_file(&slow_alone).unwrap();
    scene.wait_ended("shop.service", "recovered");
    let over: Vec<String> = receiver::got(&scene)
        .iter()
        .filter(|message| is_resolved(message))
        .map(|message| headline(message).to_owned())
        .collect();
    let of_host = over
        .iter()
        .filter(|it| it.contains("The host is well again"));
    assert_eq!(of_host.count(), 1, "{over:?}");
    assert!(
        !over.iter().any(|it| it.contains("web.service")),
        "{over:?}"
    );
    assert_eq!(
        scene.runs("web.service"),
        1,
        "a restart would not have helped"
    );
}
