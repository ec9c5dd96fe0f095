//! Acting on the simulated host. Everything is allowed, and written down.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, UnitName,
    capability::{
        Answer, CheckReport, Checks, FileRepair, Job, Process, ProcessControl, Repair, Termination,
        UnitAct, UnitControl,
    },
};

use crate::{
    Sim,
    files::{deviations, repairs},
    world::{Shared, lock},
};

/// A job of the simulated systemd.
struct SimJob {
    id: u32,
    world: Shared,
}

impl Job for SimJob {
    fn wait(&self, _: Instant, timeout: Duration) -> Answer<String> {
        let mut world = lock(&self.world);
        let timeout = world.within_run(timeout);
        world
            .wait(timeout, |world| world.finished.get(&self.id).cloned())
            .ok_or_else(|| Failure::timed_out("job-running", "the job is still running"))
    }
}

impl UnitControl for Sim {
    fn submit(&self, _: Instant, unit: &UnitName, act: UnitAct) -> Answer<Arc<dyn Job>> {
        Ok(Arc::new(SimJob {
            id: lock(&self.world).submit(unit, act)?,
            world: Arc::clone(&self.world),
        }))
    }

    fn reset_failed(&self, _: Instant, unit: &UnitName) -> Answer<()> {
        let mut world = lock(&self.world);
        let unit = world.find(unit)?.status.name.clone();
        world.acts.push(format!("reset-failed {unit}"));
        world.start_refused &= unit != world.service.unit;
        world.note(&unit, |status, _| {
            if status.active_state.word() == "failed" {
                status.active_state = prunella_core::capability::ActiveState::Inactive;
                "dead".clone_into(&mut status.sub_state);
            }
        });
        Ok(())
    }
}

impl ProcessControl for Sim {
    fn terminate(
        &self,
        deadline: Instant,
        process: &Arc<dyn Process>,
        grace: Duration,
    ) -> Answer<Termination> {
        process.terminate(deadline, grace)
    }
}

impl FileRepair for Sim {
    fn repair(&self, _: Instant, name: &str, what: Repair) -> Answer<bool> {
        let mut world = lock(&self.world);
        world.service.file(name)?;
        world.acts.push(format!("repair {} of {name}", what.word()));
        let Some(file) = world.files.get_mut(name) else {
            return Ok(false);
        };
        if !repairs(file).contains(&what) {
            return Ok(false);
        }
        match what {
            Repair::Mode => file.mode.0 = file.mode.1.unwrap_or(file.mode.0),
            Repair::Owner => {
                if let Some(owner) = file.owner.1.clone() {
                    file.owner.0 = owner;
                }
            }
            Repair::Target => {
                file.target.0 = file.target.1.clone();
                file.exists = true;
            }
        }
        file.readable |= deviations(file).is_empty();
        Ok(true)
    }
}

impl Checks for Sim {
    fn run(&self, _: Instant, name: &str) -> Answer<CheckReport> {
        let mut world = lock(&self.world);
        world.service.check(name)?;
        world.acts.push(format!("run check {name}"));
        world
            .checks
            .get(name)
            .map(|check| check.report.clone())
            .ok_or_else(|| Failure::unavailable("no-check", "the check has no model"))
    }
}
