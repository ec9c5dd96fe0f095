//! Where this binary lies, for running it again.

use std::{fs, path::PathBuf};

use prunella_core::{Failure, capability::Answer};

/// What the kernel adds to the path of a binary that an upgrade has replaced.
const DELETED: &str = " (deleted)";

/// Whether this process runs a binary that has been replaced, or removed, since.
pub fn is_replaced() -> bool {
    fs::read_link("/proc/self/exe")
        .is_ok_and(|path| path.to_string_lossy().ends_with(DELETED) && !path.exists())
}

/// The path of this binary, for running it again.
pub(crate) fn own_program() -> Answer<PathBuf> {
    let path = std::env::current_exe().map_err(|error| {
        Failure::unavailable(
            "no-own-program",
            format!("cannot tell where this program lies: {error}"),
        )
    })?;
    // The new one has its path.
    Ok(
        match path.to_str().and_then(|path| path.strip_suffix(DELETED)) {
            Some(path) => PathBuf::from(path),
            None => path,
        },
    )
}
