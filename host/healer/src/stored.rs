//! What a host has from the store: the service's earlier incidents, and what
//! strategies keep from one to the next.

use std::{sync::Arc, time::Instant};

use prunella_core::{
    Failure, UnitName,
    capability::{Act, Answer, Call, Host, HostCalls, Operation as _, PastIncident, Reply},
    service::Service,
    situation::Situation,
};
use prunella_store::{Ledger, Store, StoreError};

use crate::{circuits::Circuits, releases};

/// So many are enough for a strategy to see a pattern.
const MAX_RECENT: u32 = 100;

/// A service's host, with what the store has of it.
pub(crate) struct Stored {
    pub(crate) below: Host,
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) situation: Arc<dyn Situation>,
    pub(crate) service: Arc<Service>,
}

impl Stored {
    fn store(&self) -> Answer<&Store> {
        self.store
            .as_deref()
            .ok_or_else(|| Failure::unavailable("no-store", "there is no incident store"))
    }

    fn recent(&self, limit: u32) -> Answer<Vec<PastIncident>> {
        self.store()?
            .recent(&self.service.unit, limit.min(MAX_RECENT))
            .map_err(unavailable)
    }
}

/// The store tells the operator of its own trouble; the strategy has to do
/// without.
pub(crate) fn unavailable(error: StoreError) -> Failure {
    Failure::unavailable("no-store", error.to_string())
}

/// Whether a unit has an incident that is open. Of its trouble the store has told itself.
pub(crate) fn has_incident(store: &Store, unit: &UnitName) -> bool {
    store.unfinished_of(unit).is_ok_and(|open| open.is_some())
}

impl HostCalls for Stored {
    fn call(&self, deadline: Instant, call: Call) -> Answer<Reply> {
        let unit = &self.service.unit;
        match call {
            Call::RemedyPlan(of) if matches!(of.act, Act::OpenCircuit | Act::HalfOpenCircuit) => of
                .reply(self.store().and_then(|store| {
                    let circuits = Circuits {
                        below: &self.below,
                        store,
                        ledger: &self.ledger,
                        situation: &self.situation,
                        service: &self.service,
                    };
                    circuits.plan(deadline, &of)
                })),
            Call::RemedyPlan(of) if of.act == Act::RollBack => {
                of.reply(self.store().and_then(|store| {
                    releases::plan(&self.below, store, &self.service, deadline, &of.name)
                }))
            }
            Call::RemedyApply(apply) if apply.act == Act::RollBack => {
                let store = self.store()?;
                let (name, undo) = (apply.name.clone(), apply.undo.clone());
                let done = self.below.call(deadline, Call::RemedyApply(apply))?;
                if let Some(undo) = &undo {
                    releases::left(store, &self.service, &name, undo)?;
                }
                Ok(done)
            }
            Call::HistoryRecent(recent) => recent.reply(self.recent(recent.limit)),
            Call::StateGet(get) => get.reply(self.store().and_then(|store| {
                store
                    .state(&get.strategy, unit, &get.key)
                    .map_err(unavailable)
            })),
            Call::StateSet(set) => set.reply(self.store().and_then(|store| {
                store
                    .set_state(&set.strategy, unit, &set.key, &set.value)
                    .map_err(unavailable)?
            })),
            Call::StateRemove(remove) => remove.reply(self.store().and_then(|store| {
                store
                    .remove_state(&remove.strategy, unit, &remove.key)
                    .map_err(unavailable)
            })),
            Call::StateKeys(keys) => keys.reply(
                self.store()
                    .and_then(|store| store.state_keys(&keys.strategy, unit).map_err(unavailable)),
            ),
            call => self.below.call(deadline, call),
        }
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::{
        FailureKind, StrategyName,
        capability::{history, state},
    };
    use prunella_simulation::Sim;

    use super::*;

    #[test]
    fn without_a_store_it_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let sim = Sim::new("web.service");
        let host = Host::new(Stored {
            below: sim.host(),
            store: None,
            ledger: Arc::new(Ledger::new(None, folder.path().to_owned())),
            situation: Arc::new(sim.clone()),
            service: sim.service(),
        });
        let soon = Instant::now();
        let strategy = StrategyName::new("mine").unwrap();
        let (key, value) = ("a".to_owned(), "b".to_owned());
        let failures = [
            host.ask(soon, history::Recent { limit: 1 }).unwrap_err(),
            host.ask(
                soon,
                state::Get {
                    strategy: strategy.clone(),
                    key: key.clone(),
                },
            )
            .unwrap_err(),
            host.ask(
                soon,
                state::Set {
                    strategy: strategy.clone(),
                    key: key.clone(),
                    value,
                },
            )
            .unwrap_err(),
            host.ask(
                soon,
                state::Remove {
                    strategy: strategy.clone(),
                    key,
                },
            )
            .unwrap_err(),
            host.ask(soon, state::Keys { strategy }).unwrap_err(),
        ];
        for failure in failures {
            assert_eq!(failure.kind, FailureKind::Unavailable);
            assert!(failure.is("no-store"), "{failure}");
        }
    }
}
