//! Which files are in use: open in a process, mapped into its memory, or the content of a loop
//! device.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::Path,
};

use prunella_core::{Failure, capability::Answer};
use rustix::fs::{makedev, stat};

use super::walk::{FileId, Found};

/// The flags of open(2) that /proc tells, in octal as there.
const ACCESS: u32 = 0o3;
const APPEND: u32 = 0o2000;

/// How a file is used; of several uses the last counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    /// It is only read.
    Read,
    /// Whoever writes to it appends: a log.
    Appended,
    /// Whoever writes to it may write anywhere in it.
    Other,
}

/// The files of a cleanup that are in use.
pub(super) struct InUse {
    of: HashMap<FileId, Use>,
}

impl InUse {
    /// Looks at all processes.
    pub(super) fn look(found: &[Found]) -> Answer<Self> {
        let asked: HashSet<FileId> = found.iter().map(|found| found.id).collect();
        let mut in_use = Self { of: HashMap::new() };
        if asked.is_empty() {
            return Ok(in_use);
        }
        let inodes: HashSet<u64> = asked.iter().map(|id| id.inode).collect();
        let unseen = |error: &io::Error| {
            Failure::unavailable(
                "proc",
                format!("it cannot be told which files are open: {error}"),
            )
        };
        for process in fs::read_dir("/proc").map_err(|error| unseen(&error))? {
            let process = process.map_err(|error| unseen(&error))?;
            let name = process.file_name();
            if !name.to_string_lossy().bytes().all(|b| b.is_ascii_digit()) {
                continue;
            }
            match in_use.look_at(&process.path(), &asked, &inodes) {
                Err(error) if !is_gone(&error) => return Err(unseen(&error)),
                _ => {}
            }
        }
        in_use.look_at_loop_devices();
        Ok(in_use)
    }

    /// How a file is used, if it is.
    pub(super) fn of(&self, id: FileId) -> Option<Use> {
        self.of.get(&id).copied()
    }

    fn look_at(
        &mut self,
        process: &Path,
        asked: &HashSet<FileId>,
        inodes: &HashSet<u64>,
    ) -> io::Result<()> {
        for open in fs::read_dir(process.join("fd"))? {
            let open = open?;
            // Closed meanwhile.
            let Ok(there) = stat(open.path()) else {
                continue;
            };
            let id = FileId::of(&there);
            if asked.contains(&id) {
                let info = process.join("fdinfo").join(open.file_name());
                self.note(id, how(&fs::read_to_string(info).unwrap_or_default()));
            }
        }
        // Where the kernel keeps them back, as of the first process in some containers, what is
        // open has to do.
        let maps = fs::read_to_string(process.join("maps")).unwrap_or_default();
        let mapped = maps.lines().filter_map(Mapped::read);
        for mapped in mapped.filter(|mapped| inodes.contains(&mapped.id.inode)) {
            // On some file systems /proc tells another device than stat(2) does.
            let seen = process
                .join("root")
                .join(mapped.path.trim_start_matches('/'));
            let id = stat(&seen).map_or(mapped.id, |there| FileId::of(&there));
            self.note(id, Use::Other);
        }
        Ok(())
    }

    fn look_at_loop_devices(&mut self) {
        let Ok(devices) = fs::read_dir("/sys/block") else {
            return;
        };
        for device in devices.flatten() {
            let Ok(file) = fs::read_to_string(device.path().join("loop/backing_file")) else {
                continue;
            };
            if let Ok(there) = stat(file.trim_end_matches('\n')) {
                self.note(FileId::of(&there), Use::Other);
            }
        }
    }

    fn note(&mut self, id: FileId, how: Use) {
        let known = self.of.entry(id).or_insert(how);
        *known = how.max(*known);
    }
}

/// A file in a process's memory, as a line of `/proc/PID/maps` has it.
struct Mapped<'a> {
    id: FileId,
    path: &'a str,
}

impl<'a> Mapped<'a> {
    /// `7f…-7f… r-xp 00000000 08:01 1234    /usr/lib/…`
    fn read(line: &'a str) -> Option<Self> {
        let mut parts = line.splitn(6, ' ');
        let (major, minor) = parts.nth(3)?.split_once(':')?;
        let device = makedev(
            u32::from_str_radix(major, 16).ok()?,
            u32::from_str_radix(minor, 16).ok()?,
        );
        let inode = parts.next()?.parse().ok()?;
        let path = parts.next().unwrap_or_default().trim_start();
        Some(Self {
            id: FileId { device, inode },
            path,
        })
    }
}

/// How a descriptor is used, by its `/proc/PID/fdinfo/N`.
fn how(info: &str) -> Use {
    let flags = info
        .lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    match flags {
        Some(flags) if flags & ACCESS == 0 => Use::Read,
        Some(flags) if flags & APPEND != 0 => Use::Appended,
        _ => Use::Other,
    }
}

/// Whether a process has ended meanwhile.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_file_is_read() {
        let line = "7f60a2c00000-7f60a2c28000 r--p 00000000 08:01 1234      /usr/lib/a b.so";
        let mapped = Mapped::read(line).unwrap();
        assert_eq!(mapped.path, "/usr/lib/a b.so");
        assert_eq!(mapped.id.inode, 1234);
        assert_eq!(mapped.id.device, makedev(8, 1));
        let stack = Mapped::read("7ffd-7ffe rw-p 00000000 00:00 0    [stack]").unwrap();
        assert_eq!(stack.id.inode, 0);
    }

    #[test]
    fn a_log_is_what_is_appended_to() {
        for (info, expected) in [
            ("pos:\t0\nflags:\t0102001\nmnt_id:\t1\n", Use::Appended),
            ("flags:\t0100000\n", Use::Read),
            ("flags:\t0100001\n", Use::Other),
            ("flags:\t0100002\n", Use::Other),
            ("", Use::Other),
        ] {
            assert_eq!(how(info), expected, "{info}");
        }
    }
}
