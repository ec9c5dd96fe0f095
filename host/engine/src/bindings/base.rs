//! `prunella:base`.

use std::time::Duration;

use prunella_core::{
    Timestamp,
    capability::{clock::Sleep, state as kept},
};
use wasmtime::component::Resource;

use super::{
    Answer, answer,
    prunella::base::{
        clock,
        incidents::{self, DeclaredRemedy, Port, Symptom},
        log, settings, state, types,
    },
};
use crate::host_state::{Context, HostState, Incident};

impl types::Host for HostState {}

impl clock::Host for HostState {
    fn now(&mut self) -> wasmtime::Result<u64> {
        HostState::now(self).map(Timestamp::as_millis)
    }

    fn monotonic(&mut self) -> wasmtime::Result<u64> {
        HostState::monotonic(self)
    }

    fn sleep(&mut self, milliseconds: u64) -> Answer<()> {
        let time = Duration::from_millis(milliseconds);
        answer(self.ask(|| Ok(Sleep { time })))
    }
}

impl log::Host for HostState {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        HostState::write(self, level.into(), &message)
    }

    fn panicked(
        &mut self,
        message: String,
        file: String,
        line: u32,
        _column: u32,
    ) -> wasmtime::Result<()> {
        HostState::panicked(self, &message, &file, line)
    }
}

impl settings::Host for HostState {
    fn keys(&mut self) -> wasmtime::Result<Vec<String>> {
        self.setting_keys()
    }

    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.setting(&key)
    }
}

impl state::Host for HostState {
    fn get(&mut self, key: String) -> Answer<Option<String>> {
        let key = self.own_key(key);
        answer(self.ask(|| {
            let (strategy, key) = key?;
            Ok(kept::Get { strategy, key })
        }))
    }

    fn set(&mut self, key: String, value: String) -> Answer<()> {
        let key = self.own_key(key);
        answer(self.ask(|| {
            let (strategy, key) = key?;
            Ok(kept::Set {
                strategy,
                key,
                value,
            })
        }))
    }

    fn remove(&mut self, key: String) -> Answer<bool> {
        let key = self.own_key(key);
        answer(self.ask(|| {
            let (strategy, key) = key?;
            Ok(kept::Remove { strategy, key })
        }))
    }

    fn keys(&mut self) -> Answer<Vec<String>> {
        let strategy = self.meter.strategy().clone();
        answer(self.ask(|| Ok(kept::Keys { strategy })))
    }
}

impl incidents::Host for HostState {}

impl HostState {
    /// A fact of the incident; the handle is proof that there is one.
    fn fact<T>(
        &mut self,
        incident: &Resource<Incident>,
        fact: impl FnOnce(&Context) -> T,
    ) -> wasmtime::Result<T> {
        self.count()?;
        self.at(incident)?;
        Ok(fact(&*self.context()?))
    }
}

macro_rules! facts {
    ($($name:ident -> $type:ty: $fact:expr;)*) => {
        $(fn $name(&mut self, incident: Resource<Incident>) -> wasmtime::Result<$type> {
            self.fact(&incident, $fact)
        })*
    };
}

impl incidents::HostIncident for HostState {
    prunella_core::incident_getters!(facts);

    fn drop(&mut self, _incident: Resource<Incident>) -> wasmtime::Result<()> {
        // Only borrowed: the host's own handle ends with the run.
        Ok(())
    }
}
