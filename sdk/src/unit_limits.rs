//! Moving limits of a declared unit while it runs, for a time and within declared bounds.

use crate::{Result, contract::act::unit_limits as raw, remedies::Receipt};

/// Raises them by one step. Needs the grant `unit-limits.raise`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when systemd refuses.
pub fn raise(name: &str) -> Result<Receipt> {
    Ok(raw::raise(name).map(Receipt::from)?)
}

/// Lowers them by one step. Needs the grant `unit-limits.lower`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when systemd refuses.
pub fn lower(name: &str) -> Result<Receipt> {
    Ok(raw::lower(name).map(Receipt::from)?)
}
