//! What was read of units and of systemd a moment ago, for questions whose answer does not
//! change from one moment to the next. Reading a unit takes systemd most of a
//! millisecond.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use prunella_core::{UnitName, capability::UnitStatus};

/// How old a snapshot may be.
const GOOD: Duration = Duration::from_millis(100);

/// How many are kept: as many as may be asked about within that time.
const KEPT: usize = 16;

/// The latest snapshots.
#[derive(Default)]
pub(crate) struct UnitSnapshots {
    units: Mutex<VecDeque<(Instant, UnitStatus)>>,
    system: Mutex<Option<(Instant, String)>>,
}

impl UnitSnapshots {
    /// Keeps what was just read.
    pub(crate) fn keep(&self, status: &UnitStatus) {
        let mut units = self.units.lock().unwrap_or_else(PoisonError::into_inner);
        units.retain(|(at, known)| known.name != status.name && at.elapsed() <= GOOD);
        if units.len() == KEPT {
            units.pop_front();
        }
        units.push_back((Instant::now(), status.clone()));
    }

    /// What was read of `unit` just now, if anything was.
    pub(crate) fn of(&self, unit: &UnitName) -> Option<UnitStatus> {
        self.units
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .find(|(at, status)| status.name == *unit && at.elapsed() <= GOOD)
            .map(|(_, status)| status.clone())
    }

    /// Keeps systemd's own state, just read.
    pub(crate) fn keep_system(&self, state: String) {
        *self.system.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), state));
    }

    /// systemd's own state, if it was read just now.
    pub(crate) fn of_system(&self) -> Option<String> {
        self.system
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .filter(|(at, _)| at.elapsed() <= GOOD)
            .map(|(_, state)| state.clone())
    }
}
