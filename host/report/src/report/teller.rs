//! Goes through the steps of a record, and tells each in a line or where else it
//! belongs.

use std::time::Duration;

use super::{
    Advice, Attempt, Line, Mark, Opinion, Tried, grants, repeats, said as sayings,
    words::{self, clean},
};
use prunella_core::{
    StrategyName,
    diagnosis::{Cause, Finding},
    incident::Ending,
    trail::{Entry, Record, Step},
};

/// What the steps told.
#[derive(Default)]
pub(super) struct Told {
    pub(super) evidence: Vec<String>,
    pub(super) findings: Vec<Finding>,
    /// A recent change, which is no finding of a cause.
    pub(super) hint: Option<Finding>,
    pub(super) advice: Option<Advice>,
    pub(super) opinions: Vec<Opinion>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) proof: Option<Seen>,
    pub(super) tried: Vec<Tried>,
    pub(super) rehearsal: bool,
}

/// What the host saw for itself.
pub(super) struct Seen {
    pub(super) evidence: Vec<String>,
    /// Microseconds.
    pub(super) recovered_after: Option<u64>,
    /// Milliseconds.
    pub(super) stable_for: Option<u64>,
}

/// A step in a line.
struct Said {
    mark: Mark,
    text: String,
    /// What it is the same as, whatever the figures in its text; the text
    /// itself when absent.
    key: Option<String>,
}

impl From<(Mark, String)> for Said {
    fn from((mark, text): (Mark, String)) -> Self {
        Self {
            mark,
            text,
            key: None,
        }
    }
}

/// Goes through the steps of a record, in order.
pub(super) struct Teller<'a> {
    record: &'a Record,
    latest: u32,
    rehearsal: bool,
}

impl<'a> Teller<'a> {
    pub(super) fn new(record: &'a Record) -> Self {
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

    pub(super) fn tell(&self) -> Told {
        let mut told = Told {
            rehearsal: self.rehearsal,
            ..Told::default()
        };
        let mut attempts: Vec<Attempt> = Vec::new();
        let mut before: Option<u64> = None;
        let mut rebooted = false;
        for entry in &self.record.steps {
            // The monotonic clock began anew: the host was rebooted.
            rebooted |= before.is_some_and(|before| entry.monotonic < before);
            before = Some(entry.monotonic);
            let said = self.line(entry, &mut told);
            let number = entry.attempt;
            if attempts.last().is_none_or(|last| last.first != number) {
                attempts.push(Attempt {
                    first: number,
                    last: number,
                    words: format!("attempt {number}"),
                    steps: Vec::new(),
                    ended: None,
                });
            }
            let Some(attempt) = attempts.last_mut() else {
                continue;
            };
            if let Step::Ended { ending } = &entry.step
                && number < self.latest
            {
                attempt.ended = Some(ending.word().to_owned());
            }
            if let Some(Said { mark, text, key }) = said {
                let after = self.after(entry, rebooted);
                attempt.steps.push(Line {
                    after,
                    when: words::after(after),
                    at: entry.at,
                    mark,
                    key: key.unwrap_or_else(|| text.clone()),
                    text,
                    times: 1,
                });
            }
        }
        attempts.retain(|attempt| !attempt.steps.is_empty());
        for attempt in &mut attempts {
            attempt.steps = repeats::fold_steps(std::mem::take(&mut attempt.steps));
        }
        told.attempts = repeats::fold_attempts(attempts);
        told.tried = repeats::fold_tried(std::mem::take(&mut told.tried));
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
    fn line(&self, entry: &Entry, told: &mut Told) -> Option<Said> {
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
                let (hints, findings): (Vec<Finding>, Vec<Finding>) = findings
                    .iter()
                    .map(sayings::cleaned)
                    .partition(|finding| finding.cause == Cause::RecentChange);
                told.findings = findings;
                told.hint = hints.into_iter().next();
                None
            }
            Step::Advised { model, opinion, .. } => {
                told.advice = Some(sayings::advice(model, opinion));
                None
            }
            Step::Assessed {
                strategy,
                assessment,
                ..
            } => {
                self.opine(entry, told, sayings::opinion(strategy, assessment));
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
                            words: "broke off".to_owned(),
                            confidence: None,
                            reason: clean(message),
                        },
                    );
                    return None;
                }
                came_of(told, strategy, entry.attempt, "broke off");
                said(
                    Mark::Bad,
                    format!("{strategy} broke off: {}", clean(message)),
                )
            }
            Step::Heals { strategy } => {
                told.tried.push(Tried {
                    strategy: strategy.clone(),
                    attempt: entry.attempt,
                    times: 1,
                    result: "it did not come to an end".to_owned(),
                });
                said(Mark::Plain, format!("{strategy} begins to heal"))
            }
            Step::Returned {
                strategy, outcome, ..
            } => {
                let (mark, result) = sayings::returned(outcome);
                came_of(told, strategy, entry.attempt, &result);
                said(mark, format!("{strategy}: {result}"))
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
                said(Mark::Bad, text)
            }
            Step::Answering { evidence, after } => {
                told.proof = Some(Seen {
                    evidence: evidence.iter().map(|line| clean(line)).collect(),
                    recovered_after: *after,
                    stable_for: None,
                });
                // In a rehearsal that is assumed, and told as such.
                if self.rehearsal {
                    return None;
                }
                said(Mark::Good, "it is well for the first time".to_owned())
            }
            Step::Proven {
                evidence,
                stable_for,
                ..
            } => {
                let recovered_after = told.proof.as_ref().and_then(|p| p.recovered_after);
                told.proof = Some(Seen {
                    evidence: evidence.iter().map(|line| clean(line)).collect(),
                    recovered_after,
                    stable_for: Some(*stable_for),
                });
                let watched = words::length(Duration::from_millis(*stable_for));
                if self.rehearsal {
                    return None;
                }
                said(Mark::Good, format!("it stayed well for {watched}"))
            }
            other => self.simple(entry, other),
        }
    }

    /// The steps that say the same whatever came before.
    fn simple(&self, entry: &Entry, step: &Step) -> Option<Said> {
        let plain = match step {
            Step::Waits {
                milliseconds: 0, ..
            } => return None,
            Step::Waits {
                reason,
                milliseconds,
            } => {
                let length = words::length(Duration::from_millis(*milliseconds));
                let reason = clean(reason);
                return Some(Said {
                    mark: Mark::Plain,
                    text: format!("waits, {length} at most: {reason}"),
                    key: Some(format!("waits: {reason}")),
                });
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
            } => return Some(self.act(entry, *action, &words::act(act, target), *rehearsal)),
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
                    clean(grants::without_lines(&failure.message))
                ),
            ),
            Step::SecondOpinion { act, target, said } => match said {
                Ok(said) => (
                    Mark::Plain,
                    format!(
                        "{} says {} to {}: {}",
                        clean(&said.model),
                        said.verdict.word(),
                        words::act(act, target),
                        clean(&said.reason)
                    ),
                ),
                Err(why) => (
                    Mark::Plain,
                    format!("no model's verdict on {act}: {}", clean(why)),
                ),
            },
            Step::Proposed { act, target, .. } => (
                Mark::Unknown,
                format!("waits for a person to agree: {}", words::act(act, target)),
            ),
            Step::Approved {
                act, target, by, ..
            } => (
                Mark::Good,
                format!("{} agrees: {}", clean(by), words::act(act, target)),
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
            // Told with its intention.
            Step::ActEnded { .. }
            // Told by the headline, and of earlier attempts at their end.
            | Step::Ended { .. }
            // Told by `line`.
            | Step::Detected { .. }
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
        };
        Some(plain.into())
    }

    /// An act with the end it came to.
    fn act(&self, entry: &Entry, action: u32, what: &str, rehearsal: bool) -> Said {
        let end = self
            .record
            .steps
            .iter()
            .find_map(|later| match &later.step {
                Step::ActEnded { action: of, result } if *of == action => Some((later, result)),
                _ => None,
            });
        let (mark, text) = match end {
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
                let text = format!("{what}: {}", clean(result));
                return Said {
                    mark: Mark::Good,
                    text: format!("{text} ({took})"),
                    key: Some(text),
                };
            }
            Some((_, Err(failure))) => (Mark::Bad, format!("{what}: {}", clean(&failure.message))),
            None => (
                Mark::Unknown,
                format!("{what}: nobody knows what came of it"),
            ),
        };
        (mark, text).into()
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
            times: 1,
            result: result.to_owned(),
        }),
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "every caller answers with whether there is a line at all"
)]
fn said(mark: Mark, text: String) -> Option<Said> {
    Some((mark, text).into())
}
