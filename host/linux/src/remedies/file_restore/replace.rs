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
    CONTENT, Origin, Ownership,
    copies::{self, Seen},
    difference::difference,
    unread,
};
use crate::{
    remedies::in_folder::{exchange, look, open_to_read, rename, to_disk, walk},
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
pub(super) fn content_at(place: &Place, path: &Path) -> Answer<Vec<u8>> {
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
    let (content, mut ownership) = match from {
        Origin::Copy(copy) => (copies::content_of(copy)?, copy.ownership),
        Origin::Source(source, ownership) => (read(source)?.0, *ownership),
    };
    let changed = || {
        Failure::failed(
            "changed-meanwhile",
            format!("`{name}` is not what it was when this was planned"),
        )
    };
    if sha256(&content) != replaced.sha256 {
        return Err(changed());
    }
    let place = walk(path)?;
    let found = look(&place, &place.name)?;
    if found.as_ref().map(|found| (found.dev(), found.ino())) != replaced.before {
        return Err(changed());
    }
    let mut former = Vec::new();
    if let Some(found) = &found {
        ownership = Ownership {
            uid: found.uid(),
            gid: found.gid(),
            mode: found.mode() & 0o777,
        };
        former = content_at(&place, path)?;
    }
    let aside = OsStr::new(&replaced.aside);
    let written = write(&place, aside, &content, ownership, replaced);
    if let Err(error) = written {
        let _ = place.dir.remove_file(aside);
        return Err(failed(path, &error));
    }
    let put = if replaced.before.is_some() {
        exchange(&place, aside, &place.name)
    } else {
        rename(&place, aside, &place.name)
    };
    if let Err(error) = put {
        let _ = place.dir.remove_file(aside);
        return Err(failed(path, &error));
    }
    if replaced.before.is_some() {
        let is_it = look(&place, aside)?.map(|found| (found.dev(), found.ino()));
        if is_it != replaced.before {
            // Somebody has written it anew in between: that is what counts.
            exchange(&place, aside, &place.name).map_err(|error| failed(path, &error))?;
            let _ = place.dir.remove_file(aside);
            return Err(changed());
        }
    }
    to_disk(&place.dir).map_err(|error| failed(path, &error))?;
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

fn write(
    place: &Place,
    name: &OsStr,
    content: &[u8],
    ownership: Ownership,
    replaced: &ReplacedContent,
) -> std::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(&place.dir, name, flags, Mode::RUSR | Mode::WUSR)?);
    file.write_all(content)?;
    fchown(
        &file,
        Some(Uid::from_raw(ownership.uid)),
        Some(Gid::from_raw(ownership.gid)),
    )?;
    fchmod(&file, Mode::from_raw_mode(ownership.mode))?;
    file.set_modified(
        SystemTime::UNIX_EPOCH + Duration::from_millis(replaced.modified.as_millis()),
    )?;
    file.sync_all()
}

/// Takes back what was put in place, unless somebody has changed it since.
pub(super) fn take_back(replaced: &ReplacedContent) -> Answer<String> {
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
    if !is_ours(&place, replaced)? {
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
    copies::remember_no_help(&replaced.copies, &former, &replaced.sha256)?;
    Ok(match replaced.before {
        None => format!("removed {}, which had been missing", path.display()),
        Some(_) => format!("brought the former content of {} back", path.display()),
    })
}

/// Whether the file is the one that was put in place.
fn is_ours(place: &Place, replaced: &ReplacedContent) -> Answer<bool> {
    let path = &replaced.path;
    let file = match open_to_read(place) {
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
