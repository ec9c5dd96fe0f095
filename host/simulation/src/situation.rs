//! What the healer asks of the simulated host itself.

use std::time::{Duration, Instant};

use prunella_core::{
    Monotonic, UnitName,
    analyst::StallState,
    capability::{ActiveState, Answer, UnitStatus},
    oversight::ProcessKey,
    situation::Situation,
};

use crate::{
    Sim,
    world::{BOOT_ID, lock},
};

impl Situation for Sim {
    fn boot_id(&self) -> String {
        BOOT_ID.to_owned()
    }

    fn since_boot(&self) -> Duration {
        lock(&self.world).monotonic
    }

    fn monotonic(&self) -> Monotonic {
        lock(&self.world).monotonic()
    }

    fn system_state_now(&self, deadline: Instant) -> Answer<String> {
        self.system_state(deadline)
    }

    fn system_state(&self, _: Instant) -> Answer<String> {
        Ok(lock(&self.world).system_state.clone())
    }

    fn package_lock(&self) -> Option<String> {
        lock(&self.world).package_lock.clone()
    }

    fn wait_for_logs(&self, _: Instant) {}

    fn stopped_by_operator(&self, _: Instant, _: &UnitStatus) -> Answer<Option<String>> {
        Ok(lock(&self.world).stopped_by_operator.clone())
    }

    fn was_cleared(&self, _: Instant, _: &UnitStatus) -> Answer<bool> {
        Ok(lock(&self.world).cleared_by_hand)
    }

    fn start_refused(&self, _: Instant, status: &UnitStatus) -> Answer<bool> {
        Ok(status.result == "start-limit-hit" || lock(&self.world).start_refused)
    }

    fn failed_units(&self, _: Instant) -> Answer<Vec<UnitName>> {
        Ok(lock(&self.world)
            .units
            .values()
            .filter(|unit| unit.status.active_state == ActiveState::Failed)
            .map(|unit| unit.status.name.clone())
            .collect())
    }

    fn stall(&self, _: u32) -> Option<StallState> {
        // Simulated processes run or are gone.
        None
    }

    fn is_running(&self, process: &ProcessKey) -> bool {
        lock(&self.world).processes.contains_key(&process.pid)
    }

    fn random(&self) -> u16 {
        // Different each time, and the same in every test run.
        let mut world = lock(&self.world);
        world.next_run += 1;
        u16::try_from(world.next_run % 65_521).unwrap_or(0)
    }
}
