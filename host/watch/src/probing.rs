//! Asks declared probes at their interval (`interval = "30s"`), and tells when one
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

/// A probe without an interval is asked until it is answered for the first time: this
/// long after the first time, then after twice as long each time, …
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// A probe that is asked while all is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeTarget {
    pub unit: UnitName,
    /// The probe's name.
    pub probe: String,
    /// How often it is asked. With none it is asked until it was answered once.
    pub interval: Option<Duration>,
    /// So many unanswered in a row are told.
    pub failure_threshold: u32,
    /// Whether it was answered before: then it is asked when its interval is over for the
    /// first time, else at once.
    pub was_answered: bool,
}

impl ProbeTarget {
    /// The service's own probes that are to be asked: those that have an interval, and
    /// those of which `was_answered` does not know that they ever were.
    pub fn of(service: &Service, was_answered: impl Fn(&str) -> bool) -> Vec<Self> {
        service
            .own_probes()
            .map(|(name, probe)| Self {
                unit: service.unit.clone(),
                probe: name.clone(),
                interval: probe.interval,
                failure_threshold: probe.failure_threshold.max(1),
                was_answered: was_answered(name),
            })
            .filter(|target| target.interval.is_some() || !target.was_answered)
            .collect()
    }
}

/// What asking came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// It answered as it should.
    Answering,
    /// It did not; why.
    NotAnswering(String),
    /// It did not, and never has since it was declared as it is; why. That says
    /// nothing about the service.
    NeverAnswered(String),
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
    /// Whether it was ever answered.
    pub was_answered: bool,
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
                        Next::Answered | Next::Rest => break,
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
    let begun = Instant::now();
    if streak.target.was_answered {
        streak.wait_since(begun).await;
    }
    loop {
        let asked = Instant::now();
        match streak.ask(&ask).await {
            Next::Tell(unanswered) => tell(unanswered),
            Next::Answered if streak.target.interval.is_none() => return,
            Next::Answered | Next::Rest | Next::AskOn => {}
        }
        streak.wait_since(asked).await;
    }
}

/// A probe, and how often in a row it went unanswered.
struct Streak {
    target: ProbeTarget,
    unanswered: u32,
    since: Instant,
    /// Until it is asked again.
    pause: Duration,
}

/// What follows from an answer, or from none.
enum Next {
    /// It was answered.
    Answered,
    /// It was not to be asked, or nothing is known.
    Rest,
    /// Not answered; its limit is not reached.
    AskOn,
    /// Its limit is reached.
    Tell(Unanswered),
}

impl Streak {
    fn of(target: ProbeTarget) -> Self {
        Self {
            pause: target.interval.unwrap_or(FIRST_PAUSE),
            target,
            unanswered: 0,
            since: Instant::now(),
        }
    }

    /// Waits for the next question's time. The interval is from one question to the
    /// next, however long its answer takes: a probe that times out is not asked
    /// more rarely for that.
    async fn wait_since(&mut self, asked: Instant) {
        sleep(self.pause.saturating_sub(asked.elapsed())).await;
        if self.target.interval.is_none() {
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn ask(&mut self, ask: &Arc<Ask>) -> Next {
        if self.unanswered == 0 {
            self.since = Instant::now();
        }
        let ProbeTarget { unit, probe, .. } = self.target.clone();
        let asking = Arc::clone(ask);
        let asked = spawn_blocking(move || asking(&unit, &probe)).await;
        let was_answered = !matches!(asked, Ok(Asked::NeverAnswered(_)));
        match asked {
            Ok(Asked::NotAnswering(why) | Asked::NeverAnswered(why)) => {
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
                    was_answered,
                })
            }
            Ok(Asked::Answering) => {
                self.unanswered = 0;
                Next::Answered
            }
            Ok(Asked::NotNow) => {
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
