//! What the healer's processes use up: processor time as its control group
//! counts it (of processes that have ended, too), and resident memory, looked at
//! every few milliseconds.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{micros, now};
use crate::plan::HEALERS_SLICE;

const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(super) struct Usage {
    before: u64,
    most: Arc<AtomicU64>,
    /// When the healer last had a process.
    alive: Arc<AtomicI64>,
    over: Arc<AtomicBool>,
    looking: JoinHandle<()>,
}

impl Usage {
    pub(super) fn begin() -> Self {
        let most = Arc::new(AtomicU64::new(0));
        let alive = Arc::new(AtomicI64::new(0));
        let over = Arc::new(AtomicBool::new(false));
        let looking = thread::spawn({
            let (most, alive, over) = (most.clone(), alive.clone(), over.clone());
            move || {
                while !over.load(Ordering::Relaxed) {
                    let memory = memory(&slice());
                    if memory > 0 {
                        alive.store(now(), Ordering::Relaxed);
                    }
                    most.fetch_max(memory, Ordering::Relaxed);
                    thread::sleep(LOOK_EVERY);
                }
            }
        });
        Self {
            before: processor(),
            most,
            alive,
            over,
            looking,
        }
    }

    /// Whether the healer has had no process for so long.
    pub(super) fn at_rest_for(&self, span: Duration) -> bool {
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        now() - self.alive.load(Ordering::Relaxed) > micros(span)
    }

    /// Microseconds of processor time since it began, and the most KiB.
    pub(super) fn end(self) -> (u64, u64) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.looking.join();
        (
            processor().saturating_sub(self.before),
            self.most.load(Ordering::Relaxed),
        )
    }
}

fn slice() -> PathBuf {
    Path::new("/sys/fs/cgroup").join(HEALERS_SLICE)
}

/// 0 for a healer that has no processes of its own.
fn processor() -> u64 {
    fs::read_to_string(slice().join("cpu.stat"))
        .ok()
        .and_then(|text| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("usage_usec "))?;
            line.parse().ok()
        })
        .unwrap_or(0)
}

/// KiB that all processes of a group, and of those in it, have at the moment.
fn memory(group: &Path) -> u64 {
    let own: u64 = fs::read_to_string(group.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        })
        .sum();
    let inner: u64 = fs::read_dir(group)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| memory(&entry.path()))
        .sum();
    own + inner
}
