//! What is measured: what `prunella metrics` shows.

use std::time::Duration;

use prunella_core::{
    Timestamp,
    health::{Metric, Point, Series, Subject},
};
use serde::{Deserialize, Serialize};

/// The latest value of each metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsReport {
    /// When it was put together.
    pub at: Timestamp,
    /// How often it is measured; absent where nothing is, or no daemon runs.
    #[serde(with = "prunella_core::span::in_millis", rename = "interval_ms")]
    pub interval: Option<Duration>,
    /// By subject, metric and instance.
    pub metrics: Vec<LatestValue>,
}

/// The latest value of one metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatestValue {
    #[serde(flatten)]
    pub series: Series,
    /// When it was measured.
    pub at: Timestamp,
    /// In the metric's unit.
    pub value: u64,
}

/// What one metric of one subject was over a span.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricHistory {
    pub subject: Subject,
    pub metric: Metric,
    pub since: Timestamp,
    pub until: Timestamp,
    /// Each instance apart; one without a name, where there are none.
    pub series: Vec<InstanceHistory>,
}

/// What one instance was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceHistory {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Oldest first, some hundred at most; none where nothing was measured.
    pub points: Vec<Point>,
}
