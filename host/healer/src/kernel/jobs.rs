//! Jobs whose end stands in the trail, and starts that systemd refused, which cost
//! no healing.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prunella_core::{
    UnitName,
    capability::{Act, Answer, Job, Token, UnitStatus, unit_control::WaitForJob},
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
    pub(super) fn is_paid(&self, act: Act, unit: &UnitName) -> bool {
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let start = paid.take();
        act == Act::Start && start.is_some_and(|start| start.refused && start.before.name == *unit)
    }
}

/// A job whose end stands in the trail, whoever waits for it.
pub(super) struct TrackedJob {
    job: Job,
    action: u32,
    trail: Arc<Trail>,
    end: Mutex<Option<Answer<String>>>,
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
            self.trail.acted(self.action, result, None);
        }
    }

    fn end(&self) -> MutexGuard<'_, Option<Answer<String>>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kernel {
    /// Sees to it that the job's end comes into the trail. `before` is the unit as
    /// it stood, where a healing was spent on it.
    pub(super) fn track(&self, job: Job, action: u32, act: Act, before: Option<UnitStatus>) -> Job {
        let number = job.number;
        let job = Arc::new(TrackedJob {
            job,
            action,
            trail: Arc::clone(&self.trail),
            end: Mutex::default(),
        });
        if let Some(before) = before
            && act == Act::Start
        {
            *self.paid.lock().unwrap_or_else(PoisonError::into_inner) = Some(PaidStart {
                before,
                job: Arc::clone(&job),
                refused: false,
            });
        }
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&job));
        Job {
            number,
            token: Token::new(job),
        }
    }

    /// Waits for a job's end, and writes it down.
    pub(super) fn wait_for(
        &self,
        deadline: Instant,
        job: &TrackedJob,
        timeout: Duration,
    ) -> Answer<String> {
        let wait = WaitForJob {
            job: job.job.clone(),
            timeout,
        };
        let word = self.host.ask(deadline, wait)?;
        job.close(Ok(word.clone()));
        Ok(word)
    }
}
