//! What strategies keep between incidents: in the store, and in a rehearsal for
//! as long as that lasts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prunella_core::{
    Failure, StrategyName, UnitName,
    capability::{Answer, State},
    state::Others,
};
use prunella_store::{Store, StoreError};

pub(crate) struct StoreState {
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) unit: UnitName,
}

impl StoreState {
    fn store(&self) -> Answer<&Store> {
        self.store
            .as_deref()
            .ok_or_else(|| Failure::unavailable("no-store", "there is no store to keep it in"))
    }
}

/// The store tells the operator of its own trouble; the strategy has to do
/// without.
fn unavailable(error: StoreError) -> Failure {
    Failure::unavailable("no-store", error.to_string())
}

impl State for StoreState {
    fn get(&self, strategy: &StrategyName, key: &str) -> Answer<Option<String>> {
        self.store()?
            .state(strategy, &self.unit, key)
            .map_err(unavailable)
    }

    fn set(&self, strategy: &StrategyName, key: &str, value: &str) -> Answer<()> {
        self.store()?
            .set_state(strategy, &self.unit, key, value)
            .map_err(unavailable)?
    }

    fn remove(&self, strategy: &StrategyName, key: &str) -> Answer<bool> {
        self.store()?
            .remove_state(strategy, &self.unit, key)
            .map_err(unavailable)
    }

    fn keys(&self, strategy: &StrategyName) -> Answer<Vec<String>> {
        self.store()?
            .state_keys(strategy, &self.unit)
            .map_err(unavailable)
    }
}

/// By strategy and key; `None` for what would be gone.
type Changes = BTreeMap<(StrategyName, String), Option<String>>;

/// What is really kept, changed by what a rehearsal would have changed.
pub(crate) struct RehearsedState {
    real: Arc<dyn State>,
    changes: Mutex<Changes>,
}

impl RehearsedState {
    pub(crate) fn over(real: Arc<dyn State>) -> Self {
        Self {
            real,
            changes: Mutex::default(),
        }
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, strategy: &StrategyName, key: &str, value: Option<String>) {
        self.changes()
            .insert((strategy.clone(), key.to_owned()), value);
    }
}

impl State for RehearsedState {
    fn get(&self, strategy: &StrategyName, key: &str) -> Answer<Option<String>> {
        let changed = self
            .changes()
            .get(&(strategy.clone(), key.to_owned()))
            .cloned();
        match changed {
            Some(value) => Ok(value),
            None => self.real.get(strategy, key),
        }
    }

    fn set(&self, strategy: &StrategyName, key: &str, value: &str) -> Answer<()> {
        let mut all = BTreeMap::new();
        for key in self.keys(strategy)? {
            if let Some(value) = self.get(strategy, &key)? {
                all.insert(key, value);
            }
        }
        let all = all
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        Others::of(all, key).have_room_for(key, value)?;
        self.change(strategy, key, Some(value.to_owned()));
        Ok(())
    }

    fn remove(&self, strategy: &StrategyName, key: &str) -> Answer<bool> {
        let there = self.get(strategy, key)?.is_some();
        self.change(strategy, key, None);
        Ok(there)
    }

    fn keys(&self, strategy: &StrategyName) -> Answer<Vec<String>> {
        let mut keys: BTreeSet<String> = self.real.keys(strategy)?.into_iter().collect();
        for ((of, key), value) in &*self.changes() {
            if of != strategy {
                continue;
            }
            if value.is_some() {
                keys.insert(key.clone());
            } else {
                keys.remove(key);
            }
        }
        Ok(keys.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::FailureKind;

    use super::*;

    fn named(name: &str) -> StrategyName {
        StrategyName::new(name).unwrap()
    }

    fn in_store() -> (tempfile::TempDir, Arc<StoreState>) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("prunella.db")).unwrap();
        let state = StoreState {
            store: Some(Arc::new(store)),
            unit: UnitName::new("web.service").unwrap(),
        };
        (folder, Arc::new(state))
    }

    #[test]
    fn a_rehearsal_keeps_nothing() {
        let (_folder, real) = in_store();
        let (mine, other) = (named("mine"), named("other"));
        real.set(&mine, "a", "real").unwrap();
        real.set(&mine, "b", "real").unwrap();

        let rehearsed = RehearsedState::over(real.clone());
        rehearsed.set(&mine, "b", "assumed").unwrap();
        rehearsed.set(&mine, "c", "assumed").unwrap();
        assert!(rehearsed.remove(&mine, "a").unwrap());
        assert!(!rehearsed.remove(&mine, "a").unwrap(), "only once");
        // To the strategy it is as if it had been done …
        assert_eq!(rehearsed.keys(&mine).unwrap(), ["b", "c"]);
        assert_eq!(rehearsed.get(&mine, "a").unwrap(), None);
        assert_eq!(
            rehearsed.get(&mine, "b").unwrap().as_deref(),
            Some("assumed")
        );
        assert_eq!(rehearsed.keys(&other).unwrap(), [""; 0]);
        // … and nothing was.
        assert_eq!(real.keys(&mine).unwrap(), ["a", "b"]);
        assert_eq!(real.get(&mine, "b").unwrap().as_deref(), Some("real"));
    }

    #[test]
    fn a_rehearsal_has_the_quotas_of_a_real_run() {
        let (_folder, real) = in_store();
        let mine = named("mine");
        for number in 0..60 {
            real.set(&mine, &format!("real-{number}"), "").unwrap();
        }
        let rehearsed = RehearsedState::over(real);
        for number in 0..4 {
            rehearsed.set(&mine, &format!("new-{number}"), "").unwrap();
        }
        let failure = rehearsed.set(&mine, "one-more", "").unwrap_err();
        assert!(failure.is("state-keys"), "{failure}");
        rehearsed.remove(&mine, "real-7").unwrap();
        rehearsed.set(&mine, "one-more", "").unwrap();
    }

    #[test]
    fn without_a_store_it_says_so() {
        let state = StoreState {
            store: None,
            unit: UnitName::new("web.service").unwrap(),
        };
        let mine = named("mine");
        let failures = [
            state.get(&mine, "a").unwrap_err(),
            state.set(&mine, "a", "b").unwrap_err(),
            state.remove(&mine, "a").unwrap_err(),
            state.keys(&mine).unwrap_err(),
        ];
        for failure in failures {
            assert_eq!(failure.kind, FailureKind::Unavailable);
            assert!(failure.is("no-store"), "{failure}");
        }
    }
}
