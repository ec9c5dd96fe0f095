//! `prunella:observe`.

use prunella_core::{UnitName, capability::Repair, service::ReadBy};
use wasmtime::component::Resource;

use super::{
    answer, answers,
    prunella::{
        base::types::Failure,
        observe::{files, history, logs, ports, probes, processes, resources, units},
    },
};
use crate::seam::{File, Holder, Process, Seam, Unit};

/// What most functions return.
type Answer<T> = wasmtime::Result<Result<T, Failure>>;

/// Getters of a resource: each counts, and reads what the handle holds.
macro_rules! getters {
    ($resource:ty; $($name:ident -> $type:ty: $get:expr;)*) => {
        $(fn $name(&mut self, handle: Resource<$resource>) -> wasmtime::Result<$type> {
            self.count()?;
            let get: fn(&$resource) -> $type = $get;
            Ok(get(self.at(&handle)?))
        })*
    };
}

fn names(units: &[UnitName]) -> Vec<String> {
    units.iter().map(ToString::to_string).collect()
}

impl units::Host for Seam {
    fn get(&mut self, name: String) -> Answer<Resource<Unit>> {
        answer(self.unit(&name))
    }

    fn wait(
        &mut self,
        name: String,
        until: units::Goal,
        timeout_milliseconds: u64,
    ) -> Answer<Resource<Unit>> {
        answer(self.wait_for_unit(&name, until.into(), timeout_milliseconds))
    }
}

impl units::HostUnit for Seam {
    getters! { Unit;
        name -> String: |u| u.0.name.to_string();
        active_state -> units::ActiveState: |u| u.0.active_state.into();
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

    fn drop(&mut self, unit: Resource<Unit>) -> wasmtime::Result<()> {
        self.dropped(unit)
    }
}

impl processes::Host for Seam {
    fn of_unit(&mut self, unit: String) -> Answer<Vec<Resource<Process>>> {
        answers(self.processes_of(&unit))
    }
}

impl processes::HostProcess for Seam {
    getters! { Process;
        pid -> u32: |p| p.0.info().pid;
        executable -> Option<String>: |p| p.0.info().executable.clone();
        user -> String: |p| p.0.info().user.clone();
        unit -> Option<String>: |p| p.0.info().unit.as_ref().map(ToString::to_string);
        kinship -> processes::Kinship: |p| p.0.info().kinship.into();
        evidence -> String: |p| p.0.info().evidence.clone();
        started_at -> u64: |p| p.0.info().started_at;
    }

    fn alive(&mut self, process: Resource<Process>) -> wasmtime::Result<bool> {
        self.process_alive(&process)
    }

    fn drop(&mut self, process: Resource<Process>) -> wasmtime::Result<()> {
        self.dropped(process)
    }
}

impl ports::Host for Seam {
    fn holders(&mut self, protocol: String, number: u16) -> Answer<Vec<Resource<Holder>>> {
        answers(self.port_holders(&protocol, number))
    }
}

impl ports::HostHolder for Seam {
    getters! { Holder;
        unit -> Option<String>: |h| h.0.unit.as_ref().map(ToString::to_string);
        socket_activated -> bool: |h| h.0.socket_activated;
        address -> String: |h| h.0.address.clone();
    }

    fn process(&mut self, holder: Resource<Holder>) -> wasmtime::Result<Option<Resource<Process>>> {
        self.holder_process(&holder)
    }

    fn drop(&mut self, holder: Resource<Holder>) -> wasmtime::Result<()> {
        self.dropped(holder)
    }
}

impl files::Host for Seam {
    fn stat(&mut self, name: String) -> Answer<Resource<File>> {
        answer(self.file(&name))
    }

    fn sha256(&mut self, name: String) -> Answer<String> {
        answer(self.file_sha256(&name))
    }

    fn env_keys(&mut self, name: String) -> Answer<Vec<files::EnvKey>> {
        answers(Seam::env_keys(self, &name))
    }

    fn missing_keys(&mut self, name: String) -> Answer<Vec<String>> {
        answer(Seam::missing_keys(self, &name))
    }
}

impl files::HostFile for Seam {
    getters! { File;
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

    fn drop(&mut self, file: Resource<File>) -> wasmtime::Result<()> {
        self.dropped(file)
    }
}

impl logs::Host for Seam {
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

impl resources::Host for Seam {
    fn memory(&mut self) -> Answer<resources::MemoryUse> {
        answer(Seam::memory(self))
    }

    fn disk(&mut self, place: String) -> Answer<resources::DiskUse> {
        answer(Seam::disk(self, &place))
    }

    fn load(&mut self) -> Answer<resources::LoadAverage> {
        answer(Seam::load(self))
    }

    fn pressure(&mut self, of: String) -> Answer<resources::PressureShare> {
        answer(Seam::pressure(self, &of))
    }
}

impl probes::Host for Seam {
    fn ask(&mut self, name: String) -> Answer<probes::Answer> {
        answer(self.ask_probe(&name))
    }

    fn kind(&mut self, name: String) -> Answer<String> {
        answer(self.probe_kind(&name))
    }

    fn target(&mut self, name: String) -> Answer<Option<String>> {
        answer(self.probe_target(&name))
    }
}

impl history::Host for Seam {
    fn recent(&mut self, limit: u32) -> Answer<Vec<history::PastIncident>> {
        answers(self.past_incidents(limit))
    }
}
