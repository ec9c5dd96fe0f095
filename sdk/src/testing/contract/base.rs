//! `prunella:base`.

/// Types that the other interfaces share.
pub mod types {
    pub use crate::bindings::prunella::base::types::*;
}

/// The incident that a strategy was asked about.
pub mod incidents {
    use crate::testing::current::Current;

    pub use crate::bindings::prunella::base::incidents::{DeclaredRemedy, Port, Symptom};

    /// The incident of the run that goes on.
    pub struct Incident;

    macro_rules! facts {
        ($($name:ident -> $type:ty: $fact:expr;)*) => {
            $(pub fn $name(&self) -> $type {
                let fact: fn(&Current) -> $type = $fact;
                fact(&Current::get())
            })*
        };
    }

    impl Incident {
        prunella_core::incident_getters!(facts);
    }
}

/// What time it is, on the simulated host.
pub mod clock {
    use std::time::Duration;

    use prunella_core::capability::clock::{Monotonic, Now, Sleep};

    use super::types::Failure;
    use crate::testing::current::Current;

    pub fn now() -> u64 {
        Current::ask(|_| Ok(Now {})).unwrap_or_default().as_millis()
    }

    pub fn monotonic() -> u64 {
        Current::ask(|_| Ok(Monotonic {})).unwrap_or(0)
    }

    pub fn sleep(milliseconds: u64) -> Result<(), Failure> {
        let time = Duration::from_millis(milliseconds);
        Ok(Current::ask(|_| Ok(Sleep { time }))?)
    }
}

/// Lines for the operator.
pub mod log {
    use prunella_core::text::one_line;

    use crate::testing::current::Current;

    pub use crate::bindings::prunella::base::log::Level;

    /// The longest line that a host keeps, in characters.
    const LINE: usize = 1000;

    pub fn write(level: Level, message: &str) {
        let word = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        if let Some(current) = Current::find() {
            current.log(format!("{word}: {}", one_line(message, LINE)));
        }
    }
}

/// What the operator set.
pub mod settings {
    use crate::testing::current::Current;

    pub fn keys() -> Vec<String> {
        Current::find().map_or_else(Vec::new, |c| c.settings.keys().cloned().collect())
    }

    pub fn get(key: &str) -> Option<String> {
        Current::find()?.settings.get(key).cloned()
    }
}

/// What the strategy keeps between incidents.
pub mod state {
    use prunella_core::{
        StrategyName,
        capability::state::{Get, Keys, Remove, Set},
        state::check_key,
    };

    use super::types::Failure;
    use crate::testing::current::Current;

    fn own_key(
        current: &Current,
        key: &str,
    ) -> Result<(StrategyName, String), prunella_core::Failure> {
        check_key(key)?;
        Ok((current.strategy.clone(), key.to_owned()))
    }

    pub fn get(key: &str) -> Result<Option<String>, Failure> {
        Ok(Current::ask(|current| {
            let (strategy, key) = own_key(current, key)?;
            Ok(Get { strategy, key })
        })?)
    }

    pub fn set(key: &str, value: &str) -> Result<(), Failure> {
        Ok(Current::ask(|current| {
            let (strategy, key) = own_key(current, key)?;
            let value = value.to_owned();
            Ok(Set {
                strategy,
                key,
                value,
            })
        })?)
    }

    pub fn remove(key: &str) -> Result<bool, Failure> {
        Ok(Current::ask(|current| {
            let (strategy, key) = own_key(current, key)?;
            Ok(Remove { strategy, key })
        })?)
    }

    pub fn keys() -> Result<Vec<String>, Failure> {
        Ok(Current::ask(|current| {
            let strategy = current.strategy.clone();
            Ok(Keys { strategy })
        })?)
    }
}
