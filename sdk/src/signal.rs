//! Sending a declared signal to the service's main process.

use crate::{Result, contract::act::signal as raw, remedies::Receipt};

/// Sends a declared signal. Needs the grant `signal.send`. It cannot be undone.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when it could not be sent.
pub fn send(name: &str) -> Result<Receipt> {
    Ok(raw::send(name).map(Receipt::from)?)
}
