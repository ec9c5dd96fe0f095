//! Measures services by their control groups, and the host by what the kernel tells.
//!
//! What the kernel counts (processor time, bytes, kills) becomes a rate between two samples
//! of one run; a count that has gone back, or the first of a run, is no rate. Time is that
//! since boot: a stepped clock or a suspended host invents nothing.

mod endpoint;
mod group;
mod hardware;
mod host;
mod logs;
mod network;
mod processes;
mod sensors;
mod text;
mod time_sync;

use std::{fs::File, io::Read as _, path::Path, time::Duration};

use rustix::param::clock_ticks_per_second;

pub use self::{
    endpoint::{EndpointError, EndpointSample, EndpointSampler},
    group::{UnitSample, UnitSampler},
    hardware::{HardwareSampler, can_ask_disks, can_ask_gpus},
    host::HostSampler,
    logs::{LogPatterns, LogSampler},
};

/// What each measurement needs: the host's size, and a buffer that is used again.
#[derive(Debug)]
pub struct Instruments {
    bytes: Vec<u8>,
    /// Processors that are switched on.
    processors: u64,
    /// The host's memory, in bytes.
    memory: u64,
    ticks: u64,
}

/// A larger file is none that is measured.
const LARGEST: u64 = 1 << 20;

impl Default for Instruments {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            processors: std::thread::available_parallelism().map_or(1, |count| count.get() as u64),
            memory: 0,
            ticks: clock_ticks_per_second().max(1),
        }
    }
}

impl Instruments {
    /// What a file says; nothing, where it cannot be read.
    fn read(&mut self, path: &Path) -> Option<&str> {
        self.bytes.clear();
        File::open(path)
            .ok()?
            .take(LARGEST)
            .read_to_end(&mut self.bytes)
            .ok()?;
        std::str::from_utf8(&self.bytes).ok()
    }

    /// A file with one number.
    fn number(&mut self, path: &Path) -> Option<u64> {
        self.read(path)?.trim().parse().ok()
    }
}

/// What has been counted between two times, in a second; nothing where the count went back.
fn per_second(before: u64, now: u64, span: Duration) -> Option<u64> {
    let counted = u128::from(now.checked_sub(before)?);
    let milliseconds = span.as_millis();
    if milliseconds == 0 {
        return None;
    }
    u64::try_from(counted * 1_000 / milliseconds).ok()
}

/// Parts of a thousand of a whole.
fn permille(part: u64, whole: u64) -> Option<u64> {
    if whole == 0 {
        return None;
    }
    u64::try_from(u128::from(part) * 1_000 / u128::from(whole)).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::counted(10, 30, 10_000, Some(2))]
    #[case::reset(30, 10, 10_000, None)]
    #[case::no_time(10, 30, 0, None)]
    #[case::large(0, u64::MAX, 1_000, Some(u64::MAX))]
    #[case::too_large(0, u64::MAX, 1, None)]
    fn rates(#[case] before: u64, #[case] now: u64, #[case] ms: u64, #[case] rate: Option<u64>) {
        assert_eq!(per_second(before, now, Duration::from_millis(ms)), rate);
    }

    #[test]
    fn a_share_of_nothing_is_none() {
        assert_eq!(permille(1, 0), None);
        assert_eq!(permille(1, 3), Some(333));
    }
}
