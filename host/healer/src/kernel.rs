//! The safety kernel: between every call of a strategy and the host.
//!
//! A look passes its scope. An act passes, in this order:
//!
//! 1. **grant**: is the function granted on anything?
//! 2. **scope**: is it granted on *this*, by canonical name?
//! 3. **protected**: is it a unit, or does it take a unit along, that nobody
//!    may act on?
//! 4. **oversight**: has somebody to agree first, and did they?
//! 5. **budget**: is there healing left?
//! 6. **intention**: it stands in the trail before it is carried out (when it is
//!    on the disk: see [`Trail`])
//! 7. **done**, for real or in rehearsal, by the host below
//! 8. **result**: it stands in the trail how it ended
//!
//! In a rehearsal the host below is a [`rehearsal`](crate::rehearsal) overlay:
//! the kernel judges as it would judge a real act, and consumes no budget.

mod jobs;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, StrategyName, UnitName,
    authority::Authority,
    budget::{Moment, Verdict},
    capability::{
        ActiveState, Answer, CheckReport, Checks, Clock, EnvKey, FileRepair, FileStatus, Files,
        Goal, Host, Job, LogEntry, LogQuery, Logs, PortHolder, Ports, Process, ProcessControl,
        ProcessInfo, Processes, Protocol, Repair, Termination, UnitAct, UnitControl, UnitStatus,
        Units,
    },
    config::HostBudget,
    policy::{Act, Grants, Observe},
    protected::Protected,
    service::{BudgetSettings, Service},
    situation::Situation,
    text::one_line,
    trail::Step,
};
use prunella_store::Ledger;

use self::jobs::{PaidStart, TrackedJob};
use crate::{
    oversight::{Overseer, Question},
    silences::Silences,
    trail::Trail,
};

/// What the kernel judges by, for one strategy in one attempt.
pub(crate) struct Rules {
    pub(crate) strategy: StrategyName,
    pub(crate) grants: Arc<Grants>,
    pub(crate) service: Arc<Service>,
    /// The units that the service needs by systemd's own word, and its sockets.
    pub(crate) related: BTreeSet<UnitName>,
    pub(crate) protected: Arc<Protected>,
    pub(crate) budget: BudgetSettings,
    pub(crate) host_budget: HostBudget,
    pub(crate) overseer: Arc<Overseer>,
}

/// The units as they stood a moment ago. All strategies assess by the same
/// facts, and systemd is asked once for each unit. The first act ends it.
#[derive(Default)]
pub(crate) struct Snapshot {
    units: Mutex<Vec<(Instant, UnitStatus)>>,
    silences: Arc<Silences>,
}

/// How old a snapshot may be that a strategy heals by, and that its act is judged
/// by: as long as it takes from an assessment to the act that follows from it.
/// Asking anew would take systemd a millisecond and narrow a race that only
/// systemd can close: it refuses a job that would cancel somebody else's.
const FRESH: Duration = Duration::from_millis(50);

impl Snapshot {
    /// Begins with what is known already.
    pub(crate) fn of(status: &UnitStatus, silences: Arc<Silences>) -> Self {
        Self {
            units: Mutex::new(vec![(Instant::now(), status.clone())]),
            silences,
        }
    }

    /// What is known of a unit, if it is not older than `age`.
    fn get(&self, unit: &UnitName, age: Duration) -> Option<UnitStatus> {
        self.lock()
            .iter()
            .find(|(at, status)| {
                (status.name == *unit || status.names.contains(unit)) && at.elapsed() <= age
            })
            .map(|(_, status)| status.clone())
    }

    /// Newer facts about a unit.
    fn renew(&self, status: &UnitStatus) {
        let mut known = self.lock();
        known.retain(|(_, old)| old.name != status.name);
        known.push((Instant::now(), status.clone()));
    }

    /// Something was changed: all has to be looked at anew.
    fn end(&self) {
        self.lock().clear();
        self.silences.end();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Instant, UnitStatus)>> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a strategy is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// To look, and say what it thinks.
    Assess,
    /// To do it.
    Heal,
}

/// The safety kernel for one strategy in one attempt.
pub(crate) struct Kernel {
    rules: Rules,
    host: Host,
    snapshot: Arc<Snapshot>,
    phase: Phase,
    /// Whether anything was changed: from then on every look is a new one.
    acted: AtomicBool,
    trail: Arc<Trail>,
    situation: Arc<dyn Situation>,
    ledger: Arc<Ledger>,
    jobs: Mutex<Vec<Arc<TrackedJob>>>,
    /// The start that was paid for last.
    paid: Mutex<Option<PaidStart>>,
}

impl Kernel {
    pub(crate) fn new(
        rules: Rules,
        host: Host,
        trail: Arc<Trail>,
        situation: Arc<dyn Situation>,
        ledger: Arc<Ledger>,
        snapshot: Arc<Snapshot>,
        phase: Phase,
    ) -> Arc<Self> {
        Arc::new(Self {
            rules,
            host,
            snapshot,
            phase,
            acted: AtomicBool::new(false),
            trail,
            situation,
            ledger,
            jobs: Mutex::default(),
            paid: Mutex::default(),
        })
    }

    /// The host as the strategy sees it: everything through the kernel.
    pub(crate) fn host(self: &Arc<Self>) -> Host {
        Host {
            clock: Arc::clone(self) as _,
            units: Arc::clone(self) as _,
            processes: Arc::clone(self) as _,
            ports: Arc::clone(self) as _,
            files: Arc::clone(self) as _,
            logs: Arc::clone(self) as _,
            resources: Arc::clone(&self.host.resources),
            probes: Arc::clone(&self.host.probes),
            history: Arc::clone(&self.host.history),
            state: Arc::clone(&self.host.state),
            unit_control: Arc::clone(self) as _,
            process_control: Arc::clone(self) as _,
            file_repair: Arc::clone(self) as _,
            checks: Arc::clone(self) as _,
        }
    }

    /// Waits for every job that the strategy left running, so that each has its
    /// end in the trail; at most `timeout` altogether.
    pub(crate) fn reconcile(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let jobs = std::mem::take(&mut *self.jobs.lock().unwrap_or_else(PoisonError::into_inner));
        for job in jobs {
            if job.ended().is_none() {
                let left = deadline.saturating_duration_since(Instant::now());
                if let Err(failure) = job.wait(deadline, left) {
                    job.close(Err(Failure::failed(
                        "outcome-unknown",
                        format!("how the job ended is not known: {failure}"),
                    )));
                }
            }
        }
    }

    /// A unit, as it stands or stood a moment ago.
    fn look_at(&self, deadline: Instant, unit: &UnitName) -> Answer<UnitStatus> {
        let age = match self.phase {
            Phase::Assess => Duration::MAX,
            Phase::Heal => FRESH,
        };
        match self.snapshot.get(unit, age) {
            Some(status) if !self.has_acted() => Ok(status),
            _ => self.look_anew(deadline, unit),
        }
    }

    /// A unit as it stands now.
    fn look_anew(&self, deadline: Instant, unit: &UnitName) -> Answer<UnitStatus> {
        let status = self.host.units.get(deadline, unit)?;
        self.note(&status);
        Ok(status)
    }

    /// Keeps newer facts for looks to come, until something is changed.
    fn note(&self, status: &UnitStatus) {
        if !self.has_acted() {
            self.snapshot.renew(status);
        }
    }

    fn has_acted(&self) -> bool {
        self.acted.load(Ordering::Relaxed)
    }

    /// Writes the intention of an act, and gives it its number.
    fn intend(&self, act: Act, target: &str) -> u32 {
        // While assessing, the only acts are checks, and those only look.
        if self.phase == Phase::Heal {
            self.acted.store(true, Ordering::Relaxed);
            self.snapshot.end();
        }
        self.trail.intend(&self.rules.strategy, act, target)
    }

    /// The strategy's rights, as far as they need no host.
    fn authority(&self) -> Authority<'_> {
        Authority {
            strategy: &self.rules.strategy,
            grants: &self.rules.grants,
            service: &self.rules.service,
            related: &self.rules.related,
        }
    }

    /// A unit that may be looked at through `what`.
    fn observed(&self, deadline: Instant, what: Observe, unit: &UnitName) -> Answer<UnitStatus> {
        let status = self.look_at(deadline, unit)?;
        self.authority().may_observe(what, &status)?;
        Ok(status)
    }

    /// Denies, in the trail and in the answer.
    fn deny<T>(&self, act: Act, target: &str, failure: Failure) -> Answer<T> {
        self.trail.write(Step::ActDenied {
            strategy: self.rules.strategy.clone(),
            act: act.name().to_owned(),
            target: one_line(target, 200),
            failure: failure.clone(),
        });
        Err(failure)
    }

    /// Grant, scope and protection for an act on a unit.
    fn may_act_on_unit(&self, deadline: Instant, act: Act, unit: &UnitName) -> Answer<UnitStatus> {
        let authority = self.authority();
        authority.may_act_at_all(act, unit)?;
        let status = self.look_at(deadline, unit)?;
        authority.may_act_on_unit(act, &status, &self.rules.protected)?;
        Ok(status)
    }

    /// What would stop along with the act must be nobody's loss.
    fn may_stop_along(&self, deadline: Instant, act: Act, status: &UnitStatus) -> Answer<()> {
        let along = match act {
            Act::Unit(UnitAct::Start) => self.active_among(deadline, &status.conflicts)?,
            Act::Unit(UnitAct::Stop | UnitAct::Restart) => self.stops_with(deadline, status)?,
            _ => Vec::new(),
        };
        self.authority()
            .may_stop_along(act, status, &along, &self.rules.protected)
    }

    fn active_among(&self, deadline: Instant, units: &[UnitName]) -> Answer<Vec<UnitStatus>> {
        let mut active = Vec::new();
        for unit in units {
            // Targets of the shutdown are in everybody's Conflicts=, and never
            // active while anything is healed.
            if unit.kind() == "target" {
                continue;
            }
            match self.look_at(deadline, unit) {
                Ok(status) if is_live(&status) => active.push(status),
                Ok(_) => {}
                Err(failure) if failure.kind == prunella_core::FailureKind::NotFound => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(active)
    }

    /// Every active unit that stops when `status` does, however indirectly.
    fn stops_with(&self, deadline: Instant, status: &UnitStatus) -> Answer<Vec<UnitStatus>> {
        let mut seen: BTreeSet<UnitName> = BTreeSet::from([status.name.clone()]);
        let mut found = Vec::new();
        let mut open = self.active_among(deadline, &status.required_by)?;
        while let Some(next) = open.pop() {
            if seen.insert(next.name.clone()) {
                open.extend(self.active_among(deadline, &next.required_by)?);
                found.push(next);
            }
        }
        Ok(found)
    }

    /// Oversight of an act on a unit.
    fn agreed(&self, act: Act, unit: &UnitName) -> Answer<()> {
        self.agreed_on(act, unit.as_str(), *unit == self.rules.service.unit)
    }

    fn agreed_on(&self, act: Act, target: &str, own: bool) -> Answer<()> {
        self.rules.overseer.may(
            &self.trail,
            &Question {
                strategy: &self.rules.strategy,
                act,
                target,
                exactly: String::new(),
                own,
            },
        )
    }

    /// Whether a person may be asked to let another's process be ended: only where
    /// the operator wants to be asked, and never PID 1, a kernel thread, Prunella
    /// itself, or what a protected unit runs.
    fn may_be_asked_of(&self, process: &ProcessInfo) -> bool {
        self.rules.overseer.oversight.foreign_processes
            && process.pid != 1
            && process.pid != std::process::id()
            && process.executable.is_some()
            && process
                .unit
                .as_ref()
                .is_none_or(|unit| !self.rules.protected.covers(unit))
    }

    /// Takes one healing out of the budget, waiting for its turn when the run
    /// has the time.
    fn spend(&self, deadline: Instant, unit: &UnitName) -> Answer<()> {
        if self.trail.is_rehearsal() {
            return Ok(());
        }
        loop {
            let verdict = self
                .ledger
                .spend(
                    unit,
                    &moment(&*self.situation),
                    &self.rules.budget,
                    &self.rules.host_budget,
                    Duration::ZERO,
                )
                .map_err(|error| Failure::quota("no-ledger", error.to_string()))?;
            match verdict {
                Verdict::Now => return Ok(()),
                Verdict::After(wait) if Instant::now() + wait < deadline => {
                    self.trail.write(Step::Waits {
                        reason: "the healing budget spaces healings out".to_owned(),
                        milliseconds: crate::healer::milliseconds(wait),
                    });
                    self.host.clock.sleep(deadline, wait)?;
                }
                Verdict::After(wait) => {
                    return Err(Failure::quota(
                        "healing-too-soon",
                        format!("the next healing of {unit} is due in {} s", wait.as_secs()),
                    ));
                }
                Verdict::Spent { until } => {
                    return Err(Failure::quota(
                        "healing-budget-spent",
                        format!(
                            "the healing budget of {unit} is spent for another {} s",
                            until.as_secs()
                        ),
                    ));
                }
            }
        }
    }
}

/// Now, by both clocks.
pub(crate) fn moment(situation: &dyn Situation) -> Moment {
    Moment {
        boot_id: situation.boot_id(),
        since_boot: situation.since_boot(),
        at: crate::healer::wall_clock(),
    }
}

/// Whether there is anything to stop.
fn is_live(status: &UnitStatus) -> bool {
    !matches!(
        status.active_state,
        ActiveState::Inactive | ActiveState::Failed
    )
}

impl Clock for Kernel {
    fn now(&self) -> u64 {
        self.host.clock.now()
    }

    fn monotonic(&self) -> u64 {
        self.host.clock.monotonic()
    }

    fn sleep(&self, deadline: Instant, duration: Duration) -> Answer<()> {
        self.host.clock.sleep(deadline, duration)
    }
}

impl Units for Kernel {
    fn get(&self, deadline: Instant, unit: &UnitName) -> Answer<UnitStatus> {
        self.observed(deadline, Observe::Units, unit)
    }

    fn wait(
        &self,
        deadline: Instant,
        unit: &UnitName,
        goal: Goal,
        timeout: Duration,
    ) -> Answer<UnitStatus> {
        let status = self.observed(deadline, Observe::Units, unit)?;
        let status = self
            .host
            .units
            .wait(deadline, &status.name, goal, timeout)?;
        self.note(&status);
        Ok(status)
    }
}

impl Processes for Kernel {
    fn of_unit(&self, deadline: Instant, unit: &UnitName) -> Answer<Vec<Arc<dyn Process>>> {
        let status = self.observed(deadline, Observe::Processes, unit)?;
        self.host.processes.of_unit(deadline, &status.name)
    }
}

impl Ports for Kernel {
    fn holders(
        &self,
        deadline: Instant,
        protocol: Protocol,
        number: u16,
    ) -> Answer<Vec<PortHolder>> {
        self.authority().may_look_at_port(protocol, number)?;
        self.host.ports.holders(deadline, protocol, number)
    }
}

impl Files for Kernel {
    fn stat(&self, deadline: Instant, name: &str) -> Answer<FileStatus> {
        self.host.files.stat(deadline, name)
    }

    fn sha256(&self, deadline: Instant, name: &str) -> Answer<String> {
        self.host.files.sha256(deadline, name)
    }

    fn env_keys(&self, deadline: Instant, name: &str) -> Answer<Vec<EnvKey>> {
        self.host.files.env_keys(deadline, name)
    }

    fn missing_keys(&self, deadline: Instant, name: &str) -> Answer<Vec<String>> {
        self.host.files.missing_keys(deadline, name)
    }
}

impl Logs for Kernel {
    fn tail(&self, deadline: Instant, query: &LogQuery) -> Answer<Vec<LogEntry>> {
        let status = self.observed(deadline, Observe::Logs, &query.unit)?;
        self.host.logs.tail(
            deadline,
            &LogQuery {
                unit: status.name,
                ..query.clone()
            },
        )
    }
}

impl UnitControl for Kernel {
    fn submit(&self, deadline: Instant, unit: &UnitName, act: UnitAct) -> Answer<Arc<dyn Job>> {
        let act_name = Act::Unit(act);
        let (status, pays) =
            match self
                .may_act_on_unit(deadline, act_name, unit)
                .and_then(|status| {
                    self.may_stop_along(deadline, act_name, &status)?;
                    self.agreed(act_name, &status.name)?;
                    let pays = act_name.is_healing() && !self.is_paid(act, &status.name);
                    if pays {
                        self.spend(deadline, &status.name)?;
                    }
                    Ok((status, pays))
                }) {
                Ok(agreed) => agreed,
                Err(failure) => return self.deny(act_name, unit.as_str(), failure),
            };
        let action = self.intend(act_name, status.name.as_str());
        match self.host.unit_control.submit(deadline, &status.name, act) {
            Ok(job) => {
                // systemd is at work now: the disk has time.
                self.trail.sync();
                let job = Arc::new(TrackedJob {
                    job,
                    action,
                    trail: Arc::clone(&self.trail),
                    end: Mutex::default(),
                });
                if pays && act == UnitAct::Start {
                    *self.paid.lock().unwrap_or_else(PoisonError::into_inner) = Some(PaidStart {
                        before: status,
                        job: Arc::clone(&job),
                        refused: false,
                    });
                }
                self.jobs
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(Arc::clone(&job));
                Ok(job)
            }
            Err(failure) => {
                self.trail.acted(action, Err(failure.clone()));
                Err(failure)
            }
        }
    }

    fn reset_failed(&self, deadline: Instant, unit: &UnitName) -> Answer<()> {
        let status = match self
            .may_act_on_unit(deadline, Act::ResetFailed, unit)
            .and_then(|status| {
                self.agreed(Act::ResetFailed, &status.name)?;
                Ok(status)
            }) {
            Ok(status) => status,
            Err(failure) => return self.deny(Act::ResetFailed, unit.as_str(), failure),
        };
        self.before_clearing(&status);
        let action = self.intend(Act::ResetFailed, status.name.as_str());
        let result = self.host.unit_control.reset_failed(deadline, &status.name);
        self.trail
            .acted(action, result.clone().map(|()| "cleared".to_owned()));
        result
    }
}

impl ProcessControl for Kernel {
    fn terminate(
        &self,
        deadline: Instant,
        process: &Arc<dyn Process>,
        grace: Duration,
    ) -> Answer<Termination> {
        let info = process.info();
        let who = info.shown();
        let authority = self.authority();
        if let Err(failure) = authority.may_end_its_own() {
            return self.deny(Act::Terminate, &who, failure);
        }
        let its_own = authority.is_its_own(info);
        let own = its_own.is_ok();
        if let Err(failure) = its_own
            && !self.may_be_asked_of(info)
        {
            return self.deny(Act::Terminate, &who, failure);
        }
        let question = Question {
            strategy: &self.rules.strategy,
            act: Act::Terminate,
            target: &who,
            exactly: format!("started at {}", info.started_at),
            own,
        };
        if let Err(failure) = self.rules.overseer.may(&self.trail, &question) {
            return self.deny(Act::Terminate, &who, failure);
        }
        let action = self.intend(Act::Terminate, &who);
        let result = self
            .host
            .process_control
            .terminate(deadline, process, grace);
        self.trail.acted(
            action,
            result.clone().map(|ending| {
                match ending {
                    Termination::WasGone => "it had ended already",
                    Termination::Asked => "it ended when asked to",
                    Termination::Killed => "it had to be killed",
                }
                .to_owned()
            }),
        );
        result
    }
}

impl FileRepair for Kernel {
    fn repair(&self, deadline: Instant, name: &str, what: Repair) -> Answer<bool> {
        let act = Act::Repair(what);
        if let Err(failure) = self
            .rules
            .service
            .file(name)
            .map(drop)
            .and_then(|()| self.authority().may_act_on_declared(act, name))
            .and_then(|()| self.agreed_on(act, name, true))
        {
            return self.deny(act, name, failure);
        }
        let action = self.intend(act, name);
        let result = self.host.file_repair.repair(deadline, name, what);
        self.trail.acted(
            action,
            result.clone().map(|changed| {
                if changed {
                    "brought back to its declaration"
                } else {
                    "was as declared"
                }
                .to_owned()
            }),
        );
        result
    }
}

impl Checks for Kernel {
    fn run(&self, deadline: Instant, name: &str) -> Answer<CheckReport> {
        if let Err(failure) = self
            .rules
            .service
            .check(name)
            .map(drop)
            .and_then(|()| self.authority().may_act_on_declared(Act::Check, name))
        {
            return self.deny(Act::Check, name, failure);
        }
        let action = self.intend(Act::Check, name);
        let result = self.host.checks.run(deadline, name);
        self.trail.acted(
            action,
            result.clone().map(|report| match report {
                CheckReport { passed: true, .. } => "passed".to_owned(),
                CheckReport {
                    exit_code: Some(code),
                    ..
                } => format!("did not pass: exit code {code}"),
                CheckReport {
                    signal: Some(signal),
                    ..
                } => format!("did not pass: ended by {signal}"),
                _ => "did not pass".to_owned(),
            }),
        );
        result
    }
}

#[cfg(test)]
pub(crate) mod tests;
