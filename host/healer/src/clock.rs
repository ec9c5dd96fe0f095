//! The time now, and lengths of time as the trail has them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prunella_core::{budget::Moment, situation::Situation};

/// Now, by both clocks.
pub(crate) fn moment(situation: &dyn Situation) -> Moment {
    Moment {
        boot_id: situation.boot_id(),
        since_boot: situation.since_boot(),
        at: wall_clock(),
    }
}

/// Milliseconds since 1970.
pub(crate) fn wall_clock() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
