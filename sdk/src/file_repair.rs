//! Bringing a declared file back to its declaration.

use crate::{
    Result,
    contract::act::file_repair as raw,
    files::{self, Repair},
};

/// Brings one aspect back; true when something was changed. Needs the grant
/// `file-repair.mode`, `.owner` or `.target`. A target is only ever made or
/// corrected where there is a link, or nothing.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when it could not be done.
pub fn repair(name: &str, what: Repair) -> Result<bool> {
    Ok(match what {
        Repair::Mode => raw::mode(name),
        Repair::Owner => raw::owner(name),
        Repair::Target => raw::target(name),
    }?)
}

/// Brings back all of a declared file that can be brought back, and tells what
/// was changed. [`files::stat`] tells afterwards whether it is as declared.
///
/// # Errors
/// As for [`repair`].
pub fn bring_back(name: &str) -> Result<Vec<Repair>> {
    let mut changed = Vec::new();
    for what in files::stat(name)?.repairable() {
        if repair(name, what)? {
            changed.push(what);
        }
    }
    Ok(changed)
}
