//! Whether anything still stands behind a trace. Where that cannot be told, it counts as if
//! something did: nothing is removed that is not proven stale.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read as _},
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::fs::MetadataExt as _,
    },
    path::Path,
    time::Duration,
};

use cap_std::fs::{Metadata, MetadataExt};
use prunella_core::{Failure, Timestamp, capability::Answer, remedy::TraceKind};
use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, major, minor, openat},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
    process::{Flock, FlockType, fcntl_getlk},
};

use crate::{pidfd::PidFd, procfs, remedies::in_folder::open_to_read, safe_path::Place};

/// A number, and a few lines behind it.
const CONTENT: u64 = 4096;

/// A process that started within so long after the second in which a file was written may
/// have written it: clocks are rounded.
const ROUNDED: Duration = Duration::from_secs(2);

/// What keeps a trace from being proven stale; none when it is.
pub(super) fn gap(
    name: &str,
    what: TraceKind,
    place: &Place,
    found: &Metadata,
) -> Answer<Option<String>> {
    let gap = match what {
        TraceKind::Pid => {
            let file = open(name, place)?;
            match held(name, &file, found)? {
                None => process(name, &file, found, false)?,
                held => held,
            }
        }
        TraceKind::Lock if found.is_dir() => {
            let mut entries = place
                .dir
                .read_dir(&place.name)
                .map_err(|error| unseen(name, &error))?;
            match entries.next() {
                Some(_) => Some(format!("there is something in `{name}`")),
                None => held(name, &open(name, place)?, found)?,
            }
        }
        TraceKind::Lock => {
            let file = open(name, place)?;
            match held(name, &file, found)? {
                None => process(name, &file, found, true)?,
                held => held,
            }
        }
        TraceKind::Socket => listener(name, place, found)?,
    };
    Ok(gap)
}

fn open(name: &str, place: &Place) -> Answer<File> {
    open_to_read(place).map_err(|error| unseen(name, &error))
}

/// Whether the process that a file names may be the one that wrote it.
fn process(
    name: &str,
    file: &File,
    found: &Metadata,
    may_be_empty: bool,
) -> Answer<Option<String>> {
    let mut content = Vec::new();
    file.take(CONTENT)
        .read_to_end(&mut content)
        .map_err(|error| unseen(name, &error))?;
    let content = String::from_utf8_lossy(&content);
    if may_be_empty && content.trim().is_empty() {
        return Ok(None);
    }
    let first = content.lines().next().unwrap_or_default().trim();
    let Some(pid) = first.parse::<u32>().ok().filter(|pid| *pid != 0) else {
        return Ok(Some(format!("`{name}` names no process")));
    };
    let held = match PidFd::open(pid) {
        Ok(held) => held,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unseen(name, &error)),
    };
    let about = procfs::stat(pid);
    // What was read by number was read of this process only if it still runs.
    if !held.alive() {
        return Ok(None);
    }
    let about = about.map_err(|error| unseen(name, &error))?;
    let seconds = u64::try_from(MetadataExt::mtime(found)).unwrap_or_default();
    let written = Timestamp::from_millis(seconds.saturating_mul(1000)).saturating_add(ROUNDED);
    let started = procfs::timestamp(about.started);
    Ok((started <= written)
        .then(|| format!("process {pid} runs, is older than `{name}`, and may be what wrote it")))
}

/// Whether anybody holds a lock on a file: by flock(2), by fcntl(2), or on an open file
/// description.
fn held(name: &str, file: &File, found: &Metadata) -> Answer<Option<String>> {
    let locks = fs::read_to_string("/proc/locks").map_err(|error| unseen(name, &error))?;
    if let Some(pid) = holder(&locks, MetadataExt::dev(found), MetadataExt::ino(found)) {
        return Ok(Some(if pid > 0 {
            format!("process {pid} holds a lock on `{name}`")
        } else {
            format!("a lock on `{name}` is held")
        }));
    }
    // The list shows those of this PID namespace, by the device of the file system beneath.
    if !found.is_dir() {
        let asked = Flock::from(FlockType::WriteLock);
        match fcntl_getlk(file, &asked) {
            Ok(None) => {}
            Ok(Some(_)) => return Ok(Some(format!("a lock on `{name}` is held"))),
            Err(error) => return Err(unseen(name, &error)),
        }
    }
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            let _ = flock(file, FlockOperation::Unlock);
            Ok(None)
        }
        Err(Errno::WOULDBLOCK) => Ok(Some(format!("a lock on `{name}` is held"))),
        Err(error) => Err(unseen(name, &error)),
    }
}

/// The process that holds a lock on a file by `/proc/locks` (proc_locks(5)); -1 for an open
/// file description.
fn holder(locks: &str, device: u64, inode: u64) -> Option<i64> {
    let wanted = format!("{:02x}:{:02x}:{inode}", major(device), minor(device));
    locks.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1).peekable();
        // One that waits for it.
        if fields.peek() == Some(&"->") {
            return None;
        }
        let pid = fields.nth(3)?;
        (fields.next()? == wanted).then(|| pid.parse().unwrap_or(-1))
    })
}

/// Whether anybody has the socket: a listener, or whoever is about to listen.
fn listener(name: &str, place: &Place, found: &Metadata) -> Answer<Option<String>> {
    // First: to connect would start a service that systemd starts by its socket.
    let sockets = fs::read_to_string("/proc/net/unix").map_err(|error| unseen(name, &error))?;
    let is_it = |path: &Path| {
        path.is_relative()
            || fs::symlink_metadata(path).is_ok_and(|at| {
                MetadataExt::dev(found) == at.dev() && MetadataExt::ino(found) == at.ino()
            })
    };
    if bound(&sockets, &place.name).any(is_it) {
        return Ok(Some(format!("somebody has bound `{name}`")));
    }
    let there = openat(
        &place.dir,
        &*place.name,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|error| unseen(name, &error))?;
    let address = SocketAddrUnix::new(format!("/proc/self/fd/{}", there.as_raw_fd()))
        .map_err(|error| unseen(name, &error))?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(|error| unseen(name, &error))?;
    match connect(socket.as_fd(), &address) {
        Err(Errno::CONNREFUSED) => Ok(None),
        // A full queue, or a socket of another type, is somebody's, too.
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => {
            Ok(Some(format!("somebody listens on `{name}`")))
        }
        Err(error) => Err(unseen(name, &error)),
    }
}

/// The paths with this name that sockets are bound to, by `/proc/net/unix`
/// (proc_net_unix(5)). One that is not absolute may be anywhere.
fn bound<'a>(sockets: &'a str, name: &'a OsStr) -> impl Iterator<Item = &'a Path> {
    let paths = sockets.lines().skip(1).filter_map(|line| {
        // The path is the eighth field, and may have spaces.
        let mut rest = line;
        for _ in 0..7 {
            rest = rest.trim_start().split_once(' ')?.1;
        }
        Some(Path::new(rest.trim_start()))
    });
    paths.filter(move |path| path.file_name() == Some(name))
}

fn unseen(name: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::unavailable(
        "unseen",
        format!("whether `{name}` is stale cannot be told: {error}"),
    )
}

#[cfg(test)]
mod tests;
