//! A readable report of an incident: a colleague's hand-over note.
//!
//! [`Report::from_record`] turns a [`Record`] into typed facts (`--json`), and
//! [`Report::render_text`] writes them down for people, 80 columns wide and
//! without colour.
//!
//! What a log line, a check or a strategy said is redacted, kept on one line and
//! shown as a quotation or after the name of who said it. Commands to run come
//! from templates of this module alone, with nothing in them but names that were
//! checked.

mod render;
mod words;

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use self::words::clean;
use crate::{
    Failure, StrategyName, UnitName,
    diagnosis::{self, Finding},
    incident::{Assessment, Ending, IncidentId, LeftAlone, Outcome},
    service::Service,
    trail::{Entry, Record, Step},
};

/// What a report needs to know beyond the record.
#[derive(Debug, Clone)]
pub struct ReportContext<'a> {
    /// The host's name.
    pub hostname: String,
    /// The service, while it is in care.
    pub service: Option<&'a Service>,
    /// The boot the host is in now; a report of an earlier one says so.
    pub boot_id: Option<String>,
    /// Milliseconds since 1970, for "2 minutes ago".
    pub now: u64,
    /// In which times are shown: [`TimeZone::system`] for the host's own.
    pub zone: TimeZone,
}

/// An incident as it is told to people.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// What happened to what, and how it ended, in one sentence.
    pub headline: String,
    /// The incident.
    pub incident: IncidentId,
    /// The unit.
    pub unit: UnitName,
    /// What it is for.
    pub domain: Option<String>,
    /// Whether people are hurt when it is down.
    pub critical: bool,
    /// The ports it should hold, such as `tcp/80`.
    pub ports: Vec<String>,
    /// The host.
    pub host: String,
    /// When it was detected.
    pub at: Moment,
    /// Whether that was in an earlier boot.
    pub earlier_boot: bool,
    /// How it was noticed: see [`DetectedBy::word`](crate::incident::DetectedBy::word).
    pub detected_by: String,
    /// systemd's word for what went wrong.
    pub cause: String,
    /// The same in a sentence.
    pub what_failed: String,
    /// The failed run's last log lines, redacted.
    pub evidence: Vec<String>,
    /// What the rules made of the evidence, the likeliest first.
    pub findings: Vec<Finding>,
    /// What a language model made of it, when one was asked.
    pub advice: Option<Advice>,
    /// What each strategy thought in the latest attempt.
    pub opinions: Vec<Opinion>,
    /// What was done, step by step, in all attempts.
    pub steps: Vec<Line>,
    /// Which attempt was the latest.
    pub attempt: u32,
    /// What the host saw for itself; absent without proof.
    pub proof: Option<Proof>,
    /// [`Ending::word`], or `open`.
    pub ended: String,
    /// Why it ended so, in one or two sentences, where the headline leaves
    /// something to say.
    pub why: Option<String>,
    /// Whether nothing was carried out.
    pub rehearsal: bool,
    /// Whether a person has to do something.
    pub needs_people: bool,
    /// What each strategy tried, and what came of it.
    pub tried: Vec<Tried>,
    /// When Prunella tries again by itself.
    pub retry_at: Option<Moment>,
    /// What to run now.
    pub next: Vec<Command>,
    #[serde(skip)]
    now: u64,
}

/// A moment as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Moment {
    /// Milliseconds since 1970.
    pub ms: u64,
    /// In the host's time zone, such as `Sat 2026-11-21 15:23:01 CET`.
    pub local: String,
}

/// What a language model made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Advice {
    /// Which model.
    pub model: String,
    /// Its opinion, or why there is none.
    pub opinion: Result<diagnosis::Opinion, String>,
}

/// What one strategy thought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Opinion {
    /// Which.
    pub strategy: StrategyName,
    /// `applies`, `not-mine`, `blocked-by`, `must-not` or `broke-off`.
    pub says: String,
    /// 0 to 100, when it applies.
    pub confidence: Option<u8>,
    /// Why, in its own words.
    pub reason: String,
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// Just so.
    Plain,
    /// It did what it should.
    Good,
    /// It did not.
    Bad,
    /// Nobody knows.
    Unknown,
    /// It would have been done.
    Rehearsed,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Line {
    /// Microseconds since the failure; since the detection where systemd gave
    /// no moment.
    pub after: u64,
    /// Which attempt.
    pub attempt: u32,
    /// How it went.
    pub mark: Mark,
    /// What it was.
    pub text: String,
}

/// What the host saw for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Proof {
    /// What it saw.
    pub evidence: Vec<String>,
    /// Microseconds from the failure to the moment of recovery.
    pub recovered_after: Option<u64>,
    /// For how long it was watched since, in milliseconds; absent while that
    /// goes on.
    pub stable_for: Option<u64>,
}

/// What one strategy tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tried {
    /// Which.
    pub strategy: StrategyName,
    /// In which attempt.
    pub attempt: u32,
    /// What came of it.
    pub result: String,
}

/// A command to run, and what for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Command {
    /// As it can be typed.
    pub command: String,
    /// What for.
    pub purpose: String,
}

impl Report {
    /// The report of an incident.
    pub fn from_record(record: &Record, context: &ReportContext<'_>) -> Self {
        let detection = &record.incident.detection;
        let unit = &detection.unit;
        let moment = |ms| Moment {
            ms,
            local: local(ms, &context.zone),
        };
        let teller = Teller::new(record);
        let told = teller.tell();
        let rehearsal = teller.rehearsal;
        let needs_people = match &record.ending {
            Some(Ending::Escalated { .. }) => true,
            Some(Ending::LeftAlone { why, .. }) => why.needs_people(),
            _ => false,
        };
        Self {
            headline: headline(unit, record.ending.as_ref()),
            incident: record.incident.id.clone(),
            unit: unit.clone(),
            domain: context.service.and_then(|service| service.domain.clone()),
            critical: context.service.is_some_and(|service| service.critical),
            ports: context.service.map_or_else(Vec::new, |service| {
                service.ports.iter().map(ToString::to_string).collect()
            }),
            host: clean(&context.hostname),
            at: moment(detection.at),
            earlier_boot: context
                .boot_id
                .as_ref()
                .is_some_and(|boot_id| *boot_id != record.incident.boot_id),
            detected_by: detection.by.word().to_owned(),
            cause: clean(&detection.cause),
            what_failed: words::cause(detection),
            evidence: told.evidence,
            findings: told.findings,
            advice: told.advice,
            opinions: told.opinions,
            steps: told.lines,
            attempt: record.incident.attempt,
            proof: told.proof.map(|mut proof| {
                if let Some(Ending::Healed {
                    recovered_after: Some(after),
                    ..
                }) = record.ending
                {
                    proof.recovered_after = Some(after);
                }
                proof
            }),
            ended: record
                .ending
                .as_ref()
                .map_or("open", Ending::word)
                .to_owned(),
            why: why(record.ending.as_ref()),
            rehearsal,
            needs_people,
            tried: told.tried,
            retry_at: match record.ending {
                Some(Ending::Escalated {
                    retry_at: Some(at), ..
                }) => Some(moment(at)),
                _ => None,
            },
            next: next(record),
            now: context.now,
        }
    }

    /// As text for people: 80 columns, no colour.
    pub fn render_text(&self) -> String {
        render::render(self, self.now)
    }
}

fn local(ms: u64, zone: &TimeZone) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    match Timestamp::from_millisecond(ms) {
        Ok(at) => at
            .to_zoned(zone.clone())
            .strftime("%a %Y-%m-%d %H:%M:%S %Z")
            .to_string(),
        Err(_) => "at no time a calendar knows".to_owned(),
    }
}

fn headline(unit: &UnitName, ending: Option<&Ending>) -> String {
    match ending {
        None => format!("{unit} failed, and Prunella is at work on it"),
        Some(Ending::Healed {
            strategy,
            recovered_after: Some(after),
        }) => format!(
            "{unit} failed and was healed by {strategy} in {}",
            words::length(Duration::from_micros(*after))
        ),
        Some(Ending::Healed { strategy, .. }) => {
            format!("{unit} failed and was healed by {strategy}")
        }
        Some(Ending::Recovered { by }) => {
            format!("{unit} failed and is well again: {}", clean(by))
        }
        Some(Ending::LeftAlone { why, .. }) => {
            format!("{unit} was left alone: {}", why.sentence())
        }
        Some(Ending::Escalated { reason, .. }) => {
            format!("{unit} needs a person: {}", clean(reason))
        }
        Some(Ending::Blocked { on, .. }) => format!("{unit} waits until {on} is well"),
        Some(Ending::Interrupted { .. }) => format!("the healing of {unit} was interrupted"),
        Some(Ending::Rehearsed { verdict }) => {
            format!("rehearsal for {unit}: {}", clean(verdict))
        }
    }
}

fn why(ending: Option<&Ending>) -> Option<String> {
    let detail = match ending? {
        Ending::LeftAlone { detail, .. } | Ending::Interrupted { detail } => detail,
        Ending::Blocked { reason, .. } => reason,
        _ => return None,
    };
    let detail = clean(detail);
    (!detail.is_empty()).then_some(detail)
}

/// What the steps told.
#[derive(Default)]
struct Told {
    evidence: Vec<String>,
    findings: Vec<Finding>,
    advice: Option<Advice>,
    opinions: Vec<Opinion>,
    lines: Vec<Line>,
    proof: Option<Proof>,
    tried: Vec<Tried>,
}

/// Goes through the steps of a record, in order.
struct Teller<'a> {
    record: &'a Record,
    latest: u32,
    rehearsal: bool,
}

impl<'a> Teller<'a> {
    fn new(record: &'a Record) -> Self {
        Self {
            record,
            latest: record
                .steps
                .iter()
                .map(|entry| entry.attempt)
                .max()
                .unwrap_or(1),
            rehearsal: matches!(record.ending, Some(Ending::Rehearsed { .. }))
                || record.steps.iter().any(|entry| {
                    matches!(
                        entry.step,
                        Step::ActIntended {
                            rehearsal: true,
                            ..
                        }
                    )
                }),
        }
    }

    fn tell(&self) -> Told {
        let mut told = Told::default();
        let mut before: Option<u64> = None;
        let mut rebooted = false;
        for entry in &self.record.steps {
            // The monotonic clock began anew: the host was rebooted.
            rebooted |= before.is_some_and(|before| entry.monotonic < before);
            before = Some(entry.monotonic);
            let line = self.line(entry, &mut told);
            if let Some((mark, text)) = line {
                told.lines.push(Line {
                    after: self.after(entry, rebooted),
                    attempt: entry.attempt,
                    mark,
                    text,
                });
            }
        }
        told
    }

    /// Microseconds from the failure to a step.
    fn after(&self, entry: &Entry, rebooted: bool) -> u64 {
        let detection = &self.record.incident.detection;
        let by_monotonic = detection
            .failed_monotonic
            .filter(|_| !rebooted)
            .and_then(|failed| entry.monotonic.checked_sub(failed));
        by_monotonic.unwrap_or_else(|| entry.at.saturating_sub(detection.at).saturating_mul(1_000))
    }

    /// What a step says in the list of steps, if anything; what it says
    /// elsewhere goes into `told`.
    fn line(&self, entry: &Entry, told: &mut Told) -> Option<(Mark, String)> {
        match &entry.step {
            Step::Detected { evidence, .. } => {
                told.evidence = evidence.iter().map(|line| clean(line)).collect();
                None
            }
            Step::Evidence { lines } => {
                told.evidence = lines.iter().map(|line| clean(line)).collect();
                None
            }
            Step::Diagnosed { findings } => {
                told.findings = findings.clone();
                None
            }
            Step::Advised { model, opinion, .. } => {
                told.advice = Some(Advice {
                    model: clean(model),
                    opinion: opinion.clone(),
                });
                None
            }
            Step::Assessed {
                strategy,
                assessment,
                ..
            } => {
                self.opine(entry, told, opinion(strategy, assessment));
                None
            }
            Step::Broke {
                strategy,
                call,
                message,
                ..
            } => {
                if call == "assess" {
                    self.opine(
                        entry,
                        told,
                        Opinion {
                            strategy: strategy.clone(),
                            says: "broke-off".to_owned(),
                            confidence: None,
                            reason: clean(message),
                        },
                    );
                    return None;
                }
                came_of(told, strategy, entry.attempt, "broke off");
                Some((
                    Mark::Bad,
                    format!("{strategy} broke off: {}", clean(message)),
                ))
            }
            Step::Heals { strategy } => {
                told.tried.push(Tried {
                    strategy: strategy.clone(),
                    attempt: entry.attempt,
                    result: "it did not come to an end".to_owned(),
                });
                Some((Mark::Plain, format!("{strategy} begins to heal")))
            }
            Step::Returned {
                strategy, outcome, ..
            } => {
                let (mark, result) = returned(outcome);
                came_of(told, strategy, entry.attempt, &result);
                Some((mark, format!("{strategy}: {result}")))
            }
            Step::NotProven {
                strategy,
                reason,
                relapse,
            } => {
                let what = if *relapse {
                    "it was well and failed again"
                } else {
                    "it did not become well"
                };
                let text = format!("{what}: {}", clean(reason));
                if let Some(strategy) = strategy {
                    came_of(told, strategy, entry.attempt, &text);
                }
                told.proof = None;
                Some((Mark::Bad, text))
            }
            Step::Answering { evidence, after } => {
                told.proof = Some(Proof {
                    evidence: evidence.iter().map(|line| clean(line)).collect(),
                    recovered_after: *after,
                    stable_for: None,
                });
                // In a rehearsal that is assumed, and told as such.
                (!self.rehearsal).then(|| (Mark::Good, "it is well for the first time".to_owned()))
            }
            Step::Proven {
                evidence,
                stable_for,
            } => {
                let recovered_after = told.proof.as_ref().and_then(|p| p.recovered_after);
                told.proof = Some(Proof {
                    evidence: evidence.iter().map(|line| clean(line)).collect(),
                    recovered_after,
                    stable_for: Some(*stable_for),
                });
                let watched = words::length(Duration::from_millis(*stable_for));
                (!self.rehearsal).then(|| (Mark::Good, format!("it stayed well for {watched}")))
            }
            other => self.simple(entry, other),
        }
    }

    /// The steps that say the same whatever came before.
    fn simple(&self, entry: &Entry, step: &Step) -> Option<(Mark, String)> {
        Some(match step {
            Step::SeenAgain { by } => (
                Mark::Plain,
                format!("the same failure was noticed {}", words::noticed(by)),
            ),
            Step::Waits {
                milliseconds: 0, ..
            } => return None,
            Step::Waits {
                reason,
                milliseconds,
            } => {
                let length = words::length(Duration::from_millis(*milliseconds));
                (
                    Mark::Plain,
                    format!("waits, {length} at most: {}", clean(reason)),
                )
            }
            // Debug lines are for the author of the strategy: in the record.
            Step::Said { level, .. } if level == "debug" => return None,
            Step::Said {
                strategy, message, ..
            } => (
                Mark::Plain,
                format!("{strategy} says: “{}”", clean(message)),
            ),
            Step::ActIntended {
                action,
                act,
                target,
                rehearsal,
                ..
            } => self.act(entry, *action, &words::act(act, target), *rehearsal),
            Step::ActDenied {
                strategy,
                act,
                target,
                failure,
            } => (
                Mark::Bad,
                format!(
                    "{strategy} may not {}: {}",
                    words::act(act, target),
                    clean(&failure.message)
                ),
            ),
            Step::Blocked { on, reason } => {
                (Mark::Plain, format!("waits for {on}: {}", clean(reason)))
            }
            Step::Unblocked { on, healthy: true } => {
                (Mark::Good, format!("{on} is well again: goes on"))
            }
            Step::Unblocked { on, healthy: false } => {
                (Mark::Bad, format!("{on} is not well, and will not be"))
            }
            Step::Ordered { order, reason } => (
                Mark::Plain,
                format!(
                    "tries the strategies in the order {}: {}",
                    order
                        .iter()
                        .map(StrategyName::as_str)
                        .collect::<Vec<_>>()
                        .join(", "),
                    clean(reason)
                ),
            ),
            Step::Note { message } => (Mark::Plain, clean(message)),
            Step::Ended { ending } if entry.attempt < self.latest => (
                Mark::Plain,
                format!("attempt {} ended: {}", entry.attempt, ending.word()),
            ),
            // Told with its intention.
            Step::ActEnded { .. } |
            // The latest is told by the headline.
            Step::Ended { .. } |
            // Told by `line`.
            Step::Detected { .. }
            | Step::Evidence { .. }
            | Step::Diagnosed { .. }
            | Step::Advised { .. }
            | Step::Assessed { .. }
            | Step::Broke { .. }
            | Step::Heals { .. }
            | Step::Returned { .. }
            | Step::NotProven { .. }
            | Step::Answering { .. }
            | Step::Proven { .. } => return None,
        })
    }

    /// An act with the end it came to.
    fn act(&self, entry: &Entry, action: u32, what: &str, rehearsal: bool) -> (Mark, String) {
        let end = self
            .record
            .steps
            .iter()
            .find_map(|later| match &later.step {
                Step::ActEnded { action: of, result } if *of == action => Some((later, result)),
                _ => None,
            });
        match end {
            Some((_, result)) if rehearsal => match result {
                Ok(assumed) => (
                    Mark::Rehearsed,
                    format!("would {what} (assumed: {})", clean(assumed)),
                ),
                Err(failure) => (
                    Mark::Bad,
                    format!("would {what}: {}", clean(&failure.message)),
                ),
            },
            None if rehearsal => (Mark::Rehearsed, format!("would {what}")),
            Some((later, Ok(result))) => {
                let took = later.monotonic.saturating_sub(entry.monotonic);
                let took = words::length(Duration::from_micros(took));
                (Mark::Good, format!("{what}: {} ({took})", clean(result)))
            }
            Some((_, Err(failure))) => (Mark::Bad, format!("{what}: {}", clean(&failure.message))),
            None => (
                Mark::Unknown,
                format!("{what}: nobody knows what came of it"),
            ),
        }
    }

    /// Keeps an opinion of the latest attempt; a later one takes the place of an
    /// earlier one.
    fn opine(&self, entry: &Entry, told: &mut Told, opinion: Opinion) {
        if entry.attempt != self.latest {
            return;
        }
        told.opinions
            .retain(|known| known.strategy != opinion.strategy);
        told.opinions.push(opinion);
    }
}

/// Notes what came of the latest try of a strategy.
fn came_of(told: &mut Told, strategy: &StrategyName, attempt: u32, result: &str) {
    match told
        .tried
        .iter_mut()
        .rev()
        .find(|tried| tried.strategy == *strategy && tried.attempt == attempt)
    {
        Some(tried) => tried.result = result.to_owned(),
        None => told.tried.push(Tried {
            strategy: strategy.clone(),
            attempt,
            result: result.to_owned(),
        }),
    }
}

fn opinion(strategy: &StrategyName, assessment: &Assessment) -> Opinion {
    let (says, confidence, reason) = match assessment {
        Assessment::Applies { confidence, reason } => ("applies", Some(*confidence), clean(reason)),
        Assessment::NotMine { reason } => ("not-mine", None, clean(reason)),
        Assessment::BlockedBy { unit, reason } => (
            "blocked-by",
            None,
            format!("{}: {}", clean(unit), clean(reason)),
        ),
        Assessment::MustNot { reason } => ("must-not", None, clean(reason)),
    };
    Opinion {
        strategy: strategy.clone(),
        says: says.to_owned(),
        confidence,
        reason,
    }
}

fn returned(outcome: &Result<Outcome, Failure>) -> (Mark, String) {
    match outcome {
        // A strategy's word is not evidence: that is what proof is for.
        Ok(Outcome::Healed { summary }) => (Mark::Plain, format!("done: {}", clean(summary))),
        Ok(Outcome::NotMine { reason }) => (Mark::Plain, format!("not mine: {}", clean(reason))),
        Ok(Outcome::Failed { reason }) => (Mark::Bad, format!("failed: {}", clean(reason))),
        Ok(Outcome::BlockedBy { unit, reason }) => (
            Mark::Plain,
            format!("blocked by {}: {}", clean(unit), clean(reason)),
        ),
        Err(failure) => (Mark::Bad, format!("failed: {}", clean(&failure.message))),
    }
}

/// What to run now. Names of units are valid by construction; an id or an
/// invocation goes in only if it is made of letters, digits and `-`.
fn next(record: &Record) -> Vec<Command> {
    let detection = &record.incident.detection;
    let unit = words::shell(&detection.unit);
    let command = |command: String, purpose: &str| Command {
        command,
        purpose: purpose.to_owned(),
    };
    let status = |unit: &str| command(format!("systemctl status {unit}"), "how it stands now");
    let invocation = detection.invocation.as_deref().filter(|id| is_plain_id(id));
    let journal = match invocation {
        Some(id) => command(
            format!("journalctl -u {unit} _SYSTEMD_INVOCATION_ID={id}"),
            "everything the failed run logged",
        ),
        None => command(
            format!("journalctl -u {unit} -n 100"),
            "the last it has logged",
        ),
    };
    let id = record.incident.id.as_str();
    let details = is_plain_id(id).then(|| {
        command(
            format!("prunella incidents {id}"),
            "this report again, later",
        )
    });
    let heal = command(
        format!("prunella heal {unit}"),
        "once the cause is gone: start it, with proof",
    );
    match &record.ending {
        Some(Ending::Escalated { .. } | Ending::Interrupted { .. }) => {
            [Some(status(&unit)), Some(journal), details, Some(heal)]
                .into_iter()
                .flatten()
                .collect()
        }
        Some(Ending::Blocked { on, .. }) => {
            let on = words::shell(on);
            vec![
                status(&on),
                command(format!("journalctl -u {on} -n 100"), "why it is down"),
            ]
        }
        Some(Ending::Rehearsed { .. }) => vec![command(
            format!("prunella heal {unit}"),
            "to have it done for real",
        )],
        Some(Ending::LeftAlone { why, .. }) => match why {
            LeftAlone::NotInCare => vec![command(
                format!("prunella enable {unit}"),
                "to put it in Prunella's care",
            )],
            LeftAlone::Paused => vec![command(
                format!("prunella resume {unit}"),
                "to end the pause (or `prunella resume --all`)",
            )],
            LeftAlone::OperatorStop => vec![command(
                format!("systemctl start {unit}"),
                "to have it up again",
            )],
            LeftAlone::Masked => vec![command(
                format!("systemctl unmask {unit}"),
                "to let it be started again",
            )],
            LeftAlone::StartLimit => vec![
                journal,
                command(
                    format!("systemctl reset-failed {unit}"),
                    "to clear the start limit",
                ),
                command(format!("systemctl start {unit}"), "to start it"),
            ],
            LeftAlone::FailureAction => vec![
                status(&unit),
                journal,
                command(
                    format!("systemctl show {unit} -p FailureAction -p StartLimitAction"),
                    "what a failed start would set off",
                ),
            ],
            LeftAlone::RestartLoop => vec![
                status(&unit),
                journal,
                command(
                    format!("systemctl show {unit} -p Restart -p RestartUSec -p NRestarts"),
                    "how systemd restarts it",
                ),
            ],
            LeftAlone::Protected => vec![status(&unit), journal],
            LeftAlone::JobPending
            | LeftAlone::SystemdRestarts
            | LeftAlone::PackageUpgrade
            | LeftAlone::Shutdown
            | LeftAlone::Healthy
            | LeftAlone::Finished
            | LeftAlone::KillSwitch => Vec::new(),
        },
        Some(Ending::Healed { .. } | Ending::Recovered { .. }) | None => Vec::new(),
    }
}

fn is_plain_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 64
        && !id.starts_with('-')
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests;
