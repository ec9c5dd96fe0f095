//! The processes of a service: their open files, and, where its control group keeps no
//! account, all the rest.

use std::fs;

use rustix::fs::stat;

use super::{
    Instruments, path_of, permille,
    text::{anonymous_pages, field},
};
use crate::procfs::parse_stat;

/// More processes than this are not asked one by one: a service that has so many would make
/// measuring it work of its own.
const MOST: usize = 256;

/// What a process that has just begun may have open, and still count as limited as its parent:
/// it has hardly begun to use up a limit, even of its own.
const FEW: u64 = 32;

/// What is known of one process.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    pid: u32,
    /// When it started, in ticks since boot: a number is used again.
    started: u64,
    /// Its parent, the first time that it is seen.
    just_begun_by: Option<u32>,
    /// How many files it may have open.
    open_limit: Option<u64>,
    cpu_ticks: u64,
    read: Option<u64>,
    written: Option<u64>,
    memory: Memory,
}

/// What a process has of memory, and the counts that change with that: it comes with a fault,
/// and goes with pages.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    faults: u64,
    resident: u64,
    /// In bytes.
    anonymous: u64,
    swapped: u64,
}

/// The processes of one service, from sample to sample.
#[derive(Debug, Default)]
pub(super) struct Processes {
    known: Vec<Known>,
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
        self.known.retain(|known| asked.contains(&known.pid));
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
            let limit = self.limit(tools, pid, files);
            let share = limit.and_then(|limit| permille(files, limit));
            open.fullest = open.fullest.max(share);
        }
        is_any.then_some(open)
    }

    /// How many files a process may have open, of which it has so many.
    fn limit(&mut self, tools: &mut Instruments, pid: u32, files: u64) -> Option<u64> {
        let known = *self.of(pid)?;
        if known.open_limit.is_some() {
            return known.open_limit;
        }
        if let Some(parent) = known.just_begun_by.filter(|_| files <= FEW)
            && let Some(parent) = self.known.iter().find(|known| known.pid == parent)
            && parent.open_limit.is_some()
        {
            return parent.open_limit;
        }
        let limit = open_limit(tools, pid);
        self.of(pid)?.open_limit = limit;
        limit
    }

    fn of(&mut self, pid: u32) -> Option<&mut Known> {
        if !self.known.iter().any(|known| known.pid == pid) {
            let known = Known::default();
            self.known.push(Known { pid, ..known });
        }
        self.known.iter_mut().find(|known| known.pid == pid)
    }

    /// Limits may have changed: they are read again.
    pub(super) fn forget_limits(&mut self) {
        for known in &mut self.known {
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
            let Some(known) = self.of(pid) else { continue };
            let Some((now, before)) = process(tools, known, wanted, &mut sums) else {
                continue;
            };
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
            *known = now;
        }
        sums
    }
}

/// Reads a process, and adds up what needs no sample before. Returns what it is now, and what
/// it was, unless it is another one.
fn process(
    tools: &mut Instruments,
    known: &Known,
    wanted: Wanted,
    sums: &mut Sums,
) -> Option<(Known, Option<Known>)> {
    let pid = known.pid;
    let found = tools.read_of_process(pid, "stat").and_then(parse_stat)?;
    let before = (known.started == found.started).then_some(*known);
    sums.tasks += found.threads;
    let mut memory = before.map(|before| before.memory).unwrap_or_default();
    if wanted.memory {
        let is_same = memory.faults == found.faults && memory.resident == found.resident;
        if before.is_none() || !is_same {
            let (anonymous, swapped) = memory_of(tools, pid);
            memory = Memory {
                faults: found.faults,
                resident: found.resident,
                anonymous,
                swapped,
            };
        }
        sums.memory += memory.anonymous;
        sums.swap += memory.swapped;
    }
    let io = if wanted.io {
        tools.read_of_process(pid, "io")
    } else {
        None
    };
    let of = |name| io.and_then(|text| field(text, name));
    let now = Known {
        pid,
        started: found.started,
        just_begun_by: before.is_none().then_some(found.parent),
        open_limit: before.and_then(|before| before.open_limit),
        cpu_ticks: found.cpu_ticks,
        read: of("read_bytes"),
        written: of("write_bytes"),
        memory,
    };
    Some((now, before))
}

/// What of a process' memory is its own, and what of that is swapped out, in bytes.
fn memory_of(tools: &mut Instruments, pid: u32) -> (u64, u64) {
    if tools.has_swapped {
        let status = tools.read_of_process(pid, "status");
        let bytes = |name| status.and_then(|text| field(text, name)).unwrap_or(0) << 10;
        return (bytes("RssAnon"), bytes("VmSwap"));
    }
    // The same of memory, at half the price.
    let page = tools.page;
    let pages = tools.read_of_process(pid, "statm");
    (pages.and_then(anonymous_pages).unwrap_or(0) * page, 0)
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
    use std::{
        io::{Read as _, Write as _},
        process::{Child, Command, Stdio},
    };

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
        processes.of(1).unwrap();
        let many: Vec<u32> = (2..).take(MOST + 1).collect();
        assert_eq!(processes.open(&mut tools, &many), None);
        assert!(processes.known.is_empty(), "{:?}", processes.known);
    }

    #[test]
    fn another_process_with_the_same_number_is_another() {
        let mut tools = Instruments::default();
        let mut processes = Processes::default();
        let pid = std::process::id();
        processes.known.push(Known {
            pid,
            started: 1,
            cpu_ticks: u64::MAX,
            ..Known::default()
        });
        let used = processes.sums(&mut tools, &[pid], ALL, false).cpu_ticks;
        assert!(used < u64::MAX / 2, "{used}");
    }

    /// A shell that holds 32 MiB more after a line, and ends with its input.
    struct Growing(Child);

    impl Growing {
        fn begin() -> Self {
            let grow = r"read go; held=$(head -c 33554432 /dev/zero | tr '\0' x); echo; read end";
            let mut shell = Command::new("sh");
            shell.args(["-c", grow]).stdin(Stdio::piped());
            Self(shell.stdout(Stdio::piped()).spawn().unwrap())
        }

        fn grow(&mut self) {
            let input = self.0.stdin.as_mut().unwrap();
            input.write_all(b"go\n").unwrap();
            let output = self.0.stdout.as_mut().unwrap();
            output.read_exact(&mut [0]).unwrap();
        }
    }

    impl Drop for Growing {
        fn drop(&mut self) {
            drop(self.0.stdin.take());
            let _ = self.0.wait();
        }
    }

    #[test]
    fn memory_is_the_same_from_either_file() {
        let mut process = Growing::begin();
        process.grow();
        let of = |has_swapped| {
            let mut tools = Instruments {
                has_swapped,
                ..Instruments::default()
            };
            memory_of(&mut tools, process.0.id())
        };
        let (full, short) = (of(true), of(false));
        assert!(full.0 > 32 << 20, "{full:?}");
        assert_eq!(full, short);
    }

    #[test]
    fn memory_that_grows_is_seen() {
        let mut tools = Instruments::default();
        let mut processes = Processes::default();
        let mut process = Growing::begin();
        let pids = [process.0.id()];
        let before = processes.sums(&mut tools, &pids, ALL, true).memory;
        process.grow();
        let more = processes.sums(&mut tools, &pids, ALL, false).memory;
        assert!(more > before + (31 << 20), "{more} after {before}");
    }

    #[test]
    fn a_process_that_has_just_begun_is_limited_as_its_parent_until_it_is_seen_again() {
        let mut tools = Instruments::default();
        let pid = std::process::id();
        let parent = Known {
            pid: 1,
            open_limit: Some(64),
            ..Known::default()
        };
        let child = Known {
            pid,
            just_begun_by: Some(1),
            ..Known::default()
        };
        let mut processes = Processes {
            known: vec![parent, child],
        };
        assert_eq!(processes.limit(&mut tools, pid, FEW), Some(64));
        let own = processes.limit(&mut tools, pid, FEW + 1);
        assert!(own.is_some_and(|own| own > 64), "{own:?}");
        assert_eq!(processes.limit(&mut tools, pid, FEW), own);
    }
}
