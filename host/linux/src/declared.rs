//! What an operator declared about one service, as capabilities: its files,
//! checks, probes and remedies.

use std::sync::Arc;

use prunella_core::service::Service;

use crate::{
    Linux,
    checks::LinuxChecks,
    file_repair::LinuxFileRepair,
    files::LinuxFiles,
    probes::{CommandProbe, LinuxProbes},
    remedies::{LinuxRemedies, LiveUnits, Tools},
    runs_as::{UnitWho, Who},
    sqlite_check::SqliteCheck,
    transient::{Runner, Transient},
    units::Units,
};

/// The capabilities that work on declared names, for one service.
pub(crate) struct Declared {
    /// How declared files stand.
    pub(crate) files: LinuxFiles,
    /// Repairing them. Runs this binary again, with the hidden arguments
    /// `internal repair`: see [`internal::main`](crate::internal::main).
    pub(crate) file_repair: LinuxFileRepair,
    pub(crate) checks: LinuxChecks,
    /// Declared probes; for SQLite this runs the binary again as well.
    pub(crate) probes: LinuxProbes,
    pub(crate) remedies: LinuxRemedies,
}

impl Linux {
    /// What is declared of `service`.
    pub(crate) fn declared(&self, service: &Arc<Service>) -> Declared {
        let units: Arc<dyn Units> = Arc::new(self.units());
        let who: Arc<dyn Who> = Arc::new(UnitWho::new(
            Arc::clone(&self.shared),
            Arc::clone(&units),
            service.unit.clone(),
        ));
        let runner: Arc<dyn Runner> =
            Arc::new(Transient::new(Arc::clone(&self.shared), Arc::clone(&units)));
        Declared {
            files: LinuxFiles::new(Arc::clone(service), Arc::clone(&who)),
            file_repair: LinuxFileRepair::new(Arc::clone(service), Arc::clone(&runner)),
            checks: LinuxChecks::new(Arc::clone(service), Arc::clone(&who), Arc::clone(&runner)),
            probes: LinuxProbes::new(
                Arc::clone(service),
                SqliteCheck::new(Arc::clone(&runner)),
                CommandProbe::new(Arc::clone(&who), Arc::clone(&runner)),
            ),
            remedies: LinuxRemedies::new(
                Arc::clone(service),
                Tools {
                    checks: LinuxChecks::new(
                        Arc::clone(service),
                        Arc::clone(&who),
                        Arc::clone(&runner),
                    ),
                    runner,
                    units,
                    control: self.unit_control(),
                    cgroups: self.groups(),
                    who,
                    content: self.content.clone(),
                    live: LiveUnits::new(Arc::clone(&self.shared), self.groups()),
                },
            ),
        }
    }
}
