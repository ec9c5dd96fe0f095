//! What a job of systemd's is asked for and known by, over the bus or by `systemctl`.

use std::time::{Duration, Instant};

use prunella_core::capability::{Answer, UnitAct};

/// With it systemd refuses a job that would cancel another one. `replace` would
/// cancel an operator's.
pub(crate) const JOB_MODE: &str = "fail";

/// systemctl's word for an act.
pub(crate) fn word(act: UnitAct) -> &'static str {
    match act {
        UnitAct::Start => "start",
        UnitAct::Restart => "restart",
        UnitAct::Stop => "stop",
        UnitAct::Reload => "reload",
    }
}

/// What a job is known by: whatever tells how it ends.
pub(crate) trait JobEnd: Send + Sync {
    /// Waits for systemd's word for it.
    fn wait(&self, deadline: Instant, timeout: Duration) -> Answer<String>;
}
