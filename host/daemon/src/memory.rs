//! Giving memory back after a storm.
//!
//! What strategies ran in stays with the allocator, warm for the next run. That
//! is what a host wants with one failure now and then; after a hundred at once it
//! would keep for good what it needed for a moment.

use std::fs;

/// Growth that is left alone, in bytes: what a single incident leaves behind.
const TOLERATED: u64 = 512 << 10;

/// Watches what the process holds on to.
pub(crate) struct MemoryTrimmer {
    /// What the process had of its own when it was last trimmed, in bytes.
    usual: u64,
}

impl MemoryTrimmer {
    /// From now on.
    pub(crate) fn new() -> Self {
        Self { usual: own() }
    }

    /// Gives back to the system what a storm has left behind. For a moment in
    /// which nothing is being healed: it takes a few milliseconds.
    pub(crate) fn tidy(&mut self) {
        if own() > self.usual.saturating_add(TOLERATED) {
            give_back();
            self.usual = own();
        }
    }
}

/// The resident memory that belongs to this process alone, in bytes: without the pages of
/// its program file, which the kernel can drop at any time (proc_pid_statm(5)). 0 when that
/// cannot be told.
fn own() -> u64 {
    let page = u64::try_from(rustix::param::page_size()).unwrap_or_default();
    fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|statm| {
            let mut fields = statm.split(' ').skip(1).map(str::parse::<u64>);
            let resident = fields.next()?.ok()?;
            let of_files = fields.next()?.ok()?;
            Some(resident.saturating_sub(of_files))
        })
        .unwrap_or_default()
        .saturating_mul(page)
}

#[cfg(target_env = "gnu")]
#[allow(
    unsafe_code,
    reason = "the allocator's own function, which nothing safe wraps"
)]
fn give_back() {
    // SAFETY: malloc_trim(3) may be called at any time, from any thread.
    unsafe { libc::malloc_trim(0) };
}

/// Other C libraries give back by themselves.
#[cfg(not(target_env = "gnu"))]
fn give_back() {}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests")]

    use super::*;

    #[test]
    fn a_storm_is_given_back() {
        let mut memory = MemoryTrimmer::new();
        // Small pieces, so that the allocator does not map them one by one; the
        // last of them keeps its heap from shrinking by itself.
        let mut storm: Vec<Vec<u8>> = (0..4_096).map(|_| vec![1; 16 << 10]).collect();
        let last = storm.pop();
        let at_its_height = own();
        drop(storm);
        memory.tidy();
        assert!(
            own() + (32 << 20) < at_its_height,
            "{} after {at_its_height}",
            own()
        );
        drop(last);
    }
}
