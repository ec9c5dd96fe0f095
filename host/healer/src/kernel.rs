//! The safety kernel: between every call of a strategy and the host.
//!
//! A look passes its scope. An act passes, in this order:
//!
//! 1. **grant**: is the function granted on anything?
//! 2. **scope**: is it granted on *this*, by canonical name?
//! 3. **protected**: is it a unit, or does it take a unit along, that nobody
//!    may act on?
//! 4. **oversight**: has somebody to agree first, and did they?
//! 5. **circuits**: is no unit that it needs isolated by an open one?
//! 6. **budget**: is there healing left?
//! 7. **no stop**: has no operator stopped the service since it was decided to heal
//!    it?
//! 8. **last facts**: what is known of the processes that it ends is kept
//! 9. **intention**: it stands in the trail before it is carried out (when it is
//!    on the disk: see [`Trail`])
//! 10. **done**, for real or in a dry run, by the host below
//! 11. **result**: it stands in the trail how it ended
//!
//! An act on a declared remedy is *planned* between the third and the fourth step: where there
//! is nothing to do, nobody is asked and nothing is done; who is asked sees the plan, and how
//! it is undone is on the disk with its intention.
//!
//! All acts go this one way ([`Kernel::act`]). What the steps do with an act stands
//! in its description ([`Consequence`](prunella_core::capability::Consequence)); the
//! first three are those of [`Authority::allows`], which the simulated host has in
//! common with the real one.
//!
//! In a dry run the host below is a [`dry_run`](crate::dry_run) overlay:
//! the kernel judges as it would judge a real act, and consumes no budget.

mod jobs;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, StrategyName, UnitName,
    authority::{Authority, Facts, Target},
    budget::{BudgetVerdict, HostBudget},
    capability::{
        Act, ActiveState, Answer, Call, Described as _, Durability, Host, HostCalls,
        Operation as _, ProcessInfo, Reply, Subject, UnitStatus, clock, processes::LastFacts,
        remedies, units,
    },
    contract::milliseconds,
    oversight::ProcessKey,
    policy::Grants,
    protected::Protected,
    remedy::{Plan, Receipt},
    service::{BudgetSettings, Service},
    situation::Situation,
    text::one_line,
    trail::{Awaited, Step},
};
use prunella_store::Ledger;

use self::jobs::{PaidStart, TrackedJob};
use crate::{
    circuits,
    clock::moment,
    oversight::{AWAITS_APPROVAL, ConsentRequest, Overseer},
    snapshot::{Age, Snapshot},
    trail::Trail,
};

/// The code of a start that is denied because an operator stopped the service.
const STOPPED_BY_OPERATOR: &str = "stopped-by-operator";

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
    /// Whether an act was denied that people alone can allow, by [`needs_a_person`].
    needs_a_person: AtomicBool,
    /// Whether a start was denied because an operator stopped the service.
    was_stopped: AtomicBool,
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
            needs_a_person: AtomicBool::new(false),
            was_stopped: AtomicBool::new(false),
        })
    }

    /// The host as the strategy sees it: everything through the kernel.
    pub(crate) fn host(self: &Arc<Self>) -> Host {
        Host::from(Arc::clone(self) as Arc<dyn HostCalls>)
    }

    /// Whether the strategy wanted something that only a person can allow.
    pub(crate) fn needs_a_person(&self) -> bool {
        self.needs_a_person.load(Ordering::Relaxed)
    }

    /// Whether the strategy wanted to start what an operator has stopped meanwhile.
    pub(crate) fn was_stopped(&self) -> bool {
        self.was_stopped.load(Ordering::Relaxed)
    }

    /// Waits for every job that the strategy left running, so that each has its
    /// end in the trail; at most `timeout` altogether.
    pub(crate) fn reconcile(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let jobs = std::mem::take(&mut *self.jobs.lock().unwrap_or_else(PoisonError::into_inner));
        for job in jobs {
            if job.ended().is_none() {
                let left = deadline.saturating_duration_since(Instant::now());
                if let Err(failure) = self.wait_for(deadline, &job, left) {
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
            Phase::Assess => Age::Assessment,
            Phase::Heal => Age::Act,
        };
        match self.snapshot.get(unit, age) {
            Some(status) if !self.has_acted() => Ok(status),
            _ => self.look_anew(deadline, unit),
        }
    }

    /// A unit as it stands now.
    fn look_anew(&self, deadline: Instant, unit: &UnitName) -> Answer<UnitStatus> {
        let status = self.host.ask(deadline, units::Get { unit: unit.clone() })?;
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
    fn intend(&self, act: Act, target: &str, plan: Option<&Plan>) -> Answer<u32> {
        // While assessing, the only acts are checks, and those only look.
        if self.phase == Phase::Heal {
            self.acted.store(true, Ordering::Relaxed);
            self.snapshot.end();
        }
        self.trail.intend(&self.rules.strategy, act, target, plan)
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

    /// A look, at what the strategy may look at.
    fn look(&self, deadline: Instant, mut call: Call) -> Answer<Reply> {
        let target = self.authority().allows(&mut call, &self.facts(deadline))?;
        match (call, target) {
            // It was looked at to see whether it may be.
            (Call::UnitGet(get), Target::Unit(status)) => get.reply(Ok(*status)),
            (Call::UnitWait(wait), _) => {
                let status = self.host.ask(deadline, wait.clone())?;
                self.note(&status);
                wait.reply(Ok(status))
            }
            (Call::JobWait(wait), _) => match wait.job.token.get::<Arc<TrackedJob>>() {
                Some(job) => wait.reply(self.wait_for(deadline, job, wait.timeout)),
                None => self.host.call(deadline, Call::JobWait(wait)),
            },
            (call, _) => self.host.call(deadline, call),
        }
    }

    /// An act, through all steps of the gate. There is no other way to the host.
    fn act(&self, deadline: Instant, act: Act, mut call: Call) -> Answer<Reply> {
        let wanted = named(&mut call);
        let permit = match self.permit(deadline, act, &mut call) {
            Ok(permit) => permit,
            Err(failure) => {
                if needs_a_person(&failure) {
                    self.needs_a_person.store(true, Ordering::Relaxed);
                }
                if failure.is(STOPPED_BY_OPERATOR) {
                    self.was_stopped.store(true, Ordering::Relaxed);
                }
                // Nobody has denied what waits for an answer: that it was asked is written.
                if !failure.is(AWAITS_APPROVAL) {
                    self.trail.write(Step::ActDenied {
                        strategy: self.rules.strategy.clone(),
                        act: act.name().to_owned(),
                        target: one_line(&wanted, 200),
                        failure: failure.clone(),
                    });
                }
                return Err(failure);
            }
        };
        let Permit { target, paid, plan } = permit;
        if let Some(Plan {
            eligible: false,
            summary,
            ..
        }) = plan
        {
            self.trail.write(Step::Note {
                message: format!(
                    "{}: {act} has nothing to do: {summary}",
                    self.rules.strategy
                ),
            });
            return Ok(Reply::RemedyApply(Receipt::nothing(summary)));
        }
        if let (Some(plan), Call::RemedyApply(apply)) = (&plan, &mut call) {
            apply.undo.clone_from(&plan.undo);
        }
        if let (Act::ResetFailed, Target::Unit(status)) = (act, &target) {
            self.before_clearing(status);
        }
        let mut evidence = plan
            .as_ref()
            .map_or_else(Vec::new, |plan| plan.evidence.clone());
        evidence.extend(self.lost_with(deadline, act, &target));
        if !evidence.is_empty() {
            self.trail.write(Step::Note {
                message: format!("before {act}: {}", evidence.join("; ")),
            });
        }
        let action = self.intend(act, target.shown(), plan.as_ref())?;
        let done = self.host.call(deadline, call);
        if done.is_ok() && act.consequence().durability == Durability::OnDiskMeanwhile {
            // systemd is at work now: the disk has time.
            self.trail.sync();
        }
        match done {
            Ok(Reply::UnitSubmit(job)) => {
                let before = match target {
                    Target::Unit(status) if paid => Some(*status),
                    _ => None,
                };
                Ok(Reply::UnitSubmit(self.track(job, action, act, before)))
            }
            done => {
                let receipt = match &done {
                    Ok(Reply::RemedyApply(receipt)) => Some(Receipt {
                        summary: self.rules.service.with_paths(&receipt.summary),
                        ..receipt.clone()
                    }),
                    _ => None,
                };
                let result = done.clone().map(|reply| match &receipt {
                    Some(receipt) => receipt.summary.clone(),
                    None => (act.consequence().result)(&reply).unwrap_or_else(|| "done".to_owned()),
                });
                self.trail.acted(action, result, receipt);
                match done {
                    Ok(Reply::RemedyApply(receipt)) => Ok(Reply::RemedyApply(Receipt {
                        details: None,
                        ..receipt
                    })),
                    done => done,
                }
            }
        }
    }

    /// Everything that has to be so before an act: grant, scope and protection,
    /// oversight, budget.
    fn permit(&self, deadline: Instant, act: Act, call: &mut Call) -> Answer<Permit> {
        let target = self.authority().allows(call, &self.facts(deadline))?;
        let plan = self.plan(deadline, call)?;
        if plan.as_ref().is_some_and(|plan| !plan.eligible) {
            return Ok(Permit {
                target,
                paid: false,
                plan,
            });
        }
        self.takes_nothing_protected_along(plan.as_ref())?;
        let plan = plan.as_ref().map(|plan| self.plan_for_people(plan));
        self.agreed(act, &target, plan.as_ref())?;
        let unit = match &target {
            Target::Unit(status) => &status.name,
            _ => &self.rules.service.unit,
        };
        if act.is_healing()
            && let Target::Unit(status) = &target
        {
            self.needs_no_isolated_unit(status)?;
        }
        let paid = act.is_healing() && !self.is_paid(act, unit);
        if paid {
            self.spend(deadline, unit)?;
        }
        if act.is_healing() && *unit == self.rules.service.unit {
            self.not_stopped(deadline)?;
        }
        Ok(Permit { target, paid, plan })
    }

    /// What is known of the processes that an act ends, for people.
    fn lost_with(&self, deadline: Instant, act: Act, target: &Target) -> Vec<String> {
        if !act.consequence().ends_processes || self.trail.is_dry_run() {
            return Vec::new();
        }
        let (units, pid) = match target {
            Target::None => return Vec::new(),
            Target::Unit(status) => (vec![status.name.clone()], None),
            Target::Process { pid, .. } => (Vec::new(), Some(*pid)),
            Target::Declared(name) => {
                let service = &self.rules.service;
                let Ok(declared) = service.remedy(act.interface(), name) else {
                    return Vec::new();
                };
                let itself = declared.stops_itself().then_some(&service.unit);
                let units = declared.stops().iter().chain(itself);
                (units.cloned().collect(), None)
            }
        };
        let ask = LastFacts { units, pid };
        // Nothing waits for it: what is not known is not told.
        self.host.ask(deadline, ask).unwrap_or_default()
    }

    /// Whether none of the units is protected that a plan would act on along with those that
    /// are declared.
    fn takes_nothing_protected_along(&self, plan: Option<&Plan>) -> Answer<()> {
        let mut along = plan.into_iter().flat_map(|plan| &plan.along);
        match along.find(|unit| self.rules.protected.covers(unit)) {
            None => Ok(()),
            Some(unit) => Err(Failure::denied(
                "unit-protected",
                format!("it would act on {unit} too, which is protected"),
            )),
        }
    }

    /// A plan with the paths that a strategy does not see.
    fn plan_for_people(&self, plan: &Plan) -> Plan {
        Plan {
            summary: self.rules.service.with_paths(&plan.summary),
            ..plan.clone()
        }
    }

    /// What an act on a declared remedy would come to; none for any other act.
    fn plan(&self, deadline: Instant, call: &Call) -> Answer<Option<Plan>> {
        let Call::RemedyApply(apply) = call else {
            return Ok(None);
        };
        let of = remedies::PlanOf {
            act: apply.act,
            name: apply.name.clone(),
        };
        self.host.ask(deadline, of).map(Some)
    }

    /// Whether no operator has stopped the service since it was decided to heal it:
    /// the budget or a strategy may have waited since then.
    fn not_stopped(&self, deadline: Instant) -> Answer<()> {
        let service = &self.rules.service;
        if self.trail.is_dry_run() || self.rules.overseer.ordered || service.heal_on_stop {
            return Ok(());
        }
        let status = self.look_at(deadline, &service.unit)?;
        // Merely inactive is also what a strategy has stopped or cleared itself.
        if status.active_state != ActiveState::Inactive || self.trail.put_down() {
            return Ok(());
        }
        match self.situation.stopped_by_operator(deadline, &status)? {
            None => Ok(()),
            Some(evidence) => Err(Failure::denied(
                STOPPED_BY_OPERATOR,
                format!("an operator stopped {} meanwhile: {evidence}", service.unit),
            )),
        }
    }

    /// Whether no unit that the one to be started needs is isolated by an open circuit.
    fn needs_no_isolated_unit(&self, status: &UnitStatus) -> Answer<()> {
        let Some(store) = &self.rules.overseer.store else {
            return Ok(());
        };
        let service = &self.rules.service;
        let declared = (status.name == service.unit).then_some(&service.depends_on);
        let needs = declared.into_iter().flatten().chain(&status.requires);
        let found = circuits::open_among(
            store,
            &*self.situation,
            needs.filter(|unit| **unit != status.name),
        );
        match found {
            // Healing goes on without the store, which tells of its trouble itself.
            Ok(None) | Err(_) => Ok(()),
            Ok(Some(open)) => Err(Failure::denied(
                "circuit-open",
                format!(
                    "{} needs {}, which is isolated: its circuit `{}` is open",
                    status.name, open.opened.unit, open.opened.name
                ),
            )),
        }
    }

    /// Whether whoever oversees the act agrees.
    fn agreed(&self, act: Act, target: &Target, plan: Option<&Plan>) -> Answer<()> {
        let (process, own) = match target {
            Target::Unit(status) => (None, status.name == self.rules.service.unit),
            Target::Process {
                pid, started, own, ..
            } => {
                let process = ProcessKey {
                    pid: *pid,
                    started_ms: milliseconds(*started),
                };
                (Some(process), *own)
            }
            Target::Declared(_) | Target::None => (None, true),
        };
        self.rules.overseer.may(
            &self.trail,
            &ConsentRequest {
                strategy: &self.rules.strategy,
                act,
                target: target.shown(),
                plan,
                process,
                own,
            },
        )
    }

    fn facts(&self, deadline: Instant) -> KnownToKernel<'_> {
        KnownToKernel {
            kernel: self,
            deadline,
        }
    }

    /// Takes one healing out of the budget, waiting for its turn when the run
    /// has the time.
    fn spend(&self, deadline: Instant, unit: &UnitName) -> Answer<()> {
        if self.trail.is_dry_run() {
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
                BudgetVerdict::Now => return Ok(()),
                BudgetVerdict::After(wait) if Instant::now() + wait < deadline => {
                    self.trail.write(Step::Waits {
                        on: Awaited::Budget,
                        reason: "the healing budget spaces healings out".to_owned(),
                        up_to: wait,
                    });
                    self.host.ask(deadline, clock::Sleep { time: wait })?;
                }
                BudgetVerdict::After(wait) => {
                    return Err(Failure::quota(
                        "healing-too-soon",
                        format!("the next healing of {unit} is due in {} s", wait.as_secs()),
                    ));
                }
                BudgetVerdict::Spent { until } => {
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

/// Whether an act was denied because people have to agree to it, or did not, or
/// because it is about a process that only they may end.
fn needs_a_person(failure: &Failure) -> bool {
    [
        AWAITS_APPROVAL,
        "disapproved",
        "vetoed",
        "cannot-ask",
        "not-its-own",
    ]
    .iter()
    .any(|code| failure.is(code))
}

/// What an act is on, as the strategy named it.
fn named(call: &mut Call) -> String {
    match call.subject() {
        Subject::Unit(unit) => unit.to_string(),
        Subject::Process(process) => process.shown(),
        Subject::File(name)
        | Subject::Check(name)
        | Subject::Probe(name)
        | Subject::Place(name)
        | Subject::Remedy(name) => name.to_owned(),
        Subject::Port(protocol, number) => format!("{}/{number}", protocol.as_str()),
        Subject::Nothing => String::new(),
    }
}

/// What came out of the steps before an act.
struct Permit {
    target: Target,
    /// Whether a healing was spent on it.
    paid: bool,
    /// What it would come to, only of a declared remedy: for people, where there is something
    /// to do; else with the reason that the strategy hears.
    plan: Option<Plan>,
}

/// The kernel's facts for one call.
struct KnownToKernel<'a> {
    kernel: &'a Kernel,
    deadline: Instant,
}

impl Facts for KnownToKernel<'_> {
    fn unit(&self, unit: &UnitName) -> Answer<UnitStatus> {
        self.kernel.look_at(self.deadline, unit)
    }

    fn protected(&self) -> &Protected {
        &self.kernel.rules.protected
    }

    /// Only where the operator wants to be asked, and never of PID 1, a kernel
    /// thread, Prunella itself, or what a protected unit runs.
    fn may_be_asked_about(&self, process: &ProcessInfo) -> bool {
        let rules = &self.kernel.rules;
        rules.overseer.oversight.foreign_processes
            && process.pid != 1
            && process.pid != std::process::id()
            && process.executable.is_some()
            && process
                .unit
                .as_ref()
                .is_none_or(|unit| !rules.protected.covers(unit))
    }
}

impl HostCalls for Kernel {
    fn call(&self, deadline: Instant, call: Call) -> Answer<Reply> {
        match call.act() {
            None => self.look(deadline, call),
            Some(act) => self.act(deadline, act, call),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
