//! Declared remedies: what each would do, doing it, and undoing it. One file for each kind.
//!
//! What touches files of others is done by this binary again, in a transient unit
//! ([`helper`]).

mod cleanup;
pub(crate) mod helper;
mod mode;
mod set_aside;

use std::{sync::Arc, time::Instant};

use prunella_core::{
    Failure,
    capability::{
        Act, Answer,
        remedies::{Apply, PlanOf, TakeBack},
    },
    remedy::{Plan, Receipt, Remedy, Undo},
    service::Service,
};

use self::{cleanup::CleanupHere, helper::Helper, mode::ModeHere, set_aside::SetAsideHere};
use crate::{
    checks::LinuxChecks, transient::Runner, unit_control::SystemdUnitControl, units::Units,
};

/// What remedies are applied with.
pub(crate) struct Tools {
    pub(crate) runner: Arc<dyn Runner>,
    pub(crate) units: Arc<dyn Units>,
    pub(crate) control: SystemdUnitControl,
    pub(crate) checks: LinuxChecks,
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

    fn declared(&self, act: Act, name: &str) -> Answer<&Remedy> {
        self.service.remedy(act.interface(), name)
    }

    pub(crate) fn plan(&self, deadline: Instant, of: &PlanOf) -> Answer<Plan> {
        match self.declared(of.act, &of.name)? {
            Remedy::Cleanup(declared) => {
                CleanupHere::new(&self.helper).plan(deadline, &of.name, declared)
            }
            Remedy::Mode(mode) => self.mode().plan(deadline, &of.name, mode),
            Remedy::SetAside(declared) => {
                SetAsideHere::new(&self.helper).plan(deadline, &of.name, declared)
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
            (Remedy::Mode(_) | Remedy::SetAside(_), _) => Err(not_planned(apply)),
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
        }
    }
}

/// What would be done without its plan could not be undone.
fn not_planned(apply: &Apply) -> Failure {
    Failure::failed(
        "not-planned",
        format!("{} of `{}` was not planned", apply.act, apply.name),
    )
}
