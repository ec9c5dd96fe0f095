//! A step in words, the same wherever it is shown: in a report, in a terminal and
//! in the journal.

use prunella_core::{
    StrategyName,
    cause::Cause as FailureCause,
    diagnosis::{Cause, Finding},
    incident::{Assessment, DetectedBy, Ending, Outcome},
    trail::Step,
};

use super::{
    Mark, degraded, grants, opinions,
    words::{self, clean},
};

/// A step in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepText<'a> {
    /// How it went.
    pub mark: Mark,
    /// Who has to see it.
    pub importance: Importance,
    /// The strategy it is about.
    pub strategy: Option<&'a StrategyName>,
    /// The act it is about, such as `unit-control.start`.
    pub act: Option<&'a str>,
    /// What happened, in a sentence without its full stop; of the unit, where
    /// nothing else is named.
    pub text: String,
}

/// Who has to see a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Importance {
    /// Nobody: it is in the record.
    Record,
    /// Whoever watches the incident go.
    Detail,
    /// Whoever reads what happened.
    Info,
    /// Whoever looks for what went wrong.
    Warning,
    /// A person has to act.
    Error,
}

/// Says a step in words.
pub fn describe(step: &Step) -> StepText<'_> {
    use Importance::{Detail, Error, Info, Record, Warning};
    let (mark, importance, text) = match step {
        Step::Detected { detection, .. } if detection.cause == FailureCause::RestartRequested => (
            Mark::Plain,
            Info,
            "restart requested by an operator".to_owned(),
        ),
        Step::Detected { detection, .. } if detection.by == DetectedBy::Operator => (
            Mark::Plain,
            Info,
            format!(
                "healing requested by an operator ({})",
                clean(detection.cause.as_str())
            ),
        ),
        Step::Detected { detection, .. } if detection.is_degradation() => (
            Mark::Bad,
            Warning,
            format!("degraded: {}", degraded::symptoms(&detection.symptoms)),
        ),
        Step::Detected { detection, .. } => (
            Mark::Bad,
            Warning,
            format!("failed: {}", words::cause(detection)),
        ),
        Step::Evidence { lines } => (
            Mark::Plain,
            Record,
            format!("kept the last {} log lines", lines.len()),
        ),
        Step::FailedAgain {
            cause,
            exit_code,
            signal,
            ..
        } => (
            Mark::Bad,
            Record,
            format!(
                "failed again, in another way: {}",
                words::failure(cause, *exit_code, signal.as_deref())
            ),
        ),
        Step::Waits { reason, up_to, .. } => (
            Mark::Plain,
            if up_to.as_millis() == 0 { Record } else { Info },
            format!("waits up to {}: {}", words::length(*up_to), clean(reason)),
        ),
        Step::Assessed {
            strategy,
            assessment,
            ..
        } => {
            let opinion = opinions::opinion(strategy, assessment);
            let (mark, importance) = match assessment {
                Assessment::Applies { .. } => (Mark::Plain, Detail),
                // What has nothing to do with it hides what has.
                Assessment::NotApplicable { .. } => (Mark::Plain, Record),
                Assessment::Veto { .. } | Assessment::BlockedBy { .. } => (Mark::Unknown, Detail),
            };
            let text = format!("{strategy} {}: {}", opinion.words, opinion.reason);
            (mark, importance, text)
        }
        Step::Broke {
            strategy, message, ..
        } => (
            Mark::Bad,
            Error,
            format!("{strategy} broke off: {}", clean(message)),
        ),
        Step::Heals { strategy } => (Mark::Plain, Detail, format!("{strategy} starts healing")),
        Step::Said {
            strategy,
            level,
            message,
        } => (
            Mark::Plain,
            // Debug lines are for the author of the strategy.
            if level == "debug" { Record } else { Info },
            format!("{strategy} says: “{}”", clean(message)),
        ),
        Step::ActIntended {
            strategy,
            act,
            target,
            dry_run,
            plan,
            ..
        } => {
            let act = words::planned_act(act, target, plan.as_ref());
            if *dry_run {
                (Mark::DryRun, Info, format!("{strategy} would {act}"))
            } else {
                (Mark::Plain, Info, format!("{strategy}: {act}"))
            }
        }
        Step::ActEnded {
            result: Ok(_),
            receipt: Some(receipt),
            ..
        } => (
            Mark::Good,
            Detail,
            format!("done: {}", words::came(receipt)),
        ),
        Step::ActEnded {
            result: Ok(result), ..
        } => (Mark::Good, Detail, format!("done: {}", clean(result))),
        Step::ActEnded {
            result: Err(failure),
            ..
        } => (
            Mark::Bad,
            Warning,
            format!("failed: {}", clean(&failure.message)),
        ),
        Step::Undone {
            act,
            target,
            why,
            by,
            result,
            ..
        } => {
            let why = match by {
                Some(by) => format!("{} ordered that", clean(by)),
                None => why.sentence().to_owned(),
            };
            match result {
                Ok(done) => (
                    Mark::Plain,
                    Info,
                    format!("undone: {} ({why})", clean(done)),
                ),
                Err(failure) => (
                    Mark::Bad,
                    Error,
                    format!(
                        "not undone, although {why}: {} ({})",
                        clean(&failure.message),
                        words::act(act, target)
                    ),
                ),
            }
        }
        Step::ActDenied {
            strategy,
            act,
            target,
            failure,
        } => (
            Mark::Bad,
            Warning,
            format!(
                "denied: {strategy} may not {}: {}",
                words::act(act, target),
                clean(grants::without_lines(&failure.message))
            ),
        ),
        Step::SecondOpinion { act, target, said } => match said {
            Ok(said) => (
                Mark::Plain,
                Info,
                format!(
                    "{} says {} to {}: {}",
                    clean(&said.model),
                    said.verdict.as_str(),
                    words::act(act, target),
                    clean(&said.reason)
                ),
            ),
            Err(why) => (
                Mark::Plain,
                Info,
                format!(
                    "no verdict of a model on {}: {}",
                    words::act(act, target),
                    clean(why)
                ),
            ),
        },
        Step::Proposed {
            act, target, plan, ..
        } => (
            Mark::Unknown,
            Warning,
            format!(
                "waits for approval to {}",
                words::planned_act(act, target, plan.as_ref())
            ),
        ),
        Step::Approved {
            act, target, by, ..
        } => (
            Mark::Good,
            Info,
            format!("{} approved: {}", clean(by), words::act(act, target)),
        ),
        Step::Returned {
            strategy, outcome, ..
        } => {
            let (mark, result) = opinions::returned(outcome);
            let importance = if matches!(outcome, Ok(Outcome::Healed { .. })) {
                Record
            } else {
                Detail
            };
            (mark, importance, format!("{strategy}: {result}"))
        }
        Step::Answering { after, .. } => (
            Mark::Good,
            Info,
            match after {
                Some(after) => format!("up again, {} after the failure", words::length(*after)),
                None => "up again".to_owned(),
            },
        ),
        Step::Proven { stable_for, .. } => (
            Mark::Good,
            if stable_for.as_millis() == 0 {
                Record
            } else {
                Detail
            },
            format!("still up after {}", words::length(*stable_for)),
        ),
        Step::NotProven {
            reason, relapse, ..
        } => (Mark::Bad, Warning, not_proven(reason, *relapse)),
        Step::Blocked { on, reason } => (
            Mark::Plain,
            Warning,
            format!("waits for {on}: {}", clean(reason)),
        ),
        Step::Unblocked { on, healthy: true } => {
            (Mark::Good, Info, format!("{on} is up again: goes on"))
        }
        Step::Unblocked { on, healthy: false } => (Mark::Bad, Info, format!("{on} is still down")),
        Step::Diagnosed { findings } => (
            Mark::Plain,
            if findings.is_empty() { Record } else { Info },
            diagnosed(findings),
        ),
        Step::Advised { model, opinion, .. } => match opinion {
            Ok(opinion) => (
                Mark::Plain,
                Info,
                format!("{} suspects: {}", clean(model), clean(&opinion.cause)),
            ),
            Err(why) => (
                Mark::Plain,
                Info,
                format!("no opinion from {}: {}", clean(model), clean(why)),
            ),
        },
        Step::Ordered { order, reason } => (
            Mark::Plain,
            Info,
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
        Step::Watches {
            symptoms,
            reason,
            tried,
        } => (
            if *tried { Mark::Bad } else { Mark::Unknown },
            if *tried { Error } else { Warning },
            format!(
                "watched until it clears: {} ({})",
                degraded::symptoms(symptoms),
                clean(reason)
            ),
        ),
        Step::Cleared { symptoms, lasted } => (
            Mark::Good,
            Info,
            format!(
                "cleared after {}: {}",
                words::length(*lasted),
                degraded::worst(symptoms)
            ),
        ),
        Step::Note { message } => (Mark::Plain, Info, clean(message)),
        Step::Ended { ending } => ended(ending),
    };
    StepText {
        mark,
        importance,
        strategy: strategy(step),
        act: act(step),
        text,
    }
}

/// What the rules recognised. A recent change is a hint: it may have nothing to do
/// with it.
fn diagnosed(findings: &[Finding]) -> String {
    let sentences = findings
        .iter()
        .map(|finding| clean(&finding.sentence))
        .collect::<Vec<_>>()
        .join("; or: ");
    match findings.first() {
        Some(finding) if finding.cause == Cause::RecentChange => format!("a hint: {sentences}"),
        _ => format!("probable cause: {sentences}"),
    }
}

/// That a service did not come, or stay, up.
fn not_proven(reason: &str, relapse: bool) -> String {
    let what = if relapse {
        "relapsed"
    } else {
        "did not recover"
    };
    format!("{what}: {}", clean(reason))
}

fn ended(ending: &Ending) -> (Mark, Importance, String) {
    use Importance::{Error, Info, Warning};
    match ending {
        Ending::Healed {
            strategy,
            served_by: Some(standby),
            ..
        } => (
            Mark::Good,
            Info,
            format!("healed by {strategy}: {standby} serves in its place"),
        ),
        Ending::Healed {
            strategy,
            recovered_after: Some(after),
            ..
        } => (
            Mark::Good,
            Info,
            format!("healed by {strategy} in {}", words::length(*after)),
        ),
        Ending::Healed { strategy, .. } => (Mark::Good, Info, format!("healed by {strategy}")),
        Ending::Recovered { by } => (Mark::Good, Info, format!("recovered: {}", clean(by))),
        Ending::LeftAlone { why, detail } if detail.is_empty() => (
            Mark::Unknown,
            Info,
            format!("left alone: {}", why.sentence()),
        ),
        Ending::LeftAlone { why, detail } => (
            Mark::Unknown,
            Info,
            format!("left alone: {} ({})", why.sentence(), clean(detail)),
        ),
        Ending::Escalated { reason, .. } => (
            Mark::Bad,
            Error,
            format!("needs a person: {}", clean(reason)),
        ),
        Ending::Blocked { on, reason } => (
            Mark::Unknown,
            Warning,
            format!("waits for {on}: {}", clean(reason)),
        ),
        Ending::Interrupted { detail } => (
            Mark::Unknown,
            Warning,
            format!("interrupted: {}", clean(detail)),
        ),
        Ending::Continued { reason } => (
            Mark::Unknown,
            Info,
            format!("goes on as another incident: {}", clean(reason)),
        ),
        Ending::DryRun { verdict } => (Mark::DryRun, Info, format!("dry run: {}", clean(verdict))),
    }
}

fn strategy(step: &Step) -> Option<&StrategyName> {
    match step {
        Step::Assessed { strategy, .. }
        | Step::Broke { strategy, .. }
        | Step::Heals { strategy }
        | Step::Said { strategy, .. }
        | Step::ActIntended { strategy, .. }
        | Step::ActDenied { strategy, .. }
        | Step::Proposed { strategy, .. }
        | Step::Returned { strategy, .. }
        | Step::Ended {
            ending: Ending::Healed { strategy, .. },
        } => Some(strategy),
        Step::NotProven { strategy, .. } => strategy.as_ref(),
        _ => None,
    }
}

fn act(step: &Step) -> Option<&str> {
    match step {
        Step::ActIntended { act, .. }
        | Step::ActDenied { act, .. }
        | Step::SecondOpinion { act, .. }
        | Step::Proposed { act, .. }
        | Step::Approved { act, .. } => Some(act),
        _ => None,
    }
}
