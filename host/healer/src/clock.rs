//! The time now.

use std::time::SystemTime;

use prunella_core::{Timestamp, budget::Moment, situation::Situation};

/// Now, by both clocks.
pub(crate) fn moment(situation: &dyn Situation) -> Moment {
    Moment {
        boot_id: situation.boot_id(),
        since_boot: situation.since_boot(),
        at: wall_clock(),
    }
}

pub(crate) fn wall_clock() -> Timestamp {
    Timestamp::from(SystemTime::now())
}
