//! The time now, and lengths of time as the trail has them.

use std::time::{Duration, SystemTime};

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

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
