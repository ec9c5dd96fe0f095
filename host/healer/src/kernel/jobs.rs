//! Jobs whose end stands in the trail, and starts that systemd refused, which cost
//! no healing.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prunella_core::{
    UnitName,
    capability::{Answer, Job, UnitAct, UnitStatus},
};

use super::Kernel;
use crate::trail::Trail;

/// A start that was taken out of the budget.
pub(super) struct PaidStart {
    /// The unit as it stood before.
    pub(super) before: UnitStatus,
    pub(super) job: Arc<TrackedJob>,
    /// systemd refused it, and its limit was cleared since: nothing was started
    /// yet, and the next start is paid for.
    pub(super) refused: bool,
}

impl Kernel {
    /// Remembers of the start that was paid for whether systemd refused it. Each
    /// start that it carries out is a run, with an invocation of its own, which
    /// clearing the unit's failure takes from sight.
    pub(super) fn before_clearing(&self, status: &UnitStatus) {
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(start) = &mut *paid {
            start.refused = start.before.name == status.name
                && start.before.invocation.is_some()
                && start.before.invocation == status.invocation
                && start.job.ended() == Some(Ok("failed".to_owned()));
        }
    }

    /// Whether this start is paid for already.
    pub(super) fn is_paid(&self, act: UnitAct, unit: &UnitName) -> bool {
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let start = paid.take();
        act == UnitAct::Start
            && start.is_some_and(|start| start.refused && start.before.name == *unit)
    }
}

/// A job whose end stands in the trail, whoever waits for it.
pub(super) struct TrackedJob {
    pub(super) job: Arc<dyn Job>,
    pub(super) action: u32,
    pub(super) trail: Arc<Trail>,
    pub(super) end: Mutex<Option<Answer<String>>>,
}

impl TrackedJob {
    /// How it ended, once that is known.
    pub(super) fn ended(&self) -> Option<Answer<String>> {
        self.end().clone()
    }

    pub(super) fn close(&self, result: Answer<String>) {
        let mut end = self.end();
        if end.is_none() {
            *end = Some(result.clone());
            self.trail.acted(self.action, result);
        }
    }

    fn end(&self) -> MutexGuard<'_, Option<Answer<String>>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job for TrackedJob {
    fn wait(&self, deadline: Instant, timeout: Duration) -> Answer<String> {
        let word = self.job.wait(deadline, timeout)?;
        self.close(Ok(word.clone()));
        Ok(word)
    }
}
