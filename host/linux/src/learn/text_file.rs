//! Reads somebody else's text file, up to a limit.

use std::{fs::File, io, io::Read, path::Path};

/// What lies beyond this many bytes is not read.
const LONGEST: u64 = 1024 * 1024;

/// The file's text; what is not UTF-8 is replaced.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
