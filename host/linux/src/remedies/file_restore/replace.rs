//! Replacing a file's content in one step, and undoing that.

use std::{
    ffi::OsStr,
    fs::File,
    io::{Read as _, Write as _},
    path::Path,
    time::{Duration, SystemTime},
};

use cap_std::fs::MetadataExt as _;
use prunella_core::{
    Failure,
    capability::Answer,
    hash::sha256,
    remedy::{Amount, AmountOf, Receipt, ReplacedContent},
};
use rustix::{
    fs::{Gid, Mode, OFlags, Uid, fchmod, fchown, openat},
    io::Errno,
};

use super::{
    CONTENT, Origin, Ownership, attributes,
    copies::{self, Seen},
    difference::difference,
    unread,
};
use crate::{
    remedies::in_folder::{exchange, look, open_named, open_to_read, rename, to_disk, walk},
    safe_path::Place,
};

/// A file that was read.
pub(super) struct Read {
    pub(super) content: Vec<u8>,
    pub(super) ownership: Ownership,
    /// How it was seen to be before and after; none where that is not the same, or it is
    /// nothing that is kept.
    pub(super) seen: Option<Seen>,
}

/// The content of a file, and whose it is.
pub(super) fn read(path: &Path) -> Answer<(Vec<u8>, Ownership)> {
    let read = read_seen(path)?;
    match read.seen {
        Some(_) => Ok((read.content, read.ownership)),
        None => Err(unread(path, &"it is empty, too large, or no regular file")),
    }
}

/// What is in the file that has the name in a folder.
pub(in crate::remedies) fn content_at(place: &Place, path: &Path) -> Answer<Vec<u8>> {
    let file = open_to_read(place).map_err(|error| unread(path, &error))?;
    let mut content = Vec::new();
    file.take(CONTENT)
        .read_to_end(&mut content)
        .map_err(|error| unread(path, &error))?;
    Ok(content)
}

/// Reads a file, and sees whether it changes meanwhile.
pub(super) fn read_seen(path: &Path) -> Answer<Read> {
    let place = walk(path)?;
    let file = open_to_read(&place).map_err(|error| unread(path, &error))?;
    let before = file.metadata().map_err(|error| unread(path, &error))?;
    let mut content = Vec::new();
    (&file)
        .take(CONTENT + 1)
        .read_to_end(&mut content)
        .map_err(|error| unread(path, &error))?;
    let after = file.metadata().map_err(|error| unread(path, &error))?;
    let seen = Seen::of(&after).filter(|seen| Seen::of(&before).as_ref() == Some(seen));
    let ownership = {
        use std::os::unix::fs::MetadataExt as _;
        Ownership {
            uid: after.uid(),
            gid: after.gid(),
            mode: after.mode() & 0o777,
        }
    };
    Ok(Read {
        content,
        ownership,
        seen,
    })
}

/// Puts the content in place, and what it replaces aside.
pub(super) fn restore(
    name: &str,
    replaced: &ReplacedContent,
    from: &Origin,
    secret: bool,
) -> Answer<Receipt> {
    let path = &replaced.path;
    let (content, ownership) = match from {
        Origin::Copy(copy) => (copies::content_of(copy)?, copy.ownership),
        Origin::Source(source, ownership) => (read(source)?.0, *ownership),
    };
    if sha256(&content) != replaced.sha256 {
        return Err(changed_meanwhile(name));
    }
    let place = walk(path)?;
    let former = former(&place, name, replaced)?;
    let ownership = former.as_ref().map_or(ownership, |former| former.ownership);
    write_aside(&place, &content, ownership, former.as_ref(), replaced)?;
    put_in_place(&place, name, former.as_ref(), replaced)?;
    let former = former.map(|former| former.content).unwrap_or_default();
    let size = Amount {
        value: content.len() as u64,
        of: AmountOf::Bytes,
    };
    Ok(Receipt {
        predicted: Some(size),
        measured: Some(size),
        details: (!secret).then(|| difference(&former, &content)).flatten(),
        ..Receipt::done(format!("brought the content of `{name}` back"))
    })
}

/// A file that is to be replaced.
pub(in crate::remedies) struct Former {
    pub(in crate::remedies) content: Vec<u8>,
    pub(in crate::remedies) ownership: Ownership,
    file: File,
}

pub(in crate::remedies) fn changed_meanwhile(name: &str) -> Failure {
    Failure::failed(
        "changed-meanwhile",
        format!("`{name}` is not what it was when this was planned"),
    )
}

/// The file that stands in the place, which is the one that was planned to be replaced; none
/// where none stands there, as was planned.
pub(in crate::remedies) fn former(
    place: &Place,
    name: &str,
    replaced: &ReplacedContent,
) -> Answer<Option<Former>> {
    let path = &replaced.path;
    let found = look(place, &place.name)?;
    // The number of a file that was removed may be another's by now.
    let is_file = found.as_ref().is_none_or(|found| found.is_file());
    if !is_file || found.as_ref().map(|found| (found.dev(), found.ino())) != replaced.before {
        return Err(changed_meanwhile(name));
    }
    if found.is_none() {
        return Ok(None);
    }
    let file = open_to_read(place).map_err(|error| unread(path, &error))?;
    let found = file.metadata().map_err(|error| unread(path, &error))?;
    let mut content = Vec::new();
    (&file)
        .take(CONTENT + 1)
        .read_to_end(&mut content)
        .map_err(|error| unread(path, &error))?;
    let (ownership, is) = {
        use std::os::unix::fs::MetadataExt as _;
        let ownership = Ownership {
            uid: found.uid(),
            gid: found.gid(),
            mode: found.mode() & 0o777,
        };
        (ownership, (found.dev(), found.ino()))
    };
    if Some(is) != replaced.before || content.len() as u64 > CONTENT {
        return Err(changed_meanwhile(name));
    }
    Ok(Some(Former {
        content,
        ownership,
        file,
    }))
}

/// Writes what is to be put in place under its other name, with what else belongs to the file
/// that it replaces.
pub(in crate::remedies) fn write_aside(
    place: &Place,
    content: &[u8],
    ownership: Ownership,
    former: Option<&Former>,
    replaced: &ReplacedContent,
) -> Answer<()> {
    let name = OsStr::new(&replaced.aside);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = openat(&place.dir, name, flags, Mode::RUSR | Mode::WUSR);
    // What has the name already is somebody's.
    let file = File::from(opened.map_err(|error| failed(&replaced.path, &error))?);
    let written = write(file, content, ownership, former, replaced);
    written.map_err(|error| {
        let _ = place.dir.remove_file(name);
        failed(&replaced.path, &error)
    })
}

fn write(
    mut file: File,
    content: &[u8],
    ownership: Ownership,
    former: Option<&Former>,
    replaced: &ReplacedContent,
) -> std::io::Result<()> {
    file.write_all(content)?;
    fchown(
        &file,
        Some(Uid::from_raw(ownership.uid)),
        Some(Gid::from_raw(ownership.gid)),
    )?;
    fchmod(&file, Mode::from_raw_mode(ownership.mode))?;
    if let Some(former) = former {
        attributes::keep(&former.file, &file)?;
    }
    file.set_modified(
        SystemTime::UNIX_EPOCH + Duration::from_millis(replaced.modified.as_millis()),
    )?;
    file.sync_all()
}

/// Puts in place what was written aside, in one step; what it replaces has that name then.
pub(in crate::remedies) fn put_in_place(
    place: &Place,
    name: &str,
    former: Option<&Former>,
    replaced: &ReplacedContent,
) -> Answer<()> {
    let path = &replaced.path;
    let aside = OsStr::new(&replaced.aside);
    let put = if former.is_some() {
        exchange(place, aside, &place.name)
    } else {
        rename(place, aside, &place.name)
    };
    if let Err(error) = put {
        let _ = place.dir.remove_file(aside);
        return Err(failed(path, &error));
    }
    if let Some(former) = former
        && !is_still(place, aside, former, replaced)?
    {
        // Somebody has written it anew in between: that is what counts.
        exchange(place, aside, &place.name).map_err(|error| failed(path, &error))?;
        let _ = place.dir.remove_file(aside);
        return Err(changed_meanwhile(name));
    }
    to_disk(&place.dir).map_err(|error| failed(path, &error))
}

/// Whether what has a name is the file that was to be replaced, as it was read.
fn is_still(
    place: &Place,
    name: &OsStr,
    former: &Former,
    replaced: &ReplacedContent,
) -> Answer<bool> {
    let is = look(place, name)?.map(|found| (found.dev(), found.ino()));
    if is != replaced.before {
        return Ok(false);
    }
    let path = &replaced.path;
    let file = open_named(place, name).map_err(|error| unread(path, &error))?;
    let mut content = Vec::new();
    file.take(CONTENT + 1)
        .read_to_end(&mut content)
        .map_err(|error| unread(path, &error))?;
    Ok(content == former.content)
}

/// Takes back what was put in place, unless somebody has changed it since. With `no_help` it is
/// remembered that it did not help.
pub(in crate::remedies) fn take_back(replaced: &ReplacedContent, no_help: bool) -> Answer<String> {
    let path = &replaced.path;
    let place = walk(path)?;
    let aside = OsStr::new(&replaced.aside);
    let id_of = |name: &OsStr| -> Answer<Option<(u64, u64)>> {
        Ok(look(&place, name)?.map(|found| (found.dev(), found.ino())))
    };
    let (here, there) = (id_of(&place.name)?, id_of(aside)?);
    if here == replaced.before {
        // What was to be put in place, and was not.
        if there.is_some() {
            let _ = place.dir.remove_file(aside);
        }
        return Ok(format!(
            "the content of {} had not been changed",
            path.display()
        ));
    }
    if !is_ours(&place, &place.name, replaced)? {
        return Err(Failure::failed(
            "changed-since",
            format!(
                "{} was changed since its content was brought back, and stays as it is",
                path.display()
            ),
        ));
    }
    let former = match replaced.before {
        None => {
            place
                .dir
                .remove_file(&place.name)
                .map_err(|error| failed(path, &error))?;
            String::new()
        }
        Some(before) if there == Some(before) => {
            exchange(&place, aside, &place.name).map_err(|error| failed(path, &error))?;
            place
                .dir
                .remove_file(aside)
                .map_err(|error| failed(path, &error))?;
            sha256(&content_at(&place, path)?)
        }
        Some(_) => {
            return Err(Failure::not_found(
                "gone",
                format!(
                    "the former file is not at {} any more",
                    path.with_file_name(aside).display()
                ),
            ));
        }
    };
    to_disk(&place.dir).map_err(|error| failed(path, &error))?;
    if no_help {
        copies::remember_no_help(&replaced.copies, &former, &replaced.sha256)?;
    }
    remember_own(replaced)?;
    Ok(match replaced.before {
        None => format!("removed {}, which had been missing", path.display()),
        Some(_) => format!("brought the former content of {} back", path.display()),
    })
}

/// Remembers the file as it stands in its place: Prunella has brought it back, and nobody has
/// changed it.
fn remember_own(replaced: &ReplacedContent) -> Answer<()> {
    match Seen::at(&replaced.path)? {
        Some(seen) => copies::remember_own(&replaced.copies, seen),
        None => Ok(()),
    }
}

/// Whether what is to be put in place is still as it was written aside.
pub(in crate::remedies) fn is_prepared(place: &Place, replaced: &ReplacedContent) -> Answer<bool> {
    is_ours(place, OsStr::new(&replaced.aside), replaced)
}

/// Whether the file of this name is the one that is, or was, put in place.
fn is_ours(place: &Place, name: &OsStr, replaced: &ReplacedContent) -> Answer<bool> {
    let path = &replaced.path;
    let file = match open_named(place, name) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(false),
        Err(error) => return Err(unread(path, &error)),
    };
    let modified = file
        .metadata()
        .and_then(|found| found.modified())
        .map_err(|error| unread(path, &error))?;
    let expected = SystemTime::UNIX_EPOCH + Duration::from_millis(replaced.modified.as_millis());
    let mut content = Vec::new();
    file.take(CONTENT + 1)
        .read_to_end(&mut content)
        .map_err(|error| unread(path, &error))?;
    Ok(modified == expected && sha256(&content) == replaced.sha256)
}

/// Deletes what was replaced.
pub(super) fn discard(replaced: &ReplacedContent) -> Answer<String> {
    let path = replaced.path.with_file_name(&replaced.aside);
    let place = walk(&replaced.path)?;
    let aside = OsStr::new(&replaced.aside);
    let found = look(&place, aside)?.map(|found| (found.dev(), found.ino()));
    if found.is_none() || found != replaced.before {
        return Ok(format!("{} is gone already", path.display()));
    }
    place
        .dir
        .remove_file(aside)
        .map_err(|error| failed(&path, &error))?;
    Ok(format!("deleted {}", path.display()))
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(
        "cannot-restore",
        format!("{} could not be brought back: {error}", path.display()),
    )
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
