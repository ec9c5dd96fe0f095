//! What the daemon's parts share: its state, and the queue of what happens.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering},
    mpsc::Sender,
};

use prunella_api::Steps;
use prunella_core::{
    Timestamp, UnitName,
    capability::UnitStatus,
    incident::{Detection, Incident},
    trail::{Entry, Step},
};
use prunella_healer::{Observer, OpenOutcome, Scheduler};
use prunella_notify::{Notifier, TraceSender};
use prunella_watch::{Unanswered, WatchEvent};

use crate::{
    Paths,
    assembly::Assembly,
    health::{HealthBook, HealthNews},
    notifier,
    reload::Answered,
    sampler::Sampler,
};

/// What the loop is woken by.
pub(crate) enum Event {
    /// systemd told something.
    Watch(WatchEvent),
    /// A probe with an interval goes unanswered.
    NotAnswering(Unanswered),
    /// The health of a service has changed.
    Health(HealthNews),
    /// The configuration is to be read again; the answer goes to whoever asked.
    Reload(Option<Sender<Answered>>),
    /// It was read again.
    Reloaded(Answered, Option<Sender<Answered>>),
    /// A pause began or ended.
    LookAgain,
    /// Incidents wait for other units than before.
    UnitsNeeded,
    /// The daemon is to stop.
    Stop,
}

/// What loop, handler and watcher share.
pub(crate) struct Daemon {
    pub(crate) paths: Paths,
    pub(crate) assembly: Assembly,
    pub(crate) scheduler: Arc<Scheduler>,
    pub(crate) watchers: Arc<Watchers>,
    /// How the services are.
    pub(crate) health: Arc<HealthBook>,
    /// What measures them, and the host.
    pub(crate) sampler: Arc<Sampler>,
    /// Where people are told; absent without a store.
    pub(crate) notifier: Option<Arc<Notifier>>,
    pub(crate) since: Timestamp,
    pub(crate) events: Mutex<Sender<Event>>,
    /// What is wrong with the configuration, a sentence each.
    pub(crate) config_problems: Mutex<Vec<String>>,
}

impl Daemon {
    /// Puts an event into the loop's queue.
    pub(crate) fn send(&self, event: Event) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.send(event).is_err() {
            tracing::debug!("the daemon is stopping: an event came too late");
        }
    }

    pub(crate) fn config_problems(&self) -> Vec<String> {
        self.lock_config_problems().clone()
    }

    pub(crate) fn set_config_problems(&self, problems: Vec<String>) {
        *self.lock_config_problems() = problems;
    }

    /// Tells people what of the configuration is not in force, if they do not know.
    pub(crate) fn tell_config_problems(&self) {
        if let Some(notifier) = &self.notifier {
            notifier::config_problems(notifier, &self.config_problems());
        }
    }

    fn lock_config_problems(&self) -> MutexGuard<'_, Vec<String>> {
        self.config_problems
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of incidents that have ended elsewhere.
    pub(crate) fn settle_health(&self) {
        self.health
            .forget_what_is_over(|| self.scheduler.busy().into_keys().collect());
    }

    /// There may be something to tell people.
    pub(crate) fn tell(&self) {
        if let Some(notifier) = &self.notifier {
            notifier.wake();
        }
        if let Some(traces) = self.watchers.traces.get() {
            traces.wake();
        }
    }

    /// Opens an incident; trouble with that is logged.
    pub(crate) fn open(&self, detection: Detection) -> Option<OpenOutcome> {
        let unit = detection.unit.clone();
        match self.scheduler.open(self.with_hints(detection)) {
            Ok(opening) => Some(opening),
            Err(error) => {
                tracing::error!("the failure of {unit} could not be taken up: {error}");
                None
            }
        }
    }

    /// With what was unusual of the service before.
    fn with_hints(&self, detection: Detection) -> Detection {
        Detection {
            unusual: self.health.unusual(&detection.unit),
            ..detection
        }
    }

    /// Opens an incident for a failure that the watcher has just seen.
    pub(crate) fn open_seen(&self, detection: Detection, status: Box<UnitStatus>) {
        let unit = detection.unit.clone();
        let detection = self.with_hints(detection);
        if let Err(error) = self.scheduler.open_seen(detection, status) {
            tracing::error!("the failure of {unit} could not be taken up: {error}");
        }
    }
}

/// Whoever watches incidents go: connected clients, by unit.
#[derive(Default)]
pub(crate) struct Watchers {
    steps: Mutex<Vec<(UnitName, Steps)>>,
    /// Whether an incident has ended since somebody asked.
    ended: AtomicBool,
    /// Set once it is there.
    pub(crate) notifier: OnceLock<Arc<Notifier>>,
    /// Set once it is there.
    pub(crate) traces: OnceLock<Arc<TraceSender>>,
    /// Set once it is there.
    pub(crate) health: OnceLock<Arc<HealthBook>>,
}

impl Watchers {
    /// Sends the steps of `unit`'s incident to `steps` until
    /// [`remove`](Self::remove).
    pub(crate) fn add(&self, unit: UnitName, steps: Steps) {
        self.lock().push((unit, steps));
    }

    /// Sends nothing of `unit` any more.
    pub(crate) fn remove(&self, unit: &UnitName) {
        self.lock().retain(|(watched, _)| watched != unit);
    }

    /// Whether an incident has ended since this was asked last.
    pub(crate) fn take_ended(&self) -> bool {
        self.ended.swap(false, Ordering::AcqRel)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(UnitName, Steps)>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Watchers {
    fn step(&self, incident: &Incident, entry: &Entry) {
        if let Some(health) = self.health.get() {
            health.step(incident, &entry.step);
        }
        self.dry_step(incident, entry);
    }

    fn dry_step(&self, incident: &Incident, entry: &Entry) {
        if matches!(entry.step, Step::Ended { .. }) {
            self.ended.store(true, Ordering::Release);
        }
        // Sending may block for a slow client: not with the list locked.
        let watching: Vec<Steps> = self
            .lock()
            .iter()
            .filter(|(unit, _)| *unit == incident.detection.unit)
            .map(|(_, steps)| steps.clone())
            .collect();
        for steps in watching {
            steps.send(entry);
        }
        if let Some(notifier) = self.notifier.get() {
            notifier.step(incident, &entry.step);
        }
        if let Some(traces) = self.traces.get() {
            traces.step(&entry.step);
        }
    }
}
