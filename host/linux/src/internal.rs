//! What this binary does when it runs itself in a transient unit: `prunella
//! internal repair …`, `… remedy …` and `… sqlite-check …`. Not for people.

use std::{io::Write, process::ExitCode};

use crate::{file_repair, remedies, sqlite_check};

/// The exit code for a call that makes no sense.
const USAGE: u8 = 64;

/// Carries out the hidden subcommand `internal` with the arguments behind it.
///
/// The answer is one line of JSON on standard output. The exit code is 0 when
/// it was done, 1 when it was refused or failed, 64 for an unknown call.
pub fn main(arguments: &[String]) -> ExitCode {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["repair", request] => file_repair::main(request),
        ["remedy", request] => remedies::helper::main(request),
        ["sqlite-check", path] => sqlite_check::main(path),
        _ => {
            let _ = writeln!(
                std::io::stderr(),
                "`prunella internal` is for Prunella itself: `repair REQUEST`, `remedy REQUEST` or \
                 `sqlite-check PATH`"
            );
            ExitCode::from(USAGE)
        }
    }
}
