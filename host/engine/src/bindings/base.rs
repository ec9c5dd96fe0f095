//! `prunella:base`.

use prunella_core::service::StartLimit;
use wasmtime::component::Resource;

use super::{
    answer,
    prunella::base::{clock, incidents, log, settings, state, types},
};
use crate::seam::{Context, Incident, Seam};

impl types::Host for Seam {}

impl clock::Host for Seam {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Seam::now(self)
    }

    fn monotonic(&mut self) -> wasmtime::Result<u64> {
        Seam::monotonic(self)
    }

    fn sleep(&mut self, milliseconds: u64) -> wasmtime::Result<Result<(), types::Failure>> {
        answer(Seam::sleep(self, milliseconds))
    }
}

impl log::Host for Seam {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        Seam::write(self, level.into(), &message)
    }

    fn panicked(
        &mut self,
        message: String,
        file: String,
        line: u32,
        _column: u32,
    ) -> wasmtime::Result<()> {
        Seam::panicked(self, &message, &file, line)
    }
}

impl settings::Host for Seam {
    fn keys(&mut self) -> wasmtime::Result<Vec<String>> {
        self.setting_keys()
    }

    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.setting(&key)
    }
}

impl state::Host for Seam {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, types::Failure>> {
        answer(self.kept(&key))
    }

    fn set(&mut self, key: String, value: String) -> wasmtime::Result<Result<(), types::Failure>> {
        answer(self.keep(&key, &value))
    }

    fn remove(&mut self, key: String) -> wasmtime::Result<Result<bool, types::Failure>> {
        answer(self.forget(&key))
    }

    fn keys(&mut self) -> wasmtime::Result<Result<Vec<String>, types::Failure>> {
        answer(self.kept_keys())
    }
}

impl incidents::Host for Seam {}

impl Seam {
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

impl incidents::HostIncident for Seam {
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
        rehearsal -> bool: |c| c.rehearsal;
        domain -> Option<String>: |c| c.service.domain.clone();
        critical -> bool: |c| c.service.critical;
        clears_start_limit -> bool: |c| c.service.start_limit == StartLimit::Heal;
        ports -> Vec<incidents::Port>: |c| c.service.ports.iter().map(|port| incidents::Port {
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

    fn drop(&mut self, _incident: Resource<Incident>) -> wasmtime::Result<()> {
        // Only borrowed: the host's own handle ends with the run.
        Ok(())
    }
}
