//! The simulated host behind a strategy's grants: what the safety kernel denies
//! on a real host is denied here, with the same words.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use prunella_core::{
    StrategyName, UnitName,
    authority::{Authority, Facts},
    capability::{Act, Answer, Call, Described as _, Host, HostCalls, Reply, Subject, UnitStatus},
    policy::{Grant, Grants, Permission, Scope},
    protected::Protected,
    service::Service,
};

use crate::{Sim, names::name, world::lock};

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
                "depends-on" => Scope::Dependencies,
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
        Host::new(Self {
            sim: sim.clone(),
            strategy: strategy.clone(),
            grants: sim.grants(),
            service,
            related,
            protected: Protected::default(),
        })
    }

    fn authority(&self) -> Authority<'_> {
        Authority {
            strategy: &self.strategy,
            grants: &self.grants,
            service: &self.service,
            related: &self.related,
        }
    }
}

impl Facts for Guard {
    fn unit(&self, unit: &UnitName) -> Answer<UnitStatus> {
        Ok(lock(&self.sim.world).find(unit)?.status.clone())
    }

    fn protected(&self) -> &Protected {
        &self.protected
    }
}

impl HostCalls for Guard {
    fn call(&self, deadline: Instant, mut call: Call) -> Answer<Reply> {
        let act = call.act();
        let target = named(&mut call);
        if let Err(failure) = self.authority().allows(&mut call, self) {
            if let Some(act) = act {
                let code = failure.code.as_deref().unwrap_or("denied");
                let denial = format!("{act} of {target}: {code}");
                lock(&self.sim.world).denied.push(denial);
            }
            return Err(failure);
        }
        self.sim.call(deadline, call)
    }
}

/// What a call is about, as a test writes it.
fn named(call: &mut Call) -> String {
    match call.subject() {
        Subject::Unit(unit) => unit.to_string(),
        Subject::Process(process) => {
            let executable = process.executable.as_deref();
            executable.unwrap_or("a process").to_owned()
        }
        Subject::File(name)
        | Subject::Check(name)
        | Subject::Probe(name)
        | Subject::Place(name)
        | Subject::Remedy(name) => name.to_owned(),
        Subject::Port(..) | Subject::Nothing => String::new(),
    }
}
