//! What people should hear of an incident, how urgently, and what became of
//! telling them.
//!
//! The end of an attempt makes an [`Alert`], if people should hear of it
//! ([`Alert::of`]). Alerts become [`Message`]s, several in one where they have
//! one cause; a message on its way through one channel is a [`Dispatch`].

mod dispatch;
mod group;
mod kind;
mod message;
pub(crate) mod routes;
mod severity;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::{
    dispatch::{Dispatch, DispatchFilter, DispatchState},
    group::{AlertGroup, GroupMember},
    kind::AlertKind,
    message::Message,
    routes::Routes,
    severity::Severity,
};
use crate::{
    Timestamp, UnitName,
    incident::{Assessment, DetectedBy, Ending, Incident, IncidentId, LeftAlone, Outcome},
    service::Service,
    text::without_numbers,
    trail::{Entry, Step, was_handed_over},
};

/// What people should hear of how one attempt ended. It is written down with
/// the attempt's end, and says nothing of channels: who is told is decided
/// later, by the configuration in force then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Alert {
    pub incident: IncidentId,
    /// Which attempt ended.
    pub attempt: u32,
    pub unit: UnitName,
    /// When the attempt ended.
    pub at: Timestamp,
    /// What it tells.
    pub kind: AlertKind,
    /// How urgent it is.
    pub severity: Severity,
    /// What happened to what, in one line.
    pub headline: String,
    /// The unit that is the cause, where that is another one: what the
    /// strategies said it has to wait for.
    pub cause: Option<UnitName>,
    /// The incident that waited for this one.
    pub parent: Option<IncidentId>,
    /// Whether nobody has to do anything about the unit any longer.
    pub resolved: bool,
    /// Whether it only ever waited for another unit: what is told of that one tells of its end.
    #[serde(default)]
    pub only_waited: bool,
    /// Whether Prunella will look at it again by itself.
    pub will_retry: bool,
    /// The approval that was asked for last, where people are needed: the command that gives
    /// it is news when it is another.
    #[serde(default)]
    pub asks: Option<String>,
}

impl Alert {
    /// What people should hear of an attempt that ended so at `at`,
    /// if anything. `steps` are the incident's, the latest attempt's among them, and what
    /// people were told of a degradation; `service` is absent when the unit is no longer in
    /// care; `headline` is the report's.
    ///
    /// | ended | kind | severity |
    /// |---|---|---|
    /// | healed, recovered | recovery | info; warning when critical |
    /// | escalated | escalation | warning; critical when critical |
    /// | left alone, and people are needed | escalation | as above |
    /// | left alone, as an operator or a dependant asked | none | |
    /// | left alone otherwise | information | info |
    /// | interrupted | information | warning |
    /// | blocked, dry-run, continued | none | |
    ///
    /// Of how a degradation ended that nobody was told of, people hear only where Prunella
    /// has healed it.
    pub fn of(
        incident: &Incident,
        steps: &[Entry],
        ending: &Ending,
        service: Option<&Service>,
        headline: String,
        at: Timestamp,
    ) -> Option<Self> {
        let urgent = Severity::of_outage(service);
        let people_know = was_handed_over(steps);
        let (kind, severity) = match ending {
            // It goes on; what it waits for has an incident of its own.
            Ending::Blocked { .. } | Ending::DryRun { .. } | Ending::Continued { .. } => {
                return None;
            }
            ending
                if incident.detection.is_degradation()
                    && !matches!(ending, Ending::Healed { .. })
                    && !is_told(steps) =>
            {
                return None;
            }
            // Whoever asked knows of it.
            ending if incident.detection.nothing_failed(ending) && !people_know => return None,
            Ending::Healed { .. } | Ending::Recovered { .. } => {
                (AlertKind::Recovery, Severity::of_recovery(service))
            }
            Ending::Escalated { .. } => (AlertKind::Escalation, urgent),
            // Whoever asked has been told; and what another unit waited for is told of
            // with that one.
            Ending::LeftAlone { .. }
                if incident.parent.is_some()
                    || (incident.detection.by == DetectedBy::Operator && !people_know) =>
            {
                return None;
            }
            // Who sees to it already need not hear that Prunella does not.
            Ending::LeftAlone {
                why: LeftAlone::KillSwitch | LeftAlone::Paused,
                ..
            } if people_know => return None,
            Ending::LeftAlone { why, .. } if why.needs_people() => (AlertKind::Escalation, urgent),
            Ending::LeftAlone { .. } => (AlertKind::Information, Severity::Info),
            Ending::Interrupted { .. } => (AlertKind::Information, Severity::Warning),
        };
        let unit = incident.detection.unit.clone();
        Some(Self {
            incident: incident.id.clone(),
            attempt: incident.attempt,
            at,
            kind,
            severity,
            headline,
            cause: cause(&unit, steps, incident.attempt),
            unit,
            parent: incident.parent.clone(),
            resolved: is_resolved(ending),
            only_waited: incident.detection.is_degradation()
                && !matches!(ending, Ending::Healed { .. })
                && !has_own_message(steps),
            will_retry: match ending {
                Ending::Escalated { retry_at, .. } => retry_at.is_some(),
                Ending::LeftAlone { why, .. } => why.passes(),
                _ => false,
            },
            asks: steps.iter().rev().find_map(|entry| match &entry.step {
                Step::Proposed { approval, .. } if kind == AlertKind::Escalation => {
                    Some(approval.clone())
                }
                _ => None,
            }),
        })
    }

    /// What people should hear of a degradation that goes on: `tried` says that what the
    /// operator lists for it did not help.
    pub fn degradation(
        incident: &Incident,
        service: Option<&Service>,
        headline: String,
        tried: bool,
        at: Timestamp,
    ) -> Self {
        Self {
            incident: incident.id.clone(),
            attempt: incident.attempt,
            at,
            kind: if tried {
                AlertKind::Escalation
            } else {
                AlertKind::Degradation
            },
            severity: if tried {
                Severity::of_outage(service)
            } else {
                Severity::Warning
            },
            headline,
            cause: None,
            unit: incident.detection.unit.clone(),
            parent: incident.parent.clone(),
            resolved: false,
            only_waited: false,
            // Its end is told.
            will_retry: true,
            asks: None,
        }
    }

    /// What people should hear of an incident that is still open: its unit is
    /// down, and being healed.
    pub fn outage(
        incident: IncidentId,
        unit: UnitName,
        attempt: u32,
        service: Option<&Service>,
        headline: String,
        at: Timestamp,
    ) -> Self {
        Self {
            incident,
            attempt,
            at,
            kind: AlertKind::Outage,
            severity: Severity::of_outage(service),
            headline,
            cause: None,
            unit,
            parent: None,
            resolved: false,
            only_waited: false,
            will_retry: true,
            asks: None,
        }
    }

    /// What makes two alerts about one unit the same news: the headline without
    /// its numbers, which count seconds and attempts; and what people are asked.
    pub fn content_key(&self) -> String {
        let headline = without_numbers(&self.headline);
        match &self.asks {
            Some(approval) => format!("{headline} ({approval})"),
            None => headline,
        }
    }
}

/// Whether the unit is well again, or meant to be as it is.
fn is_resolved(ending: &Ending) -> bool {
    match ending {
        Ending::Healed { .. } | Ending::Recovered { .. } => true,
        Ending::LeftAlone { why, .. } => why.is_meant(),
        // Whether it is up is not known.
        Ending::Interrupted { .. }
        | Ending::Escalated { .. }
        | Ending::Blocked { .. }
        | Ending::DryRun { .. }
        | Ending::Continued { .. } => false,
    }
}

/// Whether people may have heard of a degradation: by itself, or with the unit that it
/// waited for.
fn is_told(steps: &[Entry]) -> bool {
    steps
        .iter()
        .any(|entry| matches!(entry.step, Step::Watches { .. } | Step::Blocked { .. }))
}

/// Whether people have heard of a degradation by itself.
fn has_own_message(steps: &[Entry]) -> bool {
    steps
        .iter()
        .any(|entry| matches!(entry.step, Step::Watches { .. }))
}

/// The other unit that was named last, in this attempt, as what comes first.
fn cause(unit: &UnitName, steps: &[Entry], attempt: u32) -> Option<UnitName> {
    steps
        .iter()
        .rev()
        .filter(|entry| entry.attempt == attempt)
        .find_map(|entry| match &entry.step {
            Step::Blocked { on, .. } | Step::Unblocked { on, .. } => Some(on.clone()),
            Step::Assessed {
                assessment: Assessment::BlockedBy { unit, .. },
                ..
            }
            | Step::Returned {
                outcome: Ok(Outcome::BlockedBy { unit, .. }),
                ..
            } => UnitName::new(unit.as_str()).ok(),
            _ => None,
        })
        .filter(|named| named != unit)
}
