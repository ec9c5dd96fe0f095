//! Ending processes, each through its own handle.

use std::time::Instant;

use prunella_core::{
    Failure,
    capability::{Answer, Process, Termination, process_control::Terminate},
};

use crate::processes::HeldProcess;

/// What the handle holds.
///
/// # Errors
/// The handle is of another host.
pub(crate) fn held(process: &Process) -> Answer<&HeldProcess> {
    process.token.get().ok_or_else(|| {
        Failure::invalid("not-a-process", "the handle is to no process of this host")
    })
}

/// Ends a process. Whether it may is decided before, by the safety kernel.
///
/// # Errors
/// It may not be ended, or could not be.
pub fn terminate(deadline: Instant, end: &Terminate) -> Answer<Termination> {
    held(&end.process)?.terminate(deadline, end.grace)
}
