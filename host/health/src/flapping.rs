//! Whether a service changes between well and not well too often.

use std::{collections::VecDeque, time::Duration};

use prunella_core::health::HealthState;

use crate::Now;

/// Over how long changes are counted.
pub(crate) const WINDOW: Duration = Duration::from_secs(30 * 60);

/// So many changes within it are flapping: three times ill and well again.
pub(crate) const BEGINS: usize = 6;

/// So few, and it is calm again.
const CALM: usize = 1;

/// The changes between well and not well.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flapping {
    was_well: Option<bool>,
    changes: VecDeque<Now>,
    is_on: bool,
}

impl Flapping {
    /// The state is this now. True when it begins to flap: that is said once.
    pub(crate) fn state(&mut self, now: Now, state: HealthState) -> bool {
        let is_well = match state {
            HealthState::Healthy => Some(true),
            HealthState::Failed | HealthState::Recovering | HealthState::Degraded => Some(false),
            // What people do, and what is missing, is neither.
            HealthState::Unknown | HealthState::Stopped | HealthState::Paused => None,
        };
        if let Some(is_well) = is_well
            && self
                .was_well
                .replace(is_well)
                .is_some_and(|was| was != is_well)
        {
            self.changes.push_back(now);
        }
        while self
            .changes
            .front()
            .is_some_and(|at| now.since(*at) > WINDOW)
        {
            self.changes.pop_front();
        }
        if self.is_on {
            self.is_on = self.changes.len() > CALM;
            return false;
        }
        self.is_on = self.changes.len() >= BEGINS;
        self.is_on
    }

    /// How many changes there were, while it flaps.
    pub(crate) fn now(&self) -> Option<u32> {
        self.is_on
            .then(|| u32::try_from(self.changes.len()).unwrap_or(u32::MAX))
    }
}
