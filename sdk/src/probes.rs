//! Declared probes: questions to a service that change nothing.

use std::time::Duration;

use crate::{Result, contract::observe::probes as raw};

/// Asks one probe, by name.
///
/// # Errors
/// `not-found` when no probe of that name is declared. A probe that is not
/// answered is no failure: see [`Answer::healthy`].
pub fn ask(name: &str) -> Result<Answer> {
    let answer = raw::ask(name)?;
    Ok(Answer {
        healthy: answer.healthy,
        detail: answer.detail,
        took: Duration::from_micros(answer.microseconds),
    })
}

/// What kind of question it is: `tcp`, `unix`, `http`, `tls`, `dns`, `postgres`, `mysql`,
/// `redis`, `sqlite` or `command`.
///
/// # Errors
/// `not-found` when no probe of that name is declared.
pub fn kind(name: &str) -> Result<String> {
    Ok(raw::kind(name)?)
}

/// The unit that it asks, when that is not the service itself.
///
/// # Errors
/// `not-found` when no probe of that name is declared.
pub fn target(name: &str) -> Result<Option<String>> {
    Ok(raw::target(name)?)
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether it answered as it should.
    pub healthy: bool,
    /// What it said, or why not, in one sentence.
    pub detail: String,
    /// How long it took.
    pub took: Duration,
}
