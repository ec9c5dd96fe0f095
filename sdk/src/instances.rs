//! Running more or fewer instances of a declared template, one step at a time.

use crate::{Result, contract::act::instances as raw, remedies::Receipt};

/// Starts one more. Needs the grant `instances.up`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when it did not start.
pub fn up(name: &str) -> Result<Receipt> {
    Ok(raw::up(name).map(Receipt::from)?)
}

/// Drains and stops the last one. Needs the grant `instances.down`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when it could not be drained or stopped.
pub fn down(name: &str) -> Result<Receipt> {
    Ok(raw::down(name).map(Receipt::from)?)
}
