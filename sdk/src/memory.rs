//! Having the kernel take memory back from a declared unit.

use crate::{Result, contract::act::memory as raw, remedies::Receipt};

/// Reclaims as much as the operator allows at a time. Needs the grant `memory.reclaim`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when it could not be done.
pub fn reclaim(name: &str) -> Result<Receipt> {
    Ok(raw::reclaim(name).map(Receipt::from)?)
}
