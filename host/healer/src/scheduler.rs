//! Which incident is worked on when: one open incident for each service, slots,
//! timers, and incidents that wait for other units.
//!
//! A task is in one stage at a time:
//!
//! ```text
//!            open()            slot free             finish()
//! Detection ────────► Queued ───────────► Running ─────────┬─► gone (ended)
//!                       ▲                                  ├─► Waiting (a timer)
//!                       │                                  ├─► Blocked (on a unit)
//!                       └──────────────────────────────────┴─► Watching (its health)
//! ```
//!
//! Only a running task has a thread, and the unit's lock. A slot of the host is
//! given back as soon as the strategies are done: watching a service stay well
//! costs nothing. The dispatcher sleeps until the next timer, or until told.

mod blocked;
mod circuit;
mod dispatch;
mod needs;
mod open;
mod outcome;
mod run;
mod state;
mod watched;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use prunella_core::{
    Monotonic, Timestamp, UnitName,
    capability::UnitStatus,
    cause::Cause,
    incident::{Detection, Ending, Incident, IncidentId},
    trail::{Awaited, Step},
};
use prunella_store::{Due, Store, StoreError};

pub use self::open::OpenOutcome;
use self::state::{Stage, State, Task, WaitsFor};
use crate::{HealerError, clock::wall_clock, healer::Healer, lock::UnitLock, trail::EarlierStart};

/// A thread for a run needs room for the interpreter's host frames; the guest's
/// own stack is elsewhere.
const STACK: usize = 1 << 20;

/// What has hit its start limit is cleared before it is started (`systemctl reset-failed`):
/// within so long, that is no stop.
const STARTS_AGAIN: Duration = Duration::from_secs(5);

/// Works on incidents. Dropping it lets running attempts finish unseen;
/// [`stop`](Self::stop) waits for them.
pub struct Scheduler {
    shared: Arc<Shared>,
}

struct Shared {
    healer: Arc<Healer>,
    state: Mutex<State>,
    changed: Condvar,
    dry_run: bool,
    /// Called when incidents begin to wait for units that may be out of care.
    on_needs: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Scheduler {
    /// Starts the dispatcher.
    pub fn start(healer: Arc<Healer>) -> Result<Self, HealerError> {
        Self::begin(healer, false)
    }

    /// Starts a dispatcher that makes dry runs only: nothing is carried
    /// out, and nothing is stored.
    pub fn dry_run(healer: Arc<Healer>) -> Result<Self, HealerError> {
        Self::begin(healer, true)
    }

    fn begin(healer: Arc<Healer>, dry_run: bool) -> Result<Self, HealerError> {
        let shared = Arc::new(Shared {
            healer,
            state: Mutex::default(),
            changed: Condvar::new(),
            dry_run,
            on_needs: OnceLock::new(),
        });
        let dispatcher = Arc::clone(&shared);
        spawn("dispatcher", move || dispatcher.dispatch())?;
        Ok(Self { shared })
    }

    /// Opens an incident for a detection, or finds the one it belongs to. The
    /// incident is in the store when this returns.
    pub fn open(&self, detection: Detection) -> Result<OpenOutcome, HealerError> {
        self.shared.open(detection, None, None)
    }

    /// Like [`open`](Self::open), with the unit as it was seen to have failed
    /// just now: that spares a second look.
    pub fn open_seen(
        &self,
        detection: Detection,
        status: Box<UnitStatus>,
    ) -> Result<OpenOutcome, HealerError> {
        let snapshot = self.shared.healer.snapshot();
        snapshot.renew(&status);
        self.shared.open(detection, None, Some(snapshot))
    }

    /// Takes up what an earlier process left behind: incidents it was killed in
    /// the middle of, blocked ones, and those due for another try. Answers whether one of
    /// them is of an earlier boot: what is to be told of it is known when it was looked at.
    pub fn take_up(&self) -> Result<bool, HealerError> {
        let Some(store) = &self.shared.healer.settings.store else {
            return Ok(false);
        };
        let boot_id = self.shared.healer.settings.situation.boot_id();
        let left = store.withdraw_of_other_boots(&boot_id);
        let left = left.and_then(|()| store.unfinished()).and_then(|left| {
            let due = store.due(wall_clock())?;
            // With the last attempt that is known to have ended.
            let left = left.into_iter().map(|incident| (0, incident));
            let due = due
                .into_iter()
                .map(|due| (due.incident.attempt, due.incident));
            Ok(left.chain(due).collect())
        });
        let left: Vec<(u32, Incident)> = match left {
            // The store has told of that itself.
            Err(error) if error.is_trouble() => return Ok(false),
            other => other?,
        };
        let lock_folder = self.shared.lock_folder();
        let mut rebooted = false;
        let mut state = self.shared.lock();
        for (known, incident) in left {
            let unit = incident.detection.unit.clone();
            if state.tasks.contains_key(&unit) {
                continue;
            }
            let rest = self.shared.rest_of_wait(store, &incident.id, &unit);
            // Somebody else, a hook, is at work on it right now.
            if UnitLock::try_acquire(&lock_folder, &unit)?.is_none() {
                continue;
            }
            // Looking at a loop that goes on is no attempt.
            let in_loop = known > 0 && incident.detection.cause == Cause::RestartLoop;
            let waits_for = in_loop.then_some(WaitsFor::Retry);
            let task = Task::new(Incident {
                attempt: incident.attempt + 1,
                ..incident
            });
            let mut task = Task {
                known,
                waits_for,
                ..task
            };
            if let Some(rest) = rest {
                task.wait(rest, WaitsFor::Budget);
            }
            rebooted |= task.incident.boot_id != boot_id;
            state.tasks.insert(unit, task);
        }
        drop(state);
        self.shared.changed.notify_all();
        Ok(rebooted)
    }

    /// Takes over the incidents that an earlier process handed to people and that are to
    /// be tried again later, so that the next failure of such a unit is none of its own.
    /// One whose unit is up by now is looked at at once.
    pub fn take_over_retries(&self) -> Result<(), HealerError> {
        let Some(store) = &self.shared.healer.settings.store else {
            return Ok(());
        };
        let escalated = match store.due(Timestamp::MAX) {
            // The store has told of that itself.
            Err(error) if error.is_trouble() => return Ok(()),
            other => other?,
        };
        let boot_id = self.shared.healer.settings.situation.boot_id();
        let config = self.shared.healer.config();
        for Due { incident, retry_at } in escalated {
            let unit = incident.detection.unit.clone();
            let status = self.shared.look_at(&unit);
            let mut task = Task::new(Incident {
                attempt: incident.attempt + 1,
                ..incident
            });
            task.known = task.incident.attempt - 1;
            task.looked = match store.latest_end(&unit) {
                Ok(latest) => latest
                    .filter(|latest| latest.boot_id == boot_id)
                    .and_then(|latest| latest.monotonic),
                Err(error) => {
                    not_stored(&task.incident, "when it was looked at last", &error);
                    None
                }
            };
            let question = self.shared.question(&task.incident);
            let left = retry_at.since(wall_clock());
            if self.shared.open_circuit(&unit).is_some() {
                task.wait(left, WaitsFor::Circuit);
            } else {
                task.wait_for_people(left, question);
            }
            // Who cannot heal it any more says so at once.
            let is_out_of_force = config.mistake_of(&unit).is_some();
            if is_out_of_force || status.is_some_and(|status| status.is_up()) {
                task.stage = Stage::Queued;
            } else {
                task.needs = self.shared.missing_needs(&unit, &BTreeSet::new());
            }
            self.shared.lock().tasks.entry(unit).or_insert(task);
        }
        self.shared.changed.notify_all();
        Ok(())
    }

    /// A unit came up, and not by an act of Prunella's: an incident that waits
    /// for people, or for its next attempt, looks again, and closes with proof. So do those
    /// that wait for people because the unit was down.
    pub fn recovered(&self, unit: &UnitName) {
        self.shared.take_up_left(unit, Duration::ZERO);
        self.look_again_at(unit);
        self.shared.lock().wake_needing(unit);
        self.shared.changed.notify_all();
    }

    /// An incident of the unit that waits is looked at now.
    fn look_again_at(&self, unit: &UnitName) {
        let mut state = self.shared.lock();
        if let Some(task) = state.tasks.get_mut(unit)
            && matches!(task.stage, Stage::Waiting(_) | Stage::Watching)
        {
            task.stage = Stage::Queued;
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// The health of a service has changed, by what was measured: a degradation that is
    /// watched is looked at.
    pub fn health_changed(&self, unit: &UnitName) {
        let mut state = self.shared.lock();
        let Some(task) = state.tasks.get_mut(unit) else {
            return;
        };
        if !task.incident.detection.is_degradation() {
            return;
        }
        match task.stage {
            Stage::Watching => task.stage = Stage::Queued,
            // What is held back, or waits for the budget, goes on by the clock.
            Stage::Waiting(_) if task.waits_for.is_none() => task.stage = Stage::Queued,
            Stage::Running => task.health_changed = true,
            _ => {}
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Whether the unit's incident keeps its probes from being asked: a failure is seen to,
    /// and a degradation goes on being measured.
    pub fn keeps_from_probing(&self, unit: &UnitName) -> bool {
        self.shared.lock().keeps_from_probing(unit)
    }

    /// The same, for whoever must not wait while an incident is written down; nothing, where
    /// that is so now.
    pub fn keeps_from_probing_now(&self, unit: &UnitName) -> Option<bool> {
        let state = self.shared.state.try_lock().ok()?;
        Some(state.keeps_from_probing(unit))
    }

    /// A unit was stopped, and not by an act of Prunella's: an incident that waits looks
    /// whether that was an operator, whose stop ends it.
    pub fn stopped(&self, unit: &UnitName) {
        if !self.shared.take_up_left(unit, STARTS_AGAIN) {
            self.look_again_at(unit);
        }
        self.shared.changed.notify_all();
    }

    /// Somebody had systemd stop a unit that was down already: one that an open circuit
    /// isolates is to stay down.
    pub fn stop_ordered(&self, unit: &UnitName) {
        self.shared.stop_ordered(unit);
    }

    /// A person has agreed to an act for the unit's incident, or has refused it: it is
    /// tried again now.
    pub fn decided(&self, unit: &UnitName) -> Result<(), HealerError> {
        if let Some(task) = self.shared.lock().tasks.get_mut(unit) {
            // The budget alone may put it off now.
            task.due = None;
        }
        self.look_again_at(unit);
        // It may be that of an earlier process.
        self.take_up().map(drop)
    }

    /// An operator has started a unit: like [`recovered`](Self::recovered), and
    /// its healing budget is new. Not for jobs of this process; those of another
    /// Prunella are told by the unit's lock, and by what its trail says.
    pub fn started_by_operator(&self, unit: &UnitName, began: Option<Monotonic>) {
        let at_work = self
            .shared
            .lock()
            .tasks
            .get(unit)
            .is_some_and(|task| task.stage == Stage::Running);
        // An attempt of this process may well be under way: it looks whether an
        // earlier failure is over.
        let by_another = !at_work
            && UnitLock::try_acquire(&self.shared.lock_folder(), unit)
                .is_ok_and(|lock| lock.is_none());
        // Its attempt may be over by the time that the start is told of.
        let by_prunella =
            by_another || began.is_some_and(|began| self.was_started_by_prunella(unit, began));
        if !by_prunella && let Err(error) = self.shared.healer.settings.ledger.reset(unit) {
            tracing::warn!("the healing budget of {unit} could not be renewed: {error}");
        }
        self.recovered(unit);
    }

    /// Whether the run that began then is one that a strategy has started, in whichever
    /// process: its intention was written down before.
    fn was_started_by_prunella(&self, unit: &UnitName, began: Monotonic) -> bool {
        let store = self.shared.healer.settings.store.as_ref();
        store
            .and_then(|store| store.latest_record(unit).ok().flatten())
            .and_then(|record| EarlierStart::of(&record.steps, unit))
            .is_some_and(|start| start.began(began))
    }

    /// Looks again, now, at whatever is held, at what waits with another declaration of its
    /// service than is in force, and at what is no longer in care, whose incident ends with
    /// that: the configuration, a pause or the kill switch has changed.
    pub fn look_again(&self) {
        let services = &self.shared.healer.config().services;
        let mut state = self.shared.lock();
        for (unit, task) in &mut state.tasks {
            let in_force = services.get(unit);
            let is_changed = || {
                let declared = task.declared.as_deref();
                in_force.is_none() || (declared.is_some() && declared != in_force)
            };
            let waits = matches!(task.stage, Stage::Waiting(_) | Stage::Watching);
            if waits && (task.is_held() || is_changed()) {
                task.stage = Stage::Queued;
            }
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Waits until nothing is being worked on and nothing is due within
    /// `patience`, which begins anew with everything that is done.
    pub fn wait_until_idle(&self, patience: Duration) {
        let state = self.shared.lock();
        let idle = self.shared.changed.wait_while(state, |state| {
            state.is_busy(Instant::now() + patience) && !state.stopping
        });
        drop(idle);
    }

    /// Waits until nothing is being worked on and nothing is due before `end`, and no
    /// longer than that.
    pub fn wait_until(&self, end: Instant) {
        let state = self.shared.lock();
        let left = end.saturating_duration_since(Instant::now());
        let idle = self
            .shared
            .changed
            .wait_timeout_while(state, left, |state| state.is_busy(end) && !state.stopping);
        drop(idle);
    }

    /// Takes up what another process has left behind meanwhile, where one of its incidents
    /// waits for the healing budget.
    pub fn take_up_waiting(&self) -> Result<(), HealerError> {
        let Some(store) = &self.shared.healer.settings.store else {
            return Ok(());
        };
        let left = match store.unfinished() {
            // The store has told of that itself.
            Err(error) if error.is_trouble() => return Ok(()),
            other => other?,
        };
        let is_known = |unit| self.shared.lock().tasks.contains_key(unit);
        let waits = left.iter().any(|incident| {
            let unit = &incident.detection.unit;
            let rest = || self.shared.rest_of_wait(store, &incident.id, unit);
            !is_known(unit) && rest().is_some_and(|rest| !rest.is_zero())
        });
        if waits {
            self.take_up()?;
        }
        Ok(())
    }

    /// Whether something is being worked on, or is due before `end`; not when it is stopped.
    pub fn is_busy_until(&self, end: Instant) -> bool {
        let state = self.shared.lock();
        state.is_busy(end) && !state.stopping
    }

    /// Whether an incident waits for the healing budget, or for another unit: somebody has
    /// to go on with it.
    pub fn leaves_work(&self) -> bool {
        let state = self.shared.lock();
        state.tasks.values().any(|task| match task.stage {
            Stage::Queued | Stage::Running | Stage::Blocked(_) => true,
            Stage::Waiting(_) => task.waits_for == Some(WaitsFor::Budget),
            Stage::Watching => false,
        })
    }

    /// How the unit's incident ended, if one has since this scheduler began.
    pub fn ending(&self, unit: &UnitName) -> Option<(IncidentId, Ending)> {
        self.shared.lock().ended.get(unit).cloned()
    }

    /// Waits until the incident of a unit has come to an end, for now at least, and answers
    /// how. One whose next try is longer away than `patience` is answered as handed on until
    /// then; without, it is waited for.
    pub fn wait_for(
        &self,
        unit: &UnitName,
        patience: Option<Duration>,
    ) -> Option<(IncidentId, Ending)> {
        let mut state = self.shared.lock();
        loop {
            let task = state.tasks.get(unit);
            let working = task.is_some_and(|task| match task.stage {
                Stage::Queued | Stage::Running | Stage::Blocked(_) => true,
                Stage::Waiting(_) | Stage::Watching => !state.ended.contains_key(unit),
            });
            if !working || state.stopping {
                return state.ended.get(unit).cloned();
            }
            if let Some((task, patience)) = task.zip(patience)
                && let Stage::Waiting(at) = task.stage
            {
                let left = at.saturating_duration_since(Instant::now());
                if left > patience {
                    let incident = task.incident.clone();
                    drop(state);
                    return Some((incident.id.clone(), self.shared.waits_on(&incident, left)));
                }
            }
            state = self
                .shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The units being worked on, or waiting, and the word for what they do:
    /// `queued`, `healing`, `waiting`, `blocked`, `watching`.
    pub fn busy(&self) -> BTreeMap<UnitName, (IncidentId, &'static str)> {
        self.shared
            .lock()
            .tasks
            .iter()
            .map(|(unit, task)| {
                let word = match task.stage {
                    Stage::Queued => "queued",
                    Stage::Running => "healing",
                    Stage::Waiting(_) => "waiting",
                    Stage::Blocked(_) => "blocked",
                    Stage::Watching => "watching",
                };
                (unit.clone(), (task.incident.id.clone(), word))
            })
            .collect()
    }

    /// Starts nothing new, and waits for running attempts, `grace` at most. What
    /// is left is taken up by the next process.
    pub fn stop(&self, grace: Duration) {
        let mut state = self.shared.lock();
        state.stopping = true;
        self.shared.changed.notify_all();
        let ended = self
            .shared
            .changed
            .wait_timeout_while(state, grace, |state| state.threads > 0);
        drop(ended);
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_folder(&self) -> PathBuf {
        self.healer.settings.run_folder.join("lock")
    }

    /// How long an incident still waits that another process has left waiting; nothing when
    /// it did not wait. Until that is over, looking at it again is no attempt. One that
    /// nobody has looked at since boot is looked at at once: it may be over.
    fn rest_of_wait(&self, store: &Store, id: &IncidentId, unit: &UnitName) -> Option<Duration> {
        let record = store.record(id).ok().flatten()?;
        let last = record.steps.last()?;
        let Step::Waits { on, up_to, .. } = &last.step else {
            return None;
        };
        let is_by_clock = *on == Awaited::Budget && UnitLock::was_taken(&self.lock_folder(), unit);
        let due = last.at.saturating_add(*up_to);
        Some(if is_by_clock {
            // A clock that was set back does not make it longer.
            due.since(wall_clock()).min(*up_to)
        } else {
            Duration::ZERO
        })
    }
}

/// Healing goes on without the store, which tells of its own trouble itself.
fn not_stored(incident: &Incident, what: &str, error: &StoreError) {
    let unit = &incident.detection.unit;
    if error.is_trouble() {
        tracing::debug!("{unit}: {what} is not in the store: {error}");
    } else {
        tracing::error!(
            prunella_incident = %incident.id,
            "{unit}: {what} is not in the store: {error}"
        );
    }
}

fn spawn(what: &str, body: impl FnOnce() + Send + 'static) -> Result<(), HealerError> {
    thread::Builder::new()
        .name(what.to_owned())
        .stack_size(STACK)
        .spawn(body)
        .map(drop)
        .map_err(|source| HealerError::Thread {
            what: what.to_owned(),
            source,
        })
}
