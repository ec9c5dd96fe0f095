//! Jobs, as systemd does them in mode `fail`.

use prunella_core::{
    Failure,
    capability::{
        ActiveState, Answer, Job, Token,
        unit_control::{ResetFailed, Submit, WaitForJob},
    },
};

use crate::world::World;

/// What a job of the simulated systemd is known by.
struct Queued(u32);

impl World {
    pub(super) fn submit(&mut self, submit: &Submit) -> Answer<Job> {
        let id = self.queue(&submit.unit, submit.action)?;
        Ok(Job::new(Token::new(Queued(id))))
    }

    pub(super) fn wait_for_job(&mut self, wait: &WaitForJob) -> Answer<String> {
        let job = wait
            .job
            .token
            .get::<Queued>()
            .ok_or_else(|| Failure::invalid("not-a-job", "the job is none of this host's"))?;
        let timeout = self.within_run(wait.timeout);
        self.wait(timeout, |world| world.finished.get(&job.0).cloned())
            .ok_or_else(|| Failure::timed_out("job-running", "the job is still running"))
    }

    pub(super) fn reset_failed(&mut self, reset: &ResetFailed) -> Answer<()> {
        let unit = self.find(&reset.unit)?.status.name.clone();
        self.acts.push(format!("reset-failed {unit}"));
        self.start_refused &= unit != self.service.unit;
        self.note(&unit, |status, _| {
            if status.active_state == ActiveState::Failed {
                status.active_state = ActiveState::Inactive;
                "dead".clone_into(&mut status.sub_state);
            }
        });
        Ok(())
    }
}
