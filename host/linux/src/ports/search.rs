//! The search for the processes that hold some sockets.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    mem::MaybeUninit,
    time::Instant,
};

use prunella_core::{Failure, capability::Answer};
use rustix::fs::{CWD, Mode, OFlags, RawDir, openat, readlinkat_raw};

use crate::sockets::BoundSocket;

pub(super) fn all_processes() -> BTreeSet<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return BTreeSet::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// The search for who holds some sockets.
pub(super) struct Search {
    wanted: HashSet<u64>,
    /// Which processes hold each, as far as is known.
    pub(super) found: BTreeMap<u64, BTreeSet<u32>>,
    searched: HashSet<u32>,
    deadline: Instant,
    names: Vec<MaybeUninit<u8>>,
}

impl Search {
    pub(super) fn new(bound: &[BoundSocket], deadline: Instant) -> Self {
        Self {
            // The kernel's own sockets have no inode.
            wanted: bound
                .iter()
                .map(|socket| socket.inode)
                .filter(|inode| *inode != 0)
                .collect(),
            found: BTreeMap::new(),
            searched: HashSet::new(),
            deadline,
            names: vec![MaybeUninit::uninit(); 32 * 1024],
        }
    }

    pub(super) fn is_missing_any(&self) -> bool {
        self.wanted
            .iter()
            .any(|inode| !self.found.contains_key(inode))
    }

    /// Looks through the open files of some processes.
    pub(super) fn among(&mut self, pids: impl IntoIterator<Item = u32>) -> Answer<()> {
        for pid in pids {
            if !self.searched.insert(pid) {
                continue;
            }
            if Instant::now() >= self.deadline {
                return Err(Failure::timed_out(
                    "deadline",
                    "the time was up before all processes had been looked at",
                ));
            }
            // A process that is gone, or that we may not look into, holds
            // nothing that we can tell.
            let _ = self.look_into(pid);
        }
        Ok(())
    }

    fn look_into(&mut self, pid: u32) -> rustix::io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, format!("/proc/{pid}/fd"), flags, Mode::empty())?;
        let mut entries = RawDir::new(&folder, &mut self.names);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            if entry.file_name().to_bytes().starts_with(b".") {
                continue;
            }
            let mut target = [MaybeUninit::<u8>::uninit(); 64];
            let Ok((target, _)) = readlinkat_raw(&folder, entry.file_name(), &mut target[..])
            else {
                // Closed meanwhile.
                continue;
            };
            if let Some(inode) = socket_inode(target)
                && self.wanted.contains(&inode)
            {
                self.found.entry(inode).or_default().insert(pid);
            }
        }
        Ok(())
    }
}

/// Of `socket:[4711]`.
fn socket_inode(target: &[u8]) -> Option<u64> {
    let digits = target.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(b"socket:[4711]", Some(4711))]
    #[case(b"pipe:[4711]", None)]
    #[case(b"/tmp/socket:[1]", None)]
    #[case(b"socket:[]", None)]
    fn an_open_file_that_is_a_socket(#[case] target: &[u8], #[case] inode: Option<u64>) {
        assert_eq!(socket_inode(target), inode);
    }
}
