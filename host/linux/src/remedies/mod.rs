//! Declared remedies: what each would do, doing it, and undoing it. One file for each kind.
//!
//! What touches files of others is done by this binary again, in a transient unit
//! ([`helper`]).

mod file_restore;
pub(crate) mod helper;
mod in_folder;
mod mode;
mod set_aside;
mod stale_file;

use std::{path::PathBuf, sync::Arc, time::Instant};

use prunella_core::{
    Failure, UnitName,
    capability::{
        Act, Answer,
        remedies::{Apply, Keep, PlanOf, TakeBack},
    },
    remedy::{Plan, Receipt, Remedy, TraceKind, Undo},
    service::Service,
};

use self::{
    file_restore::FileRestoreHere, helper::Helper, mode::ModeHere, set_aside::SetAsideHere,
    stale_file::StaleFileHere,
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

    pub(crate) fn keep(&self, deadline: Instant, keep: &Keep) -> Answer<bool> {
        match self.service.remedy("file-restore", &keep.name)? {
            Remedy::FileRestore(declared) => {
                self.file_restore().keep(deadline, &keep.name, declared)
            }
            _ => Ok(false),
        }
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

    fn declared(&self, act: Act, name: &str) -> Answer<&Remedy> {
        self.service.remedy(act.interface(), name)
    }

    pub(crate) fn plan(&self, deadline: Instant, of: &PlanOf) -> Answer<Plan> {
        match self.declared(of.act, &of.name)? {
            Remedy::Mode(mode) => self.mode().plan(deadline, &of.name, mode),
            Remedy::FileRestore(declared) => {
                let passes = |check: &str| Ok(self.tools.checks.run(deadline, check)?.passed);
                self.file_restore()
                    .plan(deadline, &of.name, declared, &passes)
            }
            Remedy::SetAside(declared) => {
                SetAsideHere::new(&self.helper).plan(deadline, &of.name, declared)
            }
            Remedy::StaleFile(declared) => self.stale_file().plan(deadline, &of.name, declared),
        }
    }

    pub(crate) fn apply(&self, deadline: Instant, apply: &Apply) -> Answer<Receipt> {
        match (self.declared(apply.act, &apply.name)?, &apply.undo) {
            (Remedy::Mode(mode), Some(Undo::LeaveMode(entered))) => {
                self.mode().apply(deadline, mode, entered)
            }
            (Remedy::FileRestore(declared), Some(Undo::TakeContentBack(replaced))) => self
                .file_restore()
                .apply(deadline, &apply.name, declared, replaced),
            (Remedy::FileRestore(_), _) => Err(not_planned(apply)),
            (Remedy::SetAside(_), Some(Undo::MoveBack(moved))) => {
                SetAsideHere::new(&self.helper).apply(deadline, &apply.name, moved)
            }
            (Remedy::Mode(_) | Remedy::SetAside(_), _) => Err(not_planned(apply)),
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
        self.helper.stop_orphans(deadline)?;
        match (&back.undo, back.discard) {
            (Undo::LeaveMode(entered), _) => self.mode().undo(deadline, entered),
            (Undo::MoveBack(moved), false) => SetAsideHere::new(&self.helper).undo(deadline, moved),
            (Undo::MoveBack(moved), true) => {
                SetAsideHere::new(&self.helper).discard(deadline, moved)
            }
            (Undo::TakeContentBack(replaced), false) => {
                self.file_restore().take_back(deadline, replaced)
            }
            (Undo::TakeContentBack(replaced), true) => {
                self.file_restore().discard(deadline, replaced)
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
