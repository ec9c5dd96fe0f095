//! `prunella:base/clock`: what time it is.

use std::time::Duration;

use serde::Serialize;

use super::{Described, Description, Look};

/// The wall clock. May jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Now {}

/// Nanoseconds since some moment in the past. Never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Monotonic {}

/// Lets time pass; ends early with `timed-out` at the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sleep {
    #[serde(serialize_with = "crate::span::in_millis::serialize")]
    pub time: Duration,
}

static NOW: Look = Look::new("clock.now");
static MONOTONIC: Look = Look::new("clock.monotonic");
static SLEEP: Look = Look::new("clock.sleep");

impl Described for Now {
    fn description(&self) -> Description {
        Description::Look(&NOW)
    }
}

impl Described for Monotonic {
    fn description(&self) -> Description {
        Description::Look(&MONOTONIC)
    }
}

impl Described for Sleep {
    fn description(&self) -> Description {
        Description::Look(&SLEEP)
    }
}
