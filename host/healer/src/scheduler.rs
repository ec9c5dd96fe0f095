//! Which incident is worked on when: one open incident for each service, slots,
//! timers, and incidents that wait for other units.
//!
//! A task is in one phase at a time:
//!
//! ```text
//!            open()            slot free             come()
//! Detection ────────► Queued ───────────► Running ─────────┬─► gone (ended)
//!                       ▲                                  ├─► Later (a timer)
//!                       └──────────────────────────────────┴─► Blocked (on a unit)
//! ```
//!
//! Only a running task has a thread, and the unit's lock. A slot of the host is
//! given back as soon as the strategies are done: watching a service stay well
//! costs nothing. The dispatcher sleeps until the next timer, or until told.

mod ending;
mod opening;
mod turn;
mod waiting;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use prunella_core::{
    UnitName,
    capability::UnitStatus,
    incident::{Detection, Ending, Incident, IncidentId, LeftAlone},
};
use prunella_store::StoreError;

pub use self::opening::Opening;
use self::turn::Turn;
use crate::{
    HealerError,
    healer::{Healer, wall_clock},
    lock::UnitLock,
};

/// A thread for a run needs room for the interpreter's host frames; the guest's
/// own stack is elsewhere.
const STACK: usize = 1 << 20;

/// Works on incidents. Dropping it lets running attempts finish unseen;
/// [`stop`](Self::stop) waits for them.
pub struct Scheduler {
    shared: Arc<Shared>,
}

struct Shared {
    healer: Arc<Healer>,
    state: Mutex<State>,
    changed: Condvar,
    rehearsal: bool,
}

#[derive(Default)]
struct State {
    tasks: BTreeMap<UnitName, Task>,
    /// Attempts that hold a slot of the host.
    slots: u32,
    /// Attempts that have a thread.
    threads: u32,
    stopping: bool,
    /// Incidents that ended, for those who wait; the latest for each unit.
    ended: BTreeMap<UnitName, (IncidentId, Ending)>,
}

impl State {
    /// Whether anything is blocked on a unit.
    fn is_waited_for(&self, unit: &UnitName) -> bool {
        self.tasks
            .values()
            .any(|task| task.phase == Phase::Blocked(unit.clone()))
    }

    /// What is blocked on a unit goes on.
    fn wake_blocked(&mut self, unit: &UnitName, healthy: bool) {
        for task in self.tasks.values_mut() {
            if task.phase == Phase::Blocked(unit.clone()) {
                task.phase = Phase::Queued;
                task.incident.attempt += 1;
                task.unblocked = Some((unit.clone(), healthy));
            }
        }
    }
}

struct Task {
    incident: Incident,
    phase: Phase,
    /// The last attempt of which this process knows how it ended: what the store
    /// says of a later one was another's doing.
    known: u32,
    /// The hold that was written into the trail last: it is written once.
    held: Option<LeftAlone>,
    blocked: u32,
    /// A failure that was seen while this one was being worked on.
    seen: Option<Detection>,
    /// Written before the next attempt: the unit it waited for, and how that
    /// came out.
    unblocked: Option<(UnitName, bool)>,
    /// The unit as it was seen when the incident was opened.
    sight: Option<Sight>,
    /// When its attempt was begun.
    begun: Option<Instant>,
    /// Since when it answers in this attempt; its proof may still be under way.
    answers: Option<Instant>,
}

/// A unit as it was seen.
pub(crate) struct Sight {
    at: Instant,
    status: Box<UnitStatus>,
}

impl Sight {
    /// How long a sight is as good as a look: from the signal of a failure to
    /// the decision about it, when nothing stands in between.
    const GOOD: Duration = Duration::from_millis(100);

    fn now(status: Box<UnitStatus>) -> Self {
        Self {
            at: Instant::now(),
            status,
        }
    }

    /// The status, if it was seen just now.
    pub(crate) fn fresh(self) -> Option<UnitStatus> {
        (self.at.elapsed() <= Self::GOOD).then_some(*self.status)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Queued,
    Running,
    Later(Instant),
    Blocked(UnitName),
}

impl Scheduler {
    /// Starts the dispatcher.
    pub fn start(healer: Arc<Healer>) -> Result<Self, HealerError> {
        Self::begin(healer, false)
    }

    /// Starts a dispatcher whose incidents are rehearsed: nothing is carried
    /// out, and nothing is stored.
    pub fn rehearse(healer: Arc<Healer>) -> Result<Self, HealerError> {
        Self::begin(healer, true)
    }

    fn begin(healer: Arc<Healer>, rehearsal: bool) -> Result<Self, HealerError> {
        let shared = Arc::new(Shared {
            healer,
            state: Mutex::default(),
            changed: Condvar::new(),
            rehearsal,
        });
        let dispatcher = Arc::clone(&shared);
        spawn("dispatcher", move || dispatcher.dispatch())?;
        Ok(Self { shared })
    }

    /// Opens an incident for a detection, or finds the one it belongs to. The
    /// incident is in the store when this returns.
    pub fn open(&self, detection: Detection) -> Result<Opening, HealerError> {
        self.shared.open(detection, None, None)
    }

    /// Like [`open`](Self::open), with the unit as it was seen to have failed
    /// just now: that spares a second look.
    pub fn open_seen(
        &self,
        detection: Detection,
        status: Box<UnitStatus>,
    ) -> Result<Opening, HealerError> {
        self.shared.open(detection, None, Some(Sight::now(status)))
    }

    /// Takes up what an earlier process left behind: incidents it was killed in
    /// the middle of, blocked ones, and those due for another try.
    pub fn take_up(&self) -> Result<(), HealerError> {
        let Some(store) = &self.shared.healer.settings.store else {
            return Ok(());
        };
        let left = store.unfinished().and_then(|left| {
            let due = store.due(wall_clock())?;
            // With the last attempt that is known to have ended.
            let left = left.into_iter().map(|incident| (0, incident));
            let due = due.into_iter().map(|due| (due.attempt, due));
            Ok(left.chain(due).collect())
        });
        let left: Vec<(u32, Incident)> = match left {
            // The store has told of that itself.
            Err(error) if error.is_trouble() => return Ok(()),
            other => other?,
        };
        let lock_folder = self.shared.lock_folder();
        let mut state = self.shared.lock();
        for (known, incident) in left {
            let unit = incident.detection.unit.clone();
            if state.tasks.contains_key(&unit) {
                continue;
            }
            // Somebody else, a hook, is at work on it right now.
            if UnitLock::try_acquire(&lock_folder, &unit)?.is_none() {
                continue;
            }
            let task = Task::new(Incident {
                attempt: incident.attempt + 1,
                ..incident
            });
            state.tasks.insert(unit, Task { known, ..task });
        }
        drop(state);
        self.shared.changed.notify_all();
        Ok(())
    }

    /// A unit came up, and not by an act of Prunella's: an incident that waits
    /// for people, or for its next attempt, looks again, and closes with proof.
    pub fn recovered(&self, unit: &UnitName) {
        let mut state = self.shared.lock();
        if let Some(task) = state.tasks.get_mut(unit)
            && matches!(task.phase, Phase::Later(_))
        {
            task.phase = Phase::Queued;
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// A person has agreed to an act for the unit's incident: it is tried again
    /// now.
    pub fn approved(&self, unit: &UnitName) -> Result<(), HealerError> {
        self.recovered(unit);
        // It may be that of an earlier process.
        self.take_up()
    }

    /// An operator has started a unit: like [`recovered`](Self::recovered), and
    /// its healing budget is new. Not for jobs of this process; those of another
    /// Prunella are told by the unit's lock.
    pub fn started_by_operator(&self, unit: &UnitName) {
        let at_work = self
            .shared
            .lock()
            .tasks
            .get(unit)
            .is_some_and(|task| task.phase == Phase::Running);
        // An attempt of this process may well be under way: it looks whether an
        // earlier failure is over.
        let by_another = !at_work
            && UnitLock::try_acquire(&self.shared.lock_folder(), unit)
                .is_ok_and(|lock| lock.is_none());
        if !by_another && let Err(error) = self.shared.healer.settings.ledger.reset(unit) {
            tracing::warn!("the healing budget of {unit} could not be renewed: {error}");
        }
        self.recovered(unit);
    }

    /// Looks again, now, at whatever waits for a timer: the configuration, a
    /// pause or the kill switch has changed.
    pub fn look_again(&self) {
        let mut state = self.shared.lock();
        for task in state.tasks.values_mut() {
            if matches!(task.phase, Phase::Later(_)) && task.held.is_some() {
                task.phase = Phase::Queued;
            }
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Waits until nothing is being worked on and nothing is due within
    /// `patience`.
    pub fn wait_until_idle(&self, patience: Duration) {
        let mut state = self.shared.lock();
        loop {
            let horizon = Instant::now() + patience;
            let busy = state.threads > 0
                || state.tasks.values().any(|task| match task.phase {
                    Phase::Queued | Phase::Running => true,
                    // What is held back is not waited for: it may take hours.
                    Phase::Later(at) => at <= horizon && task.held.is_none(),
                    Phase::Blocked(_) => false,
                });
            if !busy || state.stopping {
                return;
            }
            state = self
                .shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How the unit's incident ended, if one has since this scheduler began.
    pub fn ending(&self, unit: &UnitName) -> Option<(IncidentId, Ending)> {
        self.shared.lock().ended.get(unit).cloned()
    }

    /// Waits until the unit's incident has come to an end, or waits for people.
    pub fn wait_for(&self, unit: &UnitName) -> Option<(IncidentId, Ending)> {
        let mut state = self.shared.lock();
        loop {
            let working = state.tasks.get(unit).is_some_and(|task| match task.phase {
                Phase::Queued | Phase::Running | Phase::Blocked(_) => true,
                Phase::Later(_) => !state.ended.contains_key(unit),
            });
            if !working || state.stopping {
                return state.ended.get(unit).cloned();
            }
            state = self
                .shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The units being worked on, or waiting, and the word for what they do:
    /// `queued`, `healing`, `waiting`, `blocked`.
    pub fn busy(&self) -> BTreeMap<UnitName, (IncidentId, &'static str)> {
        self.shared
            .lock()
            .tasks
            .iter()
            .map(|(unit, task)| {
                let word = match task.phase {
                    Phase::Queued => "queued",
                    Phase::Running => "healing",
                    Phase::Later(_) => "waiting",
                    Phase::Blocked(_) => "blocked",
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
        let until = Instant::now() + grace;
        while state.threads > 0 {
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

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
    }
}

impl Task {
    fn new(incident: Incident) -> Self {
        Self {
            incident,
            phase: Phase::Queued,
            known: 0,
            held: None,
            blocked: 0,
            seen: None,
            unblocked: None,
            sight: None,
            begun: None,
            answers: None,
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_folder(&self) -> PathBuf {
        self.healer.settings.run_folder.join("lock")
    }

    fn dispatch(self: &Arc<Self>) {
        let mut state = self.lock();
        while !state.stopping {
            let next = self.start_ready(&mut state);
            state = match next {
                Some(next) => {
                    self.changed
                        .wait_timeout(state, next.saturating_duration_since(Instant::now()))
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

    /// Gives everything that is due a thread, as far as there are slots. Answers
    /// when the next is due.
    fn start_ready(self: &Arc<Self>, state: &mut State) -> Option<Instant> {
        let now = Instant::now();
        let at_once = self.healer.config().host_budget.at_once.max(1);
        let mut next: Option<Instant> = None;
        let mut ready = Vec::new();
        for (unit, task) in &mut state.tasks {
            if let Phase::Later(at) = task.phase {
                if at <= now {
                    task.phase = Phase::Queued;
                } else {
                    next = Some(next.map_or(at, |next| next.min(at)));
                }
            }
            if task.phase == Phase::Queued {
                ready.push(unit.clone());
            }
        }
        // What others wait for goes first: ten services may be blocked on
        // one database.
        ready.sort_by_key(|unit| !state.is_waited_for(unit));
        for unit in ready {
            if state.slots >= at_once {
                break;
            }
            let Some(task) = state.tasks.get_mut(&unit) else {
                continue;
            };
            task.phase = Phase::Running;
            task.begun = Some(now);
            task.answers = None;
            let turn = Turn {
                incident: task.incident.clone(),
                known: task.known,
                unblocked: task.unblocked.take(),
                held: task.held,
                sight: task.sight.take(),
            };
            state.ended.remove(&unit);
            state.slots += 1;
            state.threads += 1;
            let shared = Arc::clone(self);
            let failed_unit = unit.clone();
            if let Err(error) = spawn("incident", move || {
                shared.work(&unit, turn);
            }) {
                tracing::error!("{error}; trying again in a moment");
                state.slots -= 1;
                state.threads -= 1;
                if let Some(task) = state.tasks.get_mut(&failed_unit) {
                    task.phase = Phase::Later(now + Duration::from_secs(1));
                    next = Some(now + Duration::from_secs(1));
                }
                break;
            }
        }
        next
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
