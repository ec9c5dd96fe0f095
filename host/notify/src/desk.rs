//! Where alerts become messages and messages are sent: one thread that decides,
//! and one for each channel that has something to send.
//!
//! Nothing here holds up healing: alerts are read from the store, where they
//! were written with the end of each attempt. The deciding thread sleeps until
//! something is due or it is [woken](Desk::wake); with nothing due it does not
//! wake up by itself.
//!
//! Only one process at a time decides and sends: it holds a lock, from the
//! moment it has something to do until it has nothing to do for a while.
//!
//! ```text
//! alerts ─► plan ─► dispatches in the store ─► a thread for each channel
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use prunella_config::{Config, channels::ChannelSettings};
use prunella_core::{ChannelName, UnitName, alert::Dispatch};
use prunella_report::Letters;
use prunella_store::{Decided, Store, StoreError, Tried};

use crate::{
    Channel, Delivery, backoff,
    channel::ChannelError,
    compose::Composer,
    lock::SenderLock,
    plan::{Facts, Plan, plan},
    relations::Relations,
};

/// The lock is kept over pauses up to this long.
const SHORT: u64 = 5_000;

/// When another process sends, or the store does not answer, it is looked at
/// again after so long.
const LATER: Duration = Duration::from_secs(1);

/// A channel that does not work is left alone for so long at most, because of
/// one message: the next may fare better.
const PUT_OFF: u64 = 60_000;

/// What is over is kept for so long: 90 days, in milliseconds.
const KEPT: u64 = 90 * 24 * 3600 * 1000;

/// What is over is forgotten so often: once a day.
const TIDY: Duration = Duration::from_secs(24 * 3600);

/// A thread for a channel has TLS and a runtime on its stack.
const STACK: usize = 1 << 20;

/// What a desk wants to know of the host.
pub trait Surroundings: Send + Sync {
    /// The units that a unit needs, as systemd knows; empty when it does not
    /// answer.
    fn requires(&self, unit: &UnitName) -> Vec<UnitName>;

    /// Since when a unit is up, in milliseconds since 1970; absent when it is
    /// not, or when nobody knows.
    fn up_since(&self, unit: &UnitName) -> Option<u64>;
}

/// How a channel is opened.
pub type Open = dyn Fn(&ChannelSettings) -> Result<Box<dyn Channel>, ChannelError> + Send + Sync;

/// What a desk is made from.
pub struct DeskSettings {
    /// Where alerts and messages are.
    pub store: Arc<Store>,
    /// The configuration in force, asked for each time.
    pub config: Arc<dyn Fn() -> Arc<Config> + Send + Sync>,
    /// The host.
    pub surroundings: Arc<dyn Surroundings>,
    /// How a channel is opened: [`channel::open`](crate::channel::open).
    pub open: Arc<Open>,
    /// What messages look like.
    pub letters: Letters,
    /// The host's name.
    pub hostname: String,
    /// This boot's id.
    pub boot_id: String,
    /// The lock's file: `/run/prunella/alerts.lock`.
    pub lock: PathBuf,
}

/// Decides and sends.
pub struct Desk {
    shared: Arc<Shared>,
}

struct Shared {
    settings: DeskSettings,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Channels that are being sent by, each on a thread.
    busy: BTreeSet<ChannelName>,
    /// Channels whose messages the store did not let them see to, and until
    /// when they are left alone (milliseconds since 1970).
    resting: BTreeMap<ChannelName, u64>,
    /// Something may have changed.
    woken: bool,
    stopping: bool,
    /// The deciding thread is there.
    running: bool,
}

impl Desk {
    /// A desk at which nobody works yet.
    pub fn new(settings: DeskSettings) -> Self {
        Self {
            shared: Arc::new(Shared {
                settings,
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
                shared.work(None);
                shared.lock().running = false;
                shared.changed.notify_all();
            });
        if spawned.is_err() {
            self.shared.lock().running = false;
        }
        spawned.map(drop)
    }

    /// Works at it on this thread, until nothing is due within `patience` from
    /// now. What is due later is left to whoever comes next.
    pub fn work_for(&self, patience: Duration) {
        self.shared.work(Some(Instant::now() + patience));
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
        let until = Instant::now() + grace;
        while state.running || !state.busy.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(self: &Arc<Self>, until: Option<Instant>) {
        let mut held: Option<SenderLock> = None;
        let mut tidy: Option<Instant> = None;
        loop {
            {
                let mut state = self.lock();
                state.woken = false;
                if state.stopping {
                    break;
                }
            }
            let turn = self.turn(&mut held);
            let due = match turn {
                Ok(Turn::Next(next)) => next.map(until_then),
                Ok(Turn::NotOurs) => Some(LATER),
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
            if idle && due.is_none_or(|due| milliseconds(due) > SHORT) {
                held = None;
            }
            if let Some(until) = until
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
    fn sleep(&self, state: MutexGuard<'_, State>, due: Option<Duration>) {
        let asleep = |state: &mut State| !state.woken && !state.stopping;
        match due {
            Some(due) => drop(self.changed.wait_timeout_while(state, due, asleep)),
            None => drop(self.changed.wait_while(state, asleep)),
        }
    }

    /// Decides what is due, has it sent, and says when to look again.
    fn turn(self: &Arc<Self>, held: &mut Option<SenderLock>) -> Result<Turn, StoreError> {
        let store = &self.settings.store;
        // Without anything to do the lock is not taken.
        let now = wall_clock();
        let nothing = store.new_alerts()?.is_empty()
            && store.open_troubles()?.is_empty()
            && !store.has_open_dispatches()?;
        if nothing {
            return Ok(Turn::Next(None));
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
                return Ok(Turn::NotOurs);
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
        Ok(Turn::Next(sending.chain(next).min()))
    }

    /// Makes messages of what is due, and says when the next are.
    fn decide(&self, config: &Config, now: u64) -> Result<Option<u64>, StoreError> {
        let store = &self.settings.store;
        let alerts = store.new_alerts()?;
        let troubles = store.open_troubles()?;
        if alerts.is_empty() && troubles.is_empty() {
            return Ok(None);
        }
        let flapping = milliseconds(config.alerts.flapping.window);
        let recoveries = store.recoveries_since(now.saturating_sub(flapping))?;
        let digests = store.digests()?;
        let unfinished = store.unfinished_units()?;
        let open = || troubles.iter().flat_map(|trouble| trouble.open_members());
        let units: BTreeSet<UnitName> = alerts
            .iter()
            .map(|alert| alert.alert.unit.clone())
            .chain(open().map(|(unit, _)| unit.clone()))
            .chain(unfinished.iter().map(|open| open.unit.clone()))
            .collect();
        // One alone is related to nobody.
        let asked = if units.len() > 1 {
            units
        } else {
            BTreeSet::new()
        };
        let relations = Relations::of(asked.clone(), |unit| {
            let mut needs = BTreeSet::new();
            if let Some(service) = config.services.get(unit) {
                needs.extend(service.depends_on.iter().cloned());
            }
            // What a unit in care requires is enough: further on there is the
            // whole of systemd's tree.
            if asked.contains(unit) {
                needs.extend(self.settings.surroundings.requires(unit));
            }
            needs
        });
        let up_since: BTreeMap<UnitName, u64> = open()
            .filter(|(_, member)| !member.followed && member.incident.is_some())
            .filter_map(|(unit, _)| {
                Some((unit.clone(), self.settings.surroundings.up_since(unit)?))
            })
            .collect();
        let mut names = Vec::new();
        for _ in 0..=alerts.len() {
            names.push(store.new_name(now)?);
        }
        let made = plan(
            Facts {
                now,
                config,
                alerts: &alerts,
                troubles,
                unfinished: &unfinished,
                recoveries: &recoveries,
                digests: &digests,
                relations: &relations,
                up_since: &up_since,
            },
            &mut || names.pop().unwrap_or_default(),
        );
        let next = made.next;
        if !self.write(config, made, now)? {
            return Ok(Some(now));
        }
        Ok(next)
    }

    fn write(&self, config: &Config, made: Plan, now: u64) -> Result<bool, StoreError> {
        let store = &self.settings.store;
        let composer = Composer {
            store,
            config,
            letters: &self.settings.letters,
            hostname: &self.settings.hostname,
            boot_id: &self.settings.boot_id,
        };
        let mut dispatches = Vec::new();
        for note in &made.notes {
            let message = composer.message(note);
            for channel in &note.channels {
                let mut message = message.clone();
                message.id = store.new_name(now)?;
                dispatches.push((channel.clone(), message));
            }
        }
        let decided = Decided {
            fates: made.fates,
            troubles: made.troubles,
            digests: made.digests,
            dispatches,
            at: now,
        };
        if decided.fates.is_empty()
            && decided.troubles.is_empty()
            && decided.digests.is_empty()
            && decided.dispatches.is_empty()
        {
            return Ok(true);
        }
        store.decide(&decided)
    }

    /// Has each channel that has something due send it, on a thread of its own.
    fn send(self: &Arc<Self>, config: &Arc<Config>, now: u64) -> Result<(), StoreError> {
        let due: BTreeSet<ChannelName> = self
            .settings
            .store
            .due_dispatches(now)?
            .into_iter()
            .map(|dispatch| dispatch.channel)
            .collect();
        for channel in due {
            let mut state = self.lock();
            state.resting.retain(|_, until| *until > now);
            if state.stopping
                || state.resting.contains_key(&channel)
                || !state.busy.insert(channel.clone())
            {
                continue;
            }
            drop(state);
            let busy = Busy {
                shared: Arc::clone(self),
                channel,
            };
            let config = Arc::clone(config);
            let spawned = thread::Builder::new()
                .name("channel".to_owned())
                .stack_size(STACK)
                .spawn(move || {
                    if let Err(error) = busy.send_all(&config) {
                        tracing::error!("channel {}: {error}", busy.channel);
                        let until = wall_clock().saturating_add(milliseconds(LATER * 30));
                        let mut state = busy.shared.lock();
                        state.resting.insert(busy.channel.clone(), until);
                    }
                });
            if let Err(error) = spawned {
                tracing::error!("there is no thread for a channel: {error}");
            }
        }
        Ok(())
    }

    fn tidy(&self) {
        let before = wall_clock().saturating_sub(KEPT);
        if let Err(error) = self.settings.store.forget_dispatches(before) {
            tracing::warn!("old messages could not be forgotten: {error}");
        }
    }
}

enum Turn {
    /// When something is due next, in milliseconds since 1970.
    Next(Option<u64>),
    /// Another process is at it.
    NotOurs,
}

/// A channel that is being sent by.
struct Busy {
    shared: Arc<Shared>,
    channel: ChannelName,
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.busy.remove(&self.channel);
        // Whoever decides may just have looked, and counted on it being busy.
        state.woken = true;
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Busy {
    /// Sends what is due by this channel, in its order, until nothing is due or
    /// the channel does not work.
    fn send_all(&self, config: &Config) -> Result<(), StoreError> {
        let store = &self.shared.settings.store;
        loop {
            if self.shared.lock().stopping {
                return Ok(());
            }
            let now = wall_clock();
            let due = store.due_dispatches(now)?;
            let Some(dispatch) = due.into_iter().find(|one| one.channel == self.channel) else {
                return Ok(());
            };
            if !store.begin_dispatch(&dispatch.message.id, now)? {
                return Ok(());
            }
            let delivery = self.try_once(config, &dispatch);
            if !self.note(config, &dispatch, delivery)? {
                return Ok(());
            }
        }
    }

    fn try_once(&self, config: &Config, dispatch: &Dispatch) -> Delivery {
        let Some(settings) = config.channels.get(&self.channel) else {
            return Delivery::TryAgain {
                reason: format!(
                    "there is no channel `{}` in the configuration any more",
                    self.channel
                ),
                not_before: None,
            };
        };
        match (self.shared.settings.open)(settings) {
            Ok(channel) => channel.send(&dispatch.message, Instant::now() + settings.timeout),
            Err(error) => Delivery::TryAgain {
                reason: error.to_string(),
                not_before: None,
            },
        }
    }

    /// Notes down what became of a try; true when the channel works.
    fn note(
        &self,
        config: &Config,
        dispatch: &Dispatch,
        delivery: Delivery,
    ) -> Result<bool, StoreError> {
        let store = &self.shared.settings.store;
        let id = &dispatch.message.id;
        let channel = &self.channel;
        let headline = &dispatch.message.headline;
        let tries = dispatch.tries.saturating_add(1);
        match delivery {
            Delivery::Delivered { detail } => {
                tracing::info!(
                    prunella_message = %id,
                    "told {channel}: {headline} ({detail})"
                );
                store.end_dispatch(id, &Tried::Delivered, &detail)?;
                Ok(true)
            }
            Delivery::Refused { reason } => {
                tracing::error!(
                    prunella_message = %id,
                    "{channel} does not take the message “{headline}”: {reason}; `prunella alerts \
                     retry {id}` tries it again"
                );
                store.end_dispatch(id, &Tried::Refused, &reason)?;
                Ok(true)
            }
            Delivery::TryAgain { reason, not_before } => {
                let now = wall_clock();
                let since = store.dispatch_since(id)?.unwrap_or(dispatch.created);
                let end = since.saturating_add(milliseconds(config.alerts.give_up_after));
                if now >= end {
                    tracing::error!(
                        prunella_message = %id,
                        "gave up telling {channel} “{headline}” after {tries} tries: {reason}"
                    );
                    store.end_dispatch(id, &Tried::GivenUp, &reason)?;
                    return Ok(false);
                }
                let wait = backoff::wait(tries, backoff::random());
                let asked = not_before.unwrap_or_default();
                let next = now
                    .saturating_add(milliseconds(wait.max(asked)))
                    // The last try is at the end of its time.
                    .min(end.max(now.saturating_add(milliseconds(wait))));
                tracing::warn!(
                    prunella_message = %id,
                    "could not tell {channel} “{headline}” (try {tries}): {reason}; again in {} s",
                    next.saturating_sub(now) / 1_000
                );
                store.end_dispatch(id, &Tried::Again(next), &reason)?;
                store.put_off(channel, next.min(now.saturating_add(PUT_OFF)))?;
                Ok(false)
            }
        }
    }
}

/// Milliseconds since 1970.
fn wall_clock() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, milliseconds)
}

fn until_then(at: u64) -> Duration {
    Duration::from_millis(at.saturating_sub(wall_clock()))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
