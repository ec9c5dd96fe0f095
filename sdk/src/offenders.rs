//! Having declared units make way for the service, for a time.

use crate::{Result, contract::act::offenders as raw, remedies::Receipt};

/// Lowers its limits to those that the operator declared. Needs the grant
/// `offenders.throttle`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when it could not be done.
pub fn throttle(name: &str) -> Result<Receipt> {
    Ok(raw::throttle(name).map(Receipt::from)?)
}

/// Has it stand still. Needs the grant `offenders.freeze`.
///
/// # Errors
/// `denied` when policy, or the person who was asked, does not allow it; `failed` when it
/// could not be done.
pub fn freeze(name: &str) -> Result<Receipt> {
    Ok(raw::freeze(name).map(Receipt::from)?)
}

/// Lets it go on. Needs the grant `offenders.thaw`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when it could not be done.
pub fn thaw(name: &str) -> Result<Receipt> {
    Ok(raw::thaw(name).map(Receipt::from)?)
}
