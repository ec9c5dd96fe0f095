//! Whether a service changes between well and not well too often.

use std::collections::VecDeque;

use prunella_core::health::{FlappingHealth, FlappingSettings, HealthState};

use crate::Now;

/// So few changes, and it is calm again.
const CALM: usize = 1;

/// The changes between well and not well.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flapping {
    settings: FlappingSettings,
    was_well: Option<bool>,
    changes: VecDeque<Now>,
    is_on: bool,
}

impl Flapping {
    /// When it flaps, from now on.
    pub(crate) fn declare(&mut self, settings: FlappingSettings) {
        self.settings = settings;
    }

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
            .is_some_and(|at| now.since(*at) > self.settings.within)
        {
            self.changes.pop_front();
        }
        if self.is_on {
            self.is_on = self.changes.len() > CALM;
            return false;
        }
        self.is_on = self.changes.len() >= self.settings.changes as usize;
        self.is_on
    }

    /// How many changes there were, while it flaps.
    pub(crate) fn now(&self) -> Option<FlappingHealth> {
        self.is_on.then(|| FlappingHealth {
            changes: u32::try_from(self.changes.len()).unwrap_or(u32::MAX),
            within_seconds: self.settings.within.as_secs(),
        })
    }
}
