//! The one definition of healthy: samples in, a state with its evidence out.
//!
//! A [`Tracker`] follows one service, a [`HostTracker`] the host. It is told what was seen (a
//! probe's answer, how the unit stands, what becomes of an incident, what was sampled), each
//! with the time at which it was, and answers with a [`Transition`](prunella_core::health::Transition) where the state has
//! changed. No I/O, no threads, no clock.
//!
//! # Rules
//!
//! - **What is not known is never taken for well.** A probe with an interval that was not
//!   heard of for three of them, or never was answered, makes its service `unknown`. It
//!   never makes it `failed`, and never ends a symptom.
//! - **Nothing flaps at the line.** A condition opens at its threshold and clears at a
//!   lower one; what lies between changes nothing. Either has to hold for the condition's
//!   time, over [`OPEN_AFTER`] values in a row to open and [`CLOSE_AFTER`] to close.
//! - **Slow now and then is slow.** Answers that are slow by turns are never three in a row, and
//!   yet whoever asks has to wait. Where at least every third is slow, [`RECURS_AFTER`] of them
//!   open it, and [`APART`] fast ones in a row close it.
//! - **Time counts only where there were samples.** The clock is the one since boot, which
//!   never steps and goes on while the host sleeps; after a gap that is longer than a
//!   probe's data stay fresh, rows and windows begin anew.
//! - **Expected work begins no symptom** of what it strains, and counts for no error budget.
//!   What it strains is meanwhile neither learnt as usual, nor found unusual, nor foreseen.
//!   What holds already holds until it has cleared; that a probe goes unanswered counts as
//!   ever.
//! - **A proof ends what it disproves.** Questions that went unanswered before it count no
//!   more. Slowness does: a proof does not measure.
//! - **Another run has to be measured anew.** What an earlier run was like makes no new
//!   symptom. One that holds already holds until it has cleared, and is *confirmed* only
//!   once it was measured again. A value that is missing ends nothing.
//!
//! What will be used up ([`Forecast`](prunella_core::health::Forecast)) is told beside, and
//! changes no state.
//!
//! What decides, from first to last: a pause; a healing under way; the unit, or an
//! incident about it; symptoms; what is missing.

mod backtest;
mod certificate;
mod condition;
mod episodes;
mod error_budget;
mod evidence;
mod expected;
mod few;
mod flapping;
mod host;
mod judged;
mod outlook;
mod probe;
mod rate;
mod signals;
#[cfg(test)]
mod tests;
mod tracker;
mod unusual;

use std::time::Duration;

use prunella_core::Timestamp;

pub use self::{
    backtest::{Backtest, Recorded, WouldBegin},
    condition::{Condition, UnansweredInARow},
    host::HostTracker,
    judged::Observed,
    outlook::measured_by,
    probe::{ProbeSettings, Sample},
    signals::Signals,
    tracker::{IncidentEvent, PauseUntil, Standing, Tracker},
    unusual::{WATCHED, is_watched},
};

/// So many values in a row, or more where a probe's `failure-threshold` says so, open a
/// symptom …
pub const OPEN_AFTER: u32 = 3;

/// … and so many close it.
pub const CLOSE_AFTER: u32 = 2;

/// Slow answers that come again and again, with others between them, open a symptom when there
/// are so many …
pub const RECURS_AFTER: u32 = 6;

/// … and never so many others in a row between them: at least every third is slow.
pub const APART: u32 = 3;

/// A probe of which nothing was heard for so many intervals is not known.
pub const STALE_AFTER: u32 = 3;

/// A moment, by both clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Now {
    /// Since boot, suspend included: what is reckoned with.
    pub since_boot: Duration,
    /// By the wall clock, which may step: only shown.
    pub at: Timestamp,
}

impl Now {
    /// How long after `earlier` this is.
    fn since(self, earlier: Self) -> Duration {
        self.since_boot.saturating_sub(earlier.since_boot)
    }
}
