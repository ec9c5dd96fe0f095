//! Running commands that the operator declared.

use crate::{Result, contract::act::checks as raw};

pub use raw::Report;

/// Runs one check, by name. Needs the grant `checks.run`. One that the operator
/// declared to change nothing may be run while assessing too.
///
/// # Errors
/// `not-found` when no check of that name is declared, `denied` when policy
/// does not allow it, `failed` when it could not be run. A check that says no
/// is no failure: see [`Report::passed`].
pub fn run(name: &str) -> Result<Report> {
    Ok(raw::run(name)?)
}
