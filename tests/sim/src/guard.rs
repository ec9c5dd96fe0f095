//! The simulated host behind a strategy's grants: what the safety kernel denies
//! on a real host is denied here, with the same words.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, StrategyName, UnitName,
    authority::Authority,
    capability::{
        Answer, CheckReport, Checks, FileRepair, Goal, Host, Job, LogEntry, LogQuery, Logs,
        PortHolder, Ports, Process, ProcessControl, Processes, Protocol, Repair, Termination,
        UnitAct, UnitControl, UnitStatus, Units,
    },
    policy::{Act, Grant, Grants, Observe, Permission, Scope},
    protected::Protected,
    service::Service,
};

use crate::{Sim, build::name, world::lock};

/// The simulated host, as one strategy may use it.
pub(crate) struct Guard {
    sim: Sim,
    strategy: StrategyName,
    grants: Grants,
    service: Arc<Service>,
    related: BTreeSet<UnitName>,
    protected: Protected,
}

/// A grant as the configuration writes it; anything else is a mistake in the test.
#[track_caller]
pub(crate) fn granting(act: &str, on: &[&str]) -> Grant {
    let acts = Act::matching(act);
    if acts.is_empty() {
        let known: Vec<&str> = Act::ALL.iter().map(|act| act.name()).collect();
        panic!("`{act}` is not an act; there are: {}", known.join(", "));
    }
    Grant {
        permission: Permission::Act(acts),
        on: on
            .iter()
            .map(|on| match *on {
                "self" => Scope::Itself,
                "needs" => Scope::Needs,
                unit if unit.contains('.') => Scope::Unit(name(unit)),
                declared => Scope::Declared(declared.to_owned()),
            })
            .collect(),
    }
}

impl Guard {
    pub(crate) fn host(sim: &Sim, strategy: &StrategyName) -> Host {
        let service = sim.service();
        let related = lock(&sim.world)
            .find(&service.unit)
            .map(|unit| {
                let sockets = unit.status.triggered_by.iter();
                let sockets = sockets.filter(|unit| unit.kind() == "socket");
                unit.status
                    .requires
                    .iter()
                    .chain(sockets)
                    .cloned()
                    .collect()
            })
            .unwrap_or_default();
        let guard = Arc::new(Self {
            sim: sim.clone(),
            strategy: strategy.clone(),
            grants: sim.grants(),
            service,
            related,
            protected: Protected::default(),
        });
        Host {
            units: guard.clone(),
            processes: guard.clone(),
            ports: guard.clone(),
            logs: guard.clone(),
            unit_control: guard.clone(),
            process_control: guard.clone(),
            file_repair: guard.clone(),
            checks: guard,
            ..sim.host()
        }
    }

    fn authority(&self) -> Authority<'_> {
        Authority {
            strategy: &self.strategy,
            grants: &self.grants,
            service: &self.service,
            related: &self.related,
        }
    }

    /// A unit that may be looked at through `what`.
    fn observed(&self, deadline: Instant, what: Observe, unit: &UnitName) -> Answer<UnitStatus> {
        let status = Units::get(&self.sim, deadline, unit)?;
        self.authority().may_observe(what, &status)?;
        Ok(status)
    }

    /// A unit that may be acted on so.
    fn acted_on(&self, deadline: Instant, act: Act, unit: &UnitName) -> Answer<UnitStatus> {
        let authority = self.authority();
        authority.may_act_at_all(act, unit)?;
        let status = Units::get(&self.sim, deadline, unit)?;
        authority.may_act_on_unit(act, &status, &self.protected)?;
        let along = {
            let world = lock(&self.sim.world);
            match act {
                Act::Unit(UnitAct::Start) => world.active_among(&status.conflicts),
                Act::Unit(UnitAct::Stop | UnitAct::Restart) => world.stops_with(&status),
                _ => Vec::new(),
            }
        };
        authority.may_stop_along(act, &status, &along, &self.protected)?;
        Ok(status)
    }

    /// Remembers a denial.
    fn noted<T>(&self, act: Act, target: &str, answer: Answer<T>) -> Answer<T> {
        answer.inspect_err(|failure| {
            let code = failure.code.as_deref().unwrap_or("denied");
            let denial = format!("{act} of {target}: {code}");
            lock(&self.sim.world).denied.push(denial);
        })
    }
}

impl Units for Guard {
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
        Units::wait(&self.sim, deadline, &status.name, goal, timeout)
    }
}

impl Processes for Guard {
    fn of_unit(&self, deadline: Instant, unit: &UnitName) -> Answer<Vec<Arc<dyn Process>>> {
        let status = self.observed(deadline, Observe::Processes, unit)?;
        self.sim.of_unit(deadline, &status.name)
    }
}

impl Ports for Guard {
    fn holders(
        &self,
        deadline: Instant,
        protocol: Protocol,
        number: u16,
    ) -> Answer<Vec<PortHolder>> {
        self.authority().may_look_at_port(protocol, number)?;
        self.sim.holders(deadline, protocol, number)
    }
}

impl Logs for Guard {
    fn tail(&self, deadline: Instant, query: &LogQuery) -> Answer<Vec<LogEntry>> {
        let status = self.observed(deadline, Observe::Logs, &query.unit)?;
        let query = LogQuery {
            unit: status.name,
            ..query.clone()
        };
        self.sim.tail(deadline, &query)
    }
}

impl UnitControl for Guard {
    fn submit(&self, deadline: Instant, unit: &UnitName, act: UnitAct) -> Answer<Arc<dyn Job>> {
        let name = Act::Unit(act);
        let allowed = self.acted_on(deadline, name, unit);
        let status = self.noted(name, unit.as_str(), allowed)?;
        self.sim.submit(deadline, &status.name, act)
    }

    fn reset_failed(&self, deadline: Instant, unit: &UnitName) -> Answer<()> {
        let allowed = self.acted_on(deadline, Act::ResetFailed, unit);
        let status = self.noted(Act::ResetFailed, unit.as_str(), allowed)?;
        self.sim.reset_failed(deadline, &status.name)
    }
}

impl ProcessControl for Guard {
    fn terminate(
        &self,
        deadline: Instant,
        process: &Arc<dyn Process>,
        grace: Duration,
    ) -> Answer<Termination> {
        let info = process.info();
        let who = info.executable.as_deref().unwrap_or("a process");
        let authority = self.authority();
        let allowed = authority
            .may_end_its_own()
            .and_then(|()| authority.is_its_own(info));
        self.noted(Act::Terminate, who, allowed)?;
        ProcessControl::terminate(&self.sim, deadline, process, grace)
    }
}

impl FileRepair for Guard {
    fn repair(&self, deadline: Instant, name: &str, what: Repair) -> Answer<bool> {
        let act = Act::Repair(what);
        let allowed = self.declared(self.service.file(name).map(drop), act, name);
        self.noted(act, name, allowed)?;
        self.sim.repair(deadline, name, what)
    }
}

impl Checks for Guard {
    fn run(&self, deadline: Instant, name: &str) -> Answer<CheckReport> {
        let allowed = self.declared(self.service.check(name).map(drop), Act::Check, name);
        self.noted(Act::Check, name, allowed)?;
        Checks::run(&self.sim, deadline, name)
    }
}

impl Guard {
    fn declared(&self, known: Result<(), Failure>, act: Act, name: &str) -> Answer<()> {
        known?;
        self.authority().may_act_on_declared(act, name)
    }
}
