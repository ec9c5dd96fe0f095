//! The host's clocks.

use std::time::{Duration, Instant, SystemTime};

use prunella_core::{Failure, Monotonic, Timestamp, capability::Answer};
use rustix::time::{ClockId, clock_gettime};

/// This boot's id, as PID 1 sees it.
///
/// In a container the id is a file mounted over the kernel's, and a service
/// under ProtectKernelTunables= gets a `/proc/sys` without that mount: it would
/// see the host's id, which stays the same when the container reboots (tried on
/// systemd 252). So PID 1's own view comes first, where it can be seen.
///
/// # Errors
/// When `/proc` is not there.
pub fn boot_id() -> std::io::Result<String> {
    const PATH: &str = "/proc/sys/kernel/random/boot_id";
    std::fs::read_to_string(format!("/proc/1/root{PATH}"))
        .or_else(|_| std::fs::read_to_string(PATH))
        .map(|id| id.trim().to_owned())
}

/// The real clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    pub fn now(&self) -> Timestamp {
        now()
    }

    /// In nanoseconds, as the contract has it.
    pub fn monotonic(&self) -> u64 {
        u64::try_from(read(ClockId::Monotonic).as_nanos()).unwrap_or(u64::MAX)
    }

    pub fn sleep(&self, deadline: Instant, duration: Duration) -> Answer<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        std::thread::sleep(duration.min(left));
        if duration > left {
            return Err(Failure::timed_out(
                "deadline",
                "the run's time was up before the sleep was over",
            ));
        }
        Ok(())
    }
}

/// The wall clock.
pub(crate) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// CLOCK_MONOTONIC.
pub(crate) fn monotonic() -> Monotonic {
    Monotonic::default().saturating_add(read(ClockId::Monotonic))
}

/// CLOCK_BOOTTIME.
pub(crate) fn since_boot() -> Duration {
    read(ClockId::Boottime)
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    // None of these clocks is ever negative.
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_ends_at_the_deadline() {
        let start = Instant::now();
        let deadline = start + Duration::from_millis(20);
        let failure = SystemClock
            .sleep(deadline, Duration::from_secs(60))
            .unwrap_err();
        assert!(failure.is("deadline"));
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn the_monotonic_clock_goes_forward() {
        let before = SystemClock.monotonic();
        SystemClock
            .sleep(
                Instant::now() + Duration::from_secs(9),
                Duration::from_micros(10),
            )
            .unwrap();
        assert!(SystemClock.monotonic() > before);
    }
}
