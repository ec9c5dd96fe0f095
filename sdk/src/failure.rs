//! Why a call did not do what it was asked.

use std::fmt;

use crate::bindings::prunella::base::types as raw;

pub use raw::FailureKind;

/// What a call of the host returns, and what a strategy may return.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// A call that did not do what it was asked.
///
/// Compare the kind, or the code with [`is`](Self::is); never the message,
/// which is one sentence for people.
///
/// ```
/// use prunella_sdk::{Failure, FailureKind};
///
/// let failure = Failure::new(FailureKind::Denied, "not-granted", "it was not granted");
/// assert!(failure.is("not-granted"));
/// assert_eq!(failure.to_string(), "it was not granted");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    kind: FailureKind,
    code: Option<String>,
    message: String,
}

impl Failure {
    /// One of the strategy's own. An empty code is none.
    pub fn new(kind: FailureKind, code: &str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: (!code.is_empty()).then(|| code.to_owned()),
            message: message.into(),
        }
    }

    /// The strategy tried, and it failed.
    pub fn failed(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Failed, code, message)
    }

    /// The operator's settings make no sense.
    pub fn invalid(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Invalid, code, message)
    }

    /// The kind: few, and final.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// A short, stable name for the exact case, such as `unit-protected`.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// One sentence for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether this is the exact case named `code`.
    pub fn is(&self, code: &str) -> bool {
        self.code() == Some(code)
    }

    /// Whether policy does not allow it.
    pub fn is_denied(&self) -> bool {
        self.kind == FailureKind::Denied
    }

    /// Whether there is no such thing.
    pub fn is_not_found(&self) -> bool {
        self.kind == FailureKind::NotFound
    }

    /// Whether the time was up.
    pub fn is_timed_out(&self) -> bool {
        self.kind == FailureKind::TimedOut
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<raw::Failure> for Failure {
    fn from(failure: raw::Failure) -> Self {
        Self {
            kind: failure.kind,
            code: failure.code,
            message: failure.message,
        }
    }
}

impl From<Failure> for raw::Failure {
    fn from(failure: Failure) -> Self {
        Self {
            kind: failure.kind,
            code: failure.code,
            message: failure.message,
        }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::failed("", message)
    }
}

impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        Self::failed("", message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_mark_turns_a_sentence_into_a_failure() {
        fn first(words: &[&str]) -> Result<usize> {
            Ok(words.first().ok_or("there are no words")?.len())
        }
        let failure = first(&[]).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Failed);
        assert_eq!(failure.code(), None);
        assert_eq!(failure.message(), "there are no words");
        assert_eq!(first(&["word"]), Ok(4));
    }

    #[test]
    fn it_crosses_the_contract_unchanged() {
        let failure = Failure::new(FailureKind::Quota, "host-calls", "too many calls");
        assert_eq!(Failure::from(raw::Failure::from(failure.clone())), failure);
    }
}
