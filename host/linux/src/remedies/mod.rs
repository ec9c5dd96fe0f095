//! Declared remedies: what each would do, doing it, and undoing it. One file for each kind.
//!
//! What touches files of others is done by this binary again, in a transient unit
//! ([`helper`]).

mod cleanup;
pub(crate) mod helper;
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

use self::{cleanup::CleanupHere, helper::Helper, set_aside::SetAsideHere};
use crate::transient::Runner;

/// Applies the declared remedies of one service.
pub(crate) struct LinuxRemedies {
    service: Arc<Service>,
    helper: Helper,
}

impl LinuxRemedies {
    pub(crate) fn new(service: Arc<Service>, runner: Arc<dyn Runner>) -> Self {
        let helper = Helper::new(service.unit.clone(), runner);
        Self { service, helper }
    }

    fn declared(&self, act: Act, name: &str) -> Answer<&Remedy> {
        self.service.remedy(act.interface(), name)
    }

    pub(crate) fn plan(&self, deadline: Instant, of: &PlanOf) -> Answer<Plan> {
        match self.declared(of.act, &of.name)? {
            Remedy::Cleanup(declared) => {
                CleanupHere::new(&self.helper).plan(deadline, &of.name, declared)
            }
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
            (Remedy::SetAside(_), Some(Undo::MoveBack(moved))) => {
                SetAsideHere::new(&self.helper).apply(deadline, &apply.name, moved)
            }
            (Remedy::SetAside(_), _) => Err(not_planned(apply)),
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
