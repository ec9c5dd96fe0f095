//! Everything that can be asked of this host: each capability in a file of its own,
//! and all of them put together here, for one service.

pub(crate) mod filesystems;

use std::{sync::Arc, time::Instant};

use prunella_core::{
    Failure,
    capability::{Answer, Call, Described as _, Host, HostCalls, Operation as _, Reply},
    service::Service,
};

use crate::{
    Linux,
    checks::LinuxChecks,
    clock::SystemClock,
    declared::Declared,
    file_repair::LinuxFileRepair,
    files::LinuxFiles,
    journal::Journal,
    logs::HostLogs,
    ports::HostPorts,
    probes::{LinuxProbes, OwnLines},
    process_control,
    processes::{HostProcesses, Kin, Runs},
    remedies::LinuxRemedies,
    resources::HostResources,
    unit_control::{self, SystemdUnitControl},
    units::{SystemdUnits, Units},
};

/// This host, as one service sees it.
struct LinuxHost {
    service: Arc<Service>,
    journal: Arc<Journal>,
    units: SystemdUnits,
    processes: HostProcesses,
    ports: HostPorts,
    files: LinuxFiles,
    logs: HostLogs,
    resources: HostResources,
    probes: LinuxProbes,
    unit_control: SystemdUnitControl,
    file_repair: LinuxFileRepair,
    checks: LinuxChecks,
    remedies: LinuxRemedies,
}

impl HostCalls for LinuxHost {
    fn call(&self, deadline: Instant, call: Call) -> Answer<Reply> {
        match call {
            Call::ClockNow(now) => now.reply(Ok(SystemClock.now())),
            Call::ClockMonotonic(monotonic) => monotonic.reply(Ok(SystemClock.monotonic())),
            Call::ClockSleep(sleep) => sleep.reply(SystemClock.sleep(deadline, sleep.time)),
            Call::UnitGet(get) => get.reply(self.units.get(deadline, &get.unit)),
            Call::UnitWait(wait) => {
                wait.reply(
                    self.units
                        .wait(deadline, &wait.unit, wait.goal, wait.timeout),
                )
            }
            Call::ProcessLastFacts(of) => of.reply(Ok(self.processes.last_facts(deadline, &of))),
            Call::ProcessesOfUnit(of) => of.reply(self.processes.of_unit(deadline, &of.unit)),
            Call::ProcessAlive(alive) => {
                alive.reply(process_control::held(&alive.process).map(|held| held.alive()))
            }
            Call::PortHolders(holders) => holders.reply(self.ports.holders(
                deadline,
                holders.protocol,
                holders.number,
            )),
            Call::FileStat(stat) => stat.reply(self.files.stat(deadline, &stat.name)),
            Call::FileSha256(sha256) => sha256.reply(self.files.sha256(deadline, &sha256.name)),
            Call::FileEnvKeys(keys) => keys.reply(self.files.env_keys(deadline, &keys.name)),
            Call::FileMissingKeys(keys) => {
                keys.reply(self.files.missing_keys(deadline, &keys.name))
            }
            Call::LogTail(tail) => tail.reply(self.logs.tail(deadline, &tail)),
            Call::MemoryUse(memory) => memory.reply(self.resources.memory()),
            Call::FileSystemList(list) => {
                list.reply(filesystems::list(deadline, &self.service, &self.journal))
            }
            Call::FileSystemBelow(below) => below.reply(filesystems::below(
                deadline,
                &self.service,
                &self.journal,
                &below.place,
            )),
            Call::LoadAverage(load) => load.reply(self.resources.load()),
            Call::PressureShare(share) => share.reply(self.resources.pressure(share.of)),
            Call::ProbeAsk(ask) => ask.reply(self.probes.ask(deadline, &ask.name)),
            Call::UnitSubmit(submit) => submit.reply(self.unit_control.submit(
                deadline,
                &submit.unit,
                submit.action,
            )),
            Call::UnitResetFailed(reset) => {
                reset.reply(self.unit_control.reset_failed(deadline, &reset.unit))
            }
            Call::JobWait(wait) => {
                wait.reply(unit_control::wait_for(deadline, &wait.job, wait.timeout))
            }
            Call::ProcessTerminate(end) => end.reply(process_control::terminate(deadline, &end)),
            Call::FileRepair(repair) => {
                repair.reply(self.file_repair.repair(deadline, &repair.name, repair.what))
            }
            Call::CheckRun(run) => run.reply(self.checks.run(deadline, &run.name)),
            Call::RemedyPlan(of) => of.reply(self.remedies.plan(deadline, &of)),
            Call::RemedyApply(apply) => apply.reply(self.remedies.apply(deadline, &apply)),
            Call::ReleaseInForce(look) => look.reply(self.remedies.in_force(deadline, &look)),
            Call::RemedyKeep(keep) => keep.reply(self.remedies.keep(deadline, &keep)),
            Call::RemedyTakeBack(back) => back.reply(self.remedies.take_back(deadline, &back)),
            // What a store knows is a layer of whoever has one.
            Call::HealthGet(_)
            | Call::MetricLatest(_)
            | Call::MetricOver(_)
            | Call::HistoryRecent(_)
            | Call::StateGet(_)
            | Call::StateSet(_)
            | Call::StateRemove(_)
            | Call::StateKeys(_) => Err(Failure::unavailable(
                "no-store",
                format!("{} needs the incident store", call.description().name()),
            )),
        }
    }
}

impl Linux {
    /// Everything a run for `service` can reach, but for what is in the store.
    pub fn host_for(&self, service: Arc<Service>) -> Host {
        let units: Arc<dyn Units> = Arc::new(self.units());
        let kin = Arc::new(Kin::new(
            service.unit.clone(),
            self.groups(),
            units,
            Arc::clone(&self.journal) as Arc<dyn Runs>,
        ));
        let Declared {
            files,
            file_repair,
            checks,
            probes,
            remedies,
        } = self.declared(&service);
        let shared = Arc::clone(&self.shared);
        let ports = HostPorts::new(Arc::clone(&kin))
            .with_evidence(&service.ports, HostLogs::new(Arc::clone(&self.journal)))
            .with_snapshots(move |unit| shared.snapshots().of(unit));
        Host::new(LinuxHost {
            service: Arc::clone(&service),
            journal: Arc::clone(&self.journal),
            units: self.units(),
            processes: HostProcesses::new(kin),
            ports,
            files,
            logs: HostLogs::new(Arc::clone(&self.journal))
                .without(OwnLines::of(service.own_probes().map(|(_, probe)| probe))),
            resources: HostResources::new(service),
            probes,
            unit_control: self.unit_control(),
            file_repair,
            checks,
            remedies,
        })
    }
}
