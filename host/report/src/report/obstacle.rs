//! What kept a service down in an earlier attempt, and what became of it: by the time it
//! is up again there is nothing left of that to see.

use prunella_core::{
    diagnosis::{self, Finding, Source},
    incident::{Assessment, Ending},
    trail::{Entry, Record, Step},
};
use serde::Serialize;

use super::words::{self, clean};

/// What kept a service down until it was up again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// What it was, in a sentence without its full stop, as it was told then.
    pub sentence: String,
    /// What a person agreed to, so that it went: `root approved: terminate process 7`.
    pub consent: Option<String>,
    /// Which classic cause it is, where the rules found it.
    #[serde(skip)]
    pub(super) cause: Option<diagnosis::Cause>,
}

impl Obstacle {
    /// All of it in a sentence without its full stop.
    pub(super) fn in_words(&self) -> String {
        match &self.consent {
            Some(consent) => format!("It was kept down by this: {}; {consent}", self.sentence),
            // It may be up without what it was held for.
            None if self.cause == Some(diagnosis::Cause::DependencyRefused) => {
                format!("It was kept down by this: {}", self.sentence)
            }
            None => format!("It was kept down by this, which is over: {}", self.sentence),
        }
    }
}

/// What kept it down when it was last handed to people or last waited for another unit;
/// of a service that is up again only.
pub(super) fn obstacle(record: &Record) -> Option<Obstacle> {
    if !matches!(
        record.ending,
        Some(Ending::Healed { .. } | Ending::Recovered { .. })
    ) {
        return None;
    }
    let held = record.steps.iter().rposition(|entry| {
        matches!(
            entry.step,
            Step::Ended {
                ending: Ending::Escalated { .. } | Ending::Blocked { .. }
            } | Step::Blocked { .. }
        )
    })?;
    let (before, after) = record.steps.split_at(held + 1);
    let attempt = before.last()?.attempt;
    let of_attempt = || before.iter().filter(|entry| entry.attempt == attempt);
    let findings = || {
        of_attempt()
            .filter_map(|entry| match &entry.step {
                Step::Diagnosed { findings } => Some(findings),
                _ => None,
            })
            .flatten()
    };
    let found = findings()
        .find(|finding| is_obstacle(finding))
        .map(|finding| (clean(&finding.sentence), Some(finding.cause)));
    let said = || of_attempt().find_map(|entry| held_by(&entry.step));
    let (sentence, cause) = found.or_else(|| said().map(|said| (said, None)))?;
    Some(Obstacle {
        sentence,
        consent: consent(after),
        cause,
    })
}

/// Whether a finding tells of something that is in the way, and can go.
fn is_obstacle(finding: &Finding) -> bool {
    use diagnosis::Cause::{AddressInUse, DependencyRefused, DiskFull, MissingFile};
    finding.from != Source::Log
        && matches!(
            finding.cause,
            AddressInUse | DependencyRefused | DiskFull | MissingFile
        )
}

/// What a strategy held everything for.
fn held_by(step: &Step) -> Option<String> {
    match step {
        Step::Assessed {
            assessment: Assessment::Veto { reason } | Assessment::BlockedBy { reason, .. },
            ..
        } => Some(clean(reason)),
        _ => None,
    }
}

/// What was carried out afterwards because somebody agreed.
fn consent(after: &[Entry]) -> Option<String> {
    after.iter().rev().find_map(|entry| match &entry.step {
        Step::Approved {
            act, target, by, ..
        } => Some(format!(
            "{} approved, and it was done: {}",
            clean(by),
            words::act(act, target)
        )),
        _ => None,
    })
}
