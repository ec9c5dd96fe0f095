//! Who uses most in a control group: what is kept before anything is done to it.

use prunella_core::text::one_line;
use rustix::param::{clock_ticks_per_second, page_size};

use crate::{cgroup::Cgroups, procfs};

/// So many of each are named.
const NAMED: usize = 3;
/// So many processes are looked at.
const LOOKED_AT: usize = 2_000;
/// Characters of a name.
const NAME_MAX: usize = 40;

struct Used {
    pid: u32,
    name: String,
    seconds: u64,
    bytes: u64,
}

/// The processes with most processor time and most memory, in a sentence each.
pub(super) fn processes(groups: &Cgroups, group: &str) -> Vec<String> {
    let pids = groups.processes(group);
    let ticks = clock_ticks_per_second().max(1);
    let page = page_size() as u64;
    let mut used: Vec<Used> = pids
        .into_iter()
        .take(LOOKED_AT)
        .filter_map(|pid| {
            let about = procfs::stat(pid).ok()?;
            Some(Used {
                pid,
                name: one_line(&procfs::name(pid), NAME_MAX),
                seconds: about.cpu_ticks / ticks,
                bytes: about.resident.saturating_mul(page),
            })
        })
        .collect();
    if used.is_empty() {
        return Vec::new();
    }
    used.sort_by_key(|one| std::cmp::Reverse(one.seconds));
    let by_time = list(&used, |one| format!("{} s", one.seconds));
    used.sort_by_key(|one| std::cmp::Reverse(one.bytes));
    let by_memory = list(&used, |one| format!("{} MiB", one.bytes >> 20));
    vec![
        format!("most processor time: {by_time}"),
        format!("most memory: {by_memory}"),
    ]
}

fn list(used: &[Used], much: impl Fn(&Used) -> String) -> String {
    let shown: Vec<String> = used
        .iter()
        .take(NAMED)
        .map(|one| format!("{} ({}) {}", one.name, one.pid, much(one)))
        .collect();
    shown.join(", ")
}
