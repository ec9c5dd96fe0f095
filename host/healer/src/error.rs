//! What can go wrong in the healer itself.

use std::path::PathBuf;

use prunella_core::UnitName;

/// The healer could not do its own work. What fails *inside* an incident is a
/// step of its trail instead.
#[derive(Debug, thiserror::Error)]
pub enum HealerError {
    /// The lock of a service could not be opened.
    #[error("cannot open the lock {path}")]
    Lock {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The service is being healed, and what is asked for has to wait for that.
    #[error("{0} is being healed now")]
    Busy(UnitName),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] prunella_store::StoreError),
    /// A thread could not be started.
    #[error("cannot start a thread for {what}")]
    Thread {
        what: String,
        #[source]
        source: std::io::Error,
    },
}
