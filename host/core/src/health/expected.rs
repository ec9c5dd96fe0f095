//! Work that strains a service, and that an operator expects.

use serde::{Deserialize, Serialize};

use super::Metric;
use crate::{Timestamp, UnitName};

/// While it holds, some metrics of a service begin no symptom, and what they are tells nothing
/// of what is usual. A symptom that holds already holds until it has cleared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedWork {
    pub unit: UnitName,
    pub since: Timestamp,
    /// It ends by itself.
    pub until: Timestamp,
    /// What it is, in the operator's words.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// What begins no symptom meanwhile: any of [`Metric::strained_by_work`].
    pub metrics: Vec<Metric>,
}

impl ExpectedWork {
    /// Whether it goes on at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.since <= now && now < self.until
    }

    /// Whether it goes on at some moment from `begin` until `end`.
    pub fn overlaps(&self, begin: Timestamp, end: Timestamp) -> bool {
        self.since < end && begin < self.until
    }

    /// Whether this metric begins no symptom while it goes on.
    pub fn relaxes(&self, metric: Metric) -> bool {
        self.metrics.contains(&metric)
    }
}

impl Metric {
    /// Whether work may strain it: what a service uses, and how slowly it answers. That it
    /// goes unanswered is never expected.
    pub fn strained_by_work(self) -> bool {
        matches!(
            self,
            Self::LatencyMs
                | Self::CpuPermille
                | Self::CpuCorePermille
                | Self::ThrottledPermille
                | Self::MemoryBytes
                | Self::MemoryPermille
                | Self::SwapBytes
                | Self::PressureCpuPermille
                | Self::PressureMemoryPermille
                | Self::PressureIoPermille
                | Self::Processes
                | Self::Tasks
                | Self::TasksPermille
                | Self::Descriptors
                | Self::DescriptorsPermille
                | Self::IoReadBytesPerSecond
                | Self::IoWriteBytesPerSecond
        )
    }
}
