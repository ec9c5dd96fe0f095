//! Why a call across the seam did not do what it was asked.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of a [`Failure`]; `prunella:base/types.failure-kind` in the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// Policy does not allow it. Nothing was done.
    Denied,
    /// There is no such thing.
    NotFound,
    /// The arguments make no sense. Nothing was done.
    Invalid,
    /// It took longer than it may. It may still be going on.
    TimedOut,
    /// A quota of the run is used up.
    Quota,
    /// The host cannot do this here, or not now.
    Unavailable,
    /// It was tried, and it failed.
    Failed,
}

/// A call that did not do what it was asked; the `failure` of the contract.
///
/// What tells two failures of one kind apart is [`code`](Self::code), a short
/// stable name; `message` is one sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub kind: FailureKind,
    /// A short, stable name for the exact case, such as `not-granted`.
    pub code: Option<String>,
    /// One sentence for people.
    pub message: String,
}

impl Failure {
    fn new(kind: FailureKind, code: &str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: (!code.is_empty()).then(|| code.to_owned()),
            message: message.into(),
        }
    }

    /// Policy does not allow it.
    pub fn denied(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Denied, code, message)
    }

    /// There is no such thing.
    pub fn not_found(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureKind::NotFound, code, message)
    }

    /// The arguments make no sense.
    pub fn invalid(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Invalid, code, message)
    }

    /// It took longer than it may.
    pub fn timed_out(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureKind::TimedOut, code, message)
    }

    /// A quota is used up.
    pub fn quota(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Quota, code, message)
    }

    /// The host cannot do this here, or not now.
    pub fn unavailable(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unavailable, code, message)
    }

    /// It was tried, and it failed.
    pub fn failed(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Failed, code, message)
    }

    /// Whether this is the exact case named `code`.
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denied => "denied",
            Self::NotFound => "not found",
            Self::Invalid => "invalid",
            Self::TimedOut => "timed out",
            Self::Quota => "quota",
            Self::Unavailable => "unavailable",
            Self::Failed => "failed",
        })
    }
}
