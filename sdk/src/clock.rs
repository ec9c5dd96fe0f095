//! What time it is. Rust's own `Instant::now`, `SystemTime::now` and
//! `thread::sleep` trap inside a component; use these.

use std::time::{Duration, SystemTime};

use crate::{
    Result,
    contract::base::clock as raw,
    time::{milliseconds, moment},
};

/// The time of day. May jump.
pub fn now() -> SystemTime {
    moment(raw::now())
}

/// Time since some moment in the past. Never goes back; good for measuring.
pub fn monotonic() -> Duration {
    Duration::from_nanos(raw::monotonic())
}

/// Lets time pass. To wait for a unit, [`units::wait`](crate::units::wait) is
/// the better call: it returns as soon as the unit is there.
///
/// # Errors
/// `timed-out` at the run's deadline.
pub fn sleep(duration: Duration) -> Result<()> {
    Ok(raw::sleep(milliseconds(duration))?)
}
