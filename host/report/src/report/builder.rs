//! Builds a report: goes through the steps of a record, and puts each into the list
//! of steps or where else it belongs.

use std::time::Duration;

use super::{
    Advice, Attempt, Line, Mark, StrategyOpinion, Tried, opinions, repeats, step,
    words::{self, clean},
};
use prunella_core::{
    Monotonic, StrategyName,
    diagnosis::{Cause, Finding},
    incident::Ending,
    trail::{Entry, Record, Step},
};

/// What the steps say.
#[derive(Default)]
pub(super) struct Built {
    pub(super) evidence: Vec<String>,
    pub(super) findings: Vec<Finding>,
    /// A recent change, which is no finding of a cause.
    pub(super) hint: Option<Finding>,
    pub(super) advice: Option<Advice>,
    pub(super) opinions: Vec<StrategyOpinion>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) proof: Option<Seen>,
    pub(super) tried: Vec<Tried>,
    pub(super) dry_run: bool,
}

/// What the host saw for itself.
pub(super) struct Seen {
    pub(super) evidence: Vec<String>,
    pub(super) recovered_after: Option<Duration>,
    pub(super) stable_for: Option<Duration>,
}

/// A step in a line.
struct StepLine {
    mark: Mark,
    text: String,
    /// What it is the same as, whatever the figures in its text; the text
    /// itself when absent.
    key: Option<String>,
}

impl From<(Mark, String)> for StepLine {
    fn from((mark, text): (Mark, String)) -> Self {
        Self {
            mark,
            text,
            key: None,
        }
    }
}

/// How the key of a wait begins.
const WAITS: &str = "waits: ";

/// How the key of what held it back begins.
const HELD: &str = "held back: ";

impl Attempt {
    fn only_waits(&self) -> bool {
        self.steps.iter().all(|line| line.key.starts_with(WAITS))
    }

    /// Whether nothing was done because something held it back.
    fn was_held(&self) -> bool {
        let all = || self.steps.iter().map(|line| line.key.as_str());
        all().any(|key| key.starts_with(HELD))
            && all().all(|key| key.starts_with(HELD) || key.starts_with(WAITS))
    }
}

/// Has what held a healing back stand before that: it was no attempt.
fn with_what_held(attempts: Vec<Attempt>) -> Vec<Attempt> {
    let mut merged: Vec<Attempt> = Vec::new();
    let mut held: Option<Attempt> = None;
    for mut attempt in attempts {
        if let Some(before) = held.take() {
            attempt.steps.splice(0..0, before.steps);
        }
        if attempt.was_held() {
            held = Some(attempt);
        } else {
            merged.push(attempt);
        }
    }
    merged.extend(held);
    merged
}

impl StepLine {
    fn of(step: &Step) -> Self {
        let described = step::describe(step);
        (described.mark, described.text).into()
    }
}

/// Goes through the steps of a record, in order.
pub(super) struct ReportBuilder<'a> {
    record: &'a Record,
    latest: u32,
    dry_run: bool,
}

impl<'a> ReportBuilder<'a> {
    pub(super) fn new(record: &'a Record) -> Self {
        Self {
            record,
            latest: record
                .steps
                .iter()
                .map(|entry| entry.attempt)
                .max()
                .unwrap_or(1),
            dry_run: matches!(record.ending, Some(Ending::DryRun { .. }))
                || record
                    .steps
                    .iter()
                    .any(|entry| matches!(entry.step, Step::ActIntended { dry_run: true, .. })),
        }
    }

    pub(super) fn build(&self) -> Built {
        let mut built = Built {
            dry_run: self.dry_run,
            ..Built::default()
        };
        let mut attempts: Vec<Attempt> = Vec::new();
        let mut before: Option<Monotonic> = None;
        let mut rebooted = false;
        for entry in &self.record.steps {
            // The monotonic clock began anew: the host was rebooted.
            rebooted |= before.is_some_and(|before| entry.monotonic < before);
            before = Some(entry.monotonic);
            let line = self.line(entry, &mut built);
            let number = entry.attempt;
            if attempts.last().is_none_or(|last| last.first != number) {
                attempts.push(Attempt {
                    first: number,
                    last: number,
                    words: String::new(),
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
                attempt.ended = Some(ending.as_str().to_owned());
            }
            if let Some(StepLine { mark, text, key }) = line {
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
        let mut attempts = with_what_held(attempts);
        // A turn that only waited is no attempt, where there is a real one.
        if !attempts.iter().all(Attempt::only_waits) {
            attempts.retain(|attempt| !attempt.only_waits());
            for (number, attempt) in (1..).zip(&mut attempts) {
                attempt.first = number;
                attempt.last = number;
            }
        }
        // Looking at a degradation again is no attempt to heal it.
        let is_degradation = self.record.incident.detection.is_degradation();
        let what = if is_degradation && built.tried.is_empty() {
            "look"
        } else {
            "attempt"
        };
        for attempt in &mut attempts {
            attempt.words = format!("{what} {}", attempt.first);
            attempt.steps = repeats::fold_steps(std::mem::take(&mut attempt.steps));
        }
        built.opinions.sort_by_key(StrategyOpinion::rank);
        built.attempts = repeats::fold_attempts(attempts, what);
        built.tried = repeats::fold_tried(std::mem::take(&mut built.tried));
        built
    }

    /// How long after the failure a step was.
    fn after(&self, entry: &Entry, rebooted: bool) -> Duration {
        let detection = &self.record.incident.detection;
        let by_monotonic = detection
            .failed_monotonic
            .filter(|_| !rebooted)
            .and_then(|failed| entry.monotonic.checked_since(failed));
        by_monotonic.unwrap_or_else(|| entry.at.since(detection.at))
    }

    /// What a step says in the list of steps, if anything; what it says
    /// elsewhere goes into `built`.
    fn line(&self, entry: &Entry, built: &mut Built) -> Option<StepLine> {
        match &entry.step {
            Step::Detected { evidence, .. } => {
                built.evidence = evidence.iter().map(|line| clean(line)).collect();
                None
            }
            Step::Evidence { lines } => {
                built.evidence = lines.iter().map(|line| clean(line)).collect();
                None
            }
            // What is told of the latest failure stands first.
            Step::FailedAgain { .. } => None,
            Step::Diagnosed { findings } => {
                let (hints, findings): (Vec<Finding>, Vec<Finding>) = findings
                    .iter()
                    .map(opinions::cleaned)
                    // That it was started too often comes of the cause, and is none.
                    .filter(|finding| finding.cause != Cause::StartLimit)
                    .partition(|finding| finding.cause == Cause::RecentChange);
                built.findings = findings;
                built.hint = hints.into_iter().next();
                None
            }
            Step::Advised { model, opinion, .. } => {
                built.advice = Some(opinions::advice(model, opinion));
                None
            }
            Step::Assessed {
                strategy,
                assessment,
                ..
            } => {
                self.opine(entry, built, opinions::opinion(strategy, assessment));
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
                        built,
                        StrategyOpinion {
                            strategy: strategy.clone(),
                            says: "broke-off".to_owned(),
                            words: "broke off".to_owned(),
                            confidence: None,
                            reason: clean(message),
                        },
                    );
                    return None;
                }
                came_of(built, strategy, entry.attempt, "broke off");
                Some(StepLine::of(&entry.step))
            }
            Step::Heals { strategy } => {
                built.tried.push(Tried {
                    strategy: strategy.clone(),
                    attempt: entry.attempt,
                    times: 1,
                    result: "did not finish".to_owned(),
                });
                Some(StepLine::of(&entry.step))
            }
            Step::Returned {
                strategy, outcome, ..
            } => {
                let (_, result) = opinions::returned(outcome);
                came_of(built, strategy, entry.attempt, &result);
                Some(StepLine::of(&entry.step))
            }
            Step::NotProven { strategy, .. } => {
                let line = StepLine::of(&entry.step);
                if let Some(strategy) = strategy {
                    came_of(built, strategy, entry.attempt, &line.text);
                }
                built.proof = None;
                Some(line)
            }
            Step::Answering { evidence, after } => {
                built.proof = Some(Seen {
                    evidence: evidence.iter().map(|line| clean(line)).collect(),
                    recovered_after: *after,
                    stable_for: None,
                });
                // In a dry run that is assumed, and said as such.
                (!self.dry_run).then(|| StepLine::of(&entry.step))
            }
            Step::Proven {
                evidence,
                stable_for,
                ..
            } => {
                let recovered_after = built.proof.as_ref().and_then(|p| p.recovered_after);
                built.proof = Some(Seen {
                    evidence: evidence.iter().map(|line| clean(line)).collect(),
                    recovered_after,
                    stable_for: Some(*stable_for),
                });
                (!self.dry_run).then(|| StepLine::of(&entry.step))
            }
            other => self.simple(entry, other),
        }
    }

    /// The steps that say the same whatever came before.
    fn simple(&self, entry: &Entry, step: &Step) -> Option<StepLine> {
        match step {
            Step::Waits { up_to, .. } if up_to.as_millis() == 0 => None,
            Step::Waits { reason, .. } => Some(StepLine {
                // Whatever the length, it is the same wait.
                key: Some(format!("{WAITS}{}", clean(reason))),
                ..StepLine::of(step)
            }),
            // Debug lines are for the author of the strategy: in the record.
            Step::Said { level, .. } if level == "debug" => None,
            Step::ActIntended {
                action,
                act,
                target,
                dry_run,
                plan,
                ..
            } => {
                let what = words::planned_act(act, target, plan.as_ref());
                Some(self.act(entry, *action, &what, *dry_run))
            }
            Step::Said { .. }
            | Step::ActDenied { .. }
            | Step::SecondOpinion { .. }
            | Step::Proposed { .. }
            | Step::Approved { .. }
            | Step::Blocked { .. }
            | Step::Unblocked { .. }
            | Step::Ordered { .. }
            | Step::Watches { .. }
            | Step::Cleared { .. }
            | Step::Undone { .. }
            | Step::Note { .. } => Some(StepLine::of(step)),
            Step::Ended {
                ending: Ending::LeftAlone { why, detail },
            } if why.passes() && entry.attempt < self.latest => {
                let text = match detail.as_str() {
                    "" => format!("{HELD}{}", why.sentence()),
                    detail => format!("{HELD}{} ({})", why.sentence(), clean(detail)),
                };
                Some((Mark::Plain, text).into())
            }
            // Shown with its intention.
            Step::ActEnded { .. }
            // Shown by the headline, and of earlier attempts at their end.
            | Step::Ended { .. }
            // Shown by `line`.
            | Step::Detected { .. }
            | Step::Evidence { .. }
            | Step::FailedAgain { .. }
            | Step::Diagnosed { .. }
            | Step::Advised { .. }
            | Step::Assessed { .. }
            | Step::Broke { .. }
            | Step::Heals { .. }
            | Step::Returned { .. }
            | Step::NotProven { .. }
            | Step::Answering { .. }
            | Step::Proven { .. } => None,
        }
    }

    /// An act with the end it came to.
    fn act(&self, entry: &Entry, action: u32, what: &str, dry_run: bool) -> StepLine {
        let end = self
            .record
            .steps
            .iter()
            .find_map(|later| match &later.step {
                Step::ActEnded {
                    action: of,
                    result,
                    receipt,
                } if *of == action => Some((later, result, receipt)),
                _ => None,
            });
        let (mark, text) = match end {
            Some((_, result, _)) if dry_run => match result {
                Ok(assumed) => (
                    Mark::DryRun,
                    format!("would {what} (assumed: {})", clean(assumed)),
                ),
                Err(failure) => (
                    Mark::Bad,
                    format!("would {what}: {}", clean(&failure.message)),
                ),
            },
            None if dry_run => (Mark::DryRun, format!("would {what}")),
            Some((later, Ok(result), receipt)) => {
                let took = words::length(later.monotonic.since(entry.monotonic));
                let came = receipt.as_ref().map_or_else(|| clean(result), words::came);
                let text = format!("{what}: {came}");
                return StepLine {
                    // systemd's word for how a job ended.
                    mark: if matches!(result.as_str(), "failed" | "timeout" | "dependency") {
                        Mark::Bad
                    } else {
                        Mark::Good
                    },
                    text: format!("{text} ({took})"),
                    key: Some(text),
                };
            }
            Some((_, Err(failure), _)) => {
                (Mark::Bad, format!("{what}: {}", clean(&failure.message)))
            }
            None if self.record.ending.is_none() && entry.attempt == self.latest => {
                (Mark::Plain, format!("{what}: not finished yet"))
            }
            None => (Mark::Unknown, format!("{what}: outcome unknown")),
        };
        (mark, text).into()
    }

    /// Keeps an opinion of the latest attempt; a later one takes the place of an
    /// earlier one.
    fn opine(&self, entry: &Entry, built: &mut Built, opinion: StrategyOpinion) {
        if entry.attempt != self.latest {
            return;
        }
        built
            .opinions
            .retain(|known| known.strategy != opinion.strategy);
        built.opinions.push(opinion);
    }
}

/// Notes what came of the latest try of a strategy.
fn came_of(built: &mut Built, strategy: &StrategyName, attempt: u32, result: &str) {
    match built
        .tried
        .iter_mut()
        .rev()
        .find(|tried| tried.strategy == *strategy && tried.attempt == attempt)
    {
        Some(tried) => tried.result = result.to_owned(),
        None => built.tried.push(Tried {
            strategy: strategy.clone(),
            attempt,
            times: 1,
            result: result.to_owned(),
        }),
    }
}
