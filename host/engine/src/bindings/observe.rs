//! `prunella:observe`.

use std::time::Duration;

use prunella_core::{
    argument::{self, unit_name},
    capability::{
        files::{EnvKeys, MissingKeys},
        ports::Holders,
        probes::Ask,
        processes::{Alive, OfUnit},
        units::{Get, Wait},
    },
};
use wasmtime::component::Resource;

use super::{
    Answer, answer, answers, plain,
    prunella::observe::{
        files, logs, ports, probes,
        processes::{self, Ownership},
        units::{self, ActiveState},
    },
};
use crate::host_state::{File, Holder, HostState, Interrupted, Process, Unit};

/// Getters of a resource: each counts, and reads what the handle holds.
macro_rules! getters {
    ([$handle:ty] $behind:ty; $($name:ident -> $type:ty: $get:expr;)*) => {
        $(fn $name(&mut self, handle: Resource<$handle>) -> wasmtime::Result<$type> {
            self.count()?;
            let get: fn(&$behind) -> $type = $get;
            Ok(get(&self.at(&handle)?.0))
        })*

        fn drop(&mut self, handle: Resource<$handle>) -> wasmtime::Result<()> {
            self.dropped(handle)
        }
    };
}

impl units::Host for HostState {
    fn get(&mut self, name: String) -> Answer<Resource<Unit>> {
        answer(self.ask_for_handle(
            || {
                let unit = unit_name(&name)?;
                Ok(Get { unit })
            },
            Unit,
        ))
    }

    fn wait(
        &mut self,
        name: String,
        until: units::Goal,
        timeout_milliseconds: u64,
    ) -> Answer<Resource<Unit>> {
        answer(self.ask_for_handle(
            || {
                Ok(Wait {
                    unit: unit_name(&name)?,
                    goal: until.into(),
                    timeout: Duration::from_millis(timeout_milliseconds),
                })
            },
            Unit,
        ))
    }
}

impl units::HostUnit for HostState {
    prunella_core::unit_getters!(getters Unit);
}

impl processes::Host for HostState {
    fn of_unit(&mut self, unit: String) -> Answer<Vec<Resource<Process>>> {
        answer(self.ask_for_handles(
            || {
                let unit = unit_name(&unit)?;
                Ok(OfUnit { unit })
            },
            Process,
        ))
    }
}

impl processes::HostProcess for HostState {
    prunella_core::process_getters!(getters Process);

    /// What cannot be told runs no more.
    fn alive(&mut self, process: Resource<Process>) -> wasmtime::Result<bool> {
        let process = self.at(&process)?.0.clone();
        match self.ask(|| Ok(Alive { process })) {
            Ok(alive) => Ok(alive),
            Err(Interrupted::Failed(_)) => Ok(false),
            Err(Interrupted::Ended(error)) => Err(error),
        }
    }
}

impl ports::Host for HostState {
    fn holders(&mut self, protocol: String, number: u16) -> Answer<Vec<Resource<Holder>>> {
        answer(self.ask_for_handles(
            || {
                let protocol = argument::protocol(&protocol)?;
                Ok(Holders { protocol, number })
            },
            Holder,
        ))
    }
}

impl ports::HostHolder for HostState {
    prunella_core::holder_getters!(getters Holder);

    fn process(&mut self, holder: Resource<Holder>) -> wasmtime::Result<Option<Resource<Process>>> {
        self.holder_process(&holder)
    }
}

impl files::Host for HostState {
    fn stat(&mut self, name: String) -> Answer<Resource<File>> {
        answer(self.file(name))
    }

    fn sha256(&mut self, name: String) -> Answer<String> {
        answer(self.file_sha256(name))
    }

    fn env_keys(&mut self, name: String) -> Answer<Vec<files::EnvKey>> {
        answers(self.ask(|| Ok(EnvKeys { name })))
    }

    fn missing_keys(&mut self, name: String) -> Answer<Vec<String>> {
        answer(self.ask(|| Ok(MissingKeys { name })))
    }
}

impl files::HostFile for HostState {
    prunella_core::file_getters!(getters File);
}

impl logs::Host for HostState {
    fn tail(
        &mut self,
        unit: String,
        invocation: Option<String>,
        priority: Option<u8>,
        lines: u32,
    ) -> Answer<Vec<logs::Entry>> {
        answers(self.log_tail(&unit, invocation, priority, lines))
    }
}

impl probes::Host for HostState {
    fn ask(&mut self, name: String) -> Answer<probes::Answer> {
        answer(HostState::ask(self, || Ok(Ask { name })))
    }

    fn kind(&mut self, name: String) -> Answer<String> {
        answer(self.probe_kind(&name))
    }

    fn target(&mut self, name: String) -> Answer<Option<String>> {
        answer(self.probe_target(&name))
    }
}

prunella_core::plain_looks!(plain);
