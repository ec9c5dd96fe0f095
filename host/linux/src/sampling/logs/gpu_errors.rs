//! Errors of GPUs that the kernel logged within the last hour.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use prunella_core::health::{InstanceKind, Metric, Reading};

/// How long an error counts.
const HOUR: Duration = Duration::from_secs(3_600);

/// A GPU that fails can log much.
const MOST: usize = 10_000;

/// Errors, and the GPUs that had any.
#[derive(Debug, Default)]
pub(super) struct GpuErrors {
    errors: VecDeque<(Duration, String)>,
    /// So that one without an error any more has a value.
    seen: BTreeSet<String>,
}

impl GpuErrors {
    pub(super) fn add(&mut self, now: Duration, gpus: Vec<String>) {
        for gpu in gpus {
            if self.errors.len() >= MOST {
                self.errors.pop_front();
            }
            self.seen.insert(gpu.clone());
            self.errors.push_back((now, gpu));
        }
    }

    pub(super) fn sample(&mut self, now: Duration, readings: &mut Vec<Reading>) {
        while let Some((at, _)) = self.errors.front()
            && now.saturating_sub(*at) >= HOUR
        {
            self.errors.pop_front();
        }
        let known = readings
            .iter()
            .filter(|it| it.metric.instances() == InstanceKind::Gpu)
            .filter_map(|it| it.instance.clone());
        let mut counts: BTreeMap<String, u64> = known.map(|gpu| (gpu, 0)).collect();
        counts.extend(self.seen.iter().map(|gpu| (gpu.clone(), 0)));
        for (_, gpu) in &self.errors {
            *counts.entry(gpu.clone()).or_default() += 1;
        }
        readings.extend(
            counts
                .into_iter()
                .map(|(gpu, count)| Reading::new(Metric::GpuXidErrors, count).in_instance(gpu)),
        );
    }
}
