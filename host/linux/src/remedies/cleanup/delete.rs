//! Deleting what was chosen.

use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use rustix::{
    fs::{AtFlags, Mode, OFlags, fstat, ftruncate, openat, statat, unlinkat},
    io::Errno,
};

use super::{
    choose::Chosen,
    walk::{FileId, Found, Root, on_disk},
};

/// What has come of it, measured.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) deleted: u64,
    pub(super) emptied: u64,
    /// What they took on the disk.
    pub(super) bytes: u64,
    /// Those that were changed or moved meanwhile, or that the system did not delete.
    pub(super) left: u64,
    /// Why it did not, once.
    pub(super) trouble: Option<String>,
}

/// Deletes, and empties, what was chosen. A file that is not the one any more that was looked
/// at stays.
pub(super) fn delete(roots: &[Root], chosen: &Chosen) -> Done {
    let mut done = Done::default();
    let mut folder = Folder::default();
    for found in &chosen.delete {
        match folder
            .enter(roots, found)
            .and_then(|dir| remove(dir, found))
        {
            Ok(bytes) => {
                done.deleted += 1;
                done.bytes = done.bytes.saturating_add(bytes);
            }
            Err(error) => done.leave(error),
        }
    }
    for found in &chosen.empty {
        match folder.enter(roots, found).and_then(|dir| empty(dir, found)) {
            Ok(bytes) => {
                done.emptied += 1;
                done.bytes = done.bytes.saturating_add(bytes);
            }
            Err(error) => done.leave(error),
        }
    }
    done
}

impl Done {
    fn leave(&mut self, error: Errno) {
        self.left += 1;
        // Gone, or another by now: nothing went wrong.
        if !matches!(error, Errno::NOENT | Errno::STALE | Errno::LOOP) {
            self.trouble.get_or_insert_with(|| error.to_string());
        }
    }
}

/// The folder that was opened last: the files of one come one after the other.
#[derive(Default)]
struct Folder {
    open: Option<(usize, PathBuf, Dir)>,
}

impl Folder {
    fn enter(&mut self, roots: &[Root], found: &Found) -> Result<&Dir, Errno> {
        let parent = found.path.parent().unwrap_or(Path::new(""));
        let is_open = self
            .open
            .as_ref()
            .is_some_and(|(root, folder, _)| *root == found.root && folder == parent);
        if !is_open {
            let root = roots.get(found.root).ok_or(Errno::NOENT)?;
            let dir = root.enter(parent)?.ok_or(Errno::STALE)?;
            self.open = Some((found.root, parent.to_owned(), dir));
        }
        match &self.open {
            Some((_, _, dir)) => Ok(dir),
            None => Err(Errno::NOENT),
        }
    }
}

fn remove(dir: &Dir, found: &Found) -> Result<u64, Errno> {
    let name = found.path.file_name().ok_or(Errno::NOENT)?;
    let there = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileId::of(&there) != found.id || there.st_nlink != 1 {
        return Err(Errno::STALE);
    }
    unlinkat(dir, name, AtFlags::empty())?;
    Ok(on_disk(&there))
}

fn empty(dir: &Dir, found: &Found) -> Result<u64, Errno> {
    let name = found.path.file_name().ok_or(Errno::NOENT)?;
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(dir, name, flags, Mode::empty())?;
    let before = fstat(&file)?;
    if FileId::of(&before) != found.id || before.st_nlink != 1 {
        return Err(Errno::STALE);
    }
    ftruncate(&file, 0)?;
    Ok(on_disk(&before).saturating_sub(on_disk(&fstat(&file)?)))
}
