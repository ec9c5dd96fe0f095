//! The state of the host, and how it changes as time passes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, Monotonic, StrategyName, Timestamp, UnitName,
    capability::{
        ActiveState, Load, LogEntry, Memory, PastIncident, PendingJob, Pressure, ProcessInfo,
        UnitAct, UnitStatus, filesystems::FileSystem,
    },
    health::Symptom,
    policy::Grants,
    service::{Port, Service},
};

use crate::{
    build::{Check, File, Process, Remedy, Unit},
    capability::{
        metrics::Measured,
        resources::{LOAD, MEMORY, PRESSURE},
    },
    condition::{View, Visible},
    disk::roomy,
    file_model::deviations,
};

/// When a simulated host's time begins.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// The simulated host never reboots by itself.
pub(crate) const BOOT_ID: &str = "00000000-0000-4000-8000-000000000001";

/// A port that somebody holds.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) port: Port,
    pub(crate) pid: Option<u32>,
    /// The unit it belongs to.
    pub(crate) unit: Option<UnitName>,
    pub(crate) socket_activated: bool,
    /// Whether others can bind it all the same.
    pub(crate) beside: bool,
    /// Of closed connections: when the kernel lets go of it.
    pub(crate) until: Option<Duration>,
}

impl Held {
    pub(crate) fn new(port: Port) -> Self {
        Self {
            port,
            pid: None,
            unit: None,
            socket_activated: false,
            beside: false,
            until: None,
        }
    }
}

/// A process that runs.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) info: ProcessInfo,
    pub(crate) ignores_term: bool,
}

/// What a job is about to do.
#[derive(Clone)]
pub(crate) struct Pending {
    pub(crate) at: Duration,
    pub(crate) id: u32,
    pub(crate) unit: UnitName,
    pub(crate) act: UnitAct,
}

/// What happens by itself when its time has come.
#[derive(Clone)]
pub(crate) enum Event {
    /// A declared file is there.
    FileAppears(String),
    /// A process ends.
    ProcessEnds(u32),
    /// A unit is up.
    UnitComesUp(UnitName),
}

/// The whole host.
pub(crate) struct World {
    /// Since 1970.
    pub(crate) now: Duration,
    /// Since boot.
    pub(crate) monotonic: Duration,
    /// When the clock was last set by the real one, if it follows that.
    pub(crate) real_time: Option<Instant>,
    pub(crate) service: Service,
    pub(crate) units: BTreeMap<UnitName, Unit>,
    pub(crate) processes: BTreeMap<u32, Running>,
    pub(crate) held: Vec<Held>,
    pub(crate) files: BTreeMap<String, File>,
    pub(crate) checks: BTreeMap<String, Check>,
    pub(crate) remedies: BTreeMap<String, Remedy>,
    /// Those that were applied, and not undone.
    pub(crate) applied: Vec<String>,
    pub(crate) mute: Vec<String>,
    pub(crate) logs: BTreeMap<UnitName, Vec<LogEntry>>,
    pub(crate) history: Vec<PastIncident>,
    /// What is measured of the service while it is up, until it is started again.
    pub(crate) symptoms: Vec<Symptom>,
    pub(crate) measured: Vec<Measured>,
    pub(crate) state: BTreeMap<(StrategyName, String), String>,
    pub(crate) keeps_nothing: bool,
    pub(crate) memory: Memory,
    pub(crate) disk: FileSystem,
    pub(crate) load: Load,
    pub(crate) pressure: Pressure,
    pub(crate) system_state: String,
    pub(crate) package_lock: Option<String>,
    pub(crate) stopped_by_operator: Option<String>,
    pub(crate) cleared_by_hand: bool,
    pub(crate) start_refused: bool,
    pub(crate) pending: Vec<Pending>,
    pub(crate) finished: BTreeMap<u32, String>,
    /// What is to happen by itself, and when (monotonic).
    pub(crate) events: Vec<(Duration, Event)>,
    /// When the run that goes on must have ended (monotonic).
    pub(crate) run_ends: Option<Duration>,
    pub(crate) acts: Vec<String>,
    /// Acts that policy refused.
    pub(crate) denied: Vec<String>,
    /// What the strategy under test was granted; all that one line of grants can
    /// give, when absent.
    pub(crate) grants: Option<Grants>,
    /// What the operator set under `[strategy.NAME.settings]`.
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) next_pid: u32,
    pub(crate) next_job: u32,
    pub(crate) next_run: u128,
}

/// The host, shared by all its capabilities.
pub(crate) type Shared = Arc<Mutex<World>>;

/// The state, as of now. A test that panicked elsewhere has failed already.
pub(crate) fn lock(shared: &Shared) -> MutexGuard<'_, World> {
    let mut world = shared.lock().unwrap_or_else(PoisonError::into_inner);
    world.follow_real_time();
    world
}

impl Visible for World {
    fn is_up(&self, unit: &UnitName) -> bool {
        self.find(unit).is_ok_and(|unit| unit.status.is_up())
    }

    fn is_as_declared(&self, file: &str) -> bool {
        self.files
            .get(file)
            .is_some_and(|file| file.readable && deviations(file).is_empty())
    }

    fn is_free(&self, port: Port) -> bool {
        !self.held.iter().any(|held| held.port == port)
    }

    fn was_applied(&self, remedy: &str) -> bool {
        self.applied.iter().any(|applied| applied == remedy)
    }
}

impl World {
    pub(crate) fn new(service: Service) -> Self {
        Self {
            now: Duration::from_millis(START.as_millis()),
            monotonic: Duration::from_secs(3600),
            real_time: None,
            service,
            units: BTreeMap::new(),
            processes: BTreeMap::new(),
            held: Vec::new(),
            files: BTreeMap::new(),
            checks: BTreeMap::new(),
            remedies: BTreeMap::new(),
            applied: Vec::new(),
            mute: Vec::new(),
            logs: BTreeMap::new(),
            history: Vec::new(),
            symptoms: Vec::new(),
            measured: Vec::new(),
            state: BTreeMap::new(),
            keeps_nothing: false,
            memory: MEMORY,
            disk: roomy(),
            load: LOAD,
            pressure: PRESSURE,
            system_state: "running".to_owned(),
            package_lock: None,
            stopped_by_operator: None,
            cleared_by_hand: false,
            start_refused: false,
            pending: Vec::new(),
            finished: BTreeMap::new(),
            events: Vec::new(),
            run_ends: None,
            acts: Vec::new(),
            denied: Vec::new(),
            grants: None,
            settings: BTreeMap::new(),
            next_pid: 4001,
            next_job: 1,
            next_run: 1,
        }
    }

    pub(crate) fn timestamp(&self) -> Timestamp {
        Timestamp::default().saturating_add(self.now)
    }

    pub(crate) fn monotonic(&self) -> Monotonic {
        Monotonic::default().saturating_add(self.monotonic)
    }

    /// The unit of this name or alias.
    pub(crate) fn find(&self, unit: &UnitName) -> Result<&Unit, Failure> {
        self.units
            .values()
            .find(|known| known.status.names.contains(unit))
            .ok_or_else(|| Failure::not_found("no-such-unit", format!("there is no unit {unit}")))
    }

    /// Has something happen by itself, so long from now.
    /// What is measured of the service, which is nothing while it is down.
    pub(crate) fn measured(&self) -> &[Symptom] {
        let unit = self.units.get(&self.service.unit);
        if unit.is_some_and(|unit| unit.status.is_up()) {
            &self.symptoms
        } else {
            &[]
        }
    }

    pub(crate) fn after(&mut self, time: Duration, event: Event) {
        self.events
            .push((self.monotonic.saturating_add(time), event));
    }

    /// At most the time that the run has left.
    pub(crate) fn within_run(&self, time: Duration) -> Duration {
        self.run_ends
            .map_or(time, |ends| time.min(ends.saturating_sub(self.monotonic)))
    }

    /// Puts a unit on the host, with a process and its ports when it is up.
    pub(crate) fn add(&mut self, mut unit: Unit) {
        if let Some(time) = unit.comes_up_after {
            self.after(time, Event::UnitComesUp(unit.status.name.clone()));
        }
        let name = unit.status.name.clone();
        let up = unit.status.is_up();
        unit.status.invocation = Some(self.invocation());
        self.units.insert(name.clone(), unit);
        if up {
            self.came_up(&name);
        } else {
            self.note(&name, |status, at| {
                status.inactive_enter_monotonic = Some(at);
                status.main_exit_monotonic = Some(at);
            });
        }
    }

    /// Puts a process on the host.
    pub(crate) fn spawn(&mut self, process: Process) -> u32 {
        let pid = self.next_pid;
        self.next_pid += 1;
        let running = Running {
            info: ProcessInfo {
                pid,
                executable: Some(process.executable),
                user: process.user,
                unit: process.unit,
                ownership: process.ownership,
                evidence: process.evidence,
                started_at: self.timestamp(),
                since_boot: Duration::from_millis(self.timestamp().as_millis()),
            },
            ignores_term: process.ignores_term,
        };
        self.processes.insert(pid, running);
        if let Some(time) = process.ends_after {
            self.after(time, Event::ProcessEnds(pid));
        }
        pid
    }

    /// A process is gone, and its ports with it; its unit fails if it was the
    /// main one.
    pub(crate) fn ended(&mut self, pid: u32, signal: &str) {
        self.processes.remove(&pid);
        self.held.retain(|held| held.pid != Some(pid));
        let unit = self
            .units
            .values()
            .find(|unit| unit.status.main_pid == Some(pid))
            .map(|unit| unit.status.name.clone());
        if let Some(unit) = unit {
            self.went_down(&unit, "signal");
            self.note(&unit, |status, _| status.signal = Some(signal.to_owned()));
        }
    }

    /// Queues a job, as systemd does in mode `fail`.
    pub(crate) fn queue(&mut self, unit: &UnitName, act: UnitAct) -> Result<u32, Failure> {
        let found = self.find(unit)?;
        if found.status.job.is_some() {
            return Err(Failure::failed(
                "job-pending",
                format!("{unit} has another job pending"),
            ));
        }
        let unit = found.status.name.clone();
        let takes = match act {
            UnitAct::Start => found.start_takes,
            UnitAct::Stop => found.stop_takes,
            UnitAct::Restart => found.stop_takes.saturating_add(found.start_takes),
            UnitAct::Reload => Duration::from_millis(10),
        };
        let (word, on_the_way) = match act {
            UnitAct::Start => ("start", ActiveState::Activating),
            UnitAct::Restart => ("restart", ActiveState::Deactivating),
            UnitAct::Stop => ("stop", ActiveState::Deactivating),
            UnitAct::Reload => ("reload", ActiveState::Reloading),
        };
        let already_up = found.status.is_up();
        let id = self.next_job;
        self.next_job += 1;
        self.pending.push(Pending {
            at: self.monotonic.saturating_add(takes),
            id,
            unit: unit.clone(),
            act,
        });
        self.note(&unit, |status, _| {
            status.job = Some(PendingJob {
                id,
                kind: word.to_owned(),
            });
            if !(already_up && act == UnitAct::Start) {
                status.active_state = on_the_way;
            }
        });
        self.acts.push(format!("{word} {unit}"));
        Ok(id)
    }

    /// Lets as much time pass as has really passed, if the clock follows the real
    /// one.
    fn follow_real_time(&mut self) {
        if let Some(before) = self.real_time {
            let now = Instant::now();
            self.real_time = Some(now);
            self.advance(now.saturating_duration_since(before));
        }
    }

    /// Time passes, and jobs end.
    pub(crate) fn advance(&mut self, time: Duration) {
        let until = self.monotonic.saturating_add(time);
        while let Some(at) = self.next_change().filter(|at| *at <= until) {
            self.pass(at);
            let (due, later) = std::mem::take(&mut self.events)
                .into_iter()
                .partition(|(when, _)| *when <= at);
            self.events = later;
            for (_, event) in due {
                self.happen(event);
            }
            let (due, later) = std::mem::take(&mut self.pending)
                .into_iter()
                .partition(|pending| pending.at <= at);
            self.pending = later;
            for pending in due {
                self.carry_out(pending);
            }
        }
        self.pass(until);
    }

    /// When something changes next: a job ends, or an event is due (monotonic).
    pub(crate) fn next_change(&self) -> Option<Duration> {
        let jobs = self.pending.iter().map(|pending| pending.at);
        jobs.chain(self.events.iter().map(|(at, _)| *at)).min()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::FileAppears(name) => {
                if let Some(file) = self.files.get_mut(&name) {
                    file.exists = true;
                }
            }
            Event::ProcessEnds(pid) => self.ended(pid, "TERM"),
            Event::UnitComesUp(unit) => {
                if self.units.get(&unit).is_some_and(|u| !u.status.is_up()) {
                    self.start(&unit);
                }
            }
        }
    }

    /// Lets time pass until `done` says something, or `timeout` is over.
    pub(crate) fn wait<T>(
        &mut self,
        timeout: Duration,
        mut done: impl FnMut(&Self) -> Option<T>,
    ) -> Option<T> {
        let until = self.monotonic.saturating_add(timeout);
        loop {
            if let Some(done) = done(self) {
                return Some(done);
            }
            let next = self.next_change().filter(|at| *at <= until);
            self.advance(next.unwrap_or(until).saturating_sub(self.monotonic));
            if next.is_none() {
                return done(self);
            }
        }
    }

    fn pass(&mut self, until: Duration) {
        self.now = self
            .now
            .saturating_add(until.saturating_sub(self.monotonic));
        self.monotonic = self.monotonic.max(until);
    }

    fn carry_out(&mut self, pending: Pending) {
        let unit = pending.unit;
        let came = match pending.act {
            UnitAct::Reload => {
                self.note(&unit, |status, _| status.active_state = ActiveState::Active);
                true
            }
            UnitAct::Stop => {
                self.went_down(&unit, "success");
                true
            }
            UnitAct::Start => self.start(&unit),
            UnitAct::Restart => {
                self.went_down(&unit, "success");
                self.start(&unit)
            }
        };
        self.note(&unit, |status, _| status.job = None);
        let word = if came { "done" } else { "failed" };
        self.finished.insert(pending.id, word.to_owned());
    }

    fn start(&mut self, unit: &UnitName) -> bool {
        let Some(found) = self.units.get(unit) else {
            return false;
        };
        if found.status.is_up() && !found.status.is_oneshot() {
            return true;
        }
        if *unit == self.service.unit {
            self.symptoms.clear();
        }
        if self.start_refused && *unit == self.service.unit {
            // No run begins, and how the last one ended stays known.
            self.note(unit, |status, _| status.active_state = ActiveState::Failed);
            return false;
        }
        let taken = found.listens.iter().find_map(|port| {
            let held = self
                .held
                .iter()
                .filter(|held| !held.beside && !self.is_over(held))
                .find(|held| held.port == *port)?;
            (!held.socket_activated).then(|| format!("{port}: address already in use"))
        });
        let unmet = found
            .conditions
            .iter()
            .find(|(_, condition)| !condition(&View(self)))
            .map(|(otherwise, _)| otherwise.clone());
        let invocation = self.invocation();
        self.note(unit, |status, _| status.invocation = Some(invocation));
        if let Some(why) = taken.or(unmet) {
            self.say(unit, 3, &why);
            self.went_down(unit, "exit-code");
            self.note(unit, |status, _| status.exit_code = Some(1));
            return false;
        }
        self.note(unit, |status, _| {
            "success".clone_into(&mut status.result);
            status.exit_code = None;
            status.signal = None;
        });
        self.came_up(unit);
        true
    }

    /// A unit is up: its process runs, and holds its ports.
    fn came_up(&mut self, unit: &UnitName) {
        let Some(found) = self.units.get(unit) else {
            return;
        };
        let listens = found.listens.clone();
        let pid = (unit.kind() == "service" && !found.status.is_oneshot()).then(|| {
            self.spawn(Process::own(&format!("/usr/bin/{}", unit.stem())).of_unit(unit.as_str()))
        });
        for port in listens {
            let taken = |held: &Held| held.port == port && !held.beside && !self.is_over(held);
            if !self.held.iter().any(taken) {
                self.held.push(Held {
                    pid,
                    unit: Some(unit.clone()),
                    ..Held::new(port)
                });
            }
        }
        let now = self.timestamp();
        self.note(unit, |status, at| {
            if status.is_oneshot() && !status.remain_after_exit {
                status.active_state = ActiveState::Inactive;
                "dead".clone_into(&mut status.sub_state);
                status.main_exit_monotonic = Some(at);
            } else {
                status.active_state = ActiveState::Active;
                "running".clone_into(&mut status.sub_state);
            }
            status.main_pid = pid;
            status.inactive_exit_monotonic = Some(at);
            status.since_monotonic = Some(at);
            status.since = Some(now);
        });
    }

    /// A unit is down: its processes are gone, and its ports free.
    fn went_down(&mut self, unit: &UnitName, result: &str) {
        self.processes
            .retain(|_, process| process.info.unit.as_ref() != Some(unit));
        let processes = &self.processes;
        self.held
            .retain(|held| held.pid.is_none_or(|pid| processes.contains_key(&pid)));
        let now = self.timestamp();
        self.note(unit, |status, at| {
            let failed = result != "success";
            status.active_state = if failed {
                ActiveState::Failed
            } else {
                ActiveState::Inactive
            };
            (if failed { "failed" } else { "dead" }).clone_into(&mut status.sub_state);
            result.clone_into(&mut status.result);
            status.main_pid = None;
            status.active_exit_monotonic = Some(at);
            status.inactive_enter_monotonic = Some(at);
            status.main_exit_monotonic = Some(at);
            status.since_monotonic = Some(at);
            status.since = Some(now);
        });
    }

    /// Changes a unit's status.
    pub(crate) fn note(
        &mut self,
        unit: &UnitName,
        change: impl FnOnce(&mut UnitStatus, Monotonic),
    ) {
        let at = self.monotonic();
        if let Some(unit) = self.units.get_mut(unit) {
            change(&mut unit.status, at);
        }
    }

    /// Whether the kernel has let go of it.
    pub(crate) fn is_over(&self, held: &Held) -> bool {
        held.until.is_some_and(|until| until <= self.now)
    }

    pub(crate) fn say(&mut self, unit: &UnitName, priority: u8, message: &str) {
        let at = self.timestamp();
        self.logs
            .entry(unit.clone())
            .or_default()
            .push(LogEntry::new(at, priority, message));
    }

    fn invocation(&mut self) -> String {
        let invocation = format!("{:032x}", self.next_run);
        self.next_run += 1;
        invocation
    }
}
