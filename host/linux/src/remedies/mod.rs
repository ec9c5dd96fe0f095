//! Declared remedies: what each would do, doing it, and undoing it. One file for each kind.
//!
//! What touches files of others is done by this binary again, in a transient unit
//! ([`helper`]).

pub(crate) mod helper;
mod in_folder;
mod set_aside;
mod stale_file;

use std::{sync::Arc, time::Instant};

use prunella_core::{
    Failure,
    capability::{
        Act, Answer,
        remedies::{Apply, PlanOf, TakeBack},
    },
    remedy::{Plan, Receipt, Remedy, TraceKind, Undo},
    service::Service,
};

use self::{helper::Helper, set_aside::SetAsideHere, stale_file::StaleFileHere};
use crate::{cgroup::Cgroups, runs_as::Who, transient::Runner, units::Units};

/// Applies the declared remedies of one service.
pub(crate) struct LinuxRemedies {
    service: Arc<Service>,
    helper: Helper,
    whereabouts: Whereabouts,
}

/// What tells how the service itself is.
pub(crate) struct Whereabouts {
    pub(crate) units: Arc<dyn Units>,
    pub(crate) cgroups: Arc<Cgroups>,
    /// As whom its program runs.
    pub(crate) who: Arc<dyn Who>,
}

impl LinuxRemedies {
    pub(crate) fn new(
        service: Arc<Service>,
        runner: Arc<dyn Runner>,
        whereabouts: Whereabouts,
    ) -> Self {
        let helper = Helper::new(service.unit.clone(), runner);
        Self {
            service,
            helper,
            whereabouts,
        }
    }

    fn stale_file(&self) -> StaleFileHere<'_> {
        StaleFileHere::new(&self.helper, &self.service.unit, &self.whereabouts)
    }

    fn declared(&self, act: Act, name: &str) -> Answer<&Remedy> {
        self.service.remedy(act.interface(), name)
    }

    pub(crate) fn plan(&self, deadline: Instant, of: &PlanOf) -> Answer<Plan> {
        match self.declared(of.act, &of.name)? {
            Remedy::SetAside(declared) => {
                SetAsideHere::new(&self.helper).plan(deadline, &of.name, declared)
            }
            Remedy::StaleFile(declared) => self.stale_file().plan(deadline, &of.name, declared),
        }
    }

    pub(crate) fn apply(&self, deadline: Instant, apply: &Apply) -> Answer<Receipt> {
        match (self.declared(apply.act, &apply.name)?, &apply.undo) {
            (Remedy::SetAside(_), Some(Undo::MoveBack(moved))) => {
                SetAsideHere::new(&self.helper).apply(deadline, &apply.name, moved)
            }
            (Remedy::SetAside(_), _) => Err(not_planned(apply)),
            (Remedy::StaleFile(declared), undo) => {
                let moved = match undo {
                    Some(Undo::PutBack(moved)) => Some(moved),
                    None if declared.what == TraceKind::Socket => None,
                    _ => return Err(not_planned(apply)),
                };
                self.stale_file()
                    .apply(deadline, &apply.name, declared, moved)
            }
        }
    }

    pub(crate) fn take_back(&self, deadline: Instant, back: &TakeBack) -> Answer<String> {
        match (&back.undo, back.discard) {
            (Undo::MoveBack(moved), false) => SetAsideHere::new(&self.helper).undo(deadline, moved),
            (Undo::MoveBack(moved), true) => {
                SetAsideHere::new(&self.helper).discard(deadline, moved)
            }
            (Undo::PutBack(moved), false) => self.stale_file().put_back(deadline, moved),
            (Undo::PutBack(moved), true) => self.stale_file().discard(deadline, moved),
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
