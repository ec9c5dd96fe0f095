//! Where alerts become messages and messages are sent: one thread that decides,
//! and one for each channel that has something to send.
//!
//! Nothing here holds up healing: alerts are read from the store, where they
//! were written with the end of each attempt. The deciding thread sleeps until
//! something is due or it is [woken](Notifier::wake); with nothing due it does not
//! wake up by itself.
//!
//! Only one process at a time decides and sends: it holds a lock, from the
//! moment it has something to do until it has nothing to do for a while.
//!
//! ```text
//! alerts ─► plan ─► dispatches in the store ─► a thread for each channel
//! ```

mod deciding;
mod notices;
mod outages;
mod sending;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

use prunella_config::{Config, channels::ChannelSettings};
use prunella_core::{
    ChannelName, Timestamp, UnitName,
    health::{Metric, Point},
    incident::Incident,
    trail::Step,
};
use prunella_report::Renderer;
use prunella_store::{Store, StoreError};

use crate::{Channel, channel::ChannelError, lock::SenderLock};

/// The lock is kept over pauses up to this long.
const SHORT: Duration = Duration::from_secs(5);

/// When another process sends, or the store does not answer, it is looked at
/// again after so long.
const LATER: Duration = Duration::from_secs(1);

/// What is over is kept for so long: 90 days.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// What is over is forgotten so often: once a day.
const TIDY: Duration = Duration::from_secs(24 * 3600);

/// A thread for a channel has TLS and a runtime on its stack.
const STACK: usize = 1 << 20;

/// What a notifier wants to know of the host.
pub trait HostQueries: Send + Sync {
    /// The units that a unit needs, as systemd knows; empty when it does not
    /// answer.
    fn requires(&self, unit: &UnitName) -> Vec<UnitName>;

    /// Since when a unit is up; absent when it is
    /// not, or when nobody knows.
    fn up_since(&self, unit: &UnitName) -> Option<Timestamp>;

    /// Why a unit stays down as it is, in a word: `masked`, `failed`, `inactive`. Absent when
    /// it is up or on its way there, or when nobody knows.
    fn stays_down(&self, unit: &UnitName) -> Option<String>;

    /// What a metric of a service was in that time, oldest first; nothing where that is not
    /// known. `instance` is which of its instances.
    fn measured(
        &self,
        unit: &UnitName,
        metric: Metric,
        instance: Option<&str>,
        during: (Timestamp, Timestamp),
    ) -> Vec<Point>;
}

/// How a channel is opened.
pub type Open = dyn Fn(&ChannelSettings) -> Result<Box<dyn Channel>, ChannelError> + Send + Sync;

/// What a notifier is made from.
pub struct NotifierSettings {
    /// Where alerts and messages are.
    pub store: Arc<Store>,
    /// The configuration in force, asked for each time.
    pub config: Arc<dyn Fn() -> Arc<Config> + Send + Sync>,
    pub host: Arc<dyn HostQueries>,
    /// How a channel is opened: [`channel::open`](crate::channel::open).
    pub open: Arc<Open>,
    /// What messages look like.
    pub renderer: Renderer,
    /// The host's name.
    pub hostname: String,
    /// Whether people on this host need `sudo` to run what only root may.
    pub sudo: bool,
    /// This boot's id.
    pub boot_id: String,
    /// The lock's file: `/run/prunella/alerts.lock`.
    pub lock: PathBuf,
}

/// Decides and sends.
pub struct Notifier {
    shared: Arc<Shared>,
}

struct Shared {
    settings: NotifierSettings,
    /// When it was made.
    started: Timestamp,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Channels that are being sent by, each on a thread.
    busy: BTreeSet<ChannelName>,
    /// Channels whose messages the store did not let them see to, and until
    /// when they are left alone.
    resting: BTreeMap<ChannelName, Timestamp>,
    /// Something may have changed.
    woken: bool,
    /// When an incident that was opened since the last look may have to be told
    /// of.
    alarm: Option<Instant>,
    /// When nothing is due until then, the work is over; it goes on until it is
    /// stopped, when absent.
    until: Option<Instant>,
    stopping: bool,
    /// The deciding thread is there.
    running: bool,
}

impl Notifier {
    /// A notifier at which nobody works yet.
    pub fn new(settings: NotifierSettings) -> Self {
        Self {
            shared: Arc::new(Shared {
                settings,
                started: wall_clock(),
                state: Mutex::default(),
                changed: Condvar::new(),
            }),
        }
    }

    /// Has a thread of its own work at it until it is [stopped](Self::stop).
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(&self) -> std::io::Result<()> {
        let shared = Arc::clone(&self.shared);
        shared.lock().running = true;
        let spawned = thread::Builder::new()
            .name("alerts".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                shared.work();
                shared.lock().running = false;
                shared.changed.notify_all();
            });
        if spawned.is_err() {
            self.shared.lock().running = false;
        }
        spawned.map(drop)
    }

    /// Works until nothing is due within `patience` from now: on its thread, where
    /// that was [started](Self::start), else on this one. What is due later is left
    /// to whoever comes next.
    pub fn work_for(&self, patience: Duration) {
        let mut state = self.shared.lock();
        state.until = Some(Instant::now() + patience);
        state.woken = true;
        if !state.running {
            drop(state);
            self.shared.work();
            return;
        }
        self.shared.changed.notify_all();
        while state.running {
            state = self
                .shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A step of an incident was written. An open incident is looked at when people
    /// are to hear of it; until then nothing is read.
    pub fn step(&self, incident: &Incident, step: &Step) {
        match step {
            Step::Detected { .. } => {
                let unit = &incident.detection.unit;
                let config = (self.shared.settings.config)();
                let after = config.alerts.notify_after(config.services.get(unit));
                self.shared.look_at(Instant::now() + after);
            }
            // Healing may have failed again, and the store knows by now.
            Step::Waits { .. } | Step::Watches { .. } | Step::Ended { .. } => self.wake(),
            _ => {}
        }
    }

    /// Something may have changed: an alert, the configuration, a unit.
    pub fn wake(&self) {
        self.shared.lock().woken = true;
        self.shared.changed.notify_all();
    }

    /// Begins nothing new, and waits for what is being sent, `grace` at most.
    /// What is cut off is sent again by the next process, under the same id.
    pub fn stop(&self, grace: Duration) {
        let mut state = self.shared.lock();
        state.stopping = true;
        self.shared.changed.notify_all();
        let ended = self
            .shared
            .changed
            .wait_timeout_while(state, grace, |state| {
                state.running || !state.busy.is_empty()
            });
        drop(ended);
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what is due then, if not before.
    fn look_at(&self, at: Instant) {
        let mut state = self.lock();
        if state.alarm.is_none_or(|alarm| at < alarm) {
            state.alarm = Some(at);
            self.changed.notify_all();
        }
    }

    fn work(self: &Arc<Self>) {
        let mut held: Option<SenderLock> = None;
        let mut tidy: Option<Instant> = None;
        loop {
            {
                let mut state = self.lock();
                state.woken = false;
                // The store knows the incident by now.
                state.alarm = None;
                if state.stopping {
                    break;
                }
            }
            let due = match self.turn(&mut held) {
                Ok(NextStep::Next(next)) => next.map(until_then),
                Ok(NextStep::NotOurs) => Some(LATER),
                Err(error) => {
                    // The store has told of its own trouble itself, once.
                    if error.is_trouble() {
                        tracing::debug!("alerts cannot be told for now: {error}");
                    } else {
                        tracing::error!("alerts cannot be told for now: {error}");
                    }
                    Some(LATER * 30)
                }
            };
            if held.is_some() && tidy.is_none_or(|last| last.elapsed() >= TIDY) {
                tidy = Some(Instant::now());
                self.tidy();
            }
            let state = self.lock();
            let idle = state.busy.is_empty();
            if idle && due.is_none_or(|due| due > SHORT) {
                held = None;
            }
            if let Some(until) = state.until
                && idle
                && !state.woken
                && due.is_none_or(|due| Instant::now() + due > until)
            {
                break;
            }
            self.sleep(state, due);
        }
        // The lock outlives what is being sent, so that nobody else takes that
        // for cut off.
        let mut state = self.lock();
        while !state.busy.is_empty() {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        drop(held);
    }

    /// Sleeps until something is due, changed, or sent.
    fn sleep(&self, mut state: MutexGuard<'_, State>, due: Option<Duration>) {
        let due = due.map(|due| Instant::now() + due);
        while !state.woken && !state.stopping {
            let next = due.into_iter().chain(state.alarm).min();
            let left = next.map(|next| next.saturating_duration_since(Instant::now()));
            state = match left {
                Some(Duration::ZERO) => return,
                Some(left) => {
                    self.changed
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Decides what is due, has it sent, and says when to look again.
    fn turn(self: &Arc<Self>, held: &mut Option<SenderLock>) -> Result<NextStep, StoreError> {
        let store = &self.settings.store;
        // Without anything to do the lock is not taken.
        let now = wall_clock();
        let nothing = store.new_alerts()?.is_empty()
            && store.open_alert_groups()?.is_empty()
            && store.unfinished_units()?.is_empty()
            && !store.has_open_dispatches()?;
        if nothing {
            return Ok(NextStep::Next(None));
        }
        if held.is_none() {
            *held = match SenderLock::try_acquire(&self.settings.lock) {
                Ok(lock) => lock,
                Err(error) => {
                    tracing::error!(
                        "alerts cannot be told for now: {}: {error}",
                        self.settings.lock.display()
                    );
                    None
                }
            };
            if held.is_none() {
                return Ok(NextStep::NotOurs);
            }
        }
        // Nobody else sends, and of this process nobody does either.
        if self.lock().busy.is_empty() {
            let cut_off = store.take_back_dispatches(now)?;
            if cut_off > 0 {
                tracing::warn!(
                    "{cut_off} messages were being sent when Prunella was interrupted; they are \
                     sent again"
                );
            }
        }
        let config = (self.settings.config)();
        let next = self.decide(&config, now)?;
        self.send(&config, now)?;
        let (busy, resting) = {
            let mut state = self.lock();
            state.resting.retain(|_, until| *until > now);
            (state.busy.clone(), state.resting.clone())
        };
        let sending = store
            .next_dispatches()?
            .into_iter()
            .filter(|(channel, _)| !busy.contains(channel))
            .map(|(channel, at)| resting.get(&channel).map_or(at, |rest| at.max(*rest)))
            .chain(resting.values().copied());
        Ok(NextStep::Next(sending.chain(next).min()))
    }

    fn tidy(&self) {
        let before = wall_clock().saturating_sub(KEPT);
        if let Err(error) = self.settings.store.forget_dispatches(before) {
            tracing::warn!("old messages could not be forgotten: {error}");
        }
    }
}

enum NextStep {
    /// When something is due next.
    Next(Option<Timestamp>),
    /// Another process is at it.
    NotOurs,
}

fn wall_clock() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

fn until_then(at: Timestamp) -> Duration {
    at.since(wall_clock())
}
