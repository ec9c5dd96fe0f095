//! Asks declared probes at their interval (`every = "30s"`), and tells when one
//! goes unanswered too often: a service can be up and of no use.
//!
//! Without such a probe nothing here runs, and nothing wakes up.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{UnitName, service::Service};
use prunella_linux::Linux;
use tokio::{sync::watch, task::spawn_blocking, time::sleep};

/// A probe with an interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeTarget {
    /// The service.
    pub unit: UnitName,
    /// The probe's name.
    pub probe: String,
    /// How often it is asked.
    pub every: Duration,
    /// So many unanswered in a row are told.
    pub failures: u32,
}

impl ProbeTarget {
    /// The service's own probes that have an interval.
    pub fn of(service: &Service) -> impl Iterator<Item = Self> + '_ {
        service.own_probes().filter_map(|(name, probe)| {
            Some(Self {
                unit: service.unit.clone(),
                probe: name.clone(),
                every: probe.every?,
                failures: probe.failures.max(1),
            })
        })
    }
}

/// What asking came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// It answered as it should.
    Answering,
    /// It did not; why.
    NotAnswering(String),
    /// It was not asked: the service is down, paused, or being healed. That is
    /// somebody else's matter.
    NotNow,
}

/// What asks a probe. May block; is called on a thread of its own.
pub type Ask = dyn Fn(&UnitName, &str) -> Asked + Send + Sync;

/// What is told of a probe that goes unanswered: unit, probe, what came instead
/// of an answer, and since when: the moment when it was first asked in vain.
pub type Tell = dyn Fn(&UnitName, &str, &str, Instant) + Send + Sync;

/// Asks until it is dropped.
#[derive(Debug)]
pub struct Prober {
    /// The questioners end when this is gone.
    _alive: watch::Sender<()>,
}

impl Prober {
    /// Asks each of `targets` through `ask`, one question at a time, and tells
    /// when its limit is reached; again only when it is reached anew.
    pub fn start(linux: &Linux, targets: Vec<ProbeTarget>, ask: Arc<Ask>, tell: Arc<Tell>) -> Self {
        let (alive, ended) = watch::channel(());
        for target in targets {
            let mut ended = ended.clone();
            let ask = Arc::clone(&ask);
            let tell = Arc::clone(&tell);
            linux.spawn(async move {
                tokio::select! {
                    () = question(target, ask, tell) => {}
                    // The sender never sends: this is its end.
                    _ = ended.changed() => {}
                }
            });
        }
        Self { _alive: alive }
    }
}

async fn question(target: ProbeTarget, ask: Arc<Ask>, tell: Arc<Tell>) {
    let mut unanswered = 0_u32;
    let mut since = Instant::now();
    loop {
        sleep(target.every).await;
        if unanswered == 0 {
            since = Instant::now();
        }
        let (unit, probe, ask) = (target.unit.clone(), target.probe.clone(), Arc::clone(&ask));
        match spawn_blocking(move || ask(&unit, &probe)).await {
            Ok(Asked::NotAnswering(why)) => {
                unanswered += 1;
                if unanswered >= target.failures {
                    unanswered = 0;
                    tell(&target.unit, &target.probe, &why, since);
                }
            }
            Ok(Asked::Answering | Asked::NotNow) => unanswered = 0,
            Err(error) => tracing::error!(
                "probe `{}` of {} could not be asked: {error}",
                target.probe,
                target.unit
            ),
        }
    }
}
