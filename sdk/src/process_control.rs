//! Ending processes.

use std::time::Duration;

use crate::{
    Result, contract::act::process_control as raw, processes::Process, time::milliseconds,
};

pub use raw::Ending;

/// Asks a process to end (SIGTERM), kills it (SIGKILL) when it still runs after
/// the grace, and waits until it is gone. Needs the grant
/// `process-control.terminate`.
///
/// # Errors
/// `denied` when policy does not allow it, as for a process that is not
/// provably the service's own.
pub fn terminate(process: &Process, grace: Duration) -> Result<Ending> {
    Ok(raw::terminate(&process.0, milliseconds(grace))?)
}
