//! Scenarios as TOML: what can be said, and what mistakes are told.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test a panic is the report, also in what its cases share"
)]

use std::{path::Path, time::Duration};

use prunella_core::{
    capability::{
        ActiveState, Ownership, UnitAct, files, history, logs, ports, probes, resources,
        unit_control,
    },
    incident::{Assessment, Outcome},
    policy::Act,
};
use prunella_simulation::scenario::{Expected, Happened, Scenario, parse};
use rstest::rstest;

fn soon() -> std::time::Instant {
    std::time::Instant::now() + Duration::from_secs(60)
}

fn scenario(text: &str) -> Scenario {
    match parse(Path::new("s.toml"), text) {
        Ok(scenario) => scenario,
        Err(found) => panic!("{}", found.first().unwrap()),
    }
}

#[test]
fn a_whole_scenario() {
    let scenario = scenario(
        r#"
        summary = "Everything at once"
        unit = "web"
        failure = "signal"
        signal = "SEGV"
        restarts = 2
        ports = ["tcp/80", "udp/53"]
        domain = "Web shop"
        critical = true
        start-limit = "respect"

        [settings]
        grace = "2s"
        depth = 3

        [[process]]
        executable = "/usr/bin/web"
        holds = "tcp/80"
        ownership = "leftover"
        user = "www-data"
        ignores-term = true

        [[socket]]
        unit = "web.socket"
        holds = "udp/53"

        [[other]]
        unit = "db.service"
        needed = true
        state = "failed"
        comes-up-after = "5s"

        [[file]]
        name = "cache"
        mode = "0640"
        is-mode = "0600"
        appears-after = "30s"

        [starts-when]
        units = ["db.service"]

        [[check]]
        name = "config"
        exit-code = 1
        output = "no"

        [[probe]]
        name = "answers"
        kind = "http"
        answers = false

        [[log]]
        message = "bind: address already in use"
        priority = 3

        [[past]]
        ago = "1h"
        ended = "escalated"

        [memory]
        total = "8GiB"
        available = "10MiB"

        [[allow]]
        act = "unit-control.start"

        [expect]
        assessment = "applies"
        acts = []
        "#,
    );
    assert_eq!(scenario.summary.as_deref(), Some("Everything at once"));
    assert_eq!(
        scenario.expect,
        Expected {
            assessment: Some("applies"),
            acts: Some(Vec::new()),
            ..Expected::default()
        }
    );
    let sim = scenario.host;
    let incident = sim.incident();
    assert_eq!(incident.detection.unit.as_str(), "web.service");
    assert_eq!(incident.detection.signal.as_deref(), Some("SEGV"));
    let service = sim.service();
    assert!(service.critical);
    assert_eq!(service.ports.len(), 2);
    assert_eq!(service.depends_on.len(), 1);
    assert!(service.check("config").unwrap().validates);
    assert_eq!(
        sim.grants().acts().into_iter().collect::<Vec<_>>(),
        [Act::Start]
    );

    let host = sim.host();
    let port = service.ports[0];
    let holders = host.ask(
        soon(),
        ports::Holders {
            protocol: port.protocol,
            number: port.number,
        },
    );
    let process = holders.unwrap()[0].process.clone().unwrap();
    assert_eq!(process.info.ownership, Ownership::Leftover);
    let name = "answers".to_owned();
    assert!(!host.ask(soon(), probes::Ask { name }).unwrap().healthy);
    let recent = host.ask(soon(), history::Recent { limit: 5 }).unwrap();
    assert_eq!(recent[0].ended, "escalated");
    let tail = logs::Tail {
        unit: service.unit.clone(),
        invocation: None,
        priority: None,
        lines: 9,
    };
    let lines = host.ask(soon(), tail).unwrap();
    assert_eq!(lines[0].at, incident.detection.at, "by the wall clock");
    let memory = host.ask(soon(), resources::MemoryUse {}).unwrap();
    assert_eq!(memory.available, 10 << 20);
    let cache = || {
        let name = "cache".to_owned();
        host.ask(soon(), files::Stat { name }).unwrap()
    };

    // Things come by themselves.
    assert_eq!(cache().kind, None);
    sim.advance(Duration::from_secs(6));
    assert_eq!(sim.status("db.service").active_state, ActiveState::Active);
    sim.advance(Duration::from_secs(24));
    assert!(cache().kind.is_some());
}

#[rstest]
#[case::nothing("", "1:1", "does not say which", "unit = \"web.service\"")]
#[case::a_typing_error(
    "unit = \"web\"\nprots = []",
    "2:1",
    "unknown key `prots`",
    "did you mean `ports`?"
)]
#[case::no_port(
    "unit = \"web\"\nports = [\"80\"]",
    "2:10",
    "`80` is not a port",
    "\"tcp/80\""
)]
#[case::no_unit("unit = \"we b.service\"", "1:8", "is not the name of a unit", "")]
#[case::no_word(
    "unit = \"web\"\nfailure = \"crash\"",
    "2:11",
    "`failure` cannot be `crash`",
    "exit-code"
)]
#[case::no_act(
    "unit = \"web\"\n[[allow]]\nact = \"unit-control.strat\"",
    "3:7",
    "there is no act",
    "did you mean `unit-control.start`?"
)]
#[case::no_such_file(
    "unit = \"web\"\n[starts-when]\nfiles = [\"cache\"]",
    "3:10",
    "there is no file `cache`",
    "[[file]]"
)]
#[case::no_duration(
    "unit = \"web\"\nstart-takes = \"soon\"",
    "2:15",
    "`soon` is not a duration",
    "\"30s\""
)]
#[case::half_a_process(
    "unit = \"web\"\n[[process]]\nholds = \"tcp/80\"",
    "2:1",
    "does not say what it is",
    "ownership"
)]
#[case::an_outcome_that_there_is_not(
    "unit = \"web\"\n[expect]\noutcome = \"done\"",
    "3:11",
    "`outcome` cannot be `done`",
    "healed"
)]
#[case::no_toml("unit = ", "1:8", "", "")]
fn a_mistake_is_told_with_its_place(
    #[case] text: &str,
    #[case] place: &str,
    #[case] message: &str,
    #[case] help: &str,
) {
    let found = parse(Path::new("s.toml"), text).err().unwrap();
    let first = found.first().unwrap();
    let at = first.place.as_ref().unwrap();
    assert_eq!(format!("{}:{}", at.line, at.column), place, "{first}");
    assert!(first.message.contains(message), "{first}");
    assert!(
        first.help.as_deref().unwrap_or_default().contains(help),
        "{first}"
    );
}

#[test]
fn all_mistakes_come_at_once() {
    let text = "unit = \"web\"\ncolour = 1\nports = [\"x\"]\n[[check]]\n[expect]\nacts = 3";
    assert_eq!(parse(Path::new("s.toml"), text).err().unwrap().len(), 4);
}

#[test]
fn a_start_of_a_hundred_years_can_be_waited_for() {
    let scenario = scenario(
        "unit = \"web\"\nstart-takes = \"36500d\"\n[[file]]\nname = \"f\"\n\
         appears-after = \"36500d\"",
    );
    let host = scenario.host.host();
    let submit = unit_control::Submit {
        unit: scenario.host.unit(),
        action: UnitAct::Start,
    };
    let job = host.ask(soon(), submit).unwrap();
    let timeout = Duration::MAX;
    let wait = unit_control::WaitForJob { job, timeout };
    assert!(host.ask(soon(), wait).is_ok());
}

#[rstest]
#[case::as_expected(
    Expected { assessment: Some("applies"), outcome: Some("healed"), says: vec!["start".into()],
        acts: Some(vec!["start web.service".into()]), log: vec!["up".into()], ..Expected::default() },
    &[]
)]
#[case::nothing_expected(Expected::default(), &[])]
#[case::another_assessment(
    Expected { assessment: Some("veto"), ..Expected::default() },
    &["assessment: expected `veto`, got `applies`"]
)]
#[case::an_act_too_many(
    Expected { acts: Some(Vec::new()), ..Expected::default() },
    &["acts: `start web.service` should not be (number 1)"]
)]
#[case::another_act(
    Expected { acts: Some(vec!["stop web.service".into()]), ..Expected::default() },
    &["acts: number 1 should be `stop web.service`, and is `start web.service`"]
)]
#[case::an_act_too_few(
    Expected { acts: Some(vec!["start web.service".into(), "b".into()]), ..Expected::default() },
    &["acts: `b` should be number 2, and there are only 1"]
)]
#[case::words_that_it_did_not_say(
    Expected { says: vec!["sorry".into()], ..Expected::default() },
    &["says: `sorry` is in nothing that it said"]
)]
#[case::lines_in_another_order(
    Expected { log: vec!["up".into(), "up".into()], ..Expected::default() },
    &["log: no further line has `up` in it"]
)]
#[case::no_denial(
    Expected { denied: Some(vec!["x".into()]), failure: Some("not-granted".into()), ..Expected::default() },
    &[
        "failure: expected `not-granted`, there was none",
        "denied: `x` should be number 1, and there are only 0",
    ]
)]
fn differences_are_told(#[case] expected: Expected, #[case] told: &[&str]) {
    let happened = Happened {
        assessment: Some(Ok(Assessment::Applies {
            confidence: 50,
            reason: "it is down".to_owned(),
        })),
        outcome: Some(Ok(Outcome::Healed {
            summary: "started".to_owned(),
        })),
        acts: vec!["start web.service".to_owned()],
        log: vec!["info: it is up".to_owned()],
        ..Happened::default()
    };
    assert_eq!(expected.differences(&happened), told);
}

/// What the book shows can be used as it stands.
#[test]
fn the_scenarios_of_the_book() {
    let book = include_str!("../../../../docs/testing.md");
    let blocks: Vec<&str> = book
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        scenario(block);
    }
}
