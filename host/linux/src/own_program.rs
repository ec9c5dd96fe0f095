//! Where this binary lies, for running it again.

use std::path::PathBuf;

use prunella_core::{Failure, capability::Answer};

/// The path of this binary, for running it again.
pub(crate) fn own_program() -> Answer<PathBuf> {
    let path = std::env::current_exe().map_err(|error| {
        Failure::unavailable(
            "no-own-program",
            format!("cannot tell where this program lies: {error}"),
        )
    })?;
    // The kernel's note for a binary that an upgrade has replaced: the new one
    // has its path.
    Ok(
        match path
            .to_str()
            .and_then(|path| path.strip_suffix(" (deleted)"))
        {
            Some(path) => PathBuf::from(path),
            None => path,
        },
    )
}
