//! What can fail before, or beside, the healing of a service.

use std::{io, path::PathBuf};

use prunella_api::{ApiError, Refusal, RefusalKind, ServeError};
use prunella_config::Config;
use prunella_core::{Failure, FailureKind, UnitName};
use prunella_engine::EngineError;
use prunella_healer::HealerError;
use prunella_linux::LinuxError;
use prunella_store::StoreError;

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
    /// A mistake in the configuration keeps the service from being healed.
    #[error("{unit} is in Prunella's care, but not healed, because of a mistake in {mistake}")]
    Misconfigured {
        unit: UnitName,
        /// On one line, with its place.
        mistake: String,
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
            DaemonError::Config(_) | DaemonError::Misconfigured { .. } => RefusalKind::BadConfig,
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
            DaemonError::Misconfigured { .. } => refusal.help(
                "`prunella config check` shows it; once it is mended, `sudo prunella reload` has \
                 the service healed",
            ),
            DaemonError::Config(_) => refusal.help("`prunella config check` shows them again"),
            _ => refusal,
        }
        .into()
    }
}

impl DaemonError {
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

/// Fails where a mistake in the configuration keeps `unit` from being healed.
pub(crate) fn may_heal(config: &Config, unit: &UnitName) -> Result<(), DaemonError> {
    match config.mistake_of(unit) {
        Some(mistake) if config.services.contains_key(unit) => Err(DaemonError::Misconfigured {
            unit: unit.clone(),
            mistake: mistake.to_owned(),
        }),
        _ => Ok(()),
    }
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
