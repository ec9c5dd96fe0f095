//! Degradations that are watched, and those that wait for a unit that they need.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    UnitName,
    incident::{Ending, Incident},
    trail::Step,
};

use super::{Shared, Stage};

/// A degradation looks so long after whether a unit that it needs, and that has no incident,
/// is still not well.
const JOIN_AGAIN: Duration = Duration::from_secs(5);

impl Shared {
    /// Puts a degradation aside until its health changes, or for a while.
    pub(super) fn watch(
        &self,
        unit: &UnitName,
        incident: &Incident,
        told: Option<Box<Step>>,
        again: Option<Duration>,
    ) {
        let mut state = self.lock();
        let is_told = told.is_some();
        // For whoever has asked about it.
        let answer = |reason| Ending::Escalated {
            reason,
            retry_at: None,
        };
        match told.map(|told| *told) {
            Some(Step::Watches { reason, .. }) => {
                let ending = answer(reason);
                state
                    .ended
                    .insert(unit.clone(), (incident.id.clone(), ending));
            }
            _ => {
                state.ended.entry(unit.clone()).or_insert_with(|| {
                    let reason = "it is watched until its symptoms have cleared".to_owned();
                    (incident.id.clone(), answer(reason))
                });
            }
        }
        let Some(task) = state.tasks.get_mut(unit) else {
            return;
        };
        // A look at which there is nothing to do is no attempt.
        if is_told {
            task.known = task.incident.attempt;
            task.incident.attempt += 1;
        }
        task.waits_for = None;
        task.due = None;
        let ordered = std::mem::take(&mut task.ordered_meanwhile);
        task.asked_for |= ordered;
        task.stage = match again {
            // What was seen during the attempt may have come after its look.
            _ if task.health_changed || ordered => Stage::Queued,
            Some(wait) => Stage::Waiting(Instant::now() + wait),
            None => Stage::Watching,
        };
    }

    /// Has a degradation wait for a unit that it needs and that is not well: what is told of
    /// that one tells of it, too.
    pub(super) fn join(&self, unit: &UnitName, incident: &Incident, on: UnitName, reason: String) {
        self.blocked_in_store(
            incident,
            &Ending::Blocked {
                on: on.clone(),
                reason,
            },
        );
        let mut state = self.lock();
        let circle = self.is_circle(&state, unit, &on);
        let is_known = state.tasks.contains_key(&on);
        let Some(task) = state.tasks.get_mut(unit) else {
            return;
        };
        task.waits_for = None;
        if circle {
            task.joins = false;
            task.incident.attempt += 1;
            task.stage = Stage::Queued;
        } else if is_known {
            task.stage = Stage::Blocked(on);
        } else {
            task.incident.attempt += 1;
            task.stage = Stage::Waiting(Instant::now() + JOIN_AGAIN);
        }
    }

    /// A degradation goes on as the failure that was seen while it was being worked on, if
    /// one was.
    pub(super) fn go_on_as_what_was_seen(self: &Arc<Self>, unit: &UnitName) {
        let seen = self
            .lock()
            .tasks
            .get_mut(unit)
            .and_then(|task| task.later_failure.take());
        if let Some(detection) = seen
            && let Err(error) = self.open(detection, None, None)
        {
            tracing::error!("{error}");
        }
    }
}
