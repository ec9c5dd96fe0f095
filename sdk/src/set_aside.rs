//! Moving something aside that the service makes anew when it is missing.

use crate::{Result, contract::act::set_aside as raw, remedies::Receipt};

/// Moves a declared folder or file aside. Needs the grant `set-aside.run`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when it could not be done.
pub fn run(name: &str) -> Result<Receipt> {
    Ok(raw::run(name).map(Receipt::from)?)
}
