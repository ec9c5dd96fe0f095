//! Units as they stood a moment ago, which spares looks at them: from the signal of
//! a failure to the act, systemd is asked once for each unit.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prunella_core::{UnitName, capability::UnitStatus};

use crate::cached_probes::ProbeAnswers;

/// What one attempt knows of units. All its strategies assess by the same facts.
/// The first act ends it.
#[derive(Default)]
pub(crate) struct Snapshot {
    units: Mutex<Vec<(Instant, UnitStatus)>>,
    probe_answers: Arc<ProbeAnswers>,
}

/// How old a status may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// To decide by: from the signal of a failure to the decision about it, when
    /// nothing stands in between.
    Decision,
    /// To assess by: as old as the attempt.
    Assessment,
    /// To heal by, and to judge an act by: as long as it takes from an assessment to
    /// the act that follows from it. Asking anew would take systemd a millisecond and
    /// narrow a race that only systemd can close: it refuses a job that would cancel
    /// somebody else's.
    Act,
}

impl Age {
    fn limit(self) -> Duration {
        match self {
            Self::Decision => Duration::from_millis(100),
            Self::Assessment => Duration::MAX,
            Self::Act => Duration::from_millis(50),
        }
    }
}

impl Snapshot {
    /// Nothing is known yet.
    pub(crate) fn new(probe_answers: Arc<ProbeAnswers>) -> Self {
        Self {
            units: Mutex::default(),
            probe_answers,
        }
    }

    /// What is known of a unit, if it is not too old.
    pub(crate) fn get(&self, unit: &UnitName, age: Age) -> Option<UnitStatus> {
        self.lock()
            .iter()
            .find(|(at, status)| {
                (status.name == *unit || status.names.contains(unit)) && at.elapsed() <= age.limit()
            })
            .map(|(_, status)| status.clone())
    }

    /// Keeps what was just seen of a unit.
    pub(crate) fn renew(&self, status: &UnitStatus) {
        let mut known = self.lock();
        known.retain(|(_, old)| old.name != status.name);
        known.push((Instant::now(), status.clone()));
    }

    /// Something was changed: all has to be looked at anew.
    pub(crate) fn end(&self) {
        self.lock().clear();
        self.probe_answers.end();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Instant, UnitStatus)>> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
