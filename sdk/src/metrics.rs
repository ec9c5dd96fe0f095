//! What is measured of services and of the host, as `prunella metrics` shows it.

use std::time::{Duration, SystemTime};

use crate::{
    Result,
    contract::observe::metrics as raw,
    time::{milliseconds, moment},
};

pub use raw::Slope;

/// The latest value of each instance of a metric, whenever it was measured. `subject` is a
/// unit (the incident's own, one that it needs, or one that was granted) or `host`; `metric`
/// is a name such as `memory-bytes`, with its unit in it.
///
/// # Errors
/// `invalid` when there is no such metric; `not-found` when nothing of it was measured.
pub fn latest(subject: &str, metric: &str) -> Result<Vec<Measurement>> {
    let latest = raw::latest(subject, metric)?;
    Ok(latest
        .into_iter()
        .map(|one| Measurement {
            instance: one.instance,
            at: moment(one.at),
            value: one.value,
        })
        .collect())
}

/// What each instance of a metric was over a span until now, of at most 31 days.
///
/// # Errors
/// As [`latest`]; `invalid` when the span is too long.
pub fn over(subject: &str, metric: &str, span: Duration) -> Result<Vec<SpanSummary>> {
    let summaries = raw::over(subject, metric, milliseconds(span))?;
    Ok(summaries
        .into_iter()
        .map(|one| SpanSummary {
            instance: one.instance,
            first_at: moment(one.first_at),
            last_at: moment(one.last_at),
            points: one.points,
            mean: one.mean,
            min: one.min,
            max: one.max,
            slope: one.slope,
        })
        .collect())
}

/// What was measured last of a metric, or of one of its instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurement {
    /// Of what, where there may be several: the name of a probe, where a file system is
    /// mounted.
    pub instance: Option<String>,
    /// When it was measured.
    pub at: SystemTime,
    /// In the metric's unit.
    pub value: u64,
}

/// What a metric was over a span.
#[derive(Debug, Clone)]
pub struct SpanSummary {
    /// As in a [`Measurement`].
    pub instance: Option<String>,
    /// The first value that is kept of the span.
    pub first_at: SystemTime,
    /// The last one.
    pub last_at: SystemTime,
    /// So many are kept: each as it was measured within an hour, one a minute within 7 days,
    /// else one a quarter of an hour.
    pub points: u32,
    /// The mean, in the metric's unit.
    pub mean: u64,
    /// The least of all measured values.
    pub min: u64,
    /// The greatest of all measured values.
    pub max: u64,
    /// How fast it changes; absent where the values are too few to tell.
    pub slope: Option<Slope>,
}

impl SpanSummary {
    /// Whether it is certain that it rises.
    pub fn rises(&self) -> bool {
        self.slope.is_some_and(|slope| slope.low > 0.0)
    }

    /// Whether it is certain that it falls.
    pub fn falls(&self) -> bool {
        self.slope.is_some_and(|slope| slope.high < 0.0)
    }
}
