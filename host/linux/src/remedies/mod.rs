//! Declared remedies: what each would do, doing it, and undoing it. One file for each kind.
//!
//! What touches files of others is done by this binary again, in a transient unit
//! ([`helper`]).

mod call;
mod circuit;
mod cleanup;
mod config_update;
mod failover;
mod file_restore;
pub(crate) mod helper;
mod in_folder;
mod instances;
mod live;
mod memory;
mod mode;
mod offenders;
mod release;
mod set_aside;
pub(crate) mod signal;
mod stale_file;
mod top;
pub(crate) mod traffic;
mod unit_limits;
mod zombies;

use std::{path::PathBuf, sync::Arc, time::Instant};

use prunella_core::{
    Failure, UnitName,
    capability::{
        Act, Answer,
        release::InForce,
        remedies::{Apply, Keep, PlanOf, TakeBack},
    },
    remedy::{
        InstanceServer, Instances, Plan, Receipt, ReleaseInForce, Remedy, TraceKind, Traffic,
        TrafficWay, Undo,
    },
    service::Service,
};

pub(crate) use self::live::LiveUnits;
use self::{
    call::CallHere, circuit::CircuitHere, cleanup::CleanupHere, config_update::ConfigUpdateHere,
    failover::FailoverHere, file_restore::FileRestoreHere, helper::Helper,
    instances::InstancesHere, memory::MemoryHere, mode::ModeHere, offenders::OffendersHere,
    release::ReleaseHere, set_aside::SetAsideHere, stale_file::StaleFileHere, traffic::TrafficHere,
    unit_limits::LimitsHere, zombies::ZombiesHere,
};
use crate::{
    cgroup::Cgroups, checks::LinuxChecks, runs_as::Who, transient::Runner,
    unit_control::SystemdUnitControl, units::Units,
};

/// What remedies are applied with.
pub(crate) struct Tools {
    pub(crate) runner: Arc<dyn Runner>,
    pub(crate) units: Arc<dyn Units>,
    pub(crate) control: SystemdUnitControl,
    pub(crate) checks: LinuxChecks,
    pub(crate) live: LiveUnits,
    pub(crate) cgroups: Arc<Cgroups>,
    /// As whom the service's program runs.
    pub(crate) who: Arc<dyn Who>,
    /// Where copies of files are kept.
    pub(crate) content: Option<PathBuf>,
}

impl Tools {
    /// Why the service may still be there; none when it is proven down.
    fn not_down(&self, deadline: Instant, unit: &UnitName) -> Answer<Option<String>> {
        let status = self.units.get(deadline, unit)?;
        if status.is_up() {
            return Ok(Some(format!("{unit} is up")));
        }
        if !status.is_settled() {
            let state = status.active_state.as_str();
            return Ok(Some(format!("{unit} is {state}, and not down for good")));
        }
        let left = self.cgroups.of_unit(unit);
        let left = left.map(|path| self.cgroups.processes(&path));
        let left = left.unwrap_or_default().into_iter().min();
        Ok(left.map(|pid| format!("process {pid} of {unit} is left")))
    }
}

/// Applies the declared remedies of one service.
pub(crate) struct LinuxRemedies {
    service: Arc<Service>,
    helper: Helper,
    tools: Tools,
}

impl LinuxRemedies {
    pub(crate) fn new(service: Arc<Service>, tools: Tools) -> Self {
        let helper = Helper::new(service.unit.clone(), Arc::clone(&tools.runner));
        Self {
            service,
            helper,
            tools,
        }
    }

    fn file_restore(&self) -> FileRestoreHere<'_> {
        FileRestoreHere::new(&self.helper, &self.service.unit, &self.tools)
    }

    /// Takes a copy of a declared file, where it has changed and is in force.
    pub(crate) fn keep(&self, deadline: Instant, keep: &Keep) -> Answer<bool> {
        match self.service.remedy("file-restore", &keep.name)? {
            Remedy::FileRestore(declared) => {
                self.file_restore().keep(deadline, &keep.name, declared)
            }
            _ => Ok(false),
        }
    }

    fn config_update(&self) -> ConfigUpdateHere<'_> {
        ConfigUpdateHere::new(&self.helper, self.file_restore(), &self.tools)
    }

    fn stale_file(&self) -> StaleFileHere<'_> {
        StaleFileHere::new(&self.helper, &self.service.unit, &self.tools)
    }

    fn mode(&self) -> ModeHere<'_> {
        ModeHere {
            units: &*self.tools.units,
            control: &self.tools.control,
            checks: &self.tools.checks,
        }
    }

    /// Of the service that a circuit isolates.
    fn circuit(&self) -> CircuitHere<'_> {
        CircuitHere {
            unit: &self.service.unit,
            start_limit: self.service.start_limit,
            tools: &self.tools,
        }
    }

    fn failover(&self) -> FailoverHere<'_> {
        FailoverHere {
            helper: &self.helper,
            tools: &self.tools,
            primary: &self.service.unit,
        }
    }

    fn instances(&self) -> InstancesHere<'_> {
        InstancesHere {
            units: &*self.tools.units,
            control: &self.tools.control,
            checks: &self.tools.checks,
            helper: &self.helper,
        }
    }

    /// What `drain-traffic` of instances names: a server for each of them.
    fn server_of(&self, instances: &Instances) -> Answer<Option<InstanceServer>> {
        let Some(name) = &instances.drain_traffic else {
            return Ok(None);
        };
        match self.service.remedy("traffic", name)? {
            Remedy::Traffic(Traffic {
                way: TrafficWay::Haproxy(server),
                wait,
                ..
            }) => Ok(Some(InstanceServer {
                server: server.clone(),
                wait: *wait,
            })),
            _ => Ok(None),
        }
    }

    fn traffic(&self) -> TrafficHere<'_> {
        TrafficHere::new(&self.helper, &self.tools.checks, &self.service.unit)
    }

    /// The unit that a remedy acts on: the service's own, where it names none.
    fn unit_or_own<'a>(&'a self, unit: Option<&'a UnitName>) -> &'a UnitName {
        unit.unwrap_or(&self.service.unit)
    }

    fn declared(&self, act: Act, name: &str) -> Answer<&Remedy> {
        self.service.remedy(act.interface(), name)
    }

    pub(crate) fn plan(&self, deadline: Instant, of: &PlanOf) -> Answer<Plan> {
        match self.declared(of.act, &of.name)? {
            Remedy::Cleanup(declared) => {
                CleanupHere::new(&self.helper).plan(deadline, &of.name, declared)
            }
            Remedy::ConfigUpdate(declared) => {
                self.config_update().plan(deadline, &of.name, declared)
            }
            Remedy::Failover(declared) => self.failover().plan(deadline, &of.name, declared),
            Remedy::FileRestore(declared) => {
                let passes = |check: &str| Ok(self.tools.checks.run(deadline, check)?.passed);
                self.file_restore()
                    .plan(deadline, &of.name, declared, &passes)
            }
            Remedy::StaleFile(declared) => self.stale_file().plan(deadline, &of.name, declared),
            Remedy::Instances(declared) => {
                let server = self.server_of(declared)?;
                let own = &self.service.unit;
                self.instances()
                    .plan(deadline, of, declared, own, server.as_ref())
            }
            Remedy::MemoryReclaim(declared) => {
                let unit = self.unit_or_own(declared.unit.as_ref());
                MemoryHere::new(&self.helper, &self.tools.live)
                    .plan(deadline, &of.name, unit, declared)
            }
            Remedy::Offender(declared) => OffendersHere::new(&self.tools.live).plan(
                deadline,
                of,
                declared,
                &self.service.unit,
            ),
            Remedy::Call(declared) => Ok(call::plan(&of.name, declared)),
            // How often it has failed is in the store.
            Remedy::Circuit(_) => Ok(Plan::nothing(
                "how often the service has failed is not known without the incident store",
            )),
            // What it was before is in the store.
            Remedy::Release(_) => Ok(Plan::nothing(
                "which releases are proven is not known without the incident store",
            )),
            Remedy::Mode(mode) => self.mode().plan(deadline, &of.name, mode),
            Remedy::SetAside(declared) => {
                SetAsideHere::new(&self.helper).plan(deadline, &of.name, declared)
            }
            Remedy::Traffic(declared) => self.traffic().plan(deadline, of, declared),
            Remedy::UnitLimits(declared) => {
                let unit = self.unit_or_own(declared.unit.as_ref());
                LimitsHere::new(&self.tools.live).plan(deadline, of, unit, declared)
            }
            Remedy::Zombies(declared) => {
                ZombiesHere::new(&self.tools.live).plan(deadline, &self.service.unit, *declared)
            }
            Remedy::Signal(declared) => self.plan_signal(deadline, &of.name, *declared),
        }
    }

    pub(crate) fn apply(&self, deadline: Instant, apply: &Apply) -> Answer<Receipt> {
        match (self.declared(apply.act, &apply.name)?, &apply.undo) {
            (Remedy::Call(declared), _) => {
                CallHere::new(&self.helper).apply(deadline, &apply.name, declared)
            }
            (Remedy::Circuit(_), Some(Undo::CloseCircuit(opened)))
                if apply.act == Act::OpenCircuit =>
            {
                self.circuit().open(deadline, opened)
            }
            (Remedy::Circuit(_), None) if apply.act == Act::HalfOpenCircuit => {
                self.circuit().half_open(deadline)
            }
            (Remedy::Cleanup(declared), _) => {
                CleanupHere::new(&self.helper).apply(deadline, &apply.name, declared)
            }
            (Remedy::ConfigUpdate(declared), Some(Undo::TakeContentBack(replaced))) => self
                .config_update()
                .apply(deadline, &apply.name, declared, replaced),
            (Remedy::Failover(declared), Some(Undo::FailBack(over))) => {
                self.failover().apply(deadline, declared, over)
            }
            (Remedy::Mode(mode), Some(Undo::LeaveMode(entered))) => {
                self.mode().apply(deadline, mode, entered)
            }
            (Remedy::Release(_), Some(Undo::Relink(change))) => {
                ReleaseHere::new(&self.helper).apply(deadline, &apply.name, change)
            }
            (Remedy::Release(_), Some(Undo::Reinstall(change))) => {
                ReleaseHere::new(&self.helper).install(deadline, &apply.name, change)
            }
            (Remedy::FileRestore(declared), Some(Undo::TakeContentBack(replaced))) => self
                .file_restore()
                .apply(deadline, &apply.name, declared, replaced),
            (Remedy::StaleFile(declared), Some(Undo::PutBack(moved))) => {
                self.stale_file()
                    .apply(deadline, &apply.name, declared, Some(moved))
            }
            // Nobody could listen on it again: it is not kept.
            (Remedy::StaleFile(declared), None) if declared.what == TraceKind::Socket => self
                .stale_file()
                .apply(deadline, &apply.name, declared, None),
            (Remedy::SetAside(_), Some(Undo::MoveBack(moved))) => {
                SetAsideHere::new(&self.helper).apply(deadline, &apply.name, moved)
            }
            (Remedy::MemoryReclaim(declared), None) => {
                let unit = self.unit_or_own(declared.unit.as_ref());
                MemoryHere::new(&self.helper, &self.tools.live).apply(
                    deadline,
                    &apply.name,
                    unit,
                    declared,
                )
            }
            (Remedy::Instances(declared), undo) => {
                self.instances()
                    .apply(deadline, apply, declared, undo.as_ref())
            }
            (Remedy::Offender(declared), undo) => {
                OffendersHere::new(&self.tools.live).apply(deadline, apply, declared, undo.as_ref())
            }
            (Remedy::Traffic(declared), undo) => {
                self.traffic()
                    .apply(deadline, apply, declared, undo.as_ref())
            }
            (Remedy::UnitLimits(_), Some(Undo::SetBack(moved))) => {
                LimitsHere::new(&self.tools.live).apply(deadline, apply, moved)
            }
            (Remedy::Zombies(_), None) => {
                ZombiesHere::new(&self.tools.live).apply(deadline, &self.service.unit)
            }
            (
                Remedy::Circuit(_)
                | Remedy::ConfigUpdate(_)
                | Remedy::Failover(_)
                | Remedy::FileRestore(_)
                | Remedy::MemoryReclaim(_)
                | Remedy::Mode(_)
                | Remedy::Release(_)
                | Remedy::SetAside(_)
                | Remedy::StaleFile(_)
                | Remedy::UnitLimits(_)
                | Remedy::Zombies(_),
                _,
            ) => Err(not_planned(apply)),
            (Remedy::Signal(declared), _) => self.send_signal(deadline, &apply.name, *declared),
        }
    }

    /// Where a declared release's link leads.
    pub(crate) fn in_force(&self, deadline: Instant, look: &InForce) -> Answer<ReleaseInForce> {
        match self.service.remedy("release", &look.name)? {
            Remedy::Release(declared) => {
                let here = ReleaseHere::new(&self.helper);
                here.in_force(deadline, &look.name, declared, look.others.clone())
            }
            other => Err(Failure::invalid(
                "not-a-release",
                format!("`{}` is a {}", look.name, other.kind()),
            )),
        }
    }

    pub(crate) fn take_back(&self, deadline: Instant, back: &TakeBack) -> Answer<String> {
        self.helper.stop_orphans(deadline)?;
        self.tools.checks.stop_orphans(deadline)?;
        match (&back.undo, back.discard) {
            (Undo::CloseCircuit(opened), _) => self.circuit().close(deadline, opened),
            (Undo::FailBack(over), _) => self.failover().undo(deadline, over, back.why),
            (Undo::LeaveMode(entered), _) => self.mode().undo(deadline, entered),
            (Undo::MoveBack(moved), false) => SetAsideHere::new(&self.helper).undo(deadline, moved),
            (Undo::Relink(change), false) => ReleaseHere::new(&self.helper).undo(deadline, change),
            (Undo::Relink(change), true) => Ok(format!(
                "nothing is kept of the change of {}",
                change.path.display()
            )),
            (Undo::Reinstall(change), false) => {
                ReleaseHere::new(&self.helper).install_again(deadline, change)
            }
            (Undo::Reinstall(_), true) => {
                Ok("nothing is kept of the change of packages".to_owned())
            }
            (Undo::MoveBack(moved), true) => {
                SetAsideHere::new(&self.helper).discard(deadline, moved)
            }
            (Undo::PutBack(moved), false) => self.stale_file().put_back(deadline, moved),
            (Undo::PutBack(moved), true) => self.stale_file().discard(deadline, moved),
            (Undo::TakeContentBack(replaced), false) => {
                self.file_restore().take_back(deadline, replaced, back.why)
            }
            (Undo::TakeContentBack(replaced), true) => {
                self.file_restore().discard(deadline, replaced)
            }
            (Undo::SetBack(moved), _) => LimitsHere::new(&self.tools.live).undo(deadline, moved),
            (Undo::StopInstance(started), _) => self.instances().stop(deadline, started),
            (Undo::StartInstance { unit, server }, _) => {
                self.instances().start(deadline, unit, server.as_deref())
            }
            (Undo::RestoreTraffic(changed), _) => self.traffic().undo(deadline, changed),
            (Undo::Thaw { unit }, _) => OffendersHere::new(&self.tools.live).thaw(deadline, unit),
        }
    }
}

/// What would be done without its plan could not be undone.
pub(super) fn not_planned(apply: &Apply) -> Failure {
    Failure::failed(
        "not-planned",
        format!("{} of `{}` was not planned", apply.act, apply.name),
    )
}
