//! What the healer has to know of the host before it decides, beyond what a
//! strategy may see.

use std::time::{Duration, Instant};

use crate::{
    Monotonic, UnitName,
    analyst::StallState,
    capability::{Answer, UnitStatus},
    oversight::ProcessKey,
};

/// The host's own situation. Implemented by `prunella-linux` for real and by
/// `prunella-simulation` for tests.
pub trait Situation: Send + Sync {
    /// This boot's id (`/proc/sys/kernel/random/boot_id`).
    fn boot_id(&self) -> String;

    /// CLOCK_BOOTTIME: time since boot, suspend included.
    fn since_boot(&self) -> Duration;

    /// Now, as systemd's `…Monotonic` properties.
    fn monotonic(&self) -> Monotonic;

    /// systemd's own state: `running`, `degraded`, `starting`, `stopping`,
    /// `maintenance`, … (the manager's SystemState).
    ///
    /// It may be of a moment ago: of when the failure was noticed.
    fn system_state(&self, deadline: Instant) -> Answer<String>;

    /// systemd's own state as it is now, for who has waited meanwhile.
    fn system_state_now(&self, deadline: Instant) -> Answer<String>;

    /// Who holds a package manager's lock (dpkg, apt, rpm), if anybody does.
    fn package_lock(&self) -> Option<String>;

    /// Evidence that the run of `status` was ended by an operator's stop and
    /// not by a failure, in one sentence; see facts on stop jobs.
    fn stopped_by_operator(&self, deadline: Instant, status: &UnitStatus)
    -> Answer<Option<String>>;

    /// Whether somebody has cleared the failed state that the last run of `status` left
    /// (`systemctl reset-failed`), so that the unit is merely inactive.
    fn was_cleared(&self, deadline: Instant, status: &UnitStatus) -> Answer<bool>;

    /// Whether systemd refused to start the unit again after its last run, its
    /// start limit being hit.
    fn start_refused(&self, deadline: Instant, status: &UnitStatus) -> Answer<bool>;

    /// Waits until what was logged by now can be read, as far as that is possible: what a
    /// program says that ends at once may reach the journal after systemd's word of its end.
    fn wait_for_logs(&self, deadline: Instant);

    /// The units that are failed now.
    fn failed_units(&self, deadline: Instant) -> Answer<Vec<UnitName>>;

    /// What keeps the process `pid` from running at this moment; nothing when it runs,
    /// sleeps, or is gone.
    fn stall(&self, pid: u32) -> Option<StallState>;

    /// Whether the process still runs. One that has taken over its number is another.
    fn is_running(&self, process: &ProcessKey) -> bool;

    /// A number nobody can guess, for ids.
    fn random(&self) -> u16;
}
