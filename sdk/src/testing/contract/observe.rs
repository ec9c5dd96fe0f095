//! `prunella:observe`.

use super::{getters, plain};

/// systemd's units.
pub mod units {
    use std::time::Duration;

    use prunella_core::{
        argument::unit_name,
        capability::{self, UnitStatus},
    };

    use super::{super::base::types::Failure, getters};
    use crate::testing::current::Current;

    pub use crate::bindings::prunella::observe::units::{ActiveState, Goal};

    /// A unit as it was at one moment.
    pub struct Unit(UnitStatus);

    impl Unit {
        prunella_core::unit_getters!(getters);
    }

    pub fn get(name: &str) -> Result<Unit, Failure> {
        let status = Current::ask(|_| {
            let unit = unit_name(name)?;
            Ok(capability::units::Get { unit })
        })?;
        Ok(Unit(status))
    }

    pub fn wait(name: &str, until: Goal, timeout_milliseconds: u64) -> Result<Unit, Failure> {
        let status = Current::ask(|_| {
            Ok(capability::units::Wait {
                unit: unit_name(name)?,
                goal: until.into(),
                timeout: Duration::from_millis(timeout_milliseconds),
            })
        })?;
        Ok(Unit(status))
    }
}

/// Processes, as handles.
pub mod processes {
    use prunella_core::{
        argument::unit_name,
        capability::{
            self,
            processes::{Alive, OfUnit},
        },
    };

    use super::{super::base::types::Failure, getters};
    use crate::testing::current::Current;

    pub use crate::bindings::prunella::observe::processes::Ownership;

    /// A handle to one process.
    pub struct Process(pub(crate) capability::Process);

    impl Process {
        prunella_core::process_getters!(getters);

        pub fn alive(&self) -> bool {
            let process = self.0.clone();
            Current::ask(|_| Ok(Alive { process })).unwrap_or(false)
        }
    }

    pub fn of_unit(unit: &str) -> Result<Vec<Process>, Failure> {
        let found = Current::ask(|_| {
            let unit = unit_name(unit)?;
            Ok(OfUnit { unit })
        })?;
        Ok(found.into_iter().map(Process).collect())
    }
}

/// Who holds a port.
pub mod ports {
    use prunella_core::{
        argument,
        capability::{PortHolder, ports::Holders},
    };

    use super::{super::base::types::Failure, getters, processes::Process};
    use crate::testing::current::Current;

    /// One holder of one port.
    pub struct Holder(PortHolder);

    impl Holder {
        prunella_core::holder_getters!(getters);

        pub fn process(&self) -> Option<Process> {
            self.0.process.clone().map(Process)
        }
    }

    pub fn holders(protocol: &str, number: u16) -> Result<Vec<Holder>, Failure> {
        let found = Current::ask(|_| {
            let protocol = argument::protocol(protocol)?;
            Ok(Holders { protocol, number })
        })?;
        Ok(found.into_iter().map(Holder).collect())
    }
}

/// Declared files.
pub mod files {
    use prunella_core::{capability::files as calls, contract};

    use super::{super::base::types::Failure, getters};
    use crate::testing::current::Current;

    pub use crate::bindings::prunella::observe::files::EnvKey;

    /// A declared file as it was at one moment.
    pub struct File(contract::File);

    impl File {
        prunella_core::file_getters!(getters);
    }

    pub fn stat(name: &str) -> Result<File, Failure> {
        let declared = Current::declared(|service| service.file(name).cloned())?;
        let name = name.to_owned();
        let status = Current::ask(|_| Ok(calls::Stat { name }))?;
        Ok(File(contract::File { status, declared }))
    }

    pub fn sha256(name: &str) -> Result<String, Failure> {
        let name = name.to_owned();
        Ok(Current::ask(|_| Ok(calls::Sha256 { name }))?)
    }

    pub fn env_keys(name: &str) -> Result<Vec<EnvKey>, Failure> {
        let name = name.to_owned();
        let keys = Current::ask(|_| Ok(calls::EnvKeys { name }))?;
        Ok(keys.into_iter().map(EnvKey::from).collect())
    }

    pub fn missing_keys(name: &str) -> Result<Vec<String>, Failure> {
        let name = name.to_owned();
        Ok(Current::ask(|_| Ok(calls::MissingKeys { name }))?)
    }
}

/// The journal.
pub mod logs {
    use prunella_core::{
        argument::{self, unit_name},
        capability::logs::Tail,
    };

    use super::super::base::types::Failure;
    use crate::testing::current::Current;

    pub use crate::bindings::prunella::observe::logs::Entry;

    pub fn tail(
        unit: &str,
        invocation: Option<&str>,
        priority: Option<u8>,
        lines: u32,
    ) -> Result<Vec<Entry>, Failure> {
        let entries = Current::ask(|_| {
            Ok(Tail {
                unit: unit_name(unit)?,
                invocation: invocation
                    .map(|id| argument::invocation(id.to_owned()))
                    .transpose()?,
                priority: priority.map(|priority| priority.min(7)),
                lines,
            })
        })?;
        Ok(entries.into_iter().map(Entry::from).collect())
    }
}

/// Declared probes.
pub mod probes {
    use prunella_core::capability::probes::Ask;

    use super::super::base::types::Failure;
    use crate::testing::current::Current;

    pub use crate::bindings::prunella::observe::probes::Answer;

    pub fn ask(name: &str) -> Result<Answer, Failure> {
        let name = name.to_owned();
        Ok(Current::ask(|_| Ok(Ask { name }))?.into())
    }

    pub fn kind(name: &str) -> Result<String, Failure> {
        Ok(Current::declared(|service| {
            Ok(service.probe(name)?.kind.as_str().to_owned())
        })?)
    }

    pub fn target(name: &str) -> Result<Option<String>, Failure> {
        Ok(Current::declared(|service| {
            let target = service.probe(name)?.unit.as_ref();
            Ok(target.map(ToString::to_string))
        })?)
    }
}

prunella_core::plain_looks!(plain);
