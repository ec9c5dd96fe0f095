//! Declared remedies: what each would do, doing it, and undoing it. One file for each kind.
//!
//! What touches files of others is done by this binary again, in a transient unit
//! ([`helper`]).

mod call;
pub(crate) mod helper;
mod set_aside;
pub(crate) mod signal;

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

use self::{call::CallHere, helper::Helper, set_aside::SetAsideHere};
use crate::{transient::Runner, unit_control::SystemdUnitControl, units::Units};

/// Applies the declared remedies of one service.
pub(crate) struct LinuxRemedies {
    service: Arc<Service>,
    units: Arc<dyn Units>,
    control: SystemdUnitControl,
    helper: Helper,
}

impl LinuxRemedies {
    pub(crate) fn new(
        service: Arc<Service>,
        units: Arc<dyn Units>,
        control: SystemdUnitControl,
        runner: Arc<dyn Runner>,
    ) -> Self {
        let helper = Helper::new(service.unit.clone(), runner);
        Self {
            service,
            units,
            control,
            helper,
        }
    }

    fn declared(&self, act: Act, name: &str) -> Answer<&Remedy> {
        self.service.remedy(act.interface(), name)
    }

    pub(crate) fn plan(&self, deadline: Instant, of: &PlanOf) -> Answer<Plan> {
        match self.declared(of.act, &of.name)? {
            Remedy::Call(declared) => Ok(call::plan(&of.name, declared)),
            Remedy::SetAside(declared) => {
                SetAsideHere::new(&self.helper).plan(deadline, &of.name, declared)
            }
            Remedy::Signal(declared) => self.plan_signal(deadline, &of.name, *declared),
        }
    }

    pub(crate) fn apply(&self, deadline: Instant, apply: &Apply) -> Answer<Receipt> {
        match (self.declared(apply.act, &apply.name)?, &apply.undo) {
            (Remedy::Call(declared), _) => {
                CallHere::new(&self.helper).apply(deadline, &apply.name, declared)
            }
            (Remedy::SetAside(_), Some(Undo::MoveBack(moved))) => {
                SetAsideHere::new(&self.helper).apply(deadline, &apply.name, moved)
            }
            (Remedy::SetAside(_), _) => Err(not_planned(apply)),
            (Remedy::Signal(declared), _) => self.send_signal(deadline, &apply.name, *declared),
        }
    }

    pub(crate) fn take_back(&self, deadline: Instant, back: &TakeBack) -> Answer<String> {
        match (&back.undo, back.discard) {
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
