//! An incident as it goes, a line for each step worth one.

use std::sync::Mutex;

use anstyle::{AnsiColor, Style};
use prunella_core::{
    diagnosis::Cause,
    incident::{Assessment, DetectedBy, Ending, Incident, Outcome},
    trail::{Entry, Step},
};
use prunella_healer::Observer;

use crate::output::{width, wrap};

/// Where the text of a line begins.
const INDENT: usize = 12;

const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const ACT: Style = AnsiColor::Cyan.on_default();
const CARE: Style = AnsiColor::Yellow.on_default();

/// Prints the steps of an incident to standard output.
#[derive(Default)]
pub(crate) struct Timeline {
    /// The monotonic clock at the first step, in microseconds.
    begun: Mutex<Option<u64>>,
}

impl Timeline {
    /// One step.
    pub(crate) fn show(&self, entry: &Entry) {
        let begun = *self
            .begun
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .get_or_insert(entry.monotonic);
        let Some((style, text)) = line(&entry.step) else {
            return;
        };
        let after = crate::time::took(entry.monotonic.saturating_sub(begun));
        let mut first = after.as_str();
        for line in wrap(&text, width().saturating_sub(INDENT)) {
            anstream::println!("{DIM}{first:>10}{DIM:#}  {style}{line}{style:#}");
            first = "";
        }
    }
}

impl Observer for Timeline {
    fn step(&self, _: &Incident, entry: &Entry) {
        self.show(entry);
    }
}

/// A step as one line; none for those that only matter in a report.
fn line(step: &Step) -> Option<(Style, String)> {
    let plain = Style::new();
    Some(match step {
        Step::Detected { detection, .. } if detection.by == DetectedBy::Operator => (
            plain,
            format!("{}: asked for; it is {}", detection.unit, detection.cause),
        ),
        Step::Detected { detection, .. } => (
            BAD,
            format!("{} failed: {}", detection.unit, detection.cause),
        ),
        Step::Evidence { .. } => return None,
        Step::Waits {
            reason,
            milliseconds,
        } => (
            DIM,
            format!(
                "waiting, up to {}: {reason}",
                crate::time::took(milliseconds.saturating_mul(1000))
            ),
        ),
        Step::Assessed {
            strategy,
            assessment,
            ..
        } => match assessment {
            Assessment::Applies { confidence, reason } => (
                plain,
                format!("{strategy} applies ({confidence} %): {reason}"),
            ),
            Assessment::NotApplicable { reason } => {
                (DIM, format!("{strategy}: not mine: {reason}"))
            }
            Assessment::Veto { reason } => (CARE, format!("{strategy} holds back: {reason}")),
            Assessment::BlockedBy { unit, reason } => {
                (CARE, format!("{strategy}: {unit} comes first: {reason}"))
            }
        },
        Step::Broke { message, .. } => (BAD, message.clone()),
        Step::Heals { strategy } => (plain, format!("{strategy} heals")),
        Step::Said {
            strategy, message, ..
        } => (DIM, format!("{strategy} says: {message}")),
        Step::ActIntended {
            act,
            target,
            rehearsal,
            ..
        } => (
            ACT,
            format!(
                "{} {act} on {target}",
                if *rehearsal { "would do" } else { "does" }
            ),
        ),
        Step::ActEnded {
            result: Ok(result), ..
        } => (DIM, format!("… {result}")),
        Step::ActEnded {
            result: Err(failure),
            ..
        } => (BAD, format!("… {failure}")),
        Step::ActDenied {
            act,
            target,
            failure,
            ..
        } => (BAD, format!("denied: {act} on {target}: {failure}")),
        Step::SecondOpinion { act, said, .. } => match said {
            Ok(said) => (
                plain,
                format!("{} says {} to {act}", said.model, said.verdict.word()),
            ),
            Err(why) => (DIM, format!("no verdict on {act}: {why}")),
        },
        Step::Proposed {
            approval,
            act,
            target,
            ..
        } => (
            CARE,
            format!("{act} on {target} waits: prunella approve {approval}"),
        ),
        Step::Approved {
            act, target, by, ..
        } => (GOOD, format!("{by} agrees to {act} on {target}")),
        Step::Returned { outcome, .. } => match outcome {
            Ok(Outcome::Healed { .. }) => return None,
            Ok(
                Outcome::NotApplicable { reason }
                | Outcome::Failed { reason }
                | Outcome::BlockedBy { reason, .. },
            ) => (CARE, format!("not healed: {reason}")),
            Err(failure) => (CARE, format!("not healed: {failure}")),
        },
        Step::Answering { evidence, .. } => (GOOD, format!("well again: {}", evidence.join("; "))),
        Step::Proven { stable_for, .. } if *stable_for == 0 => return None,
        Step::Proven { stable_for, .. } => (
            GOOD,
            format!(
                "still well after {}",
                crate::time::took(stable_for.saturating_mul(1000))
            ),
        ),
        Step::NotProven { reason, .. } => (BAD, format!("not proven: {reason}")),
        Step::Blocked { on, reason } => (CARE, format!("waits for {on}: {reason}")),
        Step::Unblocked { on, healthy } => (
            plain,
            format!(
                "{on} is {}",
                if *healthy {
                    "healthy again"
                } else {
                    "still not healthy"
                }
            ),
        ),
        Step::Diagnosed { findings } => {
            let finding = findings.first()?;
            let text = match finding.cause {
                Cause::RecentChange => format!("a hint: {}", finding.sentence),
                _ => format!("probably {}", finding.sentence),
            };
            (plain, text)
        }
        Step::Advised { model, opinion, .. } => match opinion {
            Ok(opinion) => (DIM, format!("{model} thinks: {}", opinion.cause)),
            Err(why) => (DIM, format!("no opinion of {model}: {why}")),
        },
        Step::Ordered { reason, .. } => (plain, format!("another order: {reason}")),
        Step::Note { message } => (DIM, message.clone()),
        Step::Ended { ending } => ended(ending),
    })
}

fn ended(ending: &Ending) -> (Style, String) {
    match ending {
        Ending::Healed {
            strategy,
            recovered_after,
        } => (
            GOOD.bold(),
            format!(
                "healed by {strategy}{}",
                recovered_after
                    .map(|after| format!(", {} after it failed", crate::time::took(after)))
                    .unwrap_or_default()
            ),
        ),
        Ending::Recovered { by } => (GOOD.bold(), format!("recovered: {by}")),
        Ending::LeftAlone { why, detail } => (
            CARE.bold(),
            format!("left alone: {} ({detail})", why.sentence()),
        ),
        Ending::Escalated { reason, .. } => (BAD.bold(), format!("needs people: {reason}")),
        Ending::Blocked { on, reason } => (CARE.bold(), format!("waits for {on}: {reason}")),
        Ending::Interrupted { detail } => (CARE.bold(), format!("interrupted: {detail}")),
        Ending::Rehearsed { verdict } => (ACT.bold(), format!("rehearsed: {verdict}")),
    }
}
