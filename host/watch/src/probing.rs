//! Asks declared probes at their interval (`every = "30s"`), and tells when one
//! goes unanswered too often: a service can be up and of no use.
//!
//! Without such a probe nothing here runs, and nothing wakes up.

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use prunella_core::{UnitName, service::Service};
use prunella_linux::Linux;
use tokio::{sync::watch, task::spawn_blocking, time::sleep};

/// A probe with an interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeTarget {
    pub unit: UnitName,
    /// The probe's name.
    pub probe: String,
    /// How often it is asked.
    pub interval: Duration,
    /// So many unanswered in a row are told.
    pub failure_threshold: u32,
}

impl ProbeTarget {
    /// The service's own probes that have an interval.
    pub fn of(service: &Service) -> impl Iterator<Item = Self> + '_ {
        service.own_probes().filter_map(|(name, probe)| {
            Some(Self {
                unit: service.unit.clone(),
                probe: name.clone(),
                interval: probe.interval?,
                failure_threshold: probe.failure_threshold.max(1),
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

/// A probe that goes unanswered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    pub unit: UnitName,
    /// The probe's name.
    pub probe: String,
    /// What came instead of an answer.
    pub why: String,
    /// When it was first asked in vain.
    pub since: Instant,
}

/// Who is told.
pub type Tell = dyn Fn(Unanswered) + Send + Sync;

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
        Self::each(linux, targets, |target| {
            question(target, Arc::clone(&ask), Arc::clone(&tell))
        })
    }

    /// Asks each of `targets` once, and one that does not answer on and on, until
    /// it answers or its limit is reached: then it is among what is received.
    /// That ends when all is known, and nothing is asked any more when the prober
    /// is dropped.
    pub fn round(
        linux: &Linux,
        targets: Vec<ProbeTarget>,
        ask: &Arc<Ask>,
    ) -> (Self, mpsc::Receiver<Unanswered>) {
        let (told, unanswered) = mpsc::channel();
        let prober = Self::each(linux, targets, |target| {
            let (ask, told) = (Arc::clone(ask), told.clone());
            async move {
                let mut streak = Streak::of(target);
                loop {
                    let asked = Instant::now();
                    match streak.ask(&ask).await {
                        Next::Rest => break,
                        Next::AskOn => streak.wait_since(asked).await,
                        Next::Tell(unanswered) => {
                            if told.send(unanswered).is_err() {
                                tracing::debug!("nobody waits for the probes any more");
                            }
                            break;
                        }
                    }
                }
            }
        });
        (prober, unanswered)
    }

    /// A questioner for each target.
    fn each<T>(linux: &Linux, targets: Vec<ProbeTarget>, asking: impl Fn(ProbeTarget) -> T) -> Self
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let (alive, ended) = watch::channel(());
        for target in targets {
            let mut ended = ended.clone();
            let asking = asking(target);
            linux.spawn(async move {
                tokio::select! {
                    () = asking => {}
                    // The sender never sends: this is its end.
                    _ = ended.changed() => {}
                }
            });
        }
        Self { _alive: alive }
    }
}

async fn question(target: ProbeTarget, ask: Arc<Ask>, tell: Arc<Tell>) {
    let mut streak = Streak::of(target);
    let mut asked = Instant::now();
    loop {
        streak.wait_since(asked).await;
        asked = Instant::now();
        if let Next::Tell(unanswered) = streak.ask(&ask).await {
            tell(unanswered);
        }
    }
}

/// A probe, and how often in a row it went unanswered.
struct Streak {
    target: ProbeTarget,
    unanswered: u32,
    since: Instant,
}

/// What follows from an answer, or from none.
enum Next {
    /// Nothing is wrong, or not to be asked.
    Rest,
    /// Not answered; its limit is not reached.
    AskOn,
    /// Its limit is reached.
    Tell(Unanswered),
}

impl Streak {
    fn of(target: ProbeTarget) -> Self {
        Self {
            target,
            unanswered: 0,
            since: Instant::now(),
        }
    }

    /// Waits for the next question's time. The interval is from one question to the
    /// next, however long its answer takes: a probe that times out is not asked
    /// more rarely for that.
    async fn wait_since(&self, asked: Instant) {
        sleep(self.target.interval.saturating_sub(asked.elapsed())).await;
    }

    async fn ask(&mut self, ask: &Arc<Ask>) -> Next {
        if self.unanswered == 0 {
            self.since = Instant::now();
        }
        let ProbeTarget { unit, probe, .. } = self.target.clone();
        let asking = Arc::clone(ask);
        match spawn_blocking(move || asking(&unit, &probe)).await {
            Ok(Asked::NotAnswering(why)) => {
                self.unanswered += 1;
                if self.unanswered < self.target.failure_threshold {
                    return Next::AskOn;
                }
                self.unanswered = 0;
                Next::Tell(Unanswered {
                    unit: self.target.unit.clone(),
                    probe: self.target.probe.clone(),
                    why,
                    since: self.since,
                })
            }
            Ok(Asked::Answering | Asked::NotNow) => {
                self.unanswered = 0;
                Next::Rest
            }
            Err(error) => {
                tracing::error!(
                    "probe `{}` of {} could not be asked: {error}",
                    self.target.probe,
                    self.target.unit
                );
                Next::Rest
            }
        }
    }
}
