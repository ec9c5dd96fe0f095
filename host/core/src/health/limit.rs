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

/// The limits in force. What has none is measured, and never a symptom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricLimits {
    of_metrics: BTreeMap<Metric, MetricLimit>,
    /// Of one instance, such as a pattern: there the metric's own does not count.
    #[serde(default)]
    of_instances: BTreeMap<Metric, BTreeMap<String, MetricLimit>>,
}

/// So many lines make journald drop some: RateLimitBurst= and RateLimitIntervalSec= of
/// journald.conf are 10,000 in 30 s where nobody has set them, and no more is kept on a small
/// disk.
const LOG_STORM: MetricLimit = MetricLimit {
    degraded: 20_000,
    critical: None,
    clear: 10_000,
    hold: HOLD,
    forecast: None,
};

impl MetricLimits {
    /// What holds for a service that says nothing else.
    pub fn of_services() -> Self {
        Self::of(BTreeMap::from([
            (Metric::CpuPermille, MetricLimit::share(800, CPU_HOLD)),
            (Metric::MemoryPermille, MetricLimit::share(850, HOLD)),
            (Metric::TasksPermille, MetricLimit::share(850, HOLD)),
            (Metric::DescriptorsPermille, MetricLimit::share(850, HOLD)),
            (Metric::Processes, MANY_PROCESSES),
            (Metric::LogLinesPerMinute, LOG_STORM),
            (Metric::RequestErrorsPermille, FAILED_REQUESTS),
            (Metric::RequestLatencyMs, SLOW_REQUESTS),
        ]))
    }

    fn of(of_metrics: BTreeMap<Metric, MetricLimit>) -> Self {
        Self {
            of_metrics,
            of_instances: BTreeMap::new(),
        }
    }

    /// What holds for the host, where nothing else is said.
    pub fn of_host() -> Self {
        Self::of(BTreeMap::from([
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
            (Metric::DiskFailing, FAILING_DISK),
            (Metric::GpuEccErrors, GPU_ERRORS),
            (Metric::GpuXidErrors, GPU_ERRORS),
        ]))
    }

    /// The limit of a metric, if it has one.
    pub fn get(&self, metric: Metric) -> Option<&MetricLimit> {
        self.of_metrics.get(&metric)
    }

    /// The limit of one of a metric's instances: its own, or else the metric's.
    pub fn of_series(&self, metric: Metric, instance: Option<&str>) -> Option<&MetricLimit> {
        let own = instance.and_then(|name| self.of_instances.get(&metric)?.get(name));
        own.or_else(|| self.get(metric))
    }

    /// The metrics of which people are told before they are used up.
    pub fn foreseen(&self) -> impl Iterator<Item = Metric> {
        let told = |(metric, limit): (&Metric, &MetricLimit)| limit.forecast.map(|_| *metric);
        self.of_metrics.iter().filter_map(told)
    }

    /// Sets the limit of a metric; without one, it is never a symptom.
    pub fn set(&mut self, metric: Metric, limit: Option<MetricLimit>) {
        match limit {
            Some(limit) => self.of_metrics.insert(metric, limit),
            None => self.of_metrics.remove(&metric),
        };
    }

    /// Sets the limit of one instance; without one, that of the metric holds for it.
    pub fn set_of_instance(
        &mut self,
        metric: Metric,
        instance: impl Into<String>,
        limit: Option<MetricLimit>,
    ) {
        let limits = self.of_instances.entry(metric).or_default();
        match limit {
            Some(limit) => limits.insert(instance.into(), limit),
            None => limits.remove(&instance.into()),
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

/// Whoever has data on it has little time.
const FAILING_DISK: MetricLimit = MetricLimit {
    degraded: 1,
    critical: Some(1),
    clear: 0,
    hold: Duration::ZERO,
    forecast: None,
};

const GPU_ERRORS: MetricLimit = MetricLimit {
    degraded: 1,
    critical: None,
    clear: 0,
    hold: Duration::ZERO,
    forecast: None,
};

/// As of probes.
const FAILED_REQUESTS: MetricLimit = MetricLimit {
    degraded: 50,
    critical: Some(100),
    clear: 20,
    hold: HOLD,
    forecast: None,
};

/// As of probes.
const SLOW_REQUESTS: MetricLimit = MetricLimit {
    degraded: 1_000,
    critical: None,
    clear: 800,
    hold: HOLD,
    forecast: None,
};
