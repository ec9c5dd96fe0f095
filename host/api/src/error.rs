//! Why there is no answer.

use std::{io, path::PathBuf, time::Duration};

use crate::{Refusal, RefusalKind};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No daemon listens.
    #[error("no Prunella daemon listens on {0}")]
    NotListening(PathBuf),
    /// The socket is not for the likes of us.
    #[error("no permission to ask the daemon on {0}")]
    NoPermission(PathBuf),
    /// The daemon took too long. What was asked may still be done.
    #[error("the daemon did not answer within {0:?}")]
    TimedOut(Duration),
    /// The daemon closed the connection.
    #[error("the daemon closed the connection without an answer")]
    Closed,
    /// The answer is not one.
    #[error("the daemon's answer is not understood: {0}")]
    NotUnderstood(String),
    /// The daemon will not, or cannot.
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("asking the daemon on {path} failed")]
    Io {
        path: PathBuf,
        /// What came of it.
        #[source]
        source: io::Error,
    },
}

impl ApiError {
    /// As it is told to somebody at the other end of a connection.
    pub fn into_refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            other => Refusal::new(RefusalKind::Failed, other.to_string()),
        }
    }
}
