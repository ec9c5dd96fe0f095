//! What comes next: what Prunella will do by itself, what people should do, and
//! the commands for it.
//!
//! Names of units are valid by construction; an id goes in only if it is made of
//! letters, digits and `-`, and a path is quoted for a shell.

use std::{path::Path, time::Duration};

use super::{
    Command, Moment, Often, Recurrence, ReportContext,
    question::{self, Asked},
    reason::Causes,
    standing::Standing,
    words,
};
use prunella_core::{
    Timestamp, UnitName,
    cause::Cause,
    diagnosis::{self, Finding, ManualStep},
    incident::{Ending, LeftAlone},
    policy::Act,
    service::FileRole,
    text::shell_word,
    trail::{Record, Step, was_handed_over},
};

/// What a person has to do where that is nothing.
pub(super) const NOTHING: &str = "Nothing to do now.";

/// The same of a service that was degraded before it failed.
const NOTHING_AFTER_DEGRADATION: &str = "Nothing to do now. Whether it is still degraded, as it \
     was before it failed, is being measured; if so, you hear of it again.";

/// How long before a failure its log is worth reading.
const LOG_BEFORE: Duration = Duration::from_secs(5 * 60);

/// The kill switch of a host whose configuration is where it usually is.
const KILL_SWITCH: &str = "/etc/prunella/off";

fn command(command: String, purpose: &str) -> Command {
    Command {
        command,
        purpose: purpose.to_owned(),
    }
}

/// Everything the unit logged around the failure. By time and not by its
/// invocation: what a process logged just before it was gone, and what systemd
/// says of it, often lacks that.
fn journal(record: &Record, context: &ReportContext<'_>) -> Command {
    let detection = &record.incident.detection;
    let unit = words::shell(&detection.unit);
    let last = record
        .steps
        .last()
        .map_or(detection.at, |entry| entry.at)
        .max(detection.at);
    let since = words::shell_time(detection.at.saturating_sub(LOG_BEFORE), &context.zone);
    // journalctl leaves out the second that is named.
    let until = words::shell_time(last.saturating_add(Duration::from_secs(2)), &context.zone);
    command(
        format!("journalctl -u {unit} --since \"{since}\" --until \"{until}\""),
        if detection.is_degradation() {
            "its journal, from five minutes before it was noticed"
        } else {
            "its journal, from five minutes before the failure"
        },
    )
}

/// What removes a cause that is known.
fn manual_steps(findings: &[Finding]) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    for remedy in findings.iter().flat_map(|finding| &finding.manual_steps) {
        let next = match remedy {
            ManualStep::StopUnit { unit } => command(
                format!("systemctl stop {}", words::shell(unit)),
                "free what it holds",
            ),
            ManualStep::EndProcess { pid, name } => command(
                format!("kill {pid}"),
                &format!("end {}, which is in the way", words::clean(name)),
            ),
            ManualStep::UnmaskUnit { unit } => command(
                format!("systemctl unmask {}", words::shell(unit)),
                "allow it to start again",
            ),
            ManualStep::StartUnit { unit } => command(
                format!("systemctl start {}", words::shell(unit)),
                "start what is needed",
            ),
            ManualStep::ReadUnitFiles => command(
                "systemctl daemon-reload".to_owned(),
                "have systemd read its unit files again",
            ),
        };
        if !commands.contains(&next) {
            commands.push(next);
        }
    }
    commands
}

/// The declared checks that did not pass in the latest attempt, to be run again by
/// hand.
fn failed_checks(record: &Record, context: &ReportContext<'_>) -> Vec<Command> {
    let latest = record.steps.last().map_or(0, |entry| entry.attempt);
    let mut commands: Vec<Command> = Vec::new();
    for entry in record.steps.iter().filter(|step| step.attempt == latest) {
        let Step::ActIntended {
            action,
            act,
            target,
            ..
        } = &entry.step
        else {
            continue;
        };
        let passed = record.steps.iter().any(|other| {
            matches!(&other.step, Step::ActEnded { action: of, result: Ok(said), .. }
                if of == action && said == "passed")
        });
        let declared = context
            .service
            .and_then(|service| service.checks.get(target));
        if act == Act::RunCheck.name()
            && !passed
            && let Some(check) = declared
        {
            let words: Vec<String> = check.command.iter().map(|word| shell_word(word)).collect();
            let again = command(words.join(" "), &format!("run the check `{target}` again"));
            if !commands.contains(&again) {
                commands.push(again);
            }
        }
    }
    commands
}

/// What to run now.
pub(super) fn next(
    record: &Record,
    context: &ReportContext<'_>,
    findings: &[Finding],
) -> Vec<Command> {
    all_as_root(unprivileged(record, context, findings), context)
}

/// With `sudo` before those that only root may run, where that is wanted.
pub(super) fn all_as_root(commands: Vec<Command>, context: &ReportContext<'_>) -> Vec<Command> {
    let as_root = |next: Command| Command {
        command: as_root(next.command, context.sudo),
        ..next
    };
    commands.into_iter().map(as_root).collect()
}

/// With `sudo` before what only root may do, where that is wanted.
pub(super) fn as_root(command: String, sudo: bool) -> String {
    const ANYBODY: [&str; 3] = [
        "systemctl status ",
        "systemctl show ",
        "systemctl list-dependencies ",
    ];
    if sudo && !ANYBODY.iter().any(|start| command.starts_with(start)) {
        format!("sudo {command}")
    } else {
        command
    }
}

/// How to put a unit in Prunella's care.
pub(super) fn enable(unit: &UnitName) -> Command {
    command(
        format!("prunella enable {}", words::shell(unit)),
        "put it in Prunella's care",
    )
}

/// What to do about a unit that failed and is not in Prunella's care.
pub(super) fn out_of_care(unit: &UnitName) -> String {
    format!(
        "Nobody heals it now: remove the cause and start it yourself, or put it in Prunella's \
         care with `prunella enable {}`.",
        words::shell(unit)
    )
}

/// What to do about what people are asked, or have refused.
fn about_question(record: &Record, context: &ReportContext<'_>) -> Option<String> {
    Some(match question::asked(record, context.now) {
        Asked::Nothing => return None,
        Asked::Waits(act) => format!(
            "Decide whether Prunella may {act}: approve it by the first command, or deny it."
        ),
        Asked::Denied(denial) => {
            let until = denial.until.map_or_else(
                || "for as long as that stands".to_owned(),
                |until| format!("until {}", words::local(until, &context.zone)),
            );
            let instead = if denial.passes_by_order {
                "`prunella heal` does it all the same"
            } else {
                "see to it yourself"
            };
            format!(
                "{} denied the request to {}, so Prunella will not do that by itself {until}: \
                 {instead}.",
                denial.by, denial.act
            )
        }
    })
}

fn unprivileged(
    record: &Record,
    context: &ReportContext<'_>,
    findings: &[Finding],
) -> Vec<Command> {
    let unit = words::shell(&record.incident.detection.unit);
    let status = |unit: &str| command(format!("systemctl status {unit}"), "its current state");
    let journal = journal(record, context);
    let id = record.incident.id.as_str();
    let details =
        is_plain_id(id).then(|| command(format!("prunella incidents {id}"), "this report again"));
    let heal = command(
        format!("prunella heal {unit}"),
        "start it and prove it, once the cause is gone",
    );
    match &record.ending {
        Some(Ending::Escalated { .. } | Ending::Interrupted { .. }) => {
            let mut next = question::commands(record, context.now);
            let heal = match question::asked(record, context.now) {
                Asked::Nothing | Asked::Waits(_) => heal,
                Asked::Denied(denial) if denial.passes_by_order => {
                    command(heal.command, "start it and prove it, whatever was denied")
                }
                // Until then Prunella would refuse to heal it.
                Asked::Denied(denial) => {
                    next.push(command(
                        format!("systemctl start {unit}"),
                        "start it yourself, whatever Prunella may do",
                    ));
                    let from = match denial.until {
                        Some(until) => format!("from {} on", words::local(until, &context.zone)),
                        None => "once that is over".to_owned(),
                    };
                    let ended = denial
                        .process
                        .map(|process| format!(", or once {process} has ended"));
                    let purpose =
                        format!("start it and prove it, {from}{}", ended.unwrap_or_default());
                    command(heal.command, &purpose)
                }
            };
            // What is in the way goes first: the start that a denial leaves to people would
            // fail as well.
            let place = match question::asked(record, context.now) {
                Asked::Denied(_) => 0,
                Asked::Nothing | Asked::Waits(_) => next.len(),
            };
            next.splice(place..place, manual_steps(findings));
            next.extend(failed_checks(record, context));
            next.push(status(&unit));
            if record.incident.detection.cause == Cause::RestartLoop {
                next.push(command(
                    format!("systemctl show {unit} -p Restart -p RestartUSec -p NRestarts"),
                    "how systemd restarts it",
                ));
            }
            next.extend(log_commands(record, context));
            next.extend(details);
            next.push(heal);
            next
        }
        Some(Ending::Blocked { on, .. }) => {
            let on = words::shell(on);
            vec![
                status(&on),
                command(format!("journalctl -u {on} -n 100"), "why it is down"),
            ]
        }
        Some(Ending::DryRun { .. }) => {
            vec![command(format!("prunella heal {unit}"), "do it for real")]
        }
        Some(Ending::LeftAlone { why, .. }) => match why {
            LeftAlone::NotInCare => vec![enable(&record.incident.detection.unit)],
            LeftAlone::Paused => vec![command(
                format!("prunella resume {unit}"),
                "end the pause (or `prunella resume --all`)",
            )],
            LeftAlone::OperatorStop => {
                vec![command(format!("systemctl start {unit}"), "start it again")]
            }
            LeftAlone::Masked => vec![command(
                format!("systemctl unmask {unit}"),
                "allow it to start again",
            )],
            LeftAlone::FailedOver => vec![command(
                format!("prunella status {unit}"),
                "what serves in its place, and how that is taken back",
            )],
            LeftAlone::StartLimit => vec![
                journal,
                command(
                    format!("systemctl reset-failed {unit}"),
                    "clear the start limit",
                ),
                command(format!("systemctl start {unit}"), "start it"),
            ],
            LeftAlone::FailureAction => vec![
                status(&unit),
                journal,
                command(
                    format!("systemctl show {unit} -p FailureAction -p StartLimitAction"),
                    "what a failed start would trigger",
                ),
            ],
            LeftAlone::RestartPrevented => vec![
                journal,
                command(
                    format!("systemctl start {unit}"),
                    "to start it all the same",
                ),
            ],
            LeftAlone::ConditionUnmet => vec![
                status(&unit),
                command(
                    format!("systemctl start {unit}"),
                    "to have systemd look again at its conditions",
                ),
            ],
            LeftAlone::RefusesStart => vec![
                status(&unit),
                command(
                    format!("systemctl list-dependencies --reverse {unit}"),
                    "which units may have it started",
                ),
            ],
            LeftAlone::Protected => vec![status(&unit), journal],
            LeftAlone::JobPending
            | LeftAlone::SystemdRestarts
            | LeftAlone::PackageUpgrade
            | LeftAlone::Shutdown
            | LeftAlone::Healthy
            | LeftAlone::Finished => Vec::new(),
            LeftAlone::KillSwitch => vec![command(
                format!("rm {KILL_SWITCH}"),
                "end the kill switch: what is down is healed within seconds",
            )],
            LeftAlone::Misconfigured => vec![
                command(
                    "prunella config check".to_owned(),
                    "the mistake, with its place",
                ),
                command(
                    "prunella reload".to_owned(),
                    "once it is corrected: Prunella then heals what is down",
                ),
                command(
                    format!("systemctl start {unit}"),
                    "start it yourself, without Prunella",
                ),
                status(&unit),
                journal,
            ],
        },
        None if record.incident.detection.is_degradation() => {
            let mut next = question::commands(record, context.now);
            next.push(command(
                format!("prunella health {unit}"),
                "what is measured, and how it has changed",
            ));
            next.push(status(&unit));
            next.extend(log_commands(record, context));
            next.push(command(
                format!("prunella heal {unit} --restart"),
                "restart it, and prove that it is up",
            ));
            next
        }
        Some(Ending::Healed {
            served_by: Some(_), ..
        }) => vec![
            journal,
            command(
                format!("prunella undo {}", record.incident.id),
                "fail back: stop the standby, and start the service again",
            ),
        ],
        Some(Ending::Healed { .. } | Ending::Recovered { .. } | Ending::Continued { .. })
        | None => Vec::new(),
    }
}

/// Where the service logs: its journal, and the log files among the files that
/// were declared for it.
pub(super) fn logs(record: &Record, context: &ReportContext<'_>) -> Vec<Command> {
    all_as_root(log_commands(record, context), context)
}

fn log_commands(record: &Record, context: &ReportContext<'_>) -> Vec<Command> {
    let mut logs = vec![journal(record, context)];
    let files = context.service.iter().flat_map(|service| &service.files);
    for (name, file) in files {
        let path = shell_word(&file.path.to_string_lossy());
        let purpose = format!("its log file `{name}`");
        match file.role {
            _ if file.secret || !is_log(&file.path) || path.contains(char::is_control) => {}
            FileRole::Plain => logs.push(Command {
                command: format!("tail -n 100 {path}"),
                purpose,
            }),
            FileRole::Directory => logs.push(Command {
                command: format!("ls -lt {path}"),
                purpose,
            }),
            FileRole::Env | FileRole::Database | FileRole::Symlink | FileRole::Socket => {}
        }
    }
    logs
}

fn is_log(path: &Path) -> bool {
    path.starts_with("/var/log") || path.extension().is_some_and(|extension| extension == "log")
}

/// What Prunella does next by itself.
pub(super) fn plan(
    record: &Record,
    retry_at: Option<&Moment>,
    now: Option<Timestamp>,
) -> Option<String> {
    let unit = &record.incident.detection.unit;
    Some(match record.ending.as_ref()? {
        Ending::Escalated { .. } if matches!(question::asked(record, now), Asked::Waits(_)) => {
            "Prunella goes on as soon as this is decided.".to_owned()
        }
        Ending::Escalated { .. } | Ending::Interrupted { .. } => match retry_at {
            Some(retry) if now.is_some_and(|now| retry.ms <= now) => {
                format!("Prunella was to try again on {}.", retry.local)
            }
            // By the time that somebody reads it.
            Some(retry) if now.is_none() && looks_soon(record, retry) => {
                "Prunella looks again within a minute.".to_owned()
            }
            Some(retry) => {
                let when = match &retry.ago {
                    Some(ago) => format!("{ago} ({})", retry.local),
                    None => format!("on {}", retry.local),
                };
                format!("Prunella tries again {when}.")
            }
            None => {
                format!("Prunella does nothing more until {unit} has been started and fails again.")
            }
        },
        Ending::Blocked { on, .. } => {
            format!("Prunella goes on as soon as {on} is up.")
        }
        Ending::LeftAlone { why, .. } if why.passes() => {
            "Prunella looks again once that is over.".to_owned()
        }
        Ending::LeftAlone { why, .. } if why.needs_people() => {
            "Prunella does nothing about it.".to_owned()
        }
        _ => return None,
    })
}

fn looks_soon(record: &Record, retry: &Moment) -> bool {
    record
        .steps
        .last()
        .is_some_and(|last| retry.ms.since(last.at) < Duration::from_secs(60))
}

/// What people should do, in a sentence or two. What was changed lately is no advice:
/// it may have nothing to do with it.
pub(super) fn recommendation(
    record: &Record,
    causes: &Causes<'_>,
    recurrence: Option<&Recurrence>,
    context: &ReportContext<'_>,
) -> Option<String> {
    let by_strategy = causes.all.iter().any(|one| one.because.is_none());
    let advice = advice(causes).map(words::clean);
    match record.ending.as_ref()? {
        Ending::Healed {
            served_by: Some(standby),
            ..
        } => Some(format!(
            "Find out why {unit} does not serve, and mend it. {standby} serves until you fail \
             back: `prunella undo {id}`.",
            unit = record.incident.detection.unit,
            id = record.incident.id,
        )),
        Ending::Healed { .. } | Ending::Recovered { .. } => {
            // A person has seen to it since.
            let was_handed_over = was_handed_over(&record.steps);
            let again = recurrence.filter(|again| again.often > Often::Again);
            let lasting = match advice {
                Some(advice) if !was_handed_over && !is_over(causes) => Some(advice),
                // What the failures have in common says more than nothing does, and less
                // than a cause that is known.
                _ if causes.leading().is_none() || is_over(causes) => {
                    again.map(|again| again.advice.clone())
                }
                _ => None,
            };
            let nothing = if record.incident.detection.follows.is_some() {
                NOTHING_AFTER_DEGRADATION
            } else {
                NOTHING
            };
            Some(lasting.map_or_else(
                || nothing.to_owned(),
                |lasting| format!("{nothing} To prevent a recurrence: {lasting}"),
            ))
        }
        Ending::Escalated { .. } if let Some(to_do) = about_question(record, context) => {
            Some(to_do)
        }
        // Who ended it can be found out while it serves again.
        Ending::Escalated { .. } if causes.is_kill() => Some(format!(
            "Start it again: `prunella heal {}`. {}",
            words::shell(&record.incident.detection.unit),
            advice.unwrap_or_default()
        )),
        Ending::Escalated { .. } => Some(advice.unwrap_or_else(|| {
            if by_strategy {
                "Remove this cause. Prunella looks again by itself, and at once when you run \
                 `prunella heal`."
                    .to_owned()
            } else {
                "Look at its state and its log, remove the cause, then run `prunella heal`."
                    .to_owned()
            }
        })),
        Ending::Interrupted { .. } => Some(
            "Check whether it is up: Prunella was interrupted, and its last act may or may not \
             have happened."
                .to_owned(),
        ),
        Ending::LeftAlone {
            why: LeftAlone::Misconfigured,
            ..
        } => Some(format!(
            "Correct the mistake in Prunella's configuration and run `prunella reload`, or start \
             {} yourself.",
            record.incident.detection.unit
        )),
        Ending::LeftAlone {
            why: LeftAlone::StartLimit,
            ..
        } => Some(advice.unwrap_or_else(|| {
            "Remove the cause, then clear the start limit and start it.".to_owned()
        })),
        Ending::LeftAlone {
            why: LeftAlone::KillSwitch,
            ..
        } => Some("Remove the kill switch when services may be healed again.".to_owned()),
        Ending::LeftAlone {
            why: LeftAlone::Masked,
            ..
        } => Some("It stays down until somebody unmasks it.".to_owned()),
        Ending::LeftAlone { why, .. } if why.needs_people() => advice,
        _ => None,
    }
}

/// What to do about the cause that is told first; about another one, where a strategy has
/// found that and says nothing of it.
fn advice<'a>(causes: &Causes<'a>) -> Option<&'a str> {
    let leading = causes.leading()?;
    if leading.because.is_some() {
        return leading.advice.as_deref();
    }
    let others = causes.all.iter();
    others
        // Who ended the first run is not what a strategy holds everything for.
        .filter(|one| one.cause != Some(diagnosis::Cause::KillRequested))
        .find_map(|one| one.advice.as_deref())
}

/// Whether the cause that is told first is over once the service is up: it could not be up
/// otherwise.
fn is_over(causes: &Causes<'_>) -> bool {
    use diagnosis::Cause::{
        AddressInUse, BadConfig, CertificateExpired, DependencyRefused, LibraryNotFound,
        MissingExecutable, MissingFile, PermissionDenied,
    };
    causes.leading().is_some_and(|one| {
        matches!(
            one.cause,
            Some(
                AddressInUse
                    | BadConfig
                    | CertificateExpired
                    | DependencyRefused
                    | LibraryNotFound
                    | MissingExecutable
                    | MissingFile
                    | PermissionDenied
            )
        )
    })
}

/// What a person has to do, in one sentence; that nothing has to be done, where
/// that is so.
pub(super) fn to_do(
    record: &Record,
    recommendation: Option<&str>,
    causes: &Causes<'_>,
    needs_people: bool,
    context: &ReportContext<'_>,
) -> String {
    match &record.ending {
        None => match Standing::of(&record.steps) {
            Standing::Up => {
                "Nothing: it is up again, and Prunella checks that it stays up.".to_owned()
            }
            Standing::SystemdRestarts => match advice(causes).map(words::clean) {
                Some(advice) => format!(
                    "{advice} systemd is restarting it by itself, and Prunella does not interfere \
                     with that."
                ),
                None => "Nothing yet: systemd is restarting it by itself, and Prunella does not \
                         interfere with that. What comes of it follows."
                    .to_owned(),
            },
            Standing::Waits(until) => format!(
                "Nothing yet: Prunella tries again on {}, and at once when you run `prunella \
                 heal`.",
                words::local(until, &context.zone)
            ),
            Standing::BeingHealed => {
                "Nothing yet: Prunella is healing it, and its end follows.".to_owned()
            }
        },
        Some(Ending::Blocked { on, .. }) => {
            format!("Nothing here: it starts once {on} is up.")
        }
        Some(Ending::DryRun { .. }) => "Nothing: this is a dry run.".to_owned(),
        Some(Ending::LeftAlone {
            why: LeftAlone::NotInCare,
            ..
        }) => out_of_care(&record.incident.detection.unit),
        Some(_) => match recommendation {
            Some(recommendation) => recommendation.to_owned(),
            None if needs_people => "See what follows; Prunella leaves it to you.".to_owned(),
            None => NOTHING.to_owned(),
        },
    }
}

fn is_plain_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 64
        && !id.starts_with('-')
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
