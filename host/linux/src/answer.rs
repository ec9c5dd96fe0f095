//! How this binary answers when it was run by itself, in a transient unit.

use std::{io::Write, process::ExitCode};

use serde::Serialize;

/// Writes an answer, and gives `code` when that worked.
pub(crate) fn answer<T: Serialize>(answer: &T, code: ExitCode) -> ExitCode {
    let written = serde_json::to_string(answer)
        .map_err(std::io::Error::from)
        .and_then(|line| writeln!(std::io::stdout(), "{line}"));
    match written {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}
