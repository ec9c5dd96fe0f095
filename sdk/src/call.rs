//! Making a declared HTTP request.

use crate::{Result, contract::act::call as raw, remedies::Receipt};

/// Makes a declared call, and waits for its answer. Needs the grant `call.send`. It cannot be
/// undone.
///
/// # Errors
/// `denied` when policy does not allow it, `unavailable` when nobody answered, `failed` when
/// the answer has another status than the declared one.
pub fn send(name: &str) -> Result<Receipt> {
    Ok(raw::send(name).map(Receipt::from)?)
}
