//! Deleting files that the operator declared as expendable.

use crate::{Result, contract::act::cleanup as raw, remedies::Receipt};

/// Deletes what may go of a declared cleanup, the oldest first. Needs the grant `cleanup.run`,
/// and a person's consent unless the operator allows it without.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when it could not be done.
pub fn run(name: &str) -> Result<Receipt> {
    Ok(raw::run(name).map(Receipt::from)?)
}
