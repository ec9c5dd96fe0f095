//! How units stand.

use prunella_core::{
    Failure,
    capability::{
        Answer, Goal, UnitStatus,
        units::{Get, Wait},
    },
};

use crate::world::World;

impl World {
    pub(super) fn unit(&self, get: &Get) -> Answer<UnitStatus> {
        Ok(self.find(&get.unit)?.status.clone())
    }

    pub(super) fn wait_for_unit(&mut self, wait: &Wait) -> Answer<UnitStatus> {
        let Wait { unit, goal, .. } = wait;
        self.find(unit)?;
        let timeout = self.within_run(wait.timeout);
        let reached = self.wait(timeout, |world| {
            let status = &world.find(unit).ok()?.status;
            let settled = status.is_settled();
            match goal {
                Goal::Up if settled && status.is_up() => Some(Ok(status.clone())),
                Goal::Up if settled && status.active_state.as_str() == "failed" => {
                    Some(Err(Failure::failed(
                        "unit-failed",
                        format!("{unit} failed again ({})", status.result),
                    )))
                }
                Goal::Down if settled && !status.is_up() => Some(Ok(status.clone())),
                Goal::Settled if settled => Some(Ok(status.clone())),
                _ => None,
            }
        });
        reached.unwrap_or_else(|| {
            Err(Failure::timed_out(
                "not-there-yet",
                format!("{unit} did not get there in {} ms", timeout.as_millis()),
            ))
        })
    }
}
