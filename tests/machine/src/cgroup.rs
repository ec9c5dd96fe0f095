//! A control group for each machine.
//!
//! On a host without systemd the container manager splits the group it was
//! started in into `supervisor` and `payload`; two machines started from one
//! group would share them, and their inits would end each other's processes.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Whether the host's own systemd gives each machine a group.
pub(crate) fn by_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// The folder of the machine's group, where we make it ourselves.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    mounts()
        .into_iter()
        .find_map(|(kind, dir)| (kind == "cgroup2").then(|| dir.join(name)))
}

/// Ends every process in the machine's group and removes it.
pub(crate) fn remove(name: &str) {
    for (kind, dir) in mounts() {
        let group = dir.join(name);
        if !group.is_dir() {
            continue;
        }
        if kind == "cgroup2" {
            // Kernel 5.14 and later; before, the init's death has to do.
            let _ = fs::write(group.join("cgroup.kill"), "1");
            wait_empty(&group);
        }
        remove_tree(&group);
    }
}

/// The mounted hierarchies: `cgroup2`, or a named one of version 1.
fn mounts() -> Vec<(String, PathBuf)> {
    let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    table
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (_, dir, kind) = (fields.next()?, fields.next()?, fields.next()?);
            let options = fields.next()?;
            let wanted = kind == "cgroup2" || options.split(',').any(|o| o == "name=systemd");
            wanted.then(|| (kind.to_owned(), PathBuf::from(dir)))
        })
        .collect()
}

/// Waits until the last process is gone: the kernel signals `cgroup.events`.
fn wait_empty(group: &Path) {
    let Ok(events) = fs::File::open(group.join("cgroup.events")) else {
        return;
    };
    let limit = Timespec::try_from(Duration::from_secs(5)).ok();
    for _ in 0..8 {
        let now = fs::read_to_string(group.join("cgroup.events")).unwrap_or_default();
        // Reading through the polled descriptor is what arms it.
        let _ = rustix::io::pread(&events, &mut [0u8; 64][..], 0);
        if !now.contains("populated 1") {
            return;
        }
        let _ = poll(&mut [PollFd::new(&events, PollFlags::PRI)], limit.as_ref());
    }
}

/// A group is removed with rmdir, from the leaves up; its files are not real.
fn remove_tree(group: &Path) {
    if let Ok(entries) = fs::read_dir(group) {
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove_tree(&entry.path());
            }
        }
    }
    let _ = fs::remove_dir(group);
}
