//! What is kept of processes before they are ended: what each waits for, what it holds open, how
//! much memory it has. Read from `/proc`, of a few processes and within a short time.
//!
//! What the kernel has of their stacks needs CAP_SYS_ADMIN, which the daemon does not have; the
//! function in which a thread waits does not.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use prunella_core::{
    remedy::{Amount, AmountOf},
    text::one_line,
};
use rustix::param::page_size;

use crate::procfs;

/// So many processes are told of one by one: those with most memory.
const TOLD: usize = 4;
/// So many are looked at.
const LOOKED_AT: usize = 2_000;
/// So many threads of a process are looked at.
const THREADS: usize = 256;
/// So many open files of a process are looked at.
const FILES: usize = 4_096;
/// So many of them are named.
const NAMED: usize = 3;
/// Characters of a name, and of a path.
const NAME: usize = 40;
const PATH: usize = 120;
/// After so long, what is known has to do.
const TIME: Duration = Duration::from_millis(200);

/// A sentence for each of the processes with most memory.
pub(crate) fn of(pids: &[u32], deadline: Instant) -> Vec<String> {
    let until = deadline.min(Instant::now() + TIME);
    let page = page_size() as u64;
    let mut all: Vec<(u64, u32)> = pids
        .iter()
        .take(LOOKED_AT)
        .filter_map(|pid| {
            let stat = procfs::stat(*pid).ok()?;
            (!stat.zombie && !stat.kernel_thread).then_some((stat.resident, *pid))
        })
        .collect();
    all.sort_unstable_by(|one, other| other.cmp(one));
    let mut told: Vec<String> = all
        .iter()
        .take(TOLD)
        .take_while(|_| Instant::now() < until)
        .map(|(resident, pid)| process(*pid, resident.saturating_mul(page), until))
        .collect();
    if all.len() > told.len() && !told.is_empty() {
        told.push(format!("{} more processes", all.len() - told.len()));
    }
    told
}

/// `process 812 (python3), 210 MiB: 3 of 4 threads in futex_wait_queue; 37 open files, 12 of them
/// sockets, such as /var/log/shop.log`.
fn process(pid: u32, resident: u64, until: Instant) -> String {
    let folder = format!("/proc/{pid}");
    let folder = Path::new(&folder);
    let memory = Amount {
        value: resident,
        of: AmountOf::Bytes,
    };
    let name = one_line(&procfs::name(pid), NAME);
    let mut text = format!("process {pid} ({name}), {memory}");
    let parts = [threads(folder, until), open_files(folder, until)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if !parts.is_empty() {
        text.push_str(": ");
        text.push_str(&parts.join("; "));
    }
    text
}

/// In which functions of the kernel its threads wait, the most frequent first.
fn threads(folder: &Path, until: Instant) -> Option<String> {
    let mut waits: BTreeMap<String, usize> = BTreeMap::new();
    let mut count = 0_usize;
    for thread in fs::read_dir(folder.join("task")).ok()?.take(THREADS) {
        if Instant::now() >= until {
            break;
        }
        let Ok(thread) = thread else { continue };
        let state = fs::read_to_string(thread.path().join("stat"));
        let Some(state) = state.ok().as_deref().and_then(state_of) else {
            continue;
        };
        let function = fs::read_to_string(thread.path().join("wchan")).unwrap_or_default();
        let place = match function.trim() {
            // Where the kernel does not tell.
            "" | "0" => state.to_owned(),
            function => format!("{state} in {}", one_line(function, NAME)),
        };
        *waits.entry(place).or_default() += 1;
        count += 1;
    }
    let mut waits: Vec<(usize, String)> = waits.into_iter().map(|(at, n)| (n, at)).collect();
    waits.sort_by(|one, other| other.cmp(one));
    let shown: Vec<String> = waits
        .iter()
        .take(NAMED)
        .map(|(threads, place)| match (count, threads) {
            (1, _) => place.clone(),
            (_, 1) => format!("1 thread {place}"),
            _ => format!("{threads} threads {place}"),
        })
        .collect();
    (!shown.is_empty()).then(|| shown.join(", "))
}

/// What the state of `/proc/PID/stat` means.
fn state_of(stat: &str) -> Option<&'static str> {
    let (_, rest) = stat.rsplit_once(')')?;
    Some(match rest.trim_start().chars().next()? {
        'R' => "running",
        'S' => "sleeping",
        'D' => "waiting for a device",
        'T' => "stopped",
        't' => "traced",
        _ => "ending",
    })
}

fn open_files(folder: &Path, until: Instant) -> Option<String> {
    let (mut count, mut sockets) = (0_usize, 0_usize);
    let mut named: Vec<String> = Vec::new();
    for file in fs::read_dir(folder.join("fd")).ok()?.take(FILES) {
        if Instant::now() >= until {
            break;
        }
        let Some(target) = file.ok().and_then(|file| fs::read_link(file.path()).ok()) else {
            continue;
        };
        count += 1;
        if target.to_string_lossy().starts_with("socket:") {
            sockets += 1;
        } else if target.is_absolute() && !target.starts_with("/dev") && named.len() < NAMED {
            let name = one_line(&target.to_string_lossy(), PATH);
            if !named.contains(&name) {
                named.push(name);
            }
        }
    }
    let mut text = match count {
        0 => return None,
        1 => "1 open file".to_owned(),
        count => format!("{count} open files"),
    };
    if sockets > 0 {
        text.push_str(&format!(", {sockets} of them sockets"));
    }
    if !named.is_empty() {
        text.push_str(&format!(", such as {}", named.join(", ")));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_does_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let _listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let soon = Instant::now() + Duration::from_secs(5);
        let told = of(&[std::process::id()], soon);
        let [told] = told.as_slice() else {
            panic!("{told:?}")
        };
        assert!(
            told.starts_with(&format!("process {} (", std::process::id())),
            "{told}"
        );
        for part in ["open files", "of them sockets", "thread"] {
            assert!(told.contains(part), "{part} in {told}");
        }
        drop(file);
        assert!(of(&[], soon).is_empty());
        assert!(of(&[std::process::id()], Instant::now()).is_empty());
    }
}
