//! What the metrics endpoints of services told last.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prunella_core::{
    UnitName, health::Reading, service::MetricsEndpoint, situation::Situation as _,
};
use prunella_linux::{
    Linux,
    sampling::{EndpointError, EndpointSample},
};
use prunella_watch::{Hear, IsAsked, Scraper};

use crate::health::HealthBook;

/// What was told counts for so many intervals: asking and sampling do not keep step.
const FRESH: u32 = 2;

/// The endpoints that are asked.
#[derive(Default)]
pub(super) struct Endpoints {
    declared: BTreeMap<UnitName, MetricsEndpoint>,
    interval: Duration,
    told: Arc<Mutex<BTreeMap<UnitName, Told>>>,
    scraper: Option<Scraper>,
}

/// What one told last.
#[derive(Debug, Default)]
struct Told {
    /// The time since boot.
    at: Duration,
    readings: Vec<Reading>,
    /// What was said of it in the journal.
    trouble: Option<Trouble>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Trouble {
    NotAsked(EndpointError),
    Missing(Vec<&'static str>),
}

impl Endpoints {
    /// Which are asked from now on, and how often.
    pub(super) fn declare(
        &mut self,
        linux: &Arc<Linux>,
        health: &Arc<HealthBook>,
        declared: &BTreeMap<UnitName, MetricsEndpoint>,
        interval: Duration,
    ) {
        if self.declared == *declared && self.interval == interval {
            return;
        }
        self.declared.clone_from(declared);
        self.interval = interval;
        self.told = Arc::default();
        self.scraper = (!declared.is_empty()).then(|| {
            let (book, host) = (Arc::clone(health), Arc::clone(linux));
            let is_asked: Arc<IsAsked> = Arc::new(move |unit| book.is_serving(unit));
            let told = Arc::clone(&self.told);
            let hear: Arc<Hear> = Arc::new(move |unit, came| {
                let now = host.since_boot();
                let mut told = lock(&told);
                let told = told.entry(unit.clone()).or_default();
                match came {
                    Some(came) => told.hear(unit, now, came),
                    None => told.readings.clear(),
                }
            });
            let endpoints = declared.clone();
            Scraper::start(linux, endpoints, interval, &is_asked, &hear)
        });
    }

    /// Asks no more.
    pub(super) fn stop(&mut self) {
        *self = Self::default();
    }

    /// What the service's endpoint told, after what `readings` has.
    pub(super) fn sample(&self, unit: &UnitName, now: Duration, readings: &mut Vec<Reading>) {
        let Some(endpoint) = self.declared.get(unit) else {
            return;
        };
        let fresh = self.interval * FRESH + endpoint.timeout;
        if let Some(told) = lock(&self.told).get(unit)
            && now.saturating_sub(told.at) <= fresh
        {
            readings.extend(told.readings.iter().cloned());
        }
    }
}

impl Told {
    fn hear(
        &mut self,
        unit: &UnitName,
        now: Duration,
        came: Result<EndpointSample, EndpointError>,
    ) {
        self.at = now;
        self.readings.clear();
        let trouble = match came {
            Ok(sample) => {
                self.readings = sample.readings;
                (!sample.missing.is_empty()).then_some(Trouble::Missing(sample.missing))
            }
            Err(error) => Some(Trouble::NotAsked(error)),
        };
        if trouble == self.trouble {
            return;
        }
        match &trouble {
            Some(Trouble::NotAsked(error)) => tracing::warn!(
                object_systemd_unit = %unit,
                "{unit}: its metrics endpoint tells nothing: {error}"
            ),
            Some(Trouble::Missing(keys)) => tracing::warn!(
                object_systemd_unit = %unit,
                "{unit}: its metrics endpoint has nothing of what [metrics.prometheus] declares \
                 as {}",
                keys.join(" and ")
            ),
            None => tracing::info!(
                object_systemd_unit = %unit,
                "{unit}: its metrics endpoint tells all that is declared"
            ),
        }
        self.trouble = trouble;
    }
}

fn lock(told: &Mutex<BTreeMap<UnitName, Told>>) -> MutexGuard<'_, BTreeMap<UnitName, Told>> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}
