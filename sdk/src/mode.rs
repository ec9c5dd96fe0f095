//! Entering a declared degraded mode. It is left by the host.

use crate::{Result, contract::act::mode as raw, remedies::Receipt};

/// Enters a declared mode. Needs the grant `mode.enter`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when it could not be done.
pub fn enter(name: &str) -> Result<Receipt> {
    Ok(raw::enter(name).map(Receipt::from)?)
}
