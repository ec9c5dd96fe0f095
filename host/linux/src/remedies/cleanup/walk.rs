//! Looking through the folders of a cleanup.
//!
//! Every folder is opened by its own name in the one before, without following a link, and is
//! left out where something is mounted on it. So nothing is found that does not lie in the
//! declared folder itself.

use std::{
    ffi::OsStr,
    fs::File,
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
    time::{Duration, Instant},
};

use cap_std::fs::Dir;
use prunella_core::{Failure, Timestamp, capability::Answer, glob};
use rustix::{
    fs::{
        AtFlags, FileType, FlockOperation, Mode, OFlags, Stat, StatxFlags, flock, fstat, openat,
        statat, statx,
    },
    io::Errno,
};

use super::unsafe_path;
use crate::safe_path::{self, Last, Rule, WalkError};

/// So many files are looked at; those that are not found this time are the next.
const FILES: usize = 200_000;
/// Folders below this depth are not looked into.
const DEPTH: usize = 64;
/// A walk ends after this long, with what it has found by then.
const PATIENCE: Duration = Duration::from_secs(15);
/// What a block is in `st_blocks`, whatever the file system's own are.
const BLOCK: u64 = 512;

/// Which files are looked for.
pub(super) struct Rules {
    /// They fit one of them; empty for all.
    pub(super) patterns: Vec<String>,
    /// Whether folders in the folder are looked through as well.
    pub(super) deep: bool,
    /// Whether a file counts as used when it was read or renamed, and not only when its
    /// content was changed. A folder that somebody has locked is left alone then, as
    /// systemd-tmpfiles does.
    pub(super) by_every_time: bool,
}

/// A regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Of which folder of the cleanup.
    pub(super) root: usize,
    /// Relative to that folder.
    pub(super) path: PathBuf,
    pub(super) id: FileId,
    /// What it takes on the disk.
    pub(super) bytes: u64,
    /// How many names it has.
    pub(super) links: u64,
    /// When it was used last.
    pub(super) used: Timestamp,
}

/// What names a file, wherever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl FileId {
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
        }
    }
}

/// A folder of a cleanup.
pub(super) struct Root {
    pub(super) dir: Dir,
    mount: Mounted,
}

/// On which mount something lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mounted {
    device: u64,
    /// Not from every kernel.
    id: Option<u64>,
}

impl Root {
    /// Opens it; none when it is not there.
    pub(super) fn open(name: &str, path: &Path) -> Answer<Option<Self>> {
        let walked = match safe_path::walk(path, Rule::Change, Last::Follow) {
            Ok(walked) => walked,
            Err(WalkError::Missing | WalkError::MissingFolder) => return Ok(None),
            Err(error) => return Err(unsafe_path(name, &error.to_string())),
        };
        if walked.kind() != FileType::Directory {
            return Err(unsafe_path(name, "it is not a folder"));
        }
        let opened = walked.open().and_then(|fd| {
            let dir = Dir::from_std_file(File::from(fd));
            let mount = mounted(&dir)?;
            Ok(Self { dir, mount })
        });
        opened.map(Some).map_err(|error| {
            Failure::failed("cannot-look", format!("`{name}` cannot be opened: {error}"))
        })
    }

    /// Opens a folder in it; none when something is mounted on the way.
    pub(super) fn enter(&self, folder: &Path) -> rustix::io::Result<Option<Dir>> {
        let mut here = child(&self.dir, OsStr::new("."))?;
        for part in folder.components() {
            let Component::Normal(name) = part else {
                return Err(Errno::INVAL);
            };
            here = child(&here, name)?;
            if mounted(&here)? != self.mount {
                return Ok(None);
            }
        }
        Ok(Some(here))
    }
}

fn child(dir: &Dir, name: &OsStr) -> rustix::io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = openat(dir, name, flags, Mode::empty())?;
    Ok(Dir::from_std_file(File::from(fd)))
}

fn mounted(dir: &Dir) -> rustix::io::Result<Mounted> {
    let device = fstat(dir)?.st_dev;
    let wanted = StatxFlags::MNT_ID;
    let id = match statx(dir, "", AtFlags::EMPTY_PATH, wanted) {
        Ok(found) if found.stx_mask & wanted.bits() != 0 => Some(found.stx_mnt_id),
        Ok(_) | Err(Errno::NOSYS) => None,
        Err(error) => return Err(error),
    };
    Ok(Mounted { device, id })
}

/// Adds the files of a folder that the rules mean.
pub(super) fn look_through(
    root: &Root,
    number: usize,
    rules: &Rules,
    found: &mut Vec<Found>,
) -> Answer<()> {
    let until = Instant::now() + PATIENCE;
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        // What has gone meanwhile, or cannot be read, is left out.
        let Ok(Some(dir)) = root.enter(&folder) else {
            continue;
        };
        if rules.by_every_time && is_locked(&dir) {
            continue;
        }
        let Ok(entries) = dir.entries() else {
            continue;
        };
        for entry in entries.flatten() {
            if found.len() >= FILES || Instant::now() > until {
                return Ok(());
            }
            let name = entry.file_name();
            let Ok(stat) = statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            let path = folder.join(&name);
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory if rules.deep && path.components().count() < DEPTH => {
                    folders.push(path);
                }
                FileType::RegularFile if rules.mean(&path) => {
                    found.push(Found {
                        root: number,
                        path,
                        id: FileId::of(&stat),
                        bytes: on_disk(&stat),
                        links: stat.st_nlink,
                        used: rules.used(&stat),
                    });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Whether somebody holds the folder's lock (flock(2)).
fn is_locked(dir: &Dir) -> bool {
    flock(dir, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
}

/// The bytes that a file takes.
pub(super) fn on_disk(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks)
        .unwrap_or_default()
        .saturating_mul(BLOCK)
}

impl Rules {
    fn mean(&self, path: &Path) -> bool {
        let whole = path.to_string_lossy();
        let name = path.file_name().map(OsStr::to_string_lossy);
        let name = name.unwrap_or_default();
        // A name that is no text fits nothing but "all".
        self.patterns.is_empty()
            || (std::str::from_utf8(path.as_os_str().as_bytes()).is_ok()
                && self.patterns.iter().any(|pattern| {
                    let of = if pattern.contains('/') { &whole } else { &name };
                    glob::matches(pattern, of)
                }))
    }

    fn used(&self, stat: &Stat) -> Timestamp {
        let changed = at(stat.st_mtime, stat.st_mtime_nsec);
        if !self.by_every_time {
            return changed;
        }
        changed
            .max(at(stat.st_atime, stat.st_atime_nsec))
            .max(at(stat.st_ctime, stat.st_ctime_nsec))
    }
}

/// The file system's time.
fn at(seconds: i64, nanoseconds: u64) -> Timestamp {
    let micros = u64::try_from(seconds)
        .unwrap_or_default()
        .saturating_mul(1_000_000)
        .saturating_add(nanoseconds / 1_000);
    Timestamp::from_micros(micros)
}
