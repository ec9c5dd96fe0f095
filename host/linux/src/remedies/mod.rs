//! Declared remedies: what each would do, doing it, and undoing it. One file for each kind.
//!
//! What touches files of others is done by this binary again, in a transient unit
//! ([`helper`]).

mod cleanup;
pub(crate) mod helper;
mod instances;
mod live;
mod memory;
mod mode;
mod offenders;
mod set_aside;
mod top;
mod unit_limits;
mod zombies;

use std::{sync::Arc, time::Instant};

use prunella_core::{
    Failure, UnitName,
    capability::{
        Act, Answer,
        remedies::{Apply, PlanOf, TakeBack},
    },
    remedy::{Plan, Receipt, Remedy, Undo},
    service::Service,
};

pub(crate) use self::live::LiveUnits;
use self::{
    cleanup::CleanupHere, helper::Helper, instances::InstancesHere, memory::MemoryHere,
    mode::ModeHere, offenders::OffendersHere, set_aside::SetAsideHere, unit_limits::LimitsHere,
    zombies::ZombiesHere,
};
use crate::{
    checks::LinuxChecks, transient::Runner, unit_control::SystemdUnitControl, units::Units,
};

/// What remedies are applied with.
pub(crate) struct Tools {
    pub(crate) runner: Arc<dyn Runner>,
    pub(crate) units: Arc<dyn Units>,
    pub(crate) control: SystemdUnitControl,
    pub(crate) checks: LinuxChecks,
    pub(crate) live: LiveUnits,
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

    fn mode(&self) -> ModeHere<'_> {
        ModeHere {
            units: &*self.tools.units,
            control: &self.tools.control,
            checks: &self.tools.checks,
        }
    }

    fn instances(&self) -> InstancesHere<'_> {
        InstancesHere {
            units: &*self.tools.units,
            control: &self.tools.control,
            checks: &self.tools.checks,
        }
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
            Remedy::Instances(declared) => {
                self.instances()
                    .plan(deadline, of, declared, &self.service.unit)
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
            Remedy::Mode(mode) => self.mode().plan(deadline, &of.name, mode),
            Remedy::SetAside(declared) => {
                SetAsideHere::new(&self.helper).plan(deadline, &of.name, declared)
            }
            Remedy::UnitLimits(declared) => {
                let unit = self.unit_or_own(declared.unit.as_ref());
                LimitsHere::new(&self.tools.live).plan(deadline, of, unit, declared)
            }
            Remedy::Zombies(declared) => {
                ZombiesHere::new(&self.tools.live).plan(deadline, &self.service.unit, *declared)
            }
        }
    }

    pub(crate) fn apply(&self, deadline: Instant, apply: &Apply) -> Answer<Receipt> {
        match (self.declared(apply.act, &apply.name)?, &apply.undo) {
            (Remedy::Cleanup(declared), _) => {
                CleanupHere::new(&self.helper).apply(deadline, &apply.name, declared)
            }
            (Remedy::Mode(mode), Some(Undo::LeaveMode(entered))) => {
                self.mode().apply(deadline, mode, entered)
            }
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
            (Remedy::UnitLimits(_), Some(Undo::SetBack(moved))) => {
                LimitsHere::new(&self.tools.live).apply(deadline, apply, moved)
            }
            (Remedy::Zombies(_), None) => {
                ZombiesHere::new(&self.tools.live).apply(deadline, &self.service.unit)
            }
            (
                Remedy::MemoryReclaim(_)
                | Remedy::Mode(_)
                | Remedy::SetAside(_)
                | Remedy::UnitLimits(_)
                | Remedy::Zombies(_),
                _,
            ) => Err(not_planned(apply)),
        }
    }

    pub(crate) fn take_back(&self, deadline: Instant, back: &TakeBack) -> Answer<String> {
        self.helper.stop_orphans(deadline)?;
        match (&back.undo, back.discard) {
            (Undo::LeaveMode(entered), _) => self.mode().undo(deadline, entered),
            (Undo::MoveBack(moved), false) => SetAsideHere::new(&self.helper).undo(deadline, moved),
            (Undo::MoveBack(moved), true) => {
                SetAsideHere::new(&self.helper).discard(deadline, moved)
            }
            (Undo::SetBack(moved), _) => LimitsHere::new(&self.tools.live).undo(deadline, moved),
            (Undo::StopInstance(started), _) => self.instances().stop(deadline, started),
            (Undo::StartInstance { unit }, _) => self.instances().start(deadline, unit),
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
