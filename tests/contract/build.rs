//! Builds one strategy for each version of the contract.

use std::process::ExitCode;

fn main() -> ExitCode {
    prunella_guests::build(
        &["prunella-guest-0-1-0", "prunella-guest-0-1-1"],
        64 << 10,
        &["guest-0.1.0", "guest-0.1.1"],
    )
}
