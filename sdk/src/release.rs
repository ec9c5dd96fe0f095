//! Going back to a release with which the service was healthy.

use crate::{Result, contract::act::release as raw, remedies::Receipt};

/// Points a declared release's link back to the last target with which the service was proven
/// healthy. Needs the grant `release.roll-back`, and somebody who agrees, unless the operator
/// allows it without asking.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when it could not be done.
pub fn roll_back(name: &str) -> Result<Receipt> {
    Ok(raw::roll_back(name).map(Receipt::from)?)
}
