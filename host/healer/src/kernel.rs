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

/// A start that was taken out of the budget.
struct PaidStart {
    /// The unit as it stood before.
    before: UnitStatus,
    job: Arc<TrackedJob>,
    /// systemd refused it, and its limit was cleared since: nothing was started
    /// yet, and the next start is paid for.
    refused: bool,
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

    /// Remembers of the start that was paid for whether systemd refused it. Each
    /// start that it carries out is a run, with an invocation of its own, which
    /// clearing the unit's failure takes from sight.
    fn before_clearing(&self, status: &UnitStatus) {
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(start) = &mut *paid {
            start.refused = start.before.name == status.name
                && start.before.invocation.is_some()
                && start.before.invocation == status.invocation
                && start.job.ended() == Some(Ok("failed".to_owned()));
        }
    }

    /// Whether this start is paid for already.
    fn is_paid(&self, act: UnitAct, unit: &UnitName) -> bool {
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let start = paid.take();
        act == UnitAct::Start
            && start.is_some_and(|start| start.refused && start.before.name == *unit)
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

/// A job whose end stands in the trail, whoever waits for it.
struct TrackedJob {
    job: Arc<dyn Job>,
    action: u32,
    trail: Arc<Trail>,
    end: Mutex<Option<Answer<String>>>,
}

impl TrackedJob {
    /// How it ended, once that is known.
    fn ended(&self) -> Option<Answer<String>> {
        self.end().clone()
    }

    fn close(&self, result: Answer<String>) {
        let mut end = self.end();
        if end.is_none() {
            *end = Some(result.clone());
            self.trail.acted(self.action, result);
        }
    }

    fn end(&self) -> MutexGuard<'_, Option<Answer<String>>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job for TrackedJob {
    fn wait(&self, deadline: Instant, timeout: Duration) -> Answer<String> {
        let word = self.job.wait(deadline, timeout)?;
        self.close(Ok(word.clone()));
        Ok(word)
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
pub(crate) mod tests {
    use prunella_core::{
        analyst::{Analyst, Evidence},
        config::{Config, ModelProtocol, ModelSettings},
        oversight::Oversight,
        policy::{Grant, Permission, Scope},
        service::Port,
    };
    use prunella_sim::{Process as SimProcess, Sim, Unit};
    use prunella_store::Store;
    use rstest::rstest;

    use super::*;

    fn unit(name: &str) -> UnitName {
        UnitName::new(name).unwrap()
    }

    pub(crate) fn grant(act: &str, on: &[Scope]) -> Grants {
        Grants(vec![Grant {
            permission: Permission::Act(Act::matching(act)),
            on: on.to_vec(),
        }])
    }

    /// The kernel around a simulated host, for a strategy with these grants.
    fn kernel(sim: &Sim, grants: Grants) -> (tempfile::TempDir, Arc<Kernel>) {
        overseen(sim, grants, Oversight::default(), None)
    }

    fn model() -> ModelSettings {
        ModelSettings {
            protocol: ModelProtocol::Ollama,
            url: "http://127.0.0.1:1/api/chat".to_owned(),
            model: "m".to_owned(),
            key: None,
            ca_file: None,
            timeout: Duration::from_secs(1),
            wait: Duration::ZERO,
            max_tokens: 1,
            may_order: false,
            addresses: false,
            evidence: 1,
            per_hour: 1,
        }
    }

    /// A kernel whose acts people oversee, by the store in its folder, and
    /// perhaps a model.
    pub(crate) fn overseen(
        sim: &Sim,
        grants: Grants,
        oversight: Oversight,
        analyst: Option<Arc<dyn Analyst>>,
    ) -> (tempfile::TempDir, Arc<Kernel>) {
        let folder = tempfile::tempdir().unwrap();
        let situation: Arc<dyn Situation> = Arc::new(sim.clone());
        let store = Arc::new(Store::open(&folder.path().join("prunella.db")).unwrap());
        let incident = sim.incident();
        store.open_incident(&incident).unwrap();
        let evidence = Evidence {
            detection: incident.detection.clone(),
            domain: None,
            status: None,
            runs: Vec::new(),
            needs: Vec::new(),
            memory: None,
            memory_pressure: None,
            disks: Vec::new(),
            changes: Vec::new(),
        };
        let trail = Arc::new(Trail::new(
            incident,
            &[],
            false,
            Some(Arc::clone(&store)),
            Arc::clone(&situation),
            folder.path(),
            Arc::new(()),
        ));
        let overseer = Arc::new(Overseer {
            oversight,
            service: sim.service(),
            store: Some(store),
            situation: Arc::clone(&situation),
            model: analyst.is_some().then(model),
            analyst: analyst.unwrap_or_else(|| Arc::new(())),
            evidence: Box::new(move || evidence.clone()),
        });
        let rules = Rules {
            strategy: StrategyName::new("site-fix").unwrap(),
            grants: Arc::new(grants),
            service: sim.service(),
            related: BTreeSet::new(),
            protected: Arc::new(Protected::new(&Config::default())),
            budget: BudgetSettings::default(),
            host_budget: HostBudget::default(),
            overseer,
        };
        let ledger = Arc::new(Ledger::new(None, folder.path().to_owned()));
        let snapshot = Arc::new(Snapshot::default());
        let kernel = Kernel::new(
            rules,
            sim.host(),
            trail,
            situation,
            ledger,
            snapshot,
            Phase::Heal,
        );
        (folder, kernel)
    }

    pub(crate) fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    pub(crate) fn web() -> Sim {
        Sim::new("web.service").failed("exit-code")
    }

    #[rstest]
    #[case::nothing_granted(web(), Grants::default(), "web.service", "not-granted")]
    #[case::another_act(web(), grant("unit-control.stop", &[Scope::Itself]), "web.service", "not-granted")]
    #[case::another_unit(
        web().unit_beside(Unit::new("db.service").failed("signal")),
        grant("unit-control.start", &[Scope::Itself]), "db.service", "not-granted"
    )]
    #[case::protected_though_granted(
        web().unit_beside(Unit::new("ssh.service").failed("signal")),
        grant("unit-control.start", &[Scope::Unit(unit("ssh.service"))]), "ssh.service", "unit-protected"
    )]
    #[case::protected_behind_an_alias(
        web().unit_beside(Unit::new("ssh.service").failed("signal").alias("door.service")),
        grant("unit-control.start", &[Scope::Unit(unit("door.service"))]), "door.service", "unit-protected"
    )]
    #[case::not_a_service(
        web().unit_beside(Unit::new("data.mount").failed("exit-code")),
        grant("unit-control.start", &[Scope::Unit(unit("data.mount"))]), "data.mount", "unit-type"
    )]
    #[case::would_reboot(
        web().with(|status| status.failure_action = "reboot".into()),
        grant("unit-control.start", &[Scope::Itself]), "web.service", "failure-action"
    )]
    #[case::would_stop_another(
        web().with(|status| status.conflicts = vec![unit("other.service")]).unit_beside(Unit::new("other.service")),
        grant("unit-control.start", &[Scope::Itself]), "web.service", "would-stop-others"
    )]
    fn a_start_that_is_denied(
        #[case] sim: Sim,
        #[case] grants: Grants,
        #[case] on: &str,
        #[case] code: &str,
    ) {
        let (_folder, kernel) = kernel(&sim, grants);
        let denied = UnitControl::submit(&*kernel, soon(), &unit(on), UnitAct::Start)
            .err()
            .unwrap();
        assert!(denied.is(code), "{denied:?}");
        assert_eq!(sim.acts(), Vec::<String>::new());
    }

    #[test]
    fn a_start_that_is_granted() {
        let sim = web();
        let (_folder, kernel) = kernel(&sim, grant("unit-control.start", &[Scope::Itself]));
        let job = UnitControl::submit(&*kernel, soon(), &sim.unit(), UnitAct::Start).unwrap();
        assert_eq!(job.wait(soon(), Duration::from_secs(5)).unwrap(), "done");
        assert_eq!(sim.acts(), ["start web.service"]);
    }

    #[test]
    fn what_would_stop_along_needs_a_grant_of_its_own() {
        let other = unit("other.service");
        let sim = web()
            .with(|status| status.conflicts = vec![unit("other.service")])
            .unit_beside(Unit::new("other.service"));
        let grants = grant("unit-control.start", &[Scope::Itself, Scope::Unit(other)]);
        let (_folder, kernel) = kernel(&sim, grants);
        assert!(UnitControl::submit(&*kernel, soon(), &sim.unit(), UnitAct::Start).is_ok());
    }

    #[test]
    fn a_respected_start_limit_is_nobodys_to_clear() {
        let sim = web().respects_start_limit();
        let (_folder, kernel) = kernel(&sim, grant("unit-control", &[Scope::Itself]));
        let denied = kernel.reset_failed(soon(), &sim.unit()).unwrap_err();
        assert!(denied.is("start-limit-respected"), "{denied:?}");
        assert_eq!(sim.acts(), Vec::<String>::new());
    }

    #[test]
    fn a_stranger_is_never_ended_however_much_is_granted() {
        let sim = web()
            .port("tcp/80")
            .taken("tcp/80", SimProcess::stranger("/usr/bin/python3"));
        let (_folder, kernel) = kernel(&sim, grant("process-control", &[Scope::Itself]));
        let Port { protocol, number } = sim.ports()[0];
        let holders = Ports::holders(&*kernel, soon(), protocol, number).unwrap();
        let stranger = holders[0].process.clone().unwrap();
        let denied =
            ProcessControl::terminate(&*kernel, soon(), &stranger, Duration::ZERO).unwrap_err();
        assert!(denied.is("not-its-own"), "{denied:?}");
        assert_eq!(sim.acts(), Vec::<String>::new());
    }

    #[test]
    fn other_units_and_ports_are_not_looked_at_without_a_grant() {
        let sim = web().unit_beside(Unit::new("bank.service"));
        let (_folder, kernel) = kernel(&sim, Grants::default());
        assert!(Units::get(&*kernel, soon(), &sim.unit()).is_ok());
        let denied = Units::get(&*kernel, soon(), &unit("bank.service")).unwrap_err();
        assert!(denied.is("out-of-scope"), "{denied:?}");
        let denied = Ports::holders(&*kernel, soon(), Protocol::Tcp, 22)
            .err()
            .unwrap();
        assert!(denied.is("out-of-scope"), "{denied:?}");
    }

    #[test]
    fn a_start_that_systemd_refused_costs_nothing_once_its_limit_is_cleared() {
        let sim = web()
            .start_refused()
            .with(|status| status.invocation = Some("4d".repeat(16)));
        let (_folder, kernel) = kernel(&sim, grant("unit-control", &[Scope::Itself]));
        let start = || {
            let job = UnitControl::submit(&*kernel, soon(), &sim.unit(), UnitAct::Start)?;
            job.wait(soon(), Duration::from_secs(5))
        };
        let backoff = BudgetSettings::default().backoff[1];
        let began = sim.uptime();
        assert_eq!(start().unwrap(), "failed");
        kernel.reset_failed(soon(), &sim.unit()).unwrap();
        assert_eq!(start().unwrap(), "done");
        assert!(sim.uptime() - began < backoff, "it waited for its turn");

        // The next one is paid for again.
        kernel.reset_failed(soon(), &sim.unit()).unwrap();
        start().unwrap();
        assert!(sim.uptime() - began >= backoff);
    }

    #[test]
    fn a_start_that_systemd_carried_out_is_paid_for_though_it_failed() {
        let sim = web().starts_when("never", |_| false);
        let (_folder, kernel) = kernel(&sim, grant("unit-control", &[Scope::Itself]));
        let start = || {
            let job = UnitControl::submit(&*kernel, soon(), &sim.unit(), UnitAct::Start)?;
            job.wait(soon(), Duration::from_secs(5))
        };
        assert_eq!(start().unwrap(), "failed");
        kernel.reset_failed(soon(), &sim.unit()).unwrap();
        let before = sim.uptime();
        start().unwrap();
        assert!(sim.uptime() - before >= BudgetSettings::default().backoff[1]);
    }

    #[test]
    fn healings_are_spent_and_then_there_are_none() {
        let sim = web().starts_when("never", |_| false);
        let (_folder, kernel) = kernel(&sim, grant("unit-control.start", &[Scope::Itself]));
        let mut starts = 0;
        let spent = loop {
            match UnitControl::submit(
                &*kernel,
                soon() + Duration::from_secs(600),
                &sim.unit(),
                UnitAct::Start,
            ) {
                Ok(_) => starts += 1,
                Err(failure) => break failure,
            }
        };
        assert_eq!(starts, BudgetSettings::default().healings);
        assert!(spent.is("healing-budget-spent"), "{spent:?}");
    }
}
