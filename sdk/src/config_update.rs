//! Changing a declared value in a configuration file.

use crate::{Result, contract::act::config_update as raw, remedies::Receipt};

/// Gives a declared value the next of its declared values, once the declared check passes with
/// that. The service reads it when it is reloaded or started. Needs the grant
/// `config-update.run`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when it could not be done.
pub fn run(name: &str) -> Result<Receipt> {
    Ok(raw::run(name).map(Receipt::from)?)
}
