//! That something is used up soon.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Metric, Subject};
use crate::{Timestamp, span::in_millis};

/// When nothing is left of what a metric measures, if it goes on as it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// The share that is used up.
    pub metric: Metric,
    /// Which of the metric's instances, such as where a file system is mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// What the share is of, in bytes, where that is a limit of the service's own memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<u64>,
    /// Since when it has been foreseen.
    pub since: Timestamp,
    /// When it was reckoned last. The lengths below begin here.
    pub at: Timestamp,
    /// Until nothing is left, at its most likely.
    #[serde(with = "in_millis", rename = "expected_ms")]
    pub expected: Duration,
    /// Nine times in ten, not before this …
    #[serde(with = "in_millis", rename = "earliest_ms")]
    pub earliest: Duration,
    /// … and not after this.
    #[serde(with = "in_millis", rename = "latest_ms")]
    pub latest: Duration,
    /// How much is used up in an hour, in the unit of `rate_metric`.
    pub rate: u64,
    /// What the rate is of: a size where that is known, else the share.
    pub rate_metric: Metric,
}

impl Forecast {
    /// Whether it is of the same thing.
    pub fn is_of_same(&self, other: &Self) -> bool {
        (self.metric, &self.instance) == (other.metric, &other.instance)
    }
}

/// A forecast, and of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectForecast {
    pub subject: Subject,
    pub forecast: Forecast,
}
