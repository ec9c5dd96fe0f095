//! One journal line for each step.

use prunella_core::{
    incident::{DetectedBy, Ending, Incident},
    trail::{Entry, Step},
};

/// One journal line for a step, with fields. OBJECT_SYSTEMD_UNIT makes it show
/// in `journalctl -u UNIT` beside the unit's own lines (journalctl(1), `-u`).
pub(crate) fn to_journal(incident: &Incident, entry: &Entry, rehearsal: bool) {
    let unit = &incident.detection.unit;
    let id = &incident.id;
    let rehearsed = if rehearsal { "rehearsal: " } else { "" };
    macro_rules! line {
        ($level:ident, $strategy:expr, $action:expr, $($message:tt)+) => {
            tracing::$level!(
                object_systemd_unit = %unit,
                prunella_incident = %id,
                prunella_unit = %unit,
                prunella_strategy = $strategy,
                prunella_action = $action,
                "{unit}: {rehearsed}{}", format_args!($($message)+)
            )
        };
    }
    match &entry.step {
        Step::Detected { detection, .. } if detection.by == DetectedBy::Operator => {
            line!(
                info,
                "",
                "",
                "an operator asks for it to be healed ({}); incident {id}",
                detection.cause
            );
        }
        Step::Detected { detection, .. } => {
            line!(warn, "", "", "failed ({}); incident {id}", detection.cause);
        }
        Step::Evidence { lines } => {
            line!(debug, "", "", "its last {} log lines are kept", lines.len())
        }
        Step::Waits {
            reason,
            milliseconds,
        } => {
            line!(info, "", "", "waiting up to {milliseconds} ms: {reason}");
        }
        Step::Assessed {
            strategy,
            assessment,
            ..
        } => {
            line!(
                debug,
                strategy.as_str(),
                "",
                "{strategy} says {assessment:?}"
            );
        }
        Step::Broke {
            strategy, message, ..
        } => {
            line!(error, strategy.as_str(), "", "{message}");
        }
        Step::Heals { strategy } => {
            line!(debug, strategy.as_str(), "", "{strategy} begins to heal")
        }
        Step::Said {
            strategy, message, ..
        } => {
            line!(info, strategy.as_str(), "", "{strategy}: {message}");
        }
        Step::ActIntended {
            strategy,
            act,
            target,
            ..
        } => {
            line!(
                info,
                strategy.as_str(),
                act.as_str(),
                "{strategy}: {act} on {target}"
            );
        }
        Step::ActEnded {
            action,
            result: Ok(result),
        } => {
            line!(debug, "", "", "action {action}: {result}");
        }
        Step::ActEnded {
            action,
            result: Err(failure),
        } => {
            line!(warn, "", "", "action {action} failed: {failure}");
        }
        Step::ActDenied {
            strategy,
            act,
            target,
            failure,
        } => {
            line!(
                warn,
                strategy.as_str(),
                act.as_str(),
                "{strategy} was denied {act} on {target}: {failure}"
            );
        }
        Step::SecondOpinion { act, target, said } => match said {
            Ok(said) => line!(
                info,
                "",
                act.as_str(),
                "{} says {} to {act} on {target}: {}",
                said.model,
                said.verdict.word(),
                said.reason
            ),
            Err(why) => line!(info, "", act.as_str(), "no verdict on {act}: {why}"),
        },
        Step::Proposed {
            approval,
            strategy,
            act,
            target,
            ..
        } => line!(
            warn,
            strategy.as_str(),
            act.as_str(),
            "{act} on {target} waits for a person: prunella approve {approval}"
        ),
        Step::Approved {
            act, target, by, ..
        } => line!(info, "", act.as_str(), "{by} agrees to {act} on {target}"),
        Step::Returned {
            strategy, outcome, ..
        } => {
            line!(
                debug,
                strategy.as_str(),
                "",
                "{strategy} returned {outcome:?}"
            );
        }
        Step::Answering { after, .. } => match after {
            Some(after) => line!(
                info,
                "",
                "",
                "well again {} ms after the failure",
                after / 1000
            ),
            None => line!(info, "", "", "well again"),
        },
        Step::Proven { stable_for, .. } => line!(debug, "", "", "stable for {stable_for} ms"),
        Step::NotProven { reason, .. } => line!(warn, "", "", "not healed: {reason}"),
        Step::Blocked { on, reason } => line!(warn, "", "", "waits for {on}: {reason}"),
        Step::Unblocked { on, healthy } => line!(
            info,
            "",
            "",
            "{on} is {}",
            if *healthy {
                "healthy again"
            } else {
                "still not healthy"
            }
        ),
        Step::Diagnosed { findings } => {
            for finding in findings {
                line!(
                    info,
                    "",
                    "",
                    "probably {}: {} ({})",
                    finding.cause.word(),
                    finding.sentence,
                    finding.because
                );
            }
        }
        Step::Advised { model, opinion, .. } => match opinion {
            Ok(opinion) => line!(info, "", "", "{model} thinks: {}", opinion.cause),
            Err(why) => line!(info, "", "", "no opinion of {model}: {why}"),
        },
        Step::Ordered { reason, .. } => line!(info, "", "", "another order: {reason}"),
        Step::Note { message } => line!(info, "", "", "{message}"),
        Step::Ended { ending } => match ending {
            Ending::Healed { strategy, .. } => {
                line!(
                    info,
                    strategy.as_str(),
                    "",
                    "healed by {strategy}; incident {id}"
                );
            }
            Ending::Recovered { by } => line!(info, "", "", "recovered: {by}; incident {id}"),
            Ending::LeftAlone { why, detail } => {
                line!(
                    info,
                    "",
                    "",
                    "left alone: {}; {detail}; incident {id}",
                    why.sentence()
                );
            }
            Ending::Escalated { reason, .. } => {
                line!(
                    error,
                    "",
                    "",
                    "needs people: {reason}; see `prunella incidents {id}`"
                );
            }
            Ending::Blocked { on, reason } => line!(warn, "", "", "waits for {on}: {reason}"),
            Ending::Interrupted { detail } => {
                line!(warn, "", "", "interrupted: {detail}; incident {id}")
            }
            Ending::Rehearsed { verdict } => line!(info, "", "", "{verdict}"),
        },
    }
}
