//! What happened to what, and how it ended, in one sentence: what a subject has room
//! for.

use super::{
    Failure, degraded,
    reason::Causes,
    standing::Standing,
    words::{self, clean},
};
use prunella_core::{
    UnitName,
    cause::Cause,
    health::Symptom,
    incident::{Detection, Ending, LeftAlone},
};

/// That a service is down, in one sentence.
pub fn outage_headline(unit: &UnitName) -> String {
    format!("{unit} is down, being healed")
}

/// How it failed and why, in brackets, as far as that is known.
fn failure(last: &Failure, causes: &Causes<'_>) -> String {
    let why = causes
        .leading()
        .map(|cause| cause.sentence.clone())
        .or_else(|| last.last_word().map(str::to_owned))
        .map_or_else(String::new, |why| format!(": {}", words::timeless(&why)));
    format!("({}{why})", last.short)
}

/// The same, with what is known of the reason so far, and how it stands.
pub(super) fn outage(
    unit: &UnitName,
    last: &Failure,
    causes: &Causes<'_>,
    standing: Standing,
) -> String {
    let failure = failure(last, causes);
    match standing {
        Standing::Up => format!("{unit} failed {failure} and is up again"),
        down => format!("{unit} is down {failure}, {}", down.words()),
    }
}

/// That it has hit its start limit, which Prunella leaves to people.
pub(super) fn start_limit(unit: &UnitName, last: &Failure, causes: &Causes<'_>) -> String {
    format!(
        "{unit} needs a person: it has hit its start limit {}",
        failure(last, causes)
    )
}

/// That people are needed, by what was seen on the host: a strategy says the same at
/// length.
pub(super) fn escalation(unit: &UnitName, causes: &Causes<'_>) -> Option<String> {
    let seen = causes.seen()?;
    Some(format!("{unit} needs a person: {}", seen.sentence))
}

/// What is wrong with a service that is up, in one sentence. `tried` says that what the
/// operator lists for it did not help.
pub fn degraded_headline(unit: &UnitName, symptoms: &[Symptom], tried: bool) -> String {
    let in_vain = if tried { ", and no healing helped" } else { "" };
    match symptoms.first() {
        Some(symptom) => format!(
            "{unit} {}{in_vain}: {}",
            degraded::how(symptom),
            symptom.evidence
        ),
        None => format!("{unit} is degraded{in_vain}"),
    }
}

/// What happened to a degraded service, and how that ended, in one sentence.
fn of_degradation(detection: &Detection, ending: &Ending) -> Option<String> {
    let unit = &detection.unit;
    Some(match ending {
        Ending::Healed {
            strategy,
            recovered_after: Some(after),
        } => format!(
            "{unit} was degraded; healed by {strategy} in {}",
            words::length(*after)
        ),
        Ending::Healed { strategy, .. } => format!("{unit} was degraded; healed by {strategy}"),
        Ending::Recovered { .. } => format!("{unit} is no longer degraded"),
        Ending::Continued { .. } => format!("{unit} was degraded, and is seen to otherwise"),
        Ending::Blocked { on, .. } => format!("{unit} is degraded, waiting for {on}"),
        _ => return None,
    })
}

/// What happened to what, and how it ended, in one sentence.
pub fn headline(detection: &Detection, ending: Option<&Ending>) -> String {
    let Detection { unit, cause, .. } = detection;
    if detection.is_degradation() {
        let said = match ending {
            None => Some(degraded_headline(unit, &detection.symptoms, false)),
            Some(ending) => of_degradation(detection, ending),
        };
        if let Some(said) = said {
            return said;
        }
    }
    match ending {
        None => outage_headline(unit),
        Some(Ending::Healed { strategy, .. }) if *cause == Cause::RestartRequested => {
            format!("{unit} was restarted by {strategy}, as a person asked")
        }
        Some(Ending::Recovered { .. }) if *cause == Cause::RestartRequested => {
            format!("{unit} was restarted meanwhile, and is healthy")
        }
        Some(Ending::Healed {
            strategy,
            recovered_after: Some(after),
        }) => format!(
            "{unit} failed; healed by {strategy} in {}",
            words::length(*after)
        ),
        Some(Ending::Healed { strategy, .. }) => {
            format!("{unit} failed; healed by {strategy}")
        }
        Some(Ending::Recovered { .. }) if matches!(cause, Cause::State(_)) => {
            format!("{unit} is healthy: nothing to do")
        }
        Some(Ending::Recovered { by }) => {
            format!("{unit} failed and is up again: {}", clean(by))
        }
        Some(Ending::LeftAlone {
            why: LeftAlone::Misconfigured,
            detail,
        }) => format!("{unit} is not healed: mistake in {}", clean(detail)),
        Some(Ending::LeftAlone { why, .. }) => {
            format!("{unit} left alone: {}", why.sentence())
        }
        Some(Ending::Escalated { reason, .. }) => match reason.strip_prefix("it ") {
            // Its subject is the unit.
            Some(rest) => format!("{unit} {}", words::timeless(rest)),
            None => format!("{unit} needs a person: {}", words::timeless(reason)),
        },
        Some(Ending::Blocked { on, .. }) => format!("{unit} is down, waiting for {on}"),
        Some(Ending::Interrupted { .. }) => format!("healing {unit} was interrupted"),
        Some(Ending::Continued { reason }) => format!("{unit}: {}", clean(reason)),
        Some(Ending::DryRun { verdict }) => {
            format!("dry run of {unit}: {}", clean(verdict))
        }
    }
}
