//! Incidents whose service is isolated by an open circuit.

use std::sync::Arc;

use prunella_core::{
    UnitName,
    capability::UnitStatus,
    incident::{Ending, LeftAlone},
};

use super::{Shared, Stage, Task, WaitsFor};
use crate::circuits::{self, OpenCircuit};

impl Task {
    /// Whether it waits until the isolated service is tried.
    fn waits_for_circuit(&self) -> bool {
        matches!(self.stage, Stage::Waiting(_)) && self.waits_for == Some(WaitsFor::Circuit)
    }
}

impl Shared {
    /// The circuit of a unit, where it is open.
    pub(super) fn open_circuit(&self, unit: &UnitName) -> Option<OpenCircuit> {
        if self.dry_run {
            return None;
        }
        self.healer.open_circuit(unit)
    }

    /// Whether a unit is as the opening of its circuit has left it.
    pub(super) fn is_isolated(&self, status: &UnitStatus) -> bool {
        let open = self.open_circuit(&status.name);
        open.is_some_and(|open| open.holds(status))
    }

    /// Nobody holds the circuit of a unit open any more whose incident is over.
    pub(super) fn forget_circuit(&self, unit: &UnitName) {
        let store = self.healer.settings.store.as_ref();
        if let Some(store) = store.filter(|_| !self.dry_run) {
            circuits::forget(store, unit);
        }
    }

    /// An operator has stopped a unit that is down. Where it is isolated, that is all that tells
    /// that it is to stay so: the circuit is gone, and nobody tries the service.
    pub(super) fn stop_ordered(self: &Arc<Self>, unit: &UnitName) {
        let waiting = {
            let state = self.lock();
            let task = state
                .tasks
                .get(unit)
                .filter(|task| task.waits_for_circuit());
            task.map(|task| task.incident.clone())
        };
        let Some(incident) = waiting else { return };
        let is_isolated = self
            .look_at(unit)
            .is_some_and(|status| self.is_isolated(&status));
        if !is_isolated || self.reopen(&incident).is_err() {
            return;
        }
        let ending = Ending::LeftAlone {
            why: LeftAlone::OperatorStop,
            detail: "it was stopped while its circuit was open, and is not tried".to_owned(),
        };
        self.end_between_attempts(&incident, &ending);
        self.ended(unit, &incident, ending);
        self.changed.notify_all();
    }
}
