//! Bringing a declared file's content back.

use crate::{Result, contract::act::file_restore as raw, remedies::Receipt};

/// Brings the content of a declared file back, where that is missing, empty or fails its
/// declared check. Needs the grant `file-restore.run`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when it could not be done.
pub fn run(name: &str) -> Result<Receipt> {
    Ok(raw::run(name).map(Receipt::from)?)
}
