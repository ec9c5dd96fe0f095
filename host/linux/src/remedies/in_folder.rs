//! What the remedies that act on something in a folder have in common, in the helper.

use std::{ffi::OsStr, fs::File, io, path::Path};

use cap_std::fs::{Dir, Metadata, MetadataExt};
use prunella_core::{Failure, Timestamp, capability::Answer, remedy::MovedAside};
use rustix::{
    fs::{Mode, OFlags, RenameFlags, fsync, openat, renameat_with},
    io::Errno,
};

use crate::safe_path::{self, Place, Rule};

/// The folder of what is declared, and its name there.
pub(super) fn walk(path: &Path) -> Answer<Place> {
    safe_path::walk_to_folder(path, Rule::Change)
        .map_err(|error| unsafe_path(path, &error.to_string()))
}

/// What has a name in a folder, without following it.
pub(super) fn look(place: &Place, name: &OsStr) -> Answer<Option<Metadata>> {
    match place.dir.symlink_metadata(name) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(Path::new(name), &error)),
    }
}

/// Opens what has the name in a folder, without following a link that has taken its place.
pub(super) fn open_to_read(place: &Place) -> Result<File, Errno> {
    open_named(place, &place.name)
}

/// The same with what has another name there.
pub(super) fn open_named(place: &Place, name: &OsStr) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    // The folder was opened for its path only, which does for this.
    openat(&place.dir, name, flags, Mode::empty()).map(File::from)
}

pub(super) fn is(found: &Metadata, moved: &MovedAside) -> bool {
    found.dev() == moved.device && found.ino() == moved.inode
}

/// Has the folder's names on the disk.
pub(super) fn to_disk(dir: &Dir) -> io::Result<()> {
    // The folder itself was opened for its path only.
    Ok(fsync(dir.open(".")?)?)
}

/// Renames something in a folder, to where nothing stands.
pub(super) fn rename(place: &Place, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
    renameat_with(&place.dir, from, &place.dir, to, RenameFlags::NOREPLACE)
}

/// Exchanges what has two names in a folder.
pub(super) fn exchange(place: &Place, one: &OsStr, other: &OsStr) -> Result<(), Errno> {
    renameat_with(&place.dir, one, &place.dir, other, RenameFlags::EXCHANGE)
}

/// The moment as part of a file's name: `20261130-125403`.
pub(super) fn stamp(now: Timestamp) -> String {
    now.to_jiff().map_or_else(
        || now.as_millis().to_string(),
        |at| at.strftime("%Y%m%d-%H%M%S").to_string(),
    )
}

pub(super) fn unsafe_path(path: &Path, why: &str) -> Failure {
    Failure::denied(
        "unsafe-path",
        format!("{} is left alone: {why}", path.display()),
    )
}

pub(super) fn failed(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(
        "cannot-move",
        format!("{} could not be moved: {error}", path.display()),
    )
}
