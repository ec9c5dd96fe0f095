//! What can fail before, or beside, the healing of a service.

use std::{io, path::PathBuf};

use prunella_api::{ApiError, Refusal, RefusalKind, ServeError};
use prunella_config::Config;
use prunella_core::{Failure, FailureKind, UnitName};
use prunella_engine::EngineError;
use prunella_healer::HealerError;
use prunella_linux::LinuxError;
use prunella_store::StoreError;

use crate::Paths;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigMistakes),
    /// systemd, or the kernel, cannot be asked.
    #[error("cannot reach the host")]
    Host(#[from] LinuxError),
    /// Strategies cannot be run.
    #[error("cannot start the WebAssembly engine")]
    Engine(#[from] EngineError),
    /// A thread cannot be started.
    #[error("cannot start the thread that {purpose}")]
    Thread {
        /// What it is for.
        purpose: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Signals cannot be caught.
    #[error("cannot catch signals")]
    Signals(#[source] io::Error),
    /// The sockets cannot be opened.
    #[error("cannot open the daemon's sockets")]
    Sockets(#[from] ServeError),
    /// A unit's state is not known.
    #[error("cannot look at {unit}: {failure}")]
    Unit {
        unit: UnitName,
        /// What systemd says.
        failure: Failure,
    },
    /// The failed units are not known.
    #[error("cannot list the failed units: {0}")]
    FailedUnits(Failure),
    /// The unit is not in Prunella's care.
    #[error("{0} is not in Prunella's care")]
    NotInCare(UnitName),
    /// The unit's services file has a mistake, and is out of force.
    #[error(
        "{unit} is out of Prunella's care: its services file {} has a mistake and is out of force",
        file.display()
    )]
    OutOfForce {
        unit: UnitName,
        /// The whole path.
        file: PathBuf,
    },
    /// The healing ended without a result.
    #[error("the healing of {0} was broken off")]
    BrokenOff(UnitName),
    /// An incident could not be opened or followed.
    #[error(transparent)]
    Healer(#[from] HealerError),
    /// The incident store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be read, written or locked.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file that Prunella wrote does not say what Prunella writes.
    #[error("{} is not what Prunella wrote: {why}", path.display())]
    NotOurs {
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// As it is told to whoever asked, with what is known to be done about it.
impl From<DaemonError> for ApiError {
    fn from(error: DaemonError) -> Self {
        let kind = match &error {
            DaemonError::Config(_) | DaemonError::OutOfForce { .. } => RefusalKind::BadConfig,
            DaemonError::NotInCare(_) => RefusalKind::NotFound,
            DaemonError::Unit { failure, .. } if failure.kind == FailureKind::NotFound => {
                RefusalKind::NotFound
            }
            DaemonError::BrokenOff(_) => RefusalKind::Busy,
            _ => RefusalKind::Failed,
        };
        let refusal = Refusal::new(kind, explained(&error));
        match error {
            DaemonError::NotInCare(unit) => refusal.help(format!("sudo prunella enable {unit}")),
            DaemonError::OutOfForce { .. } => refusal.help(
                "`prunella config check` shows it; once it is mended, `sudo prunella reload` puts \
                 the service back in care",
            ),
            DaemonError::Config(_) => refusal.help("`prunella config check` shows them again"),
            _ => refusal,
        }
        .into()
    }
}

impl DaemonError {
    /// Why nothing is done for `unit`: nobody put it in care, or its file is out of force.
    pub(crate) fn not_in_care(paths: &Paths, config: &Config, unit: UnitName) -> Self {
        match out_of_force(paths, config, &unit) {
            Some(file) => Self::OutOfForce { unit, file },
            None => Self::NotInCare(unit),
        }
    }

    pub(crate) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }

    pub(crate) fn thread(purpose: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Thread { purpose, source }
    }
}

/// The services file of `unit`, if mistakes keep it out of force.
pub(crate) fn out_of_force(paths: &Paths, config: &Config, unit: &UnitName) -> Option<PathBuf> {
    let file = config.out_of_force.get(unit)?;
    Some(paths.config.join(file))
}

/// Every mistake in a configuration.
#[derive(Debug, thiserror::Error)]
#[error("the configuration in {} has mistakes:\n\n{}", folder.display(), mistakes.join("\n"))]
pub struct ConfigMistakes {
    /// Where it is.
    pub folder: PathBuf,
    /// The mistakes, each with its place.
    pub mistakes: Vec<String>,
}

/// The error with what caused it, on one line.
pub fn explained(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
