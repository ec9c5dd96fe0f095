//! What an attempt takes back of what was done in its incident.

use prunella_core::{
    incident::Ending,
    remedy::{Applied, AppliedState, FailedOver, UndoReason},
    trail::Step,
};

use super::{Attempt, AttemptOutcome};
use crate::{
    circuits,
    clock::wall_clock,
    undo::{Wish, undo, undone},
};

impl Attempt<'_> {
    /// Undoes what an attempt before was cut off in: whether it was done is not known, and
    /// undoing what was not done changes nothing. A circuit is open where the service is down.
    pub(super) fn undo_cut_off(&self) {
        if self.trail.was_interrupted() {
            self.undo_those(UndoReason::CutOff, |applied| {
                applied.state == AppliedState::Intended && circuits::opened(applied).is_none()
            });
        }
    }

    /// Undoes what was done from this act on: it did not help. A circuit that was opened stays
    /// open, and the service that it isolates stays out of rotation.
    pub(super) fn undo_from(&self, first: u32) {
        self.undo_those(UndoReason::NoHelp, |applied| {
            applied.action >= first
                && circuits::opened(applied).is_none()
                && !(applied.is_of_traffic() && self.open_circuit().is_some())
        });
    }

    /// Undoes what is not to outlast an attempt that ends so.
    pub(super) fn undo_after(&self, outcome: &AttemptOutcome) {
        match outcome {
            // It is not the service that is well.
            AttemptOutcome::Ended(Ending::Healed {
                served_by: Some(_), ..
            }) => {}
            AttemptOutcome::Ended(Ending::Healed { .. } | Ending::Recovered { .. }) => {
                self.undo_those(UndoReason::Well, |applied| {
                    applied.is_lent() && applied.lease.is_some_and(|lease| lease.calm.is_zero())
                });
                self.goes_back_early();
                self.close_circuit(UndoReason::Well);
            }
            AttemptOutcome::Ended(Ending::Escalated { .. }) => self.undo_from(0),
            _ => {}
        }
    }

    /// What was lent for the time until the service was well for a while has seen it well now.
    fn goes_back_early(&self) {
        let Some(store) = &self.healer.settings.store else {
            return;
        };
        if self.trail.is_dry_run() {
            return;
        }
        let leases = store.leases().unwrap_or_default();
        let of_it = |one: &&Applied| one.unit == self.service.unit && one.is_lent();
        let lent: Vec<&Applied> = leases.iter().filter(of_it).collect();
        if lent.is_empty() {
            return;
        }
        for applied in lent {
            let calm = applied.lease.map(|lease| lease.calm).unwrap_or_default();
            let early = Some(wall_clock().saturating_add(calm));
            let kept = store.keep_applied(&Applied {
                early,
                ..applied.clone()
            });
            if let Err(error) = kept {
                tracing::warn!(
                    "when `{}` goes back is not written down: {error}",
                    applied.name
                );
            }
        }
        self.healer.lease_news.tell();
    }

    /// Undoes those of the incident's acts, the last first.
    fn undo_those(&self, why: UndoReason, wanted: impl Fn(&Applied) -> bool) {
        let Some(store) = &self.healer.settings.store else {
            return;
        };
        if self.trail.is_dry_run() {
            return;
        }
        let applied = match store.applied_in(&self.trail.incident().id) {
            Ok(applied) => applied,
            // The store has told of that itself.
            Err(error) if error.is_trouble() => return,
            Err(error) => {
                tracing::error!("what can be undone is not known: {error}");
                return;
            }
        };
        for applied in applied
            .iter()
            .filter(|applied| applied.state != AppliedState::Undone && wanted(applied))
        {
            let wish = Wish { why, by: None };
            let result = undo(store, &self.real, applied, why);
            self.trail.write(match result {
                Err(failure) if failure.is(FailedOver::COMPLETE) => Step::Note {
                    message: format!("{} of `{}`: {failure}", applied.act, applied.name),
                },
                result => undone(applied, wish, result),
            });
        }
    }
}
