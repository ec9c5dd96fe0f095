//! What happened to what, and how it ended, in one sentence: what a subject has room
//! for.

use super::{
    Failure,
    degraded::{self, Degradation},
    question::{self, Asked},
    reason::Causes,
    standing::Standing,
    words::{self, clean},
};
use prunella_core::{
    Timestamp, UnitName,
    cause::Cause,
    health::Symptom,
    incident::{Detection, Ending, LeftAlone},
    trail::Record,
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
        .map_or_else(String::new, |why| format!(": {}", words::in_short(&why)));
    format!("({}{why})", last.short)
}

/// What is told of the incident of a record first, with what is known of the reason.
pub(super) fn of_record(
    record: &Record,
    degradation: Option<&Degradation<'_>>,
    last: &Failure,
    causes: &Causes<'_>,
    standing: Standing,
    now: Option<Timestamp>,
) -> String {
    let detection = &record.incident.detection;
    let unit = &detection.unit;
    match (&record.ending, degradation) {
        (None, Some(degradation)) => match question::asked(record, now).waits() {
            Some(asked) => format!(
                "{unit} {}: waits for approval to {asked}",
                degradation.how()
            ),
            None => degraded_headline(unit, degradation.symptoms, degradation.tried),
        },
        (None, None) => outage(unit, &failure(last, causes), standing),
        (
            Some(Ending::LeftAlone {
                why: LeftAlone::StartLimit,
                ..
            }),
            _,
        ) => format!(
            "{unit} needs a person: it has hit its start limit {}",
            failure(last, causes)
        ),
        (Some(ending @ Ending::Escalated { .. }), _) => {
            escalation(record, causes, now).unwrap_or_else(|| headline(detection, ending))
        }
        (Some(ending), _) => headline(detection, ending),
    }
}

/// That it is down, and how it stands.
fn outage(unit: &UnitName, failure: &str, standing: Standing) -> String {
    match standing {
        Standing::Up => format!("{unit} failed {failure} and is up again"),
        down => format!("{unit} is down {failure}, {}", down.words()),
    }
}

/// That people are needed, where more is known than what the escalation says: what they are
/// asked, what they have denied, or what was seen on the host, of which a strategy says the
/// same at length.
fn escalation(record: &Record, causes: &Causes<'_>, now: Option<Timestamp>) -> Option<String> {
    let unit = &record.incident.detection.unit;
    Some(match question::asked(record, now) {
        // Who is in the way says more than the number of a process.
        Asked::Waits(act) => match causes.port_held() {
            Some(who) => format!("{unit} waits for approval: {who}; {act}?"),
            None => format!("{unit} waits for approval to {act}"),
        },
        Asked::Denied(denial) => format!(
            "{unit} stays down: {} denied the request to {}",
            denial.by, denial.act
        ),
        Asked::Nothing => format!(
            "{unit} needs a person: {}",
            words::in_short(&causes.seen()?.sentence)
        ),
    })
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
fn of_degradation(unit: &UnitName, ending: &Ending) -> Option<String> {
    Some(match ending {
        Ending::Healed {
            served_by: Some(standby),
            ..
        } => format!("{unit} was degraded; {standby} serves in its place"),
        Ending::Healed {
            strategy,
            recovered_after: Some(after),
            ..
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
pub fn headline(detection: &Detection, ending: &Ending) -> String {
    let Detection { unit, cause, .. } = detection;
    if detection.is_degradation()
        && let Some(said) = of_degradation(unit, ending)
    {
        return said;
    }
    match ending {
        Ending::Healed { strategy, .. } if *cause == Cause::RestartRequested => {
            format!("{unit} was restarted by {strategy}, as a person asked")
        }
        Ending::Recovered { .. } if *cause == Cause::RestartRequested => {
            format!("{unit} was restarted meanwhile, and is healthy")
        }
        Ending::Healed {
            served_by: Some(standby),
            recovered_after,
            ..
        } => match recovered_after {
            Some(after) => format!(
                "{unit} failed; {standby} serves in its place after {}",
                words::length(*after)
            ),
            None => format!("{unit} failed; {standby} serves in its place"),
        },
        Ending::Healed {
            strategy,
            recovered_after: Some(after),
            ..
        } => format!(
            "{unit} failed; healed by {strategy} in {}",
            words::length(*after)
        ),
        Ending::Healed { strategy, .. } => {
            format!("{unit} failed; healed by {strategy}")
        }
        Ending::Recovered { .. } if matches!(cause, Cause::State(_)) => {
            format!("{unit} is healthy: nothing to do")
        }
        Ending::Recovered { by } => {
            format!("{unit} failed and is up again: {}", clean(by))
        }
        Ending::LeftAlone {
            why: LeftAlone::Misconfigured,
            detail,
        } => format!("{unit} is not healed: mistake in {}", clean(detail)),
        Ending::LeftAlone { why, .. } => {
            format!("{unit} left alone: {}", why.sentence())
        }
        Ending::Escalated { reason, .. } => match reason.strip_prefix("it ") {
            // Its subject is the unit.
            Some(rest) => format!("{unit} {}", words::in_short(rest)),
            None => format!("{unit} needs a person: {}", words::in_short(reason)),
        },
        Ending::Blocked { on, .. } => format!("{unit} is down, waiting for {on}"),
        Ending::Interrupted { .. } => format!("healing {unit} was interrupted"),
        Ending::Continued { reason } => format!("{unit}: {}", clean(reason)),
        Ending::DryRun { verdict } => {
            format!("dry run of {unit}: {}", clean(verdict))
        }
    }
}
