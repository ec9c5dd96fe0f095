//! What is kept of a metric over time.

use serde::{Deserialize, Serialize};

use super::{Metric, Subject};
use crate::Timestamp;

/// One metric of one subject, or of one instance of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Series {
    pub subject: Subject,
    pub metric: Metric,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// What was measured from a time on, for the step of its history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    pub at: Timestamp,
    pub mean: u64,
    pub min: u64,
    pub max: u64,
}
