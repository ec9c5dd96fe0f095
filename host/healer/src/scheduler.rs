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

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, UnitName,
    alert::Alert,
    capability::{ActiveState, Goal, UnitStatus},
    incident::{DetectedBy, Detection, Ending, Incident, IncidentId, LeftAlone},
    service::Service,
    trail::{Entry, Record, Step},
};
use prunella_store::{AttemptEnd, LastSteps, Opened, StoreError};

use crate::{
    HealerError,
    attempt::{Attempt, Came},
    decide::{Hold, Known, decide},
    healer::{Healer, milliseconds, wall_clock},
    lock::UnitLock,
    trail::Trail,
};

/// What became of a detection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// It is a new incident, and will be worked on.
    New(IncidentId),
    /// The unit's incident is being worked on already.
    Joined(IncidentId),
    /// The same failure was seen before, and its incident has ended.
    Known(IncidentId, Ending),
    /// An incident that had been handed to people, or held back, is tried again;
    /// so it had ended before.
    Reopened(IncidentId, Ending),
    /// The unit is not in Prunella's care.
    NotInCare,
}

impl Opening {
    /// The incident, where there is one.
    pub fn incident(&self) -> Option<&IncidentId> {
        match self {
            Self::New(id) | Self::Joined(id) | Self::Known(id, _) | Self::Reopened(id, _) => {
                Some(id)
            }
            Self::NotInCare => None,
        }
    }
}

/// A thread for a run needs room for the interpreter's host frames; the guest's
/// own stack is elsewhere.
const STACK: usize = 1 << 20;

/// How often one incident may wait for other units before it is handed to
/// people: two services that each say the other must come first would go on
/// for ever.
const MAX_BLOCKED: u32 = 5;

/// How long one look at a unit, or at one of its probes, may take.
const LOOK: Duration = Duration::from_secs(10);

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
            let left = left.into_iter().map(|incident| (incident, false));
            Ok(left.chain(due.into_iter().map(|due| (due, true))).collect())
        });
        let left: Vec<(Incident, bool)> = match left {
            // The store has told of that itself.
            Err(error) if error.is_trouble() => return Ok(()),
            other => other?,
        };
        let lock_folder = self.shared.lock_folder();
        let mut state = self.shared.lock();
        for (incident, ended) in left {
            let unit = incident.detection.unit.clone();
            if state.tasks.contains_key(&unit) {
                continue;
            }
            // Somebody else, a hook, is at work on it right now.
            if UnitLock::try_acquire(&lock_folder, &unit)?.is_none() {
                continue;
            }
            let known = if ended { incident.attempt } else { 0 };
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

    fn lock_folder(&self) -> std::path::PathBuf {
        self.healer.settings.run_folder.join("lock")
    }

    fn open(
        self: &Arc<Self>,
        detection: Detection,
        parent: Option<IncidentId>,
        sight: Option<Sight>,
    ) -> Result<Opening, HealerError> {
        let unit = detection.unit.clone();
        if self.healer.service(&unit).is_none() {
            return Ok(Opening::NotInCare);
        }
        let mut state = self.lock();
        if let Some(task) = state.tasks.get_mut(&unit) {
            let id = task.incident.id.clone();
            let another = detection.invocation != task.incident.detection.invocation;
            match task.phase {
                // Who waits for it has nothing new to say of it: another try
                // now would fail as the last one did, again and again.
                Phase::Later(_) if detection.by == DetectedBy::Dependency => {}
                // Handed to people or held back, and now it failed anew, or
                // somebody asks for it: that is worth a look at once.
                Phase::Later(_) if another || detection.by == DetectedBy::Operator => {
                    task.phase = Phase::Queued;
                    self.changed.notify_all();
                }
                // Perhaps the relapse of what is being healed, perhaps a new
                // failure just after it: looked at when this attempt is over.
                Phase::Running if another => task.seen = Some(detection),
                _ => {}
            }
            return Ok(Opening::Joined(id));
        }
        let (incident, opening) = self.store(detection, parent)?;
        let mut task = Task::new(incident);
        task.sight = sight;
        match &opening {
            Opening::Known(..) | Opening::NotInCare => return Ok(opening),
            Opening::Reopened(_, before) => {
                task.known = task.incident.attempt.saturating_sub(1);
                if let Ending::LeftAlone { why, .. } = before {
                    task.held = Some(*why);
                }
            }
            Opening::New(_) | Opening::Joined(_) => {}
        }
        state.ended.remove(&unit);
        state.tasks.insert(unit, task);
        // Not left to the dispatcher: its waking up would be a part of the time
        // that the service is down.
        if !state.stopping {
            self.start_ready(&mut state);
        }
        drop(state);
        self.changed.notify_all();
        Ok(opening)
    }

    /// Puts a new incident into the store, or finds the one that has its key.
    fn store(
        &self,
        detection: Detection,
        parent: Option<IncidentId>,
    ) -> Result<(Incident, Opening), HealerError> {
        let situation = &self.healer.settings.situation;
        let boot_id = situation.boot_id();
        let mut incident = Incident {
            id: IncidentId::new(wall_clock(), situation.random()),
            key: detection.key(&boot_id),
            detection,
            attempt: 1,
            boot_id,
            parent,
        };
        let new = |incident: Incident| {
            let opening = Opening::New(incident.id.clone());
            (incident, opening)
        };
        let Some(store) = self
            .healer
            .settings
            .store
            .as_ref()
            .filter(|_| !self.rehearsal)
        else {
            return Ok(new(incident));
        };
        // The incident as it was left; what cannot be read is healed anew.
        let before = |id: &IncidentId, incident: &Incident| match store.record(id) {
            Ok(record) => record.map(|record| record.incident),
            Err(error) => {
                not_stored(incident, "what was done before", &error);
                None
            }
        };
        loop {
            let (id, ending) = match store.open_incident(&incident) {
                Ok(Opened::New) => return Ok(new(incident)),
                Ok(Opened::Known { id, ending }) => (id, ending),
                // Another failure drew the same number in the same second.
                Err(StoreError::IdTaken(_)) => {
                    incident.id = IncidentId::new(wall_clock(), situation.random());
                    continue;
                }
                Err(error) => {
                    // Healing goes on without a record; the budget falls back
                    // to /run by itself.
                    not_stored(&incident, "that it was opened", &error);
                    return Ok(new(incident));
                }
            };
            let Some(ending) = ending.filter(Ending::is_final) else {
                // Another process has it, perhaps waiting for another unit, or
                // died with it: the unit's lock tells, when it comes to that.
                return Ok(match before(&id, &incident) {
                    Some(incident) => (incident, Opening::Joined(id)),
                    None => new(incident),
                });
            };
            match again(&ending, incident.detection.by) {
                Again::No => return Ok((incident, Opening::Known(id, ending))),
                Again::Same => {
                    return Ok(match before(&id, &incident) {
                        Some(mut incident) => {
                            incident.attempt += 1;
                            (incident, Opening::Reopened(id, ending))
                        }
                        None => new(incident),
                    });
                }
                Again::Anew => {
                    incident.key = format!("{}/asked-{}", incident.key, incident.detection.at);
                }
            }
        }
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

    /// One attempt, on its own thread.
    fn work(self: Arc<Self>, unit: &UnitName, turn: Turn) {
        let slot = Slot {
            shared: &self,
            held: AtomicBool::new(true),
        };
        let came = self.attempt(unit, turn, &slot);
        drop(slot);
        self.come(unit, came);
        let mut state = self.lock();
        state.threads -= 1;
        drop(state);
        self.changed.notify_all();
    }

    fn attempt(&self, unit: &UnitName, turn: Turn, slot: &Slot<'_>) -> Finished {
        let Turn {
            incident,
            known,
            unblocked,
            held,
            sight,
        } = turn;
        let Some(service) = self.healer.service(unit) else {
            return Finished::gone(
                incident,
                Ending::LeftAlone {
                    why: LeftAlone::NotInCare,
                    detail: "it was taken out of Prunella's care".to_owned(),
                },
            );
        };
        let lock = match self.lock_unit(unit) {
            Ok(lock) => lock,
            Err(error) => {
                let reason = format!("{error}: two healings at once would be worse than none");
                return Finished::gone(
                    incident,
                    Ending::Escalated {
                        reason,
                        retry_at: None,
                    },
                );
            }
        };
        if let Some(held) = held
            && let Some(came) = self.still_held(&service, &incident, held)
        {
            return Finished {
                incident,
                came,
                written: true,
                lock,
            };
        }
        let earlier = self.earlier(&incident);
        if let Some(Record {
            ending: Some(ending),
            incident: stored,
            ..
        }) = &earlier
            && stored.attempt > known
            // One that waits for another unit goes on, here as well as there.
            && ending.is_final()
        {
            // Another process has seen it through while this one waited.
            return Finished {
                incident,
                came: Came::Ended(ending.clone()),
                written: true,
                lock,
            };
        }
        let steps = earlier.map(|record| record.steps).unwrap_or_default();
        let trail = Arc::new(Trail::new(
            incident.clone(),
            &steps,
            self.rehearsal,
            self.healer.settings.store.clone(),
            Arc::clone(&self.healer.settings.situation),
            &self.healer.settings.run_folder,
            Arc::clone(&self.healer.settings.observer),
        ));
        self.begin_attempt(&trail, &steps, unblocked);
        let came = match self.overtaken(&service, &trail) {
            Some(ending) => Came::Ended(ending),
            None => Attempt::new(
                &self.healer,
                service,
                Arc::clone(&trail),
                &|| slot.release(),
                &|| {
                    lock.as_ref().inspect(|lock| lock.answers());
                    self.answers(unit);
                },
            )
            .run(sight),
        };
        let came = match came {
            Came::Blocked(on, reason) if self.rehearsal => Came::Ended(Ending::Rehearsed {
                verdict: format!("it would wait until {on} is healed: {reason}"),
            }),
            Came::LookAgain(why, detail, _) if self.rehearsal => {
                Came::Ended(Ending::LeftAlone { why, detail })
            }
            Came::TryAgain(_) if self.rehearsal => Came::Ended(Ending::Rehearsed {
                verdict: "it would be tried again".to_owned(),
            }),
            other => other,
        };
        self.write_end(&trail, &came);
        Finished {
            incident,
            came,
            written: true,
            lock,
        }
    }

    /// Whether what held the incident back still does: then nothing new is
    /// written down.
    fn still_held(
        &self,
        service: &Arc<Service>,
        incident: &Incident,
        held: LeftAlone,
    ) -> Option<Came> {
        let hold = decide(
            &self.healer,
            &self.healer.current(),
            service,
            incident,
            Known::default(),
            &self.healer.host_for(service),
            |_, _| {},
        );
        match hold {
            Hold::LookAgain(why, detail, after) if why == held => {
                Some(Came::LookAgain(why, detail, after))
            }
            _ => None,
        }
    }

    fn lock_unit(&self, unit: &UnitName) -> Result<Option<UnitLock>, HealerError> {
        if self.rehearsal {
            // A rehearsal changes nothing and may run beside a healing.
            return Ok(None);
        }
        let folder = self.lock_folder();
        if let Some(lock) = UnitLock::try_acquire(&folder, unit)? {
            return Ok(Some(lock));
        }
        // Another process heals it.
        if self.lock().is_waited_for(unit) {
            UnitLock::wait_until_it_answers(&folder, unit)?;
            if self
                .look_at(unit)
                .is_some_and(|status| self.is_well(&status))
            {
                self.answers(unit);
            }
        }
        UnitLock::acquire(&folder, unit).map(Some)
    }

    /// A unit in care, as it stands.
    fn look_at(&self, unit: &UnitName) -> Option<UnitStatus> {
        let service = self.healer.service(unit)?;
        let units = self.healer.host_for(&service).units;
        units.get(Instant::now() + LOOK, unit).ok()
    }

    /// A unit in care, when it is on its way nowhere any more, or as it stands
    /// after a while.
    fn settled(&self, unit: &UnitName) -> Option<UnitStatus> {
        let service = self.healer.service(unit)?;
        let units = self.healer.host_for(&service).units;
        units
            .wait(Instant::now() + LOOK, unit, Goal::Settled, LOOK)
            .ok()
            .or_else(|| self.look_at(unit))
    }

    /// Whether a unit in care is up, and its probes are answered.
    fn is_well(&self, status: &UnitStatus) -> bool {
        let unit = &status.name;
        let Some(service) = self.healer.service(unit) else {
            return false;
        };
        status.is_up()
            && status.is_settled()
            && service.own_probes().all(|(probe, _)| {
                self.healer
                    .ask(Instant::now() + LOOK, unit, probe)
                    .is_some_and(|answer| answer.is_ok_and(|answer| answer.answering))
            })
    }

    fn earlier(&self, incident: &Incident) -> Option<Record> {
        if self.rehearsal {
            return None;
        }
        let store = self.healer.settings.store.as_ref()?;
        store.record(&incident.id).unwrap_or_else(|error| {
            not_stored(incident, "what was done before", &error);
            None
        })
    }

    /// Writes what an attempt begins with: the detection, or what was left open
    /// by the attempt before.
    fn begin_attempt(&self, trail: &Trail, earlier: &[Entry], unblocked: Option<(UnitName, bool)>) {
        let incident = trail.incident();
        if earlier.is_empty() {
            trail.write(Step::Detected {
                detection: incident.detection.clone(),
                evidence: Vec::new(),
            });
        } else if let Some(store) = self.healer.settings.store.as_ref() {
            if let Err(error) = store.reopen(&incident.id, incident.attempt) {
                not_stored(incident, "that it is tried again", &error);
            }
            for action in open_actions(earlier) {
                trail.acted(
                    action,
                    Err(Failure::failed(
                        "outcome-unknown",
                        "Prunella was interrupted before it saw how this ended",
                    )),
                );
            }
        }
        if let Some((on, healthy)) = unblocked {
            trail.write(Step::Unblocked { on, healthy });
        }
    }

    /// Whether a reboot has overtaken the incident: the failed run belongs to
    /// another boot, and the unit has not failed in this one.
    fn overtaken(&self, service: &Arc<Service>, trail: &Trail) -> Option<Ending> {
        if trail.incident().boot_id == self.healer.settings.situation.boot_id() {
            return None;
        }
        let status = self.look_at(&service.unit)?;
        (status.active_state != ActiveState::Failed).then(|| Ending::Interrupted {
            detail: format!(
                "the host was rebooted meanwhile; {} is {} now",
                service.unit,
                status.active_state.word()
            ),
        })
    }

    fn write_end(&self, trail: &Trail, came: &Came) {
        let last = match came {
            Came::Ended(ending) => Step::Ended {
                ending: ending.clone(),
            },
            Came::Blocked(on, reason) => Step::Blocked {
                on: on.clone(),
                reason: reason.clone(),
            },
            Came::LookAgain(why, detail, _) => Step::Ended {
                ending: Ending::LeftAlone {
                    why: *why,
                    detail: detail.clone(),
                },
            },
            Came::TryAgain(wait) => Step::Waits {
                reason: "the healing budget spaces attempts out".to_owned(),
                milliseconds: milliseconds(*wait),
            },
        };
        let unit = &trail.incident().detection.unit;
        trail.end(last, self.healer.service(unit).as_deref());
    }

    /// Ends an incident that has no attempt going on, in the trail too.
    fn end_between_attempts(&self, incident: &Incident, ending: &Ending) {
        if self.rehearsal {
            return;
        }
        let entry = Entry {
            incident: incident.id.clone(),
            number: 0,
            at: wall_clock(),
            monotonic: self.healer.settings.situation.monotonic(),
            attempt: incident.attempt,
            step: Step::Ended {
                ending: ending.clone(),
            },
        };
        if let Some(store) = &self.healer.settings.store {
            let steps = self
                .earlier(incident)
                .map(|record| record.steps)
                .unwrap_or_default();
            let service = self.healer.service(&incident.detection.unit);
            let alert = Alert::of(incident, &steps, ending, service.as_deref(), entry.at);
            let end = AttemptEnd {
                at: entry.at,
                ending: Some(ending.clone()),
                alert,
                tries: None,
            };
            if let Err(error) = store.end_attempt(&incident.id, LastSteps::Next(&entry), &end) {
                not_stored(incident, "how it ended", &error);
                store.put_later(incident.clone(), Vec::new(), Some(end));
            }
        }
        crate::trail::to_journal(incident, &entry, false);
        self.healer.settings.observer.step(incident, &entry);
    }

    /// Notes down that an incident waits: it goes on, so nobody is told.
    fn blocked_in_store(&self, incident: &Incident, ending: &Ending) {
        if self.rehearsal {
            return;
        }
        if let Some(store) = &self.healer.settings.store
            && let Err(error) = store.end(&incident.id, wall_clock(), ending)
        {
            not_stored(incident, "what it waits for", &error);
        }
    }

    /// Takes note of how an attempt came out, and does what follows from it.
    fn come(self: &Arc<Self>, unit: &UnitName, finished: Finished) {
        let Finished {
            incident,
            came,
            written,
            lock,
        } = finished;
        if !written && let Came::Ended(ending) = &came {
            self.end_between_attempts(&incident, ending);
        }
        // Whoever waits for the lock may go on before anybody is told.
        drop(lock);
        match came {
            Came::Ended(ending) => self.ended(unit, &incident, ending),
            Came::LookAgain(why, detail, after) => {
                let mut state = self.lock();
                state.ended.insert(
                    unit.clone(),
                    (incident.id.clone(), Ending::LeftAlone { why, detail }),
                );
                if let Some(task) = state.tasks.get_mut(unit) {
                    if task.held != Some(why) {
                        task.held = Some(why);
                        task.known = task.incident.attempt;
                        task.incident.attempt += 1;
                    }
                    task.phase = Phase::Later(Instant::now() + after);
                }
            }
            Came::TryAgain(wait) => {
                let mut state = self.lock();
                if let Some(task) = state.tasks.get_mut(unit) {
                    task.held = None;
                    task.incident.attempt += 1;
                    task.phase = Phase::Later(Instant::now() + wait);
                }
            }
            Came::Blocked(on, reason) => self.block(unit, &incident, on, reason),
        }
        self.changed.notify_all();
    }

    fn ended(self: &Arc<Self>, unit: &UnitName, incident: &Incident, ending: Ending) {
        let healthy = matches!(
            ending,
            Ending::Healed { .. }
                | Ending::Recovered { .. }
                | Ending::LeftAlone {
                    why: LeftAlone::Healthy,
                    ..
                }
        );
        let mut state = self.lock();
        let seen = state.tasks.get_mut(unit).and_then(|task| task.seen.take());
        if let Ending::Escalated {
            retry_at: Some(at), ..
        } = &ending
            && let Some(task) = state.tasks.get_mut(unit)
        {
            task.phase = Phase::Later(
                Instant::now() + Duration::from_millis(at.saturating_sub(wall_clock())),
            );
            task.known = incident.attempt;
            task.incident.attempt += 1;
            task.held = None;
            task.blocked = 0;
        } else {
            state.tasks.remove(unit);
        }
        state.wake_blocked(unit, healthy);
        state
            .ended
            .insert(unit.clone(), (incident.id.clone(), ending));
        drop(state);
        if let Some(detection) = seen
            && healthy
        {
            self.look_after(detection);
        }
    }

    /// A unit answers: what waits for it goes on.
    fn answers(&self, unit: &UnitName) {
        let mut state = self.lock();
        if let Some(task) = state.tasks.get_mut(unit) {
            task.answers = Some(Instant::now());
        }
        state.wake_blocked(unit, true);
        drop(state);
        self.changed.notify_all();
    }

    /// A failure was seen while the incident before it was being worked on: if
    /// the unit is down now, that was a new one.
    fn look_after(self: &Arc<Self>, detection: Detection) {
        let down = self
            .look_at(&detection.unit)
            .is_some_and(|status| status.active_state == ActiveState::Failed);
        if down && let Err(error) = self.open(detection, None, None) {
            tracing::error!("{error}");
        }
    }

    /// Puts an incident aside until another unit's has ended, and opens that
    /// one when it is not open.
    fn block(self: &Arc<Self>, unit: &UnitName, incident: &Incident, on: UnitName, reason: String) {
        let mut state = self.lock();
        let circle = self.is_circle(&state, unit, &on);
        // It may have come back while this one was looking at it.
        let begun = state.tasks.get(unit).and_then(|task| task.begun);
        let answers = state.tasks.get(&on).and_then(|other| other.answers);
        let is_back = begun
            .zip(answers)
            .is_some_and(|(begun, answers)| answers > begun);
        let Some(task) = state.tasks.get_mut(unit) else {
            return;
        };
        task.blocked += 1;
        if circle || task.blocked > MAX_BLOCKED {
            let why = if circle {
                format!("{on} in turn waits for {unit}")
            } else {
                format!("it has waited for other units {MAX_BLOCKED} times")
            };
            drop(state);
            let ending = Ending::Escalated {
                reason: format!("{reason}; {why}"),
                retry_at: None,
            };
            self.end_between_attempts(incident, &ending);
            self.ended(unit, incident, ending);
            return;
        }
        task.phase = Phase::Blocked(on.clone());
        task.held = None;
        drop(state);
        self.blocked_in_store(
            incident,
            &Ending::Blocked {
                on: on.clone(),
                reason: reason.clone(),
            },
        );
        // Another process may have healed it by now, or be about to.
        let status = self.settled(&on);
        if is_back || status.as_ref().is_some_and(|status| self.is_well(status)) {
            self.lock().wake_blocked(&on, true);
            return;
        }
        let opened = self.open_for(&on, status, incident);
        match opened {
            Ok(Opening::New(_) | Opening::Joined(_) | Opening::Reopened(..)) => {}
            Ok(Opening::Known(_, _) | Opening::NotInCare) => {
                self.give_up(
                    unit,
                    incident,
                    &format!("{reason}; {on} was not healed before"),
                );
            }
            Err(error) => {
                self.give_up(
                    unit,
                    incident,
                    &format!("{reason}; {on} cannot be healed: {error}"),
                );
            }
        }
    }

    fn give_up(self: &Arc<Self>, unit: &UnitName, incident: &Incident, reason: &str) {
        let retry_at = self
            .healer
            .config()
            .retry_every
            .map(|every| wall_clock().saturating_add(milliseconds(every)));
        let ending = Ending::Escalated {
            reason: reason.to_owned(),
            retry_at,
        };
        self.end_between_attempts(incident, &ending);
        self.ended(unit, incident, ending);
    }

    /// Opens the incident of a unit that another one waits for.
    fn open_for(
        self: &Arc<Self>,
        on: &UnitName,
        status: Option<UnitStatus>,
        parent: &Incident,
    ) -> Result<Opening, HealerError> {
        let mut detection = Detection {
            unit: on.clone(),
            by: DetectedBy::Dependency,
            at: wall_clock(),
            cause: "unknown".to_owned(),
            invocation: None,
            exit_code: None,
            signal: None,
            failed_monotonic: None,
        };
        if let Some(status) = status {
            detection.cause = if status.is_up() {
                "not-answering".to_owned()
            } else if status.result == "success" {
                status.active_state.word().to_owned()
            } else {
                status.result.clone()
            };
            detection.invocation = status.invocation;
            detection.exit_code = status.exit_code;
            detection.signal = status.signal;
            detection.failed_monotonic = status.inactive_enter_monotonic;
        }
        self.open(detection, Some(parent.id.clone()), None)
    }

    /// Whether `on`, through what it waits for itself, waits for `unit`.
    fn is_circle(&self, state: &State, unit: &UnitName, on: &UnitName) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = on.clone();
        while seen.insert(next.clone()) {
            if next == *unit {
                return true;
            }
            match state.tasks.get(&next).map(|task| &task.phase) {
                Some(Phase::Blocked(further)) => next = further.clone(),
                _ => return false,
            }
        }
        false
    }
}

/// What an attempt begins with.
struct Turn {
    incident: Incident,
    /// See [`Task`].
    known: u32,
    /// The unit it waited for, and whether that was healed.
    unblocked: Option<(UnitName, bool)>,
    /// What held it back the last time.
    held: Option<LeftAlone>,
    /// The unit as it was seen when the incident was opened.
    sight: Option<Sight>,
}

/// An attempt that is over. The unit's lock goes with it, so that it is held
/// until everything is written down.
struct Finished {
    incident: Incident,
    came: Came,
    /// Whether its ending is in the trail and the store already.
    written: bool,
    lock: Option<UnitLock>,
}

impl Finished {
    fn gone(incident: Incident, ending: Ending) -> Self {
        Self {
            incident,
            came: Came::Ended(ending),
            written: false,
            lock: None,
        }
    }
}

/// What to do about a failure whose incident has ended.
enum Again {
    /// Nothing: it was seen to.
    No,
    /// Go on with the same incident.
    Same,
    /// Open another one for it.
    Anew,
}

/// Whether a failure is worth another try, now that `by` comes with it again.
fn again(ending: &Ending, by: DetectedBy) -> Again {
    match (ending, by) {
        (Ending::Escalated { .. } | Ending::Interrupted { .. }, DetectedBy::Operator) => {
            Again::Same
        }
        // An operator may ask for the same failure again and again.
        (_, DetectedBy::Operator) => Again::Anew,
        // What held it back may be gone by now.
        (Ending::LeftAlone { why, .. }, DetectedBy::Sweep | DetectedBy::Dependency)
            if why.passes() =>
        {
            Again::Same
        }
        _ => Again::No,
    }
}

/// A slot of the host, given back once.
struct Slot<'a> {
    shared: &'a Shared,
    held: AtomicBool,
}

impl Slot<'_> {
    fn release(&self) {
        if self.held.swap(false, Ordering::AcqRel) {
            self.shared.lock().slots -= 1;
            self.shared.changed.notify_all();
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.release();
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

/// The acts that were intended and of which no end is known.
fn open_actions(steps: &[Entry]) -> BTreeSet<u32> {
    let mut open = BTreeSet::new();
    for entry in steps {
        match &entry.step {
            Step::ActIntended { action, .. } => {
                open.insert(*action);
            }
            Step::ActEnded { action, .. } => {
                open.remove(action);
            }
            _ => {}
        }
    }
    open
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
