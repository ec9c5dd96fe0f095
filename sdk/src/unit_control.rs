//! Acting on systemd's units, by jobs that never replace somebody else's.
//! Every call passes the host's policy, and stands in the audit trail.

use std::time::Duration;

use crate::{Result, contract::act::unit_control as raw, time::milliseconds};

/// Starts what is failed or inactive. Needs the grant `unit-control.start`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when systemd refuses.
pub fn start(unit: &str) -> Result<Job> {
    Ok(Job(raw::start(unit)?))
}

/// Restarts what runs but should not go on as it is. Needs the grant
/// `unit-control.restart`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when systemd refuses.
pub fn restart(unit: &str) -> Result<Job> {
    Ok(Job(raw::restart(unit)?))
}

/// Stops a unit. Needs the grant `unit-control.stop`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when systemd refuses.
pub fn stop(unit: &str) -> Result<Job> {
    Ok(Job(raw::stop(unit)?))
}

/// Lets a unit read its configuration again. Needs the grant
/// `unit-control.reload`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when systemd refuses.
pub fn reload(unit: &str) -> Result<Job> {
    Ok(Job(raw::reload(unit)?))
}

/// Clears `failed` and the start limit's count. Needs the grant
/// `unit-control.reset-failed`.
///
/// # Errors
/// `denied` when policy does not allow it, `failed` when systemd refuses.
pub fn reset_failed(unit: &str) -> Result<()> {
    Ok(raw::reset_failed(unit)?)
}

/// A job that systemd has accepted.
pub struct Job(raw::Job);

impl Job {
    /// Waits for its end.
    ///
    /// # Errors
    /// `timed-out` when the time is up: that ends the wait, not the job.
    pub fn wait(&self, timeout: Duration) -> Result<JobResult> {
        Ok(JobResult::parse(self.0.wait(milliseconds(timeout))?))
    }
}

/// systemd's word for how a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobResult {
    /// Carried out.
    Done,
    /// Not needed, or a condition of the unit was not met.
    Skipped,
    /// Cancelled by somebody else's job.
    Canceled,
    /// It took longer than systemd lets it.
    Timeout,
    /// The unit failed.
    Failed,
    /// A unit that it needs failed.
    Dependency,
    /// Another word of systemd's: `invalid`, `assert`, `unsupported`,
    /// `collected`, `once`, …
    Other(String),
}

impl JobResult {
    fn parse(word: String) -> Self {
        match word.as_str() {
            "done" => Self::Done,
            "skipped" => Self::Skipped,
            "canceled" => Self::Canceled,
            "timeout" => Self::Timeout,
            "failed" => Self::Failed,
            "dependency" => Self::Dependency,
            _ => Self::Other(word),
        }
    }
}
