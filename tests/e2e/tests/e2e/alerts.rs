//! People are told: by a real HTTP receiver, which may be down, or slow.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use std::time::{Duration, Instant};

use prunella_e2e::{Scene, TIMEOUT, victim, victim_with};
use rstest::rstest;
use serde_json::Value;

use crate::receiver::{
    CONFIG, about, alert_group, answers, got, headline, is_resolved, kind, receiver, scene,
    scene_telling_after, units, wait_end, wait_got,
};

const BUDGET: &str = "[budget]\nhealings = 1\nwindow = \"10m\"\nbackoff = [\"0s\"]\n";

/// `prunella alerts --json`, newest first.
fn alerts(scene: &Scene) -> Vec<Value> {
    scene
        .prunella_ok(&["alerts", "--json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Waits until all that is known of messages are these states, newest first.
fn wait_states(scene: &Scene, wanted: &[&str]) -> Vec<Value> {
    scene
        .wait_for(&format!("messages that are {wanted:?}"), TIMEOUT, || {
            let alerts = alerts(scene);
            let states: Vec<&str> = alerts.iter().filter_map(|a| a["state"].as_str()).collect();
            Ok((states == wanted).then_some(alerts))
        })
        .unwrap()
}

#[test]
fn a_healing_is_notified_once_and_the_incident_records_it() {
    let scene = scene()
        .service("web.service", &victim("", "--listen 8080"), "")
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&["web.service"]);
    scene.kill("web.service");
    let incident = scene.wait_healed("web.service");

    let alerts = wait_states(&scene, &["delivered"]);
    let got = got(&scene);
    assert_eq!(got.len(), 1, "{got:#?}");
    assert_eq!(got[0]["path"], "/team");
    assert_eq!(got[0]["body"]["type"], "prunella.recovery");
    assert_eq!(units(&got[0]), ["web.service"]);
    assert_eq!(got[0]["body"]["data"]["incidents"][0], incident.id.as_str());
    assert_eq!(got[0]["id"], alerts[0]["message"]["id"]);
    let report = scene.report(&incident);
    assert!(report.contains("team was told"), "{report}");
}

#[test]
fn a_dry_run_sends_no_alert() {
    let scene = scene()
        .service("web.service", &victim("", ""), "")
        .service("bystander.service", &victim("", ""), "")
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&["web.service"]);
    scene.prunella_ok(&["heal", "web.service", "--dry-run"]);
    scene.after_all_before("bystander.service");

    wait_states(&scene, &["delivered"]);
    let got = got(&scene);
    assert_eq!(units(&got[0]), ["bystander.service"]);
}

#[test]
fn an_alert_is_delivered_once_after_the_receiver_comes_back() {
    let scene = scene()
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.wait_healed("web.service");
    let waiting = scene
        .wait_for("a try in vain", TIMEOUT, || {
            Ok(alerts(&scene)
                .into_iter()
                .find(|alert| alert["state"] == "waiting" && alert["tries"].as_u64() >= Some(1)))
        })
        .unwrap();
    assert!(waiting["next"].is_u64(), "{waiting}");
    assert!(waiting["detail"].is_string(), "{waiting}");
    let told = "people cannot be told by channel team: 1 message waits";
    let status = scene.prunella_ok(&["status"]);
    assert!(status.contains(told), "{status}");

    receiver(&scene, "200");
    scene.prunella_ok(&["alerts", "retry", "--all"]);
    wait_states(&scene, &["delivered"]);
    assert_eq!(got(&scene).len(), 1);
    let status = scene.prunella_ok(&["status"]);
    assert!(!status.contains("cannot be told"), "{status}");
}

#[test]
fn a_daemon_killed_while_sending_sends_again_under_the_same_id() {
    let scene = scene()
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    receiver(&scene, "wait");
    scene.start(&["web.service"]);
    scene.kill("web.service");
    wait_got(&scene, 1);

    scene
        .systemctl(&["kill", "--signal=KILL", "prunella.service"])
        .unwrap();
    wait_got(&scene, 2);
    answers(&scene, "200");
    let alerts = wait_states(&scene, &["delivered"]);

    let got = got(&scene);
    assert_eq!(got.len(), 2, "{got:#?}");
    assert_eq!(got[0]["id"], got[1]["id"]);
    assert_eq!(got[0]["body"], got[1]["body"]);
    assert_eq!(alerts[0]["tries"], 2);
}

#[test]
fn ten_services_on_a_dead_database_are_one_alert_and_one_resolution() {
    let names: Vec<String> = (1..=10).map(|n| format!("web{n}.service")).collect();
    let mut builder = scene().service(
        "db.service",
        &victim("", "--listen 6379 --need-file /opt/disk"),
        &format!("ports = [\"tcp/6379\"]\n{BUDGET}"),
    );
    for name in &names {
        builder = builder.service(
            name,
            &victim_with("", "", "--need-tcp 6379"),
            "depends-on = [\"db.service\"]\n[[probe]]\nname = \"database\"\n\
             redis = \"127.0.0.1:6379\"\nunit = \"db.service\"\ntimeout = \"1s\"\n",
        );
    }
    let scene = builder.with_daemon();
    receiver(&scene, "200");
    scene.write_file("/opt/disk", "", 0o644).unwrap();
    scene.start(&["db.service"]);
    let mut all: Vec<&str> = names.iter().map(String::as_str).collect();
    scene.start(&all);

    scene.remove_file("/opt/disk").unwrap();
    all.push("db.service");
    let mut kill = vec!["kill", "--signal=KILL"];
    kill.extend(&all);
    scene.systemctl(&kill).unwrap();
    let escalation = wait_got(&scene, 1).remove(0);
    assert_eq!(escalation["path"], "/pager");
    let mut told = units(&escalation);
    assert_eq!(told.first(), Some(&"db.service"), "the cause comes first");
    told.sort_unstable();
    all.sort_unstable();
    assert_eq!(told, all);

    scene.write_file("/opt/disk", "", 0o644).unwrap();
    scene.start(&["db.service"]);
    let got = scene
        .wait_for("the end of the alert group", TIMEOUT, || {
            let got = got(&scene);
            let over = got.iter().any(|one| {
                one["path"] == "/pager" && one["body"]["data"]["resolved"] == Value::Bool(true)
            });
            Ok(over.then_some(got))
        })
        .unwrap();
    let pager: Vec<&Value> = got.iter().filter(|one| one["path"] == "/pager").collect();
    assert_eq!(pager.len(), 2, "{pager:#?}");
    assert_eq!(
        pager[0]["body"]["data"]["alert_group"],
        pager[1]["body"]["data"]["alert_group"]
    );
    let mut well = units(pager[1]);
    well.sort_unstable();
    assert_eq!(well, all);
}

#[test]
fn a_hook_without_a_daemon_sends_alerts() {
    let scene = scene()
        .service("web.service", &victim("", ""), "")
        .with_hooks();
    receiver(&scene, "200");
    scene.start(&["web.service"]);
    scene.kill("web.service");
    scene.wait_healed("web.service");
    let got = wait_got(&scene, 1);
    assert_eq!(units(&got[0]), ["web.service"]);
    wait_states(&scene, &["delivered"]);
}

#[test]
fn a_refused_alert_is_kept_and_can_be_retried_by_hand() {
    let scene = scene()
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    receiver(&scene, "400");
    scene.start(&["web.service"]);
    scene.kill("web.service");
    let refused = wait_states(&scene, &["refused"]).remove(0);
    let id = refused["message"]["id"].as_str().unwrap();
    assert!(
        refused["detail"].as_str().unwrap().contains("400"),
        "{refused}"
    );
    let shown = scene.prunella_ok(&["alerts", "show", id]);
    assert!(
        shown.contains("refused") && shown.contains("400"),
        "{shown}"
    );
    assert!(!shown.contains("whsec_"), "{shown}");

    answers(&scene, "200");
    scene.prunella_ok(&["alerts", "retry", id]);
    wait_states(&scene, &["delivered"]);
    let got = got(&scene);
    assert_eq!(got.len(), 2);
    assert_eq!(got[0]["id"], got[1]["id"]);
    // Once delivered it is not sent again.
    assert_ne!(scene.prunella(&["alerts", "retry", id]).code, Some(0));
}

#[test]
fn alerts_test_tries_a_channel() {
    let scene = scene()
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    let failed = scene.prunella(&["alerts", "test", "pager"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert_eq!(scene.prunella(&["alerts", "test", "nobody"]).code, Some(6));

    receiver(&scene, "200");
    scene.prunella_ok(&["alerts", "test", "pager"]);
    let got = got(&scene);
    assert_eq!(got.len(), 1);
    assert_eq!(got[0]["path"], "/pager");
    assert!(alerts(&scene).is_empty(), "a test is no alert");
}

/// What keeps alerts open until they are resolved has none after a test.
#[test]
fn alerts_test_resolves_what_it_triggers() {
    let config = format!(
        "{CONFIG}\n[channel.duty]\nkind = \"pagerduty\"\nurl = \"http://127.0.0.1:9099/duty\"\n\
         routing-key-file = \"/etc/prunella/secrets/pager\"\n"
    );
    let scene = scene()
        .file("/etc/prunella/prunella.toml", &config, 0o644)
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    receiver(&scene, "202");
    let said = scene.prunella_ok(&["alerts", "test", "duty"]);
    assert!(said.contains("is resolved again"), "{said}");
    let got = got(&scene);
    let actions: Vec<&str> = got
        .iter()
        .filter_map(|message| message["body"]["event_action"].as_str())
        .collect();
    assert_eq!(actions, ["trigger", "resolve"]);
    let keys: Vec<&Value> = got.iter().map(|one| &one["body"]["dedup_key"]).collect();
    assert!(keys[0].is_string() && keys[0] == keys[1], "{keys:?}");
    assert!(alerts(&scene).is_empty(), "a test is no alert");
}

#[test]
fn a_hook_that_sends_alerts_does_not_miss_the_next_failure() {
    // The windows are those of a real configuration, longer than the pause
    // between the two failures.
    let slow = CONFIG.replace("\"1s\"", "\"30s\"");
    let scene = scene()
        .file("/etc/prunella/prunella.toml", &slow, 0o644)
        .service("web.service", &victim("", ""), "")
        .with_hooks();
    scene.start(&["web.service"]);
    for times in 1..=2 {
        scene.kill("web.service");
        scene
            .wait_for("another healing", TIMEOUT, || {
                let incidents = scene.incidents_of("web.service");
                let healed = incidents.iter().filter(|incident| incident.is("healed"));
                Ok((healed.count() == times).then_some(()))
            })
            .unwrap();
        scene
            .wait_until("prunella-hook@web.service.service", "inactive", TIMEOUT)
            .unwrap();
    }
    assert_eq!(scene.runs("web.service"), 3);
}

/// How soon people are to know that a service is down.
const SOON: Duration = Duration::from_secs(15);

#[test]
fn a_service_still_down_after_ten_seconds_is_told_of_and_so_is_its_end() {
    let scene = scene()
        .service("web.service", &victim("", "--start-takes 12000"), "")
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&["web.service"]);
    let failed = Instant::now();
    scene.kill("web.service");
    let outage = wait_got(&scene, 1).remove(0);
    assert!(failed.elapsed() < SOON, "{:?}", failed.elapsed());
    assert_eq!(outage["path"], "/pager");
    assert_eq!(kind(&outage), "prunella.outage");
    assert!(!is_resolved(&outage), "{outage}");
    assert!(
        outage["body"]["data"]["headline"]
            .as_str()
            .unwrap()
            .contains("web.service is down (SIGKILL"),
        "{outage}"
    );

    scene.wait_healed("web.service");
    let got = wait_got(&scene, 3);
    for path in ["/pager", "/team"] {
        let end = got.iter().rfind(|message| message["path"] == path).unwrap();
        assert_eq!(kind(end), "prunella.recovery");
        assert!(is_resolved(end), "{end}");
        assert_eq!(alert_group(end), alert_group(&outage));
    }
}

#[test]
fn a_critical_service_that_fails_the_same_way_twice_is_told_of_at_once() {
    let scene = scene()
        .service(
            "web.service",
            &victim("", "--exit-after 300"),
            "critical = true\n\
             [budget]\nhealings = 4\nwindow = \"10m\"\nbackoff = [\"0s\", \"1s\", \"2s\", \"8s\"]\n",
        )
        .with_daemon();
    receiver(&scene, "200");
    let began = Instant::now();
    scene.start(&["web.service"]);
    let outage = wait_got(&scene, 1).remove(0);
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(kind(&outage), "prunella.outage");
    assert_eq!(outage["body"]["data"]["severity"], "critical");

    // That it needs a person comes in the same thread.
    let escalation = wait_got(&scene, 2).remove(1);
    assert_eq!(kind(&escalation), "prunella.escalation");
    assert_eq!(alert_group(&escalation), alert_group(&outage));
}

#[test]
fn a_service_healed_in_time_is_told_of_once_when_it_is_up() {
    let scene = scene_telling_after("2s")
        .service("quick.service", &victim("", ""), "")
        .service("slow.service", &victim("", "--start-takes 4000"), "")
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&["quick.service", "slow.service"]);
    scene
        .systemctl(&["kill", "--signal=KILL", "quick.service", "slow.service"])
        .unwrap();
    scene.wait_healed("quick.service");
    scene.wait_healed("slow.service");
    let slow = scene
        .wait_for("the end of the slow one", TIMEOUT, || {
            let slow = about(&scene, "slow.service");
            Ok(slow.iter().any(is_resolved).then_some(slow))
        })
        .unwrap();
    assert_eq!(kind(&slow[0]), "prunella.outage");
    let quick = about(&scene, "quick.service");
    let kinds: Vec<&str> = quick.iter().map(kind).collect();
    assert_eq!(kinds, ["prunella.recovery"]);
}

#[test]
fn a_hook_without_a_daemon_has_people_told_while_it_heals() {
    let scene = scene_telling_after("2s")
        .service("web.service", &victim("", "--start-takes 8000"), "")
        .with_hooks();
    receiver(&scene, "200");
    scene.start(&["web.service"]);
    scene.kill("web.service");
    let outage = wait_got(&scene, 1).remove(0);
    assert_eq!(kind(&outage), "prunella.outage");
    scene.wait_healed("web.service");
    let got = wait_got(&scene, 3);
    assert!(
        got.iter()
            .skip(1)
            .all(|end| is_resolved(end) && alert_group(end) == alert_group(&outage)),
        "{got:#?}"
    );
}

/// Without its file's settings nobody looks after the service, and nobody would know.
#[test]
fn a_services_file_that_is_left_out_is_told_once_and_so_is_its_mending() {
    let scene = scene()
        .service("web.service", &victim("", ""), "")
        .service("other.service", &victim("", ""), BUDGET)
        .with_daemon();
    receiver(&scene, "200");
    let file = "/etc/prunella/services.d/web.service.toml";
    let whole = scene.misspell(file);
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    let told = wait_got(&scene, 1);
    assert_eq!(told[0]["path"], "/pager");
    let first = &told[0]["body"]["data"];
    let text = first.to_string();
    for part in ["web.service.toml", "domian", "prunella config check"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(first["resolved"], false, "{first}");

    // Nothing has changed: what is told next is of the mending.
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    scene.write_file(file, &whole, 0o644).unwrap();
    scene.systemctl(&["reload", "prunella.service"]).unwrap();
    let told = wait_got(&scene, 2);
    let second = &told[1]["body"]["data"];
    assert_eq!(told[1]["path"], "/pager");
    assert_eq!(second["resolved"], true, "{second}");
    assert_eq!(second["alert_group"], first["alert_group"]);
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    scene.prunella_ok(&["status"]);
    assert_eq!(got(&scene).len(), 2);
}

/// Its file's mistake keeps it from being healed, and nothing else would tell that it is
/// down.
#[test]
fn that_a_service_with_a_mistake_in_its_file_is_down_is_told() {
    let scene = scene()
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&["web.service"]);
    let file = "/etc/prunella/services.d/web.service.toml";
    let whole = scene.misspell(file);
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    wait_got(&scene, 1);
    scene.kill("web.service");
    let told = wait_got(&scene, 2).remove(1);
    assert_eq!(kind(&told), "prunella.escalation");
    let data = &told["body"]["data"];
    assert_eq!(data["resolved"], false, "{data}");
    let headline = data["headline"].as_str().unwrap();
    assert!(headline.contains("web.service is not healed"), "{headline}");
    let text = data.to_string();
    assert!(
        text.contains("services.d/web.service.toml:1: unknown key"),
        "{text}"
    );
    assert_eq!(scene.runs("web.service"), 1);

    scene.write_file(file, &whole, 0o644).unwrap();
    scene.prunella_ok(&["reload"]);
    scene.wait_healed("web.service");
    let ended = wait_got(&scene, 4);
    assert!(ended.iter().skip(2).all(is_resolved), "{ended:#?}");
}

/// Whom a broken file names can still be told.
#[test]
fn that_nothing_is_healed_without_a_good_main_file_is_told() {
    let scene = scene()
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    receiver(&scene, "200");
    let main = "/etc/prunella/prunella.toml";
    let whole = scene.read_file(main).unwrap();
    scene
        .write_file(main, format!("retry-intervall = 1\n{whole}"), 0o644)
        .unwrap();
    scene
        .run_ok(&["rm", "/var/lib/prunella/last-good-prunella.toml"])
        .unwrap();
    scene.systemctl(&["restart", "prunella.service"]).unwrap();
    let told = wait_got(&scene, 1).remove(0);
    let data = &told["body"]["data"];
    let headline = data["headline"].as_str().unwrap();
    assert!(headline.contains("Prunella heals nothing"), "{headline}");
    assert!(data.to_string().contains("retry-intervall"), "{data}");

    scene.write_file(main, &whole, 0o644).unwrap();
    scene.prunella_ok(&["reload"]);
    assert!(is_resolved(&wait_got(&scene, 2).remove(1)));
}

/// What is held back is looked at again and again.
#[test]
fn that_people_are_needed_is_said_once_for_each_change() {
    let scene = scene()
        .file("/opt/web.conf", "a = b\n", 0o644)
        .service(
            "web.service",
            &victim("", "--listen 8080 --config /opt/web.conf"),
            "[[check]]\nname = \"config\"\nvalidates = true\n\
             command = [\"/opt/test/victim\", \"--config\", \"/opt/web.conf\", \"--check\"]\n",
        )
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&["web.service"]);
    scene
        .write_file("/opt/web.conf", "a = b\noops\n", 0o644)
        .unwrap();
    scene.kill("web.service");
    let incident = scene.wait_ended("web.service", "escalated");
    let attempts = |number: u64| {
        scene
            .wait_for("another look", 2 * TIMEOUT, || {
                let looked = scene
                    .record(&incident)
                    .steps("assessed")
                    .filter(|step| step["strategy"] == "config-validation")
                    .count();
                Ok((looked as u64 >= number).then_some(()))
            })
            .unwrap();
    };
    let said = || {
        let end = format!("; incident {}", incident.id);
        let lines = scene.journal(&["_SYSTEMD_UNIT=prunella.service"]).unwrap();
        lines
            .iter()
            .filter_map(|line| line["MESSAGE"].as_str())
            .filter(|message| message.ends_with(&end))
            .count()
    };
    attempts(4);
    assert_eq!(said(), 2, "that it failed, and that people are needed");
    assert_eq!(got(&scene).len(), 1);

    // Another mistake is news.
    scene
        .write_file("/opt/web.conf", "a = b\nwhat now\n", 0o644)
        .unwrap();
    scene
        .wait_for("the news", 2 * TIMEOUT, || Ok((said() == 3).then_some(())))
        .unwrap();
    wait_got(&scene, 2);
}

const UNLESS_BROKEN: &str = "ExecStartPre=/usr/bin/test ! -e /run/broken";

/// A service that fails at every start from now on, handed to people.
fn handed_to_people(scene: &Scene) -> Value {
    receiver(scene, "200");
    scene.start(&["web.service"]);
    scene.write_file("/run/broken", "", 0o644).unwrap();
    scene.kill("web.service");
    scene.wait_ended("web.service", "escalated");
    scene
        .wait_for("the escalation", TIMEOUT, || {
            let mut got = got(scene).into_iter();
            Ok(got.find(|message| kind(message) == "prunella.escalation"))
        })
        .unwrap()
}

fn left_incident(message: &Value) -> String {
    let id = &message["body"]["data"]["incidents"][0];
    id.as_str().unwrap().to_owned()
}

#[rstest]
#[case::disabled(true, "web.service is still failed; Prunella no longer looks after it")]
#[case::by_a_mistake_in_its_file(false, "web.service is not healed: mistake in services.d/")]
fn leaving_care_while_it_is_down_is_no_recovery(#[case] disabled: bool, #[case] told: &str) {
    let scene = scene()
        .service("web.service", &victim(UNLESS_BROKEN, ""), BUDGET)
        .service("other.service", &victim("", ""), "")
        .with_daemon();
    let escalation = handed_to_people(&scene);
    let file = "/etc/prunella/services.d/web.service.toml";
    let whole = scene.read_file(file).unwrap();
    if disabled {
        scene.prunella_ok(&["disable", "web.service"]);
    } else {
        scene.misspell(file);
        scene.systemctl(&["restart", "prunella.service"]).unwrap();
    }
    let left = scene
        .wait_for("that nobody looks after it", TIMEOUT, || {
            let mut about = about(&scene, "web.service").into_iter();
            Ok(about.find(|message| headline(message).contains(told)))
        })
        .unwrap();
    let expected = if disabled {
        "prunella.information"
    } else {
        "prunella.escalation"
    };
    assert_eq!(kind(&left), expected);
    assert!(!is_resolved(&left), "{left}");
    let text = left["body"]["data"]["text"].as_str().unwrap();
    if disabled {
        assert!(!text.contains("prunella heal"), "{text}");
        assert!(!text.contains("tries again"), "{text}");
        assert!(text.contains("prunella enable web.service"), "{text}");
        let report = scene.prunella_ok(&["incidents", &left_incident(&left)]);
        assert!(!report.contains("prunella heal"), "{report}");
        // Nothing of it is due later.
        let ended = scene.wait_ended("web.service", "left-alone");
        assert_eq!(ended.left_alone.as_deref(), Some("not-in-care"));
    }
    assert_eq!(alert_group(&left), alert_group(&escalation));

    // In care again, its story goes on, and has one end.
    scene.remove_file("/run/broken").unwrap();
    scene.write_file(file, &whole, 0o644).unwrap();
    scene.systemctl(&["reload", "prunella.service"]).unwrap();
    scene.prunella_ok(&["heal", "web.service"]);
    let end = wait_end(&scene, "web.service");
    assert_eq!(kind(&end), "prunella.recovery");
    assert_eq!(alert_group(&end), alert_group(&escalation));
    let kinds: Vec<String> = about(&scene, "web.service")
        .iter()
        .filter(|message| message["path"] == "/pager")
        .map(|message| kind(message).to_owned())
        .collect();
    assert_eq!(
        kinds,
        ["prunella.escalation", expected, "prunella.recovery"]
    );
}

#[rstest]
#[case::before_each_start(&victim(UNLESS_BROKEN, ""))]
#[case::after_each_start(
    "[Service]\nExecStart=/bin/sh -c 'test ! -e /run/broken || exit 1; exec sleep infinity'\n"
)]
fn an_operators_stop_of_what_was_handed_to_people_closes_it_and_is_no_recovery(
    #[case] service: &str,
) {
    let unit = format!(
        "[Unit]\nStartLimitIntervalSec=0\n{service}Restart=always\nRestartSec=1s\n[Install]\n\
         WantedBy=multi-user.target\n"
    );
    let scene = scene()
        .service("web.service", &unit, "critical = true\n")
        .enabled("web.service")
        .with_daemon();
    let escalation = handed_to_people(&scene);
    assert!(
        headline(&escalation).starts_with("CRITICAL "),
        "{escalation}"
    );
    scene.systemctl(&["stop", "web.service"]).unwrap();
    let end = wait_end(&scene, "web.service");
    assert_eq!(kind(&end), "prunella.information", "{end}");
    // Whoever stopped it knows, however critical it is.
    assert!(headline(&end).starts_with("INFO "), "{end}");
    assert_eq!(alert_group(&end), alert_group(&escalation));
    assert!(headline(&end).contains("Closed: web.service"), "{end}");
    assert!(!headline(&end).contains("up again"), "{end}");
    // By where in its start the stop met it.
    let state = scene.property("web.service", "ActiveState").unwrap();
    assert!(["inactive", "failed"].contains(&state.as_str()), "{state}");
    assert!(
        about(&scene, "web.service")
            .iter()
            .all(|message| kind(message) != "prunella.recovery")
    );
}

/// A sweep that is at work is the one that a hook has told to tell.
#[test]
fn a_sweep_that_waits_for_a_service_holds_nobodys_messages_up() {
    let scene = scene()
        .service(
            "web.service",
            &victim(UNLESS_BROKEN, ""),
            "[budget]\nhealings = 5\nwindow = \"1h\"\nbackoff = [\"0s\", \"40s\"]\n",
        )
        .service("other.service", &victim("", ""), "")
        .with_hooks();
    receiver(&scene, "200");
    scene.start(&["web.service", "other.service"]);
    scene.write_file("/run/broken", "", 0o644).unwrap();
    scene.kill("web.service");
    scene
        .wait_for("the first healing", TIMEOUT, || {
            let incident = scene.incidents_of("web.service").pop();
            Ok(incident.filter(|one| scene.record(one).steps("waits").next().is_some()))
        })
        .unwrap();
    scene
        .systemctl(&["start", "--no-block", "prunella-sweep.service"])
        .unwrap();
    let sweeps = || {
        scene
            .property("prunella-sweep.service", "InvocationID")
            .unwrap()
    };
    let running = || {
        scene
            .property("prunella-sweep.service", "ActiveState")
            .unwrap()
            == "activating"
    };
    scene
        .wait_for("the sweep", TIMEOUT, || Ok(running().then_some(())))
        .unwrap();
    let first = sweeps();
    scene.kill("other.service");
    scene.wait_healed("other.service");
    scene
        .wait_for("the message", TIMEOUT, || {
            Ok((!about(&scene, "other.service").is_empty()).then_some(()))
        })
        .unwrap();
    assert!(running());
    assert_eq!(sweeps(), first);
}

/// What was held back was down all the time, and nobody was at it: "being healed" is said
/// of what takes long from then on.
#[test]
fn what_is_healed_at_once_when_a_pause_ends_is_told_as_healed_alone() {
    let scene = scene_telling_after("2s")
        .service("web.service", &victim("", ""), "")
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&["web.service"]);
    scene.prunella_ok(&["pause", "web.service", "--reason", "a test"]);
    let failed = Instant::now();
    scene.kill("web.service");
    scene.wait_left_alone("web.service", "paused");
    scene
        .wait_for("it to be down for longer than that", TIMEOUT, || {
            Ok((failed.elapsed() > Duration::from_secs(3)).then_some(()))
        })
        .unwrap();
    scene.prunella_ok(&["resume", "web.service"]);
    scene.wait_healed("web.service");
    scene
        .wait_for("its end", TIMEOUT, || {
            let about = about(&scene, "web.service");
            Ok(about
                .iter()
                .any(|message| kind(message) == "prunella.recovery")
                .then_some(()))
        })
        .unwrap();
    let kinds: Vec<String> = about(&scene, "web.service")
        .iter()
        .map(|message| kind(message).to_owned())
        .collect();
    assert!(
        kinds.iter().all(|kind| kind != "prunella.outage"),
        "{kinds:?}"
    );
}

#[test]
fn an_outage_that_could_not_be_told_in_time_is_withdrawn() {
    let scene = scene_telling_after("1s")
        .service("web.service", &victim("", "--start-takes 4000"), "")
        .with_daemon();
    receiver(&scene, "503");
    scene.start(&["web.service"]);
    scene.kill("web.service");
    wait_got(&scene, 1);
    scene.wait_healed("web.service");
    answers(&scene, "200");
    let states = |kind: &str| -> Vec<String> {
        alerts(&scene)
            .iter()
            .filter(|alert| alert["message"]["kind"] == kind)
            .map(|alert| alert["state"].as_str().unwrap().to_owned())
            .collect()
    };
    scene
        .wait_for("the outage to be withdrawn", 2 * TIMEOUT, || {
            Ok((states("outage") == ["withdrawn"]).then_some(()))
        })
        .unwrap();
    scene
        .wait_for("its end", 2 * TIMEOUT, || {
            Ok((states("recovery") == ["delivered", "delivered"]).then_some(()))
        })
        .unwrap();
}
