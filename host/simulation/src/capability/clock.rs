//! What time it is, and sleeping.

use std::time::{Duration, Instant};

use prunella_core::{Failure, capability::Answer};

use crate::world::{Shared, World, lock};

impl World {
    pub(super) fn monotonic_nanos(&self) -> u64 {
        u64::try_from(self.monotonic.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Time is virtual unless the test wants it otherwise; and then nobody waits with
/// the lock in hand.
pub(super) fn sleep(world: &Shared, deadline: Instant, time: Duration) -> Answer<()> {
    let mut world = lock(world);
    if world.real_time.is_some() {
        drop(world);
        let left = deadline.saturating_duration_since(Instant::now());
        std::thread::sleep(time.min(left));
        if time > left {
            return Err(Failure::timed_out("deadline", "the sleep was cut short"));
        }
    } else {
        let slept = world.within_run(time);
        world.advance(slept);
        if slept < time {
            return Err(Failure::timed_out(
                "deadline",
                "the run's time was up before the sleep was over",
            ));
        }
    }
    Ok(())
}
