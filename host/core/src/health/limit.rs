//! From which value of a metric on something is wrong: `[health]`, but for probes.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::Metric;

/// How long a share of something has to be used up before that is a symptom.
const HOLD: Duration = Duration::from_secs(60);

/// Processors are there to be used: a burst is no symptom.
const CPU_HOLD: Duration = Duration::from_secs(300);

/// A disk that is full within this is worth a message: there is time to make room.
const SOON: Duration = Duration::from_secs(6 * 3_600);

/// From which value of a metric on there is a symptom, in the metric's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricLimit {
    /// From here on the subject is degraded.
    pub degraded: u64,
    /// From here on that is critical; never, when absent. Not below `degraded`.
    pub critical: Option<u64>,
    /// Up to here all of that is over. Below `degraded`.
    pub clear: u64,
    /// For how long any of it has to hold.
    pub hold: Duration,
    /// People are told when it will be used up within this; never, when absent. Only of what
    /// [can be used up](Metric::used_up_at).
    #[serde(default)]
    pub forecast: Option<Duration>,
}

impl MetricLimit {
    const fn share(clear: u64, hold: Duration) -> Self {
        Self {
            degraded: 900,
            critical: Some(950),
            clear,
            hold,
            forecast: None,
        }
    }

    const fn told_before(mut self, forecast: Duration) -> Self {
        self.forecast = Some(forecast);
        self
    }
}

/// The limits in force, by metric. What is not there is measured, and never a symptom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MetricLimits(BTreeMap<Metric, MetricLimit>);

impl MetricLimits {
    /// What holds for a service that says nothing else.
    pub fn of_services() -> Self {
        Self(BTreeMap::from([
            (Metric::CpuPermille, MetricLimit::share(800, CPU_HOLD)),
            (Metric::MemoryPermille, MetricLimit::share(850, HOLD)),
            (Metric::TasksPermille, MetricLimit::share(850, HOLD)),
            (Metric::DescriptorsPermille, MetricLimit::share(850, HOLD)),
            (Metric::Processes, MANY_PROCESSES),
        ]))
    }

    /// What holds for the host, where nothing else is said.
    pub fn of_host() -> Self {
        Self(BTreeMap::from([
            (Metric::CpuPermille, MetricLimit::share(800, CPU_HOLD)),
            (Metric::MemoryPermille, MetricLimit::share(850, HOLD)),
            (Metric::FileHandlesPermille, MetricLimit::share(850, HOLD)),
            (
                Metric::DiskPermille,
                MetricLimit::share(880, HOLD).told_before(SOON),
            ),
            (
                Metric::InodesPermille,
                MetricLimit::share(880, HOLD).told_before(SOON),
            ),
            (Metric::Processes, MANY_PROCESSES),
        ]))
    }

    /// The limit of a metric, if it has one.
    pub fn get(&self, metric: Metric) -> Option<&MetricLimit> {
        self.0.get(&metric)
    }

    /// The metrics of which people are told before they are used up.
    pub fn foreseen(&self) -> impl Iterator<Item = Metric> {
        let told = |(metric, limit): (&Metric, &MetricLimit)| limit.forecast.map(|_| *metric);
        self.0.iter().filter_map(told)
    }

    /// Sets the limit of a metric; without one, it is never a symptom.
    pub fn set(&mut self, metric: Metric, limit: Option<MetricLimit>) {
        match limit {
            Some(limit) => self.0.insert(metric, limit),
            None => self.0.remove(&metric),
        };
    }
}

const MANY_PROCESSES: MetricLimit = MetricLimit {
    degraded: 1_000,
    critical: None,
    clear: 900,
    hold: HOLD,
    forecast: None,
};
