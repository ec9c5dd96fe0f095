//! The wall clock.

use std::time::SystemTime;

use prunella_core::Timestamp;

pub(crate) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}
