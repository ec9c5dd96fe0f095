//! Which open incidents people are to hear of before they end.

use std::time::Duration;

use prunella_config::Config;
use prunella_core::{
    Timestamp,
    alert::{Alert, AlertGroup},
    cause::Cause,
    incident::{DetectedBy, IncidentKind},
    trail::{Awaited, Entry, Record, Step},
};
use prunella_report::{is_up, outage_headline};
use prunella_store::{StoreError, Unfinished};

use super::Shared;
use crate::plan::{Outage, is_known};

/// After its start a notifier lets the incidents that it finds open be taken up
/// first: they may end at once.
const GRACE: Duration = Duration::from_secs(2);

/// How long reading what a service said of its failure may take.
const READING: Duration = Duration::from_secs(5);

impl Shared {
    /// The open incidents that nobody has heard of, and when people are to hear
    /// of each.
    pub(super) fn outages(
        &self,
        config: &Config,
        unfinished: &[Unfinished],
        alert_groups: &[AlertGroup],
        now: Timestamp,
    ) -> Result<Vec<Outage>, StoreError> {
        let mut outages = Vec::new();
        for open in unfinished {
            let service = config.services.get(&open.unit);
            if service.is_none()
                // It is up, and was told of as what it is.
                || open.kind == IncidentKind::Degradation
                || is_known(alert_groups, &open.unit)
                || is_told_with_another(open, unfinished, alert_groups)
            {
                continue;
            }
            let mut due = open
                .detected
                // A clock that was set back must not make anybody wait.
                .min(now)
                .saturating_add(config.alerts.notify_after(service))
                .max(self.started.saturating_add(GRACE));
            let critical = service.is_some_and(|service| service.critical);
            let mut attempt = 1;
            if critical || due <= now {
                let Some(record) = self.settings.store.record(&open.incident)? else {
                    continue;
                };
                // A person is at it, or it is up and only its proof is waited for.
                if record.incident.detection.by == DetectedBy::Operator || is_up(&record.steps) {
                    continue;
                }
                // What held it back was told. From then on it is being healed.
                if let Some(from) = taken_up_again(&record.steps, now) {
                    due = due.max(from.saturating_add(config.alerts.notify_after(service)));
                }
                attempt = record.incident.attempt;
                if critical && repeats_itself(&record.steps) {
                    due = due.min(now);
                }
                if let Some(known) = end_of_loop_known(&record) {
                    due = due.max(known);
                }
            }
            outages.push(Outage {
                alert: Alert::outage(
                    open.incident.clone(),
                    open.unit.clone(),
                    attempt,
                    service,
                    outage_headline(&open.unit),
                    open.detected,
                ),
                due,
            });
        }
        Ok(outages)
    }
}

/// Whether what it waits for is told of, and it with that.
fn is_told_with_another(
    open: &Unfinished,
    unfinished: &[Unfinished],
    alert_groups: &[AlertGroup],
) -> bool {
    open.waits_for.as_ref().is_some_and(|(on, _)| {
        is_known(alert_groups, on) || unfinished.iter().any(|other| other.unit == *on)
    })
}

/// When an incident was taken up again that had ended, to be looked at later: now, when
/// nothing was done since. Absent when it never ended.
fn taken_up_again(steps: &[Entry], now: Timestamp) -> Option<Timestamp> {
    let ended = steps
        .iter()
        .rposition(|entry| matches!(entry.step, Step::Ended { .. }))?;
    Some(steps.get(ended + 1).map_or(now, |next| next.at.min(now)))
}

/// By when it is known whether a restart loop has ended: that is news, and not that it goes
/// on until then.
fn end_of_loop_known(record: &Record) -> Option<Timestamp> {
    if record.incident.detection.cause != Cause::RestartLoop {
        return None;
    }
    record
        .steps
        .iter()
        .rev()
        .find_map(|entry| match &entry.step {
            Step::Waits {
                on: Awaited::SystemdRestart,
                up_to,
                ..
            } => Some(entry.at.saturating_add(*up_to).saturating_add(READING)),
            _ => None,
        })
}

/// Whether the last two healings failed in exactly the same way.
fn repeats_itself(steps: &[Entry]) -> bool {
    let mut reasons = steps.iter().rev().filter_map(|entry| match &entry.step {
        Step::NotProven { reason, .. } => Some(reason),
        _ => None,
    });
    match (reasons.next(), reasons.next()) {
        (Some(last), Some(before)) => last == before,
        _ => false,
    }
}
