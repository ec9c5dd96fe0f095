//! Processes of the service that have ended, and that their parents have not asked about.

use crate::{Result, contract::act::zombies as raw, remedies::Receipt};

/// Tells their parents, as far as these belong to the service. Needs the grant `zombies.reap`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when it could not be done.
pub fn reap(name: &str) -> Result<Receipt> {
    Ok(raw::reap(name).map(Receipt::from)?)
}
