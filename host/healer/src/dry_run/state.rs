//! What strategies keep, as a dry run would have changed it: nothing of it stays.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use prunella_core::{
    StrategyName,
    capability::{Answer, Call, Host, HostCalls, Operation as _, Reply, state},
    state::Others,
};

/// By strategy and key; `None` for what would be gone.
type Changes = BTreeMap<(StrategyName, String), Option<String>>;

/// What is really kept, changed by what a dry run would have changed.
pub(super) struct DryRunState {
    real: Host,
    changes: Mutex<Changes>,
}

impl DryRunState {
    pub(super) fn over(real: Host) -> Self {
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

    fn get(&self, deadline: Instant, get: &state::Get) -> Answer<Option<String>> {
        let place = (get.strategy.clone(), get.key.clone());
        let changed = self.changes().get(&place).cloned();
        match changed {
            Some(value) => Ok(value),
            None => self.real.ask(deadline, get.clone()),
        }
    }

    fn set(&self, deadline: Instant, set: &state::Set) -> Answer<()> {
        let strategy = &set.strategy;
        let mut all = BTreeMap::new();
        for key in self.keys(deadline, strategy)? {
            let get = state::Get {
                strategy: strategy.clone(),
                key,
            };
            if let Some(value) = self.get(deadline, &get)? {
                all.insert(get.key, value);
            }
        }
        let all = all
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        Others::of(all, &set.key).have_room_for(&set.key, &set.value)?;
        self.change(strategy, &set.key, Some(set.value.clone()));
        Ok(())
    }

    fn remove(&self, deadline: Instant, remove: &state::Remove) -> Answer<bool> {
        let get = state::Get {
            strategy: remove.strategy.clone(),
            key: remove.key.clone(),
        };
        let there = self.get(deadline, &get)?.is_some();
        self.change(&remove.strategy, &remove.key, None);
        Ok(there)
    }

    fn keys(&self, deadline: Instant, strategy: &StrategyName) -> Answer<Vec<String>> {
        let keys = state::Keys {
            strategy: strategy.clone(),
        };
        let mut keys: BTreeSet<String> = self.real.ask(deadline, keys)?.into_iter().collect();
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

impl HostCalls for DryRunState {
    fn call(&self, deadline: Instant, call: Call) -> Answer<Reply> {
        match call {
            Call::StateGet(get) => get.reply(self.get(deadline, &get)),
            Call::StateSet(set) => set.reply(self.set(deadline, &set)),
            Call::StateRemove(remove) => remove.reply(self.remove(deadline, &remove)),
            Call::StateKeys(keys) => keys.reply(self.keys(deadline, &keys.strategy)),
            call => self.real.call(deadline, call),
        }
    }
}

#[cfg(test)]
mod tests {
    use prunella_simulation::Sim;

    use super::*;

    fn named(name: &str) -> StrategyName {
        StrategyName::new(name).unwrap()
    }

    fn get(host: &Host, of: &str, key: &str) -> Option<String> {
        let (strategy, key) = (named(of), key.to_owned());
        host.ask(Instant::now(), state::Get { strategy, key })
            .unwrap()
    }

    fn set(host: &Host, of: &str, key: &str, value: &str) -> Answer<()> {
        let (strategy, key, value) = (named(of), key.to_owned(), value.to_owned());
        host.ask(
            Instant::now(),
            state::Set {
                strategy,
                key,
                value,
            },
        )
    }

    fn remove(host: &Host, of: &str, key: &str) -> bool {
        let (strategy, key) = (named(of), key.to_owned());
        host.ask(Instant::now(), state::Remove { strategy, key })
            .unwrap()
    }

    fn keys(host: &Host, of: &str) -> Vec<String> {
        let strategy = named(of);
        host.ask(Instant::now(), state::Keys { strategy }).unwrap()
    }

    #[test]
    fn a_dry_run_keeps_nothing() {
        let real = Sim::new("web.service").host();
        set(&real, "mine", "a", "real").unwrap();
        set(&real, "mine", "b", "real").unwrap();

        let dry_run = Host::new(DryRunState::over(real.clone()));
        set(&dry_run, "mine", "b", "assumed").unwrap();
        set(&dry_run, "mine", "c", "assumed").unwrap();
        assert!(remove(&dry_run, "mine", "a"));
        assert!(!remove(&dry_run, "mine", "a"), "only once");
        // To the strategy it is as if it had been done …
        assert_eq!(keys(&dry_run, "mine"), ["b", "c"]);
        assert_eq!(get(&dry_run, "mine", "a"), None);
        assert_eq!(get(&dry_run, "mine", "b").as_deref(), Some("assumed"));
        assert_eq!(keys(&dry_run, "other"), [""; 0]);
        // … and nothing was.
        assert_eq!(keys(&real, "mine"), ["a", "b"]);
        assert_eq!(get(&real, "mine", "b").as_deref(), Some("real"));
    }

    #[test]
    fn a_dry_run_has_the_quotas_of_a_real_run() {
        let real = Sim::new("web.service").host();
        for number in 0..60 {
            set(&real, "mine", &format!("real-{number}"), "").unwrap();
        }
        let dry_run = Host::new(DryRunState::over(real));
        for number in 0..4 {
            set(&dry_run, "mine", &format!("new-{number}"), "").unwrap();
        }
        let failure = set(&dry_run, "mine", "one-more", "").unwrap_err();
        assert!(failure.is("state-keys"), "{failure}");
        remove(&dry_run, "mine", "real-7");
        set(&dry_run, "mine", "one-more", "").unwrap();
    }
}
