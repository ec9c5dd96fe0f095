//! Removing a pid file, lock or socket that a killed service left behind.

use crate::{Result, contract::act::stale_file as raw, remedies::Receipt};

/// Removes a declared file that is proven stale; where it is not, the receipt says what the
/// proof lacks. Needs the grant `stale-file.remove`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when it could not be done.
pub fn remove(name: &str) -> Result<Receipt> {
    Ok(raw::remove(name).map(Receipt::from)?)
}
