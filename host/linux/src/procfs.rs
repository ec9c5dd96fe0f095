//! What /proc tells about one process.

use std::{
    fs::{self, File},
    io::{self, Read},
    time::Duration,
};

use prunella_core::{Timestamp, analyst::StallState};
use rustix::param::clock_ticks_per_second;

use crate::clock;

/// PF_KTHREAD of linux/sched.h.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// So much of an environment is read; execve(2) sets no useful limit.
const ENVIRONMENT_MAX: u64 = 1 << 20;

/// What `/proc/PID/stat` says, as far as it is of use here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// What keeps it from running, if anything does.
    pub(crate) stall: Option<StallState>,
    /// Whether it has ended, and its parent has not asked about it.
    pub(crate) zombie: bool,
    /// Whether it is a thread of the kernel.
    pub(crate) kernel_thread: bool,
    /// Processor time that it has used so far, in clock ticks.
    pub(crate) cpu_ticks: u64,
    /// Its threads, itself included.
    pub(crate) threads: u64,
    /// When it started, in clock ticks since boot.
    pub(crate) started: u64,
    pub(crate) parent: u32,
    /// Pages that it had to be given so far, small and large matters alike.
    pub(crate) faults: u64,
    /// Pages that it has in memory.
    pub(crate) resident: u64,
}

pub(crate) fn stat(pid: u32) -> io::Result<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat"))?)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unexpected /proc/PID/stat"))
}

pub(crate) fn parse_stat(text: &str) -> Option<Stat> {
    // The second field is a name in parentheses, which may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    // After the name: state is field 3, ppid field 4, flags field 9, minflt field 10, majflt
    // field 12, utime field 14, stime field 15, num_threads field 20, starttime field 22, rss
    // field 24 (proc_pid_stat(5)).
    let state = fields.next()?;
    let stall = match state {
        "T" => Some(StallState::Stopped),
        "t" => Some(StallState::Traced),
        "D" => Some(StallState::Uninterruptible),
        _ => None,
    };
    let parent = fields.next()?.parse().ok()?;
    let flags: u64 = fields.nth(4)?.parse().ok()?;
    let minor: u64 = fields.next()?.parse().ok()?;
    let major: u64 = fields.nth(1)?.parse().ok()?;
    let user: u64 = fields.nth(1)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let threads = fields.nth(4)?.parse().ok()?;
    let started = fields.nth(1)?.parse().ok()?;
    let resident = fields.nth(1)?.parse().ok()?;
    Some(Stat {
        stall,
        zombie: state == "Z",
        kernel_thread: flags & KERNEL_THREAD != 0,
        cpu_ticks: user.saturating_add(system),
        threads,
        started,
        parent,
        faults: minor.saturating_add(major),
        resident,
    })
}

/// A moment in clock ticks since boot: the same however the clock is set.
pub(crate) fn since_boot(ticks: u64) -> Duration {
    let milliseconds = u128::from(ticks) * 1000 / u128::from(clock_ticks_per_second().max(1));
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::MAX))
}

/// A moment in clock ticks since boot, by the wall clock.
pub(crate) fn timestamp(ticks: u64) -> Timestamp {
    clock::now().saturating_sub(clock::since_boot().saturating_sub(since_boot(ticks)))
}

/// What a process calls itself; nothing when it is gone. Any text may stand there.
pub(crate) fn name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// The executable's path, as the kernel tells it: with ` (deleted)` behind it
/// when the file was replaced or removed.
pub(crate) fn executable(pid: u32) -> Option<String> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(path.to_string_lossy().into_owned())
}

/// The user it runs as (the effective one).
pub(crate) fn user(pid: u32) -> io::Result<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|uids| uids.split_whitespace().nth(1)?.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unexpected /proc/PID/status"))
}

/// What a signal does to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignalAction {
    /// It has a handler, or waits for the signal in another way.
    Handled,
    Ignored,
    /// Nobody handles it: it does what signals do by default.
    Ends,
}

/// What the signal of this number does to a process, by its main thread.
pub(crate) fn signal_action(pid: u32, number: i32) -> io::Result<SignalAction> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse_signal_action(&text, number)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unexpected /proc/PID/status"))
}

fn parse_signal_action(status: &str, number: i32) -> Option<SignalAction> {
    let bit = 1_u64 << u32::try_from(number.checked_sub(1)?).ok()?;
    let has = |key: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(key))?;
        Some(u64::from_str_radix(mask.trim(), 16).ok()? & bit != 0)
    };
    Some(if has("SigCgt:")? {
        SignalAction::Handled
    } else if has("SigIgn:")? {
        SignalAction::Ignored
    } else if has("SigBlk:")? {
        // It reads it from a signalfd(2), or by sigwait(3).
        SignalAction::Handled
    } else {
        SignalAction::Ends
    })
}

/// The one INVOCATION_ID in a process's environment. Nothing else of the
/// environment leaves this function.
pub(crate) fn invocation(pid: u32) -> io::Result<Option<String>> {
    let mut environment = Vec::new();
    File::open(format!("/proc/{pid}/environ"))?
        .take(ENVIRONMENT_MAX)
        .read_to_end(&mut environment)?;
    Ok(invocation_in(&environment))
}

/// None also when there are several that differ: then they prove nothing.
fn invocation_in(environment: &[u8]) -> Option<String> {
    let mut found = environment
        .split(|byte| *byte == 0)
        .filter_map(|entry| entry.strip_prefix(b"INVOCATION_ID="));
    let first = found.next()?;
    let well_formed = first.len() == 32
        && first
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (well_formed && found.all(|other| other == first))
        .then(|| String::from_utf8_lossy(first).into_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let line = "7 (a) b (c) S 1 7 7 0 -1 2097216 5 6 7 8 9 10 11 12 20 0 1 0 4242 1 2";
        let expected = Stat {
            stall: None,
            zombie: false,
            kernel_thread: true,
            cpu_ticks: 19,
            threads: 1,
            started: 4242,
            parent: 1,
            faults: 12,
            resident: 2,
        };
        assert_eq!(parse_stat(line), Some(expected));
        assert_eq!(parse_stat("7 (a) S"), None);
    }

    #[rstest]
    #[case("S", None)]
    #[case("R", None)]
    #[case("T", Some(StallState::Stopped))]
    #[case("t", Some(StallState::Traced))]
    #[case("D", Some(StallState::Uninterruptible))]
    fn what_keeps_it_from_running(#[case] state: &str, #[case] stall: Option<StallState>) {
        let line = format!("7 (x) {state} 1 7 7 0 -1 4194304 5 6 7 8 9 10 11 12 20 0 1 0 4242 1 2");
        assert_eq!(parse_stat(&line).unwrap().stall, stall);
    }

    #[test]
    fn this_process_started_a_moment_ago() {
        let about = stat(std::process::id()).unwrap();
        assert!(!about.kernel_thread);
        let age = clock::now().since(timestamp(about.started));
        assert!(age < Duration::from_secs(3600), "{age:?}");
    }

    #[rstest]
    #[case::one(format!("A=b\0INVOCATION_ID={ID}\0C=d\0"), true)]
    #[case::the_same_twice(format!("INVOCATION_ID={ID}\0INVOCATION_ID={ID}\0"), true)]
    #[case::two(format!("INVOCATION_ID={ID}\0INVOCATION_ID={}\0", ID.replace('0', "1")), false)]
    #[case::none("A=b\0".to_owned(), false)]
    #[case::in_a_value(format!("A=INVOCATION_ID={ID}\0"), false)]
    #[case::short("INVOCATION_ID=0123\0".to_owned(), false)]
    #[case::upper_case(format!("INVOCATION_ID={}\0", ID.to_uppercase()), false)]
    #[case::empty(String::new(), false)]
    fn an_invocation_id(#[case] environment: String, #[case] found: bool) {
        let expected = found.then(|| ID.to_owned());
        assert_eq!(invocation_in(environment.as_bytes()), expected);
    }

    #[test]
    fn what_a_signal_does_is_in_its_masks() {
        let status = "Name:\tx\nSigBlk:\t0000000000000200\nSigIgn:\t0000000000001000\n\
                      SigCgt:\t0000000000004001\n";
        for (number, action) in [
            (1, SignalAction::Handled),
            (10, SignalAction::Handled),
            (13, SignalAction::Ignored),
            (12, SignalAction::Ends),
        ] {
            assert_eq!(
                parse_signal_action(status, number),
                Some(action),
                "{number}"
            );
        }
        assert_eq!(parse_signal_action("Name:\tx\n", 1), None);
    }
}
