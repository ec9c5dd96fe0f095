//! The processes of a service: their open files, and, where its control group keeps no
//! account, all the rest.

use std::{collections::HashMap, fs};

use rustix::fs::stat;

use super::{Instruments, path_of, permille, text::field};
use crate::procfs::parse_stat;

/// More processes than this are not asked one by one: a service that has so many would make
/// measuring it work of its own.
const MOST: usize = 256;

/// What is known of one process.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// When it started, in ticks since boot: a number is used again.
    started: u64,
    /// How many files it may have open.
    open_limit: Option<u64>,
    cpu_ticks: u64,
    read: Option<u64>,
    written: Option<u64>,
}

/// The processes of one service, from sample to sample.
#[derive(Debug, Default)]
pub(super) struct Processes {
    known: HashMap<u32, Known>,
}

/// What is asked of each process beside its processor time and its tasks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) memory: bool,
    pub(super) io: bool,
}

/// What they add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Since the sample before, in ticks. What a process used that has ended since is lost.
    pub(super) cpu_ticks: u64,
    /// Anonymous memory, in bytes.
    pub(super) memory: u64,
    pub(super) swap: u64,
    pub(super) tasks: u64,
    /// Since the sample before, in bytes; nothing, where not all of them may be asked.
    pub(super) read: Option<u64>,
    pub(super) written: Option<u64>,
}

impl Sums {
    /// The same, when none of them has run since.
    pub(super) fn at_rest(self) -> Self {
        Self {
            cpu_ticks: 0,
            read: self.read.map(|_| 0),
            written: self.written.map(|_| 0),
            ..self
        }
    }
}

/// What the open files of a service's processes come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) files: u64,
    /// Of its limit, of the process that is nearest to it; parts of a thousand.
    pub(super) fullest: Option<u64>,
}

impl Processes {
    /// Counts the open files of all of them; nothing, where there are too many or none may be
    /// asked.
    pub(super) fn open(&mut self, tools: &mut Instruments, pids: &[u32]) -> Option<Open> {
        let asked = pids.get(..MOST).unwrap_or(pids);
        self.known.retain(|pid, _| asked.contains(pid));
        if pids.is_empty() || pids.len() > MOST {
            return None;
        }
        let mut open = Open::default();
        let mut is_any = false;
        for &pid in pids {
            let Some(files) = open_files(tools, pid) else {
                continue;
            };
            is_any = true;
            open.files += files;
            let known = self.known.entry(pid).or_default();
            if known.open_limit.is_none() {
                known.open_limit = open_limit(tools, pid);
            }
            let share = known.open_limit.and_then(|limit| permille(files, limit));
            open.fullest = open.fullest.max(share);
        }
        is_any.then_some(open)
    }

    /// Limits may have changed: they are read again.
    pub(super) fn forget_limits(&mut self) {
        for known in self.known.values_mut() {
            known.open_limit = None;
        }
    }

    /// Adds up what they use. The first sample has nothing since the one before.
    pub(super) fn sums(
        &mut self,
        tools: &mut Instruments,
        pids: &[u32],
        wanted: Wanted,
        is_first: bool,
    ) -> Sums {
        let mut sums = Sums {
            read: Some(0),
            written: Some(0),
            ..Sums::default()
        };
        for &pid in pids.iter().take(MOST) {
            let Some(now) = process(tools, pid, wanted, &mut sums) else {
                continue;
            };
            let entry = self.known.entry(pid).or_default();
            let before = (entry.started == now.started).then_some(*entry);
            // One that is new has used all that it has used since the sample before.
            let since = |now: u64, before: Option<u64>| now.saturating_sub(before.unwrap_or(0));
            let since = |now, before| if is_first { 0 } else { since(now, before) };
            sums.cpu_ticks += since(now.cpu_ticks, before.map(|it| it.cpu_ticks));
            sums.read = sums
                .read
                .zip(now.read)
                .map(|(sum, read)| sum + since(read, before.and_then(|it| it.read)));
            sums.written = sums
                .written
                .zip(now.written)
                .map(|(sum, it)| sum + since(it, before.and_then(|it| it.written)));
            *entry = Known {
                open_limit: before.and_then(|before| before.open_limit),
                ..now
            };
        }
        sums
    }
}

/// Reads a process, and adds up what needs no sample before.
fn process(tools: &mut Instruments, pid: u32, wanted: Wanted, sums: &mut Sums) -> Option<Known> {
    let found = tools.read_of_process(pid, "stat").and_then(parse_stat)?;
    sums.tasks += found.threads;
    if wanted.memory
        && let Some(status) = tools.read_of_process(pid, "status")
    {
        sums.memory += field(status, "RssAnon").unwrap_or(0) << 10;
        sums.swap += field(status, "VmSwap").unwrap_or(0) << 10;
    }
    let io = if wanted.io {
        tools.read_of_process(pid, "io")
    } else {
        None
    };
    let of = |name| io.and_then(|text| field(text, name));
    Some(Known {
        started: found.started,
        open_limit: None,
        cpu_ticks: found.cpu_ticks,
        read: of("read_bytes"),
        written: of("write_bytes"),
    })
}

fn open_files(tools: &mut Instruments, pid: u32) -> Option<u64> {
    let folder = path_of(&mut tools.path, pid, "fd")?;
    // Since Linux 6.2 the folder's size is their number.
    match u64::try_from(stat(folder).ok()?.st_size).ok()? {
        0 => Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64),
        number => Some(number),
    }
}

fn open_limit(tools: &mut Instruments, pid: u32) -> Option<u64> {
    let text = tools.read_of_process(pid, "limits")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Wanted = Wanted {
        memory: true,
        io: true,
    };

    #[test]
    fn this_process_is_measured() {
        let mut tools = Instruments::default();
        let mut processes = Processes::default();
        let pids = [std::process::id()];
        let first = processes.sums(&mut tools, &pids, ALL, true);
        assert!(first.memory > 0 && first.tasks > 0, "{first:?}");
        assert_eq!((first.cpu_ticks, first.read), (0, Some(0)));
        let open = processes.open(&mut tools, &pids).unwrap();
        assert!(open.files >= 3 && open.fullest.is_some(), "{open:?}");
        let held: Vec<_> = (0..20)
            .map(|_| fs::File::open("/dev/null").unwrap())
            .collect();
        let more = processes.open(&mut tools, &pids).unwrap();
        assert!(more.files >= 20, "{more:?}");
        drop(held);
    }

    #[test]
    fn processes_that_are_gone_are_forgotten_where_there_are_too_many_to_ask() {
        let mut tools = Instruments::default();
        let mut processes = Processes::default();
        processes.known.insert(1, Known::default());
        let many: Vec<u32> = (2..).take(MOST + 1).collect();
        assert_eq!(processes.open(&mut tools, &many), None);
        assert!(processes.known.is_empty(), "{:?}", processes.known);
    }

    #[test]
    fn another_process_with_the_same_number_is_another() {
        let mut tools = Instruments::default();
        let mut processes = Processes::default();
        let pid = std::process::id();
        processes.known.insert(
            pid,
            Known {
                started: 1,
                cpu_ticks: u64::MAX,
                ..Known::default()
            },
        );
        let used = processes.sums(&mut tools, &[pid], ALL, false).cpu_ticks;
        assert!(used < u64::MAX / 2, "{used}");
    }
}
