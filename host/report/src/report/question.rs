//! What a strategy asks people to agree to, while that is open.

use prunella_core::{
    Timestamp,
    remedy::Plan,
    trail::{Entry, Record, Step},
};

use super::{Command, next::as_root, words};

/// An act that waits for a person.
struct Question<'a> {
    approval: &'a str,
    act: &'a str,
    target: &'a str,
    plan: Option<&'a Plan>,
}

/// Those that nobody has decided and whose time is not over, each act once.
fn open(record: &Record, now: Option<Timestamp>) -> Vec<Question<'_>> {
    let now = now.or_else(|| record.steps.last().map(|last| last.at));
    let mut questions: Vec<Question<'_>> = Vec::new();
    for entry in &record.steps {
        let Step::Proposed {
            approval,
            act,
            target,
            plan,
            until,
            ..
        } = &entry.step
        else {
            continue;
        };
        let plain = approval
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
        if !plain
            || now.is_some_and(|now| *until <= now)
            || is_decided(record, entry)
            || is_superseded(record, entry)
        {
            continue;
        }
        questions.retain(|known| (known.act, known.target) != (act.as_str(), target.as_str()));
        questions.push(Question {
            approval,
            act,
            target,
            plan: plan.as_ref(),
        });
    }
    questions
}

/// Whether somebody has agreed to what is proposed in this entry, or refused it.
fn is_decided(record: &Record, entry: &Entry) -> bool {
    let Step::Proposed { approval, act, .. } = &entry.step else {
        return false;
    };
    record.steps.iter().any(|other| match &other.step {
        Step::Approved {
            approval: Some(used),
            ..
        } => used == approval,
        Step::ActDenied {
            act: denied,
            failure,
            ..
        } => other.number > entry.number && denied == act && failure.is("disapproved"),
        _ => false,
    })
}

/// Whether it was asked again, a later attempt asked something else in its place, or the
/// host was booted since.
fn is_superseded(record: &Record, entry: &Entry) -> bool {
    let Step::Proposed {
        approval,
        act,
        strategy,
        ..
    } = &entry.step
    else {
        return false;
    };
    let later = |other: &&Entry| other.number > entry.number;
    record
        .steps
        .iter()
        .filter(later)
        .any(|other| match &other.step {
            _ if other.monotonic < entry.monotonic => true,
            Step::Proposed {
                approval: id,
                act: of,
                strategy: by,
                ..
            } => id == approval || (of == act && by == strategy && other.attempt > entry.attempt),
            _ => false,
        })
}

/// How what people are asked stands.
pub(super) enum Asked {
    /// They are asked nothing, or have agreed.
    Nothing,
    /// The act that is asked for first waits for them, in the infinitive: `terminate process
    /// 7 (nc)`.
    Waits(String),
    /// They have refused, and nobody has asked again since.
    Denied(Denial),
}

impl Asked {
    /// The act that waits.
    pub(super) fn waits(self) -> Option<String> {
        match self {
            Self::Waits(act) => Some(act),
            Self::Nothing | Self::Denied(_) => None,
        }
    }
}

/// How it stands at `now`, or when the record ends.
pub(super) fn asked(record: &Record, now: Option<Timestamp>) -> Asked {
    if let Some(question) = open(record, now).first() {
        return Asked::Waits(words::planned_act(
            question.act,
            question.target,
            question.plan,
        ));
    }
    denial(record).map_or(Asked::Nothing, Asked::Denied)
}

/// What a person has refused to let Prunella do.
pub(super) struct Denial {
    /// Who did, such as `root (uid 0)`.
    pub(super) by: String,
    /// The act, in the infinitive.
    pub(super) act: String,
    /// Until when that stands, where the incident tells.
    pub(super) until: Option<Timestamp>,
    /// The process that it is about: once that has ended, nothing is denied any more.
    pub(super) process: Option<String>,
    /// Whether it is about the service itself, so that a person's order passes it.
    pub(super) passes_by_order: bool,
}

/// The denial that the incident's last attempt met last.
fn denial(record: &Record) -> Option<Denial> {
    let last = record.steps.last()?.attempt;
    record
        .steps
        .iter()
        .rev()
        .take_while(|entry| entry.attempt == last)
        .find_map(|entry| match &entry.step {
            Step::ActDenied {
                act,
                target,
                failure,
                ..
            } if failure.is("disapproved") => {
                let by = failure.message.split(" has denied ").next();
                let until = record
                    .steps
                    .iter()
                    .rev()
                    .find_map(|other| match &other.step {
                        Step::Proposed {
                            act: asked, until, ..
                        } if asked == act => Some(*until),
                        _ => None,
                    });
                Some(Denial {
                    by: words::clean(by.unwrap_or("a person")),
                    act: words::act(act, target),
                    until,
                    process: act
                        .starts_with("process-control.")
                        .then(|| words::clean(target)),
                    passes_by_order: target == record.incident.detection.unit.as_str(),
                })
            }
            _ => None,
        })
}

/// What approves what waits under this id.
pub fn approve_command(approval: &str, sudo: bool) -> String {
    as_root(approves(approval), sudo)
}

fn approves(approval: &str) -> String {
    format!("prunella approve {approval}")
}

/// How to approve or deny what waits for a person.
pub(super) fn commands(record: &Record, now: Option<Timestamp>) -> Vec<Command> {
    open(record, now)
        .iter()
        .map(|question| Command {
            command: approves(question.approval),
            purpose: format!(
                "let it {}, once (or `prunella deny`)",
                words::act(question.act, question.target)
            ),
        })
        .collect()
}
