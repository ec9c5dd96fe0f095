//! Ending processes, each through its own handle.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::capability::{Answer, Process, ProcessControl, Termination};

/// Ends processes of this host. Whether it may is decided before, by the safety
/// kernel.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostProcessControl;

impl ProcessControl for HostProcessControl {
    fn terminate(
        &self,
        deadline: Instant,
        process: &Arc<dyn Process>,
        grace: Duration,
    ) -> Answer<Termination> {
        process.terminate(deadline, grace)
    }
}
