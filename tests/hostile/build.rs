//! Builds the hostile strategy.

use std::process::ExitCode;

fn main() -> ExitCode {
    prunella_guests::build(&["prunella-hostile-guest"], 128 << 10, &["guest"])
}
