//! The benchmark's own eyes and hands inside a machine: it makes the fault, asks
//! the service every few milliseconds, sees every start of a unit, takes the
//! healer's mail, and prints what it saw as JSON. One clock stamps all of it.

use std::process::ExitCode;

fn main() -> ExitCode {
    match prunella_faults::witness::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("witness: {error:#}");
            ExitCode::FAILURE
        }
    }
}
