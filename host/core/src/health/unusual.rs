//! What a metric has not done before.

use serde::{Deserialize, Serialize};

use super::Metric;
use crate::{Timestamp, text::one_line};

/// Characters of an instance's name in a sentence.
const INSTANCE_MAX: usize = 60;

/// A metric that does what it has not done before. It is a hint, and no symptom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unusual {
    pub metric: Metric,
    /// Which of the metric's instances, such as the name of a probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// When that was found first, of this time.
    pub since: Timestamp,
    /// What it was when that was found last, in the metric's unit.
    pub value: u64,
}

impl Unusual {
    /// What it is, in a few words: `memory`, or `latency of front`.
    pub fn title(&self) -> String {
        let title = self.metric.title();
        match &self.instance {
            Some(instance) => format!("{title} of {}", one_line(instance, INSTANCE_MAX)),
            None => title.to_owned(),
        }
    }
}

/// What follows from something unusual: `unusual` in `[health]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnusualSettings {
    /// Nothing, and it is not even looked for.
    Off,
    /// It is shown, and told as evidence of what else goes wrong.
    #[default]
    Mark,
    /// It is a symptom, and begins an incident.
    Incident,
}
