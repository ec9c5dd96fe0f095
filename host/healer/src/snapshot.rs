//! A unit as it was seen a moment ago, which spares a look at it.

use std::time::{Duration, Instant};

use prunella_core::capability::UnitStatus;

/// A unit as it was seen.
pub(crate) struct UnitSnapshot {
    at: Instant,
    status: Box<UnitStatus>,
}

impl UnitSnapshot {
    /// How long a snapshot is as good as a look: from the signal of a failure to
    /// the decision about it, when nothing stands in between.
    const GOOD: Duration = Duration::from_millis(100);

    pub(crate) fn now(status: Box<UnitStatus>) -> Self {
        Self {
            at: Instant::now(),
            status,
        }
    }

    /// The status, if it was seen just now.
    pub(crate) fn fresh(self) -> Option<UnitStatus> {
        (self.at.elapsed() <= Self::GOOD).then_some(*self.status)
    }
}
