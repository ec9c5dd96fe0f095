//! How fast probes are answered, counted since the daemon began.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use prunella_config::Config;
use prunella_core::UnitName;
use prunella_health::Sample;
use prunella_metrics::histogram::Histogram;

/// The upper bounds of how long answers take, in seconds.
pub(crate) const LATENCY_BOUNDS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

/// How a probe was answered.
#[derive(Debug, Clone)]
pub(crate) struct ProbeFigures {
    pub(crate) unit: UnitName,
    pub(crate) probe: String,
    /// How long its answers took, in seconds.
    pub(crate) latency: Histogram,
    /// How often it was not answered as it should be.
    pub(crate) unanswered: u64,
}

/// What was counted of each probe.
#[derive(Debug, Default)]
pub(super) struct Latencies(Mutex<BTreeMap<UnitName, BTreeMap<String, ProbeFigures>>>);

impl Latencies {
    pub(super) fn heard(&self, unit: &UnitName, probe: &str, sample: &Sample) {
        let took = match sample {
            Sample::Answered { took } => Some(*took),
            Sample::Unanswered { .. } | Sample::NeverAnswered => None,
            Sample::NotAsked => return,
        };
        let mut units = self.lock();
        if !units.contains_key(unit) {
            units.insert(unit.clone(), BTreeMap::new());
        }
        let Some(probes) = units.get_mut(unit) else {
            return;
        };
        if !probes.contains_key(probe) {
            let figures = ProbeFigures {
                unit: unit.clone(),
                probe: probe.to_owned(),
                latency: Histogram::new(&LATENCY_BOUNDS),
                unanswered: 0,
            };
            probes.insert(probe.to_owned(), figures);
        }
        let Some(figures) = probes.get_mut(probe) else {
            return;
        };
        match took {
            Some(took) => figures.latency.observe(took.as_secs_f64()),
            None => figures.unanswered += 1,
        }
    }

    /// Forgets probes that are not declared any more.
    pub(super) fn declare(&self, config: &Config) {
        self.lock().retain(|unit, probes| {
            let Some(service) = config.services.get(unit) else {
                return false;
            };
            probes.retain(|name, _| service.own_probes().any(|(own, _)| own == name));
            true
        });
    }

    pub(super) fn all(&self) -> Vec<ProbeFigures> {
        self.lock()
            .values()
            .flat_map(BTreeMap::values)
            .cloned()
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<UnitName, BTreeMap<String, ProbeFigures>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
