//! Whole reports of records as they come.

use super::*;
use crate::incident::{DetectedBy, Detection, Incident};

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
        at: FAILED,
        cause: cause.to_owned(),
        invocation: Some(INVOCATION.to_owned()),
        exit_code: None,
        signal: None,
        failed_monotonic: Some(MONOTONIC),
    }
}

/// A record of steps, each with the microseconds since the failure.
fn record(detection: Detection, steps: Vec<(u64, Step)>, ending: Option<Ending>) -> Record {
    let id = IncidentId::new(FAILED, 0x7f3a);
    Record {
        steps: (0..)
            .zip(steps)
            .map(|(number, (after, step))| Entry {
                incident: id.clone(),
                number,
                at: FAILED + after / 1_000,
                monotonic: MONOTONIC + after,
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
    let service = service();
    Report::from_record(
        record,
        &ReportContext {
            hostname: "shop-1".to_owned(),
            service: Some(&service),
            boot_id: Some("boot".to_owned()),
            now: FAILED + 125_000,
            zone: TimeZone::fixed(jiff::tz::offset(1)),
        },
    )
}

fn assessed(strategy: &str, assessment: Assessment) -> (u64, Step) {
    (
        2_000,
        Step::Assessed {
            strategy: name(strategy),
            assessment,
            took: 60,
        },
    )
}

fn intended(after: u64, action: u32, act: &str, target: &str, rehearsal: bool) -> (u64, Step) {
    (
        after,
        Step::ActIntended {
            action,
            strategy: name("service-restart"),
            act: act.to_owned(),
            target: target.to_owned(),
            rehearsal,
        },
    )
}

fn ended(after: u64, action: u32, result: &str) -> (u64, Step) {
    (
        after,
        Step::ActEnded {
            action,
            result: Ok(result.to_owned()),
        },
    )
}

fn not_mine(strategy: &str, reason: &str) -> (u64, Step) {
    assessed(
        strategy,
        Assessment::NotMine {
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
            not_mine("config-validation", "no check is declared"),
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
                    took: 43_500,
                },
            ),
            (
                61_000,
                Step::Answering {
                    evidence: vec!["active".to_owned()],
                    after: Some(61_000),
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
                    evidence: vec![
                        "active (running), the same invocation, no further restart".to_owned(),
                        "tcp/80 and tcp/443 held from within its control group".to_owned(),
                    ],
                    stable_for: 5_000,
                },
            ),
        ],
        Some(Ending::Healed {
            strategy: name("service-restart"),
            recovered_after: Some(61_000),
        }),
    )
}

#[test]
fn a_healed_one() {
    assert_eq!(
        report(&healed()).render_text(),
        r#"web.service failed and was healed by service-restart in 61 ms
incident 20261121-143941-7f3a

  service  web.service (Web shop, critical)
  ports    tcp/80, tcp/443
  host     shop-1
  failed   Sat 2026-11-21 15:39:41 +01 (2 minutes ago)
  noticed  by the daemon, from systemd's signals

What failed
  Its main process was ended by SIGKILL.

The last it logged (quoted; anybody may have written it)
  > starting with token=[redacted]
  > \u{1b}[31mready\u{1b}[0m

What the strategies found
  config-validation  nothing for it here: no check is declared
  service-restart    would heal it (90 % sure): the main process was killed and
                     nothing else is wrong with the unit, so a start should do

What was done (time since the failure)
      +0.002 s   service-restart begins to heal
      +0.003 s + start web.service: done (42 ms)
      +0.046 s   service-restart: done: started web.service
      +0.061 s + it is well for the first time
      +5.061 s + it stayed well for 5 s

Proof
  Well again 61 ms after the failure, and still so after 5 s. The host saw for
  itself:
  - active (running), the same invocation, no further restart
  - tcp/80 and tcp/443 held from within its control group
"#
    );
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

#[test]
fn one_rightly_left_alone() {
    assert_eq!(
        report(&left_alone()).render_text(),
        r#"web.service was left alone: an operator stopped it
incident 20261121-143941-7f3a

  service  web.service (Web shop, critical)
  ports    tcp/80, tcp/443
  host     shop-1
  failed   Sat 2026-11-21 15:39:41 +01 (2 minutes ago)
  noticed  by the hook (OnFailure=)

What failed
  Its main process ended with exit code 1.

Why nothing was done
  A stop job ran: `systemctl stop` by uid 0

If you want to
  systemctl start web.service
      to have it up again
"#
    );
}

fn escalated() -> Record {
    let detection = detection(DetectedBy::Sweep, "exit-code");
    let heals = |strategy| Step::Heals {
        strategy: name(strategy),
    };
    let config_is_broken = Step::Assessed {
        strategy: name("config-validation"),
        assessment: Assessment::MustNot {
            reason: "the check `config` says: unknown directive \"sever\"".to_owned(),
        },
        took: 60,
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
        took: 2_000,
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
            retry_at: Some(FAILED + 125_000 + 900_000),
        }),
    );
    record.incident.attempt = 2;
    for entry in record.steps.iter_mut().rev().take(2) {
        entry.attempt = 2;
    }
    record
}

#[test]
fn an_escalated_one() {
    assert_eq!(
        report(&escalated()).render_text(),
        r#"web.service needs a person: no strategy brought it back
incident 20261121-143941-7f3a

  service  web.service (Web shop, critical)
  ports    tcp/80, tcp/443
  host     shop-1
  failed   Sat 2026-11-21 15:39:41 +01 (2 minutes ago)
  noticed  by looking through the failed units
  attempt  2

What failed
  Its main process ended with exit code 203 (systemd could not execute the
  program).

What the strategies found
  config-validation  nobody should act: the check `config` says: unknown
                     directive "sever"

What was done (time since the failure)
  attempt 1
      +0.001 s   port-conflict begins to heal
      +0.002 s ! port-conflict may not end the process 4711 (python3): it is not
                 provably a leftover of web.service
      +0.003 s ! port-conflict: failed: tcp/80 is held by a stranger
      +0.004 s   service-restart begins to heal
      +0.005 s + start web.service: done (4 ms)
   +2 min 10 s ! it was well and failed again: failed again with exit code 203
  attempt 2
   +2 min 12 s ? restart web.service: nobody knows what came of it

What was tried
  - port-conflict: failed: tcp/80 is held by a stranger
  - service-restart: it was well and failed again: failed again with exit code
    203

What to do now
  systemctl status web.service
      how it stands now
  journalctl -u web.service _SYSTEMD_INVOCATION_ID=4f1c2b3a4f1c2b3a4f1c2b3a4f1c2b3a
      everything the failed run logged
  prunella incidents 20261121-143941-7f3a
      this report again, later
  prunella heal web.service
      once the cause is gone: start it, with proof
  Prunella tries again by itself in 15 minutes (Sat 2026-11-21 15:56:46 +01).
"#
    );
}

fn rehearsed() -> Record {
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
        Some(Ending::Rehearsed {
            verdict: "service-restart would restart web.service".to_owned(),
        }),
    )
}

#[test]
fn a_rehearsed_one() {
    assert_eq!(
        report(&rehearsed()).render_text(),
        r#"rehearsal for web.service: service-restart would restart web.service
incident 20261121-143941-7f3a

  service  web.service (Web shop, critical)
  ports    tcp/80, tcp/443
  host     shop-1
  failed   Sat 2026-11-21 15:39:41 +01 (2 minutes ago)
  noticed  by an operator (prunella heal)

What failed
  It runs and does not answer.

What the strategies found
  service-restart  would heal it (70 % sure): it runs and its probe goes
                   unanswered

The plan (a rehearsal: nothing was carried out)
   1. would restart web.service (assumed: it is active, and tcp/80 is held)

Proof it would look for (assumed to be there)
  - active (assumed)

If you want to
  prunella heal web.service
      to have it done for real
"#
    );
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
fn a_blocked_one() {
    assert_eq!(
        report(&blocked()).render_text(),
        r#"web.service waits until postgresql@15-main.service is well
incident 20261121-143941-7f3a

  service  web.service (Web shop, critical)
  ports    tcp/80, tcp/443
  host     shop-1
  failed   Sat 2026-11-21 15:39:41 +01 (2 minutes ago)
  noticed  by the daemon, from systemd's signals

What failed
  It took longer to start or stop than systemd allows.

What it waits for
  Connection refused

What the strategies found
  database-check  blocked: postgresql@15-main.service: connection refused

What was done (time since the failure)
      +0.003 s   waits for postgresql@15-main.service: connection refused

If you want to
  systemctl status postgresql@15-main.service
      how it stands now
  journalctl -u postgresql@15-main.service -n 100
      why it is down
"#
    );
}

#[test]
fn no_line_is_wider_than_a_terminal_and_no_text_gives_orders() {
    let mut record = escalated();
    record.incident.detection.invocation = Some("x; rm -rf /".to_owned());
    record.incident.id = IncidentId::from_text("$(reboot)");
    record.incident.detection.cause = "\x1b]0;owned\x07".to_owned();
    record.steps.push(Entry {
        step: Step::Said {
            strategy: name("service-restart"),
            level: "info".to_owned(),
            message: format!("run `curl evil | sh`\nnow {}", "x".repeat(300)),
        },
        ..record.steps[0].clone()
    });
    let report = report(&record);
    let text = report.render_text();
    // A command is never broken: what is not one line cannot be typed.
    assert!(
        text.lines()
            .all(|line| line.chars().count() <= 80 || line.contains("journalctl")),
        "{text}"
    );
    assert!(!text.contains('\x1b'));
    let commands: Vec<&str> = report
        .next
        .iter()
        .map(|next| next.command.as_str())
        .collect();
    assert_eq!(
        commands,
        [
            "systemctl status web.service",
            "journalctl -u web.service -n 100",
            "prunella heal web.service"
        ]
    );
}

#[test]
fn a_reboot_in_between_counts_by_the_wall_clock() {
    let mut record = healed();
    let last = record.steps.last_mut().unwrap();
    last.monotonic = 1_000;
    last.at = FAILED + 60_000;
    let report = report(&record);
    assert_eq!(report.steps.last().unwrap().after, 60_000_000);
}

#[test]
fn it_can_be_read_by_programs() {
    let json = serde_json::to_value(report(&escalated())).unwrap();
    assert_eq!(json["ended"], "escalated");
    assert_eq!(json["unit"], "web.service");
    assert_eq!(json["needs-people"], true);
    assert_eq!(json["retry-at"]["ms"], FAILED + 125_000 + 900_000);
    assert_eq!(json["steps"][0]["mark"], "plain");
    assert_eq!(json["next"][0]["command"], "systemctl status web.service");
}
