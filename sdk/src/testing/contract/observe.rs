//! `prunella:observe`.

use super::getters;

/// systemd's units.
pub mod units {
    use std::time::Duration;

    use prunella_core::{UnitName, argument::unit_name, capability::UnitStatus};

    use super::{super::base::types::Failure, getters};
    use crate::testing::current::{self, Current};

    pub use crate::bindings::prunella::observe::units::{ActiveState, Goal};

    /// A unit as it was at one moment.
    pub struct Unit(UnitStatus);

    fn names(units: &[UnitName]) -> Vec<String> {
        units.iter().map(ToString::to_string).collect()
    }

    impl Unit {
        getters! {
            name -> String: |u| u.0.name.to_string();
            active_state -> ActiveState: |u| u.0.active_state.into();
            sub_state -> String: |u| u.0.sub_state.clone();
            load_state -> String: |u| u.0.load_state.clone();
            kind -> Option<String>: |u| u.0.kind.clone();
            last_result -> String: |u| u.0.result.clone();
            exit_code -> Option<i32>: |u| u.0.exit_code;
            signal -> Option<String>: |u| u.0.signal.clone();
            main_pid -> Option<u32>: |u| u.0.main_pid;
            restarts -> u32: |u| u.0.restarts;
            invocation -> Option<String>: |u| u.0.invocation.clone();
            // Core counts microseconds, as systemd does; the contract milliseconds.
            since -> Option<u64>: |u| u.0.since.map(|since| since / 1000);
            restart_policy -> String: |u| u.0.restart_policy.clone();
            restart_delay -> u64: |u| u.0.restart_delay / 1000;
            start_limit_burst -> u32: |u| u.0.start_limit_burst;
            start_limit_interval -> u64: |u| u.0.start_limit_interval / 1000;
            pending_job -> Option<String>: |u| u.0.job.as_ref().map(|job| job.kind.clone());
            requires -> Vec<String>: |u| names(&u.0.requires);
            required_by -> Vec<String>: |u| names(&u.0.required_by);
            triggered_by -> Vec<String>: |u| u.0.triggered_by.iter()
                .filter(|unit| unit.kind() == "socket")
                .map(ToString::to_string)
                .collect();
            is_up -> bool: |u| u.0.is_up();
        }
    }

    pub fn get(name: &str) -> Result<Unit, Failure> {
        let current = Current::observe()?;
        let unit = unit_name(name)?;
        Ok(Unit(current.host.units.get(current::deadline(), &unit)?))
    }

    pub fn wait(name: &str, until: Goal, timeout_milliseconds: u64) -> Result<Unit, Failure> {
        let current = Current::observe()?;
        let unit = unit_name(name)?;
        let timeout = Duration::from_millis(timeout_milliseconds);
        let waited = current
            .host
            .units
            .wait(current::deadline(), &unit, until.into(), timeout);
        Ok(Unit(waited?))
    }
}

/// Processes, as handles.
pub mod processes {
    use std::sync::Arc;

    use prunella_core::{argument::unit_name, capability};

    use super::{super::base::types::Failure, getters};
    use crate::testing::current::{self, Current};

    pub use crate::bindings::prunella::observe::processes::Kinship;

    /// A handle to one process.
    pub struct Process(pub(crate) Arc<dyn capability::Process>);

    impl Process {
        getters! {
            pid -> u32: |p| p.0.info().pid;
            executable -> Option<String>: |p| p.0.info().executable.clone();
            user -> String: |p| p.0.info().user.clone();
            unit -> Option<String>: |p| p.0.info().unit.as_ref().map(ToString::to_string);
            kinship -> Kinship: |p| p.0.info().kinship.into();
            evidence -> String: |p| p.0.info().evidence.clone();
            alive -> bool: |p| p.0.alive();
            started_at -> u64: |p| p.0.info().started_at;
        }
    }

    pub fn of_unit(unit: &str) -> Result<Vec<Process>, Failure> {
        let current = Current::observe()?;
        let unit = unit_name(unit)?;
        let found = current.host.processes.of_unit(current::deadline(), &unit)?;
        Ok(found.into_iter().map(Process).collect())
    }
}

/// Who holds a port.
pub mod ports {
    use prunella_core::{argument, capability::PortHolder};

    use super::{super::base::types::Failure, getters, processes::Process};
    use crate::testing::current::{self, Current};

    /// One holder of one port.
    pub struct Holder(PortHolder);

    impl Holder {
        getters! {
            process -> Option<Process>: |h| h.0.process.clone().map(Process);
            unit -> Option<String>: |h| h.0.unit.as_ref().map(ToString::to_string);
            socket_activated -> bool: |h| h.0.socket_activated;
            address -> String: |h| h.0.address.clone();
        }
    }

    pub fn holders(protocol: &str, number: u16) -> Result<Vec<Holder>, Failure> {
        let current = Current::observe()?;
        let protocol = argument::protocol(protocol)?;
        let ports = &current.host.ports;
        let found = ports.holders(current::deadline(), protocol, number)?;
        Ok(found.into_iter().map(Holder).collect())
    }
}

/// Declared files.
pub mod files {
    use prunella_core::{
        capability::{FileStatus, Repair},
        service::{DeclaredFile, ReadBy},
    };

    use super::{super::base::types::Failure, getters};
    use crate::testing::current::{self, Current};

    pub use crate::bindings::prunella::observe::files::EnvKey;

    /// A declared file as it was at one moment.
    pub struct File {
        status: FileStatus,
        declared: DeclaredFile,
    }

    impl File {
        getters! {
            exists -> bool: |f| f.status.kind.is_some();
            kind -> String: |f| f.status.kind.map_or("", |kind| kind.word()).to_owned();
            mode -> u32: |f| f.status.mode;
            owner -> String: |f| f.status.owner.clone();
            group -> String: |f| f.status.group.clone();
            size -> Option<u64>: |f| f.status.size;
            age -> u64: |f| u64::try_from(f.status.age.as_millis()).unwrap_or(u64::MAX);
            link_target -> Option<String>: |f| f.status.link_target.clone();
            deviations -> Vec<String>: |f| f.status.deviations.clone();
            repairable -> Vec<String>: |f| f.status.repairable.iter()
                .copied().map(Repair::word).map(str::to_owned).collect();
            optional -> bool: |f| f.declared.optional;
            read_by -> String: |f| match f.declared.read_by {
                ReadBy::Service => "service",
                ReadBy::Manager => "manager",
            }.to_owned();
            role -> String: |f| f.declared.role.word().to_owned();
            readable -> bool: |f| f.status.readable;
        }
    }

    pub fn stat(name: &str) -> Result<File, Failure> {
        let current = Current::observe()?;
        let declared = current.service.file(name)?.clone();
        let status = current.host.files.stat(current::deadline(), name)?;
        Ok(File { status, declared })
    }

    pub fn sha256(name: &str) -> Result<String, Failure> {
        let current = Current::observe()?;
        current.service.file(name)?;
        Ok(current.host.files.sha256(current::deadline(), name)?)
    }

    pub fn env_keys(name: &str) -> Result<Vec<EnvKey>, Failure> {
        let current = Current::observe()?;
        current.service.file(name)?;
        let keys = current.host.files.env_keys(current::deadline(), name)?;
        Ok(keys.into_iter().map(EnvKey::from).collect())
    }

    pub fn missing_keys(name: &str) -> Result<Vec<String>, Failure> {
        let current = Current::observe()?;
        current.service.file(name)?;
        Ok(current.host.files.missing_keys(current::deadline(), name)?)
    }
}

/// The journal.
pub mod logs {
    use prunella_core::{
        argument::{self, unit_name},
        capability::LogQuery,
    };

    use super::super::base::types::Failure;
    use crate::testing::current::{self, Current};

    pub use crate::bindings::prunella::observe::logs::Entry;

    pub fn tail(
        unit: &str,
        invocation: Option<&str>,
        priority: Option<u8>,
        lines: u32,
    ) -> Result<Vec<Entry>, Failure> {
        let current = Current::observe()?;
        let query = LogQuery {
            unit: unit_name(unit)?,
            invocation: invocation
                .map(|id| argument::invocation(id.to_owned()))
                .transpose()?,
            priority: priority.map(|priority| priority.min(7)),
            lines,
        };
        let entries = current.host.logs.tail(current::deadline(), &query)?;
        Ok(entries.into_iter().map(Entry::from).collect())
    }
}

/// Memory, disks, load and pressure.
pub mod resources {
    use prunella_core::argument;

    use super::super::base::types::Failure;
    use crate::testing::current::Current;

    pub use crate::bindings::prunella::observe::resources::{
        DiskUse, LoadAverage, MemoryUse, PressureShare,
    };

    pub fn memory() -> Result<MemoryUse, Failure> {
        Ok(Current::observe()?.host.resources.memory()?.into())
    }

    pub fn disk(place: &str) -> Result<DiskUse, Failure> {
        let current = Current::observe()?;
        argument::place(place, &current.service)?;
        Ok(current.host.resources.disk(place)?.into())
    }

    pub fn load() -> Result<LoadAverage, Failure> {
        Ok(Current::observe()?.host.resources.load()?.into())
    }

    pub fn pressure(of: &str) -> Result<PressureShare, Failure> {
        let current = Current::observe()?;
        let of = argument::pressure(of)?;
        Ok(current.host.resources.pressure(of)?.into())
    }
}

/// Declared probes.
pub mod probes {
    use super::super::base::types::Failure;
    use crate::testing::current::{self, Current};

    pub use crate::bindings::prunella::observe::probes::Answer;

    pub fn ask(name: &str) -> Result<Answer, Failure> {
        let current = Current::observe()?;
        current.service.probe(name)?;
        Ok(current.host.probes.ask(current::deadline(), name)?.into())
    }

    pub fn kind(name: &str) -> Result<String, Failure> {
        let current = Current::observe()?;
        Ok(current.service.probe(name)?.kind.word().to_owned())
    }

    pub fn target(name: &str) -> Result<Option<String>, Failure> {
        let current = Current::observe()?;
        let target = current.service.probe(name)?.of.as_ref();
        Ok(target.map(ToString::to_string))
    }
}

/// What happened to this service before.
pub mod history {
    use super::super::base::types::Failure;
    use crate::testing::current::Current;

    pub use crate::bindings::prunella::observe::history::PastIncident;

    pub fn recent(limit: u32) -> Result<Vec<PastIncident>, Failure> {
        let past = Current::observe()?.host.history.recent(limit)?;
        Ok(past.into_iter().map(PastIncident::from).collect())
    }
}
