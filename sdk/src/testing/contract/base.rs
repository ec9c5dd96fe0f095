//! `prunella:base`.

/// Types that the other interfaces share.
pub mod types {
    pub use crate::bindings::prunella::base::types::*;
}

/// The incident that a strategy was asked about.
pub mod incidents {
    use prunella_core::service::StartLimit;

    use crate::testing::current::Current;

    pub use crate::bindings::prunella::base::incidents::Port;

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
        facts! {
            id -> String: |c| c.incident.id.to_string();
            unit -> String: |c| c.incident.detection.unit.to_string();
            detected_by -> String: |c| c.incident.detection.by.word().to_owned();
            detected_at -> u64: |c| c.incident.detection.at;
            cause -> String: |c| c.incident.detection.cause.clone();
            exit_code -> Option<i32>: |c| c.incident.detection.exit_code;
            signal -> Option<String>: |c| c.incident.detection.signal.clone();
            invocation -> Option<String>: |c| c.incident.detection.invocation.clone();
            attempt -> u32: |c| c.incident.attempt;
            rehearsal -> bool: |_| false;
            domain -> Option<String>: |c| c.service.domain.clone();
            critical -> bool: |c| c.service.critical;
            clears_start_limit -> bool: |c| c.service.start_limit == StartLimit::Heal;
            ports -> Vec<Port>: |c| c.service.ports.iter().map(|port| Port {
                protocol: port.protocol.word().to_owned(),
                number: port.number,
            }).collect();
            files -> Vec<String>: |c| c.service.files.keys().cloned().collect();
            checks -> Vec<String>: |c| c.service.checks.keys().cloned().collect();
            config_checks -> Vec<String>: |c| c.service.checks.iter()
                .filter(|(_, check)| check.validates)
                .map(|(name, _)| name.clone())
                .collect();
            probes -> Vec<String>: |c| c.service.probes.keys().cloned().collect();
            needs -> Vec<String>: |c| c.service.needs.iter().map(ToString::to_string).collect();
        }
    }
}

/// What time it is, on the simulated host.
pub mod clock {
    use std::time::Duration;

    use super::types::Failure;
    use crate::testing::current::{self, Current};

    pub fn now() -> u64 {
        Current::find().map_or(0, |current| current.host.clock.now())
    }

    pub fn monotonic() -> u64 {
        Current::find().map_or(0, |current| current.host.clock.monotonic())
    }

    pub fn sleep(milliseconds: u64) -> Result<(), Failure> {
        let current = Current::observe()?;
        let time = Duration::from_millis(milliseconds);
        Ok(current.host.clock.sleep(current::deadline(), time)?)
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
    use std::rc::Rc;

    use prunella_core::{argument, state::check_key};

    use super::types::Failure;
    use crate::testing::current::{Current, Phase};

    fn change() -> Result<Rc<Current>, Failure> {
        let current = Current::observe()?;
        match current.phase {
            Phase::Heal => Ok(current),
            Phase::Assess => Err(argument::not_kept_in_assess().into()),
        }
    }

    pub fn get(key: &str) -> Result<Option<String>, Failure> {
        let current = Current::observe()?;
        check_key(key)?;
        Ok(current.host.state.get(&current.strategy, key)?)
    }

    pub fn set(key: &str, value: &str) -> Result<(), Failure> {
        let current = change()?;
        check_key(key)?;
        Ok(current.host.state.set(&current.strategy, key, value)?)
    }

    pub fn remove(key: &str) -> Result<bool, Failure> {
        let current = change()?;
        check_key(key)?;
        Ok(current.host.state.remove(&current.strategy, key)?)
    }

    pub fn keys() -> Result<Vec<String>, Failure> {
        let current = Current::observe()?;
        Ok(current.host.state.keys(&current.strategy)?)
    }
}
