//! Bringing a declared file back to its declaration.
//!
//! The repair itself runs outside the daemon, in a transient unit: this binary
//! again, with the request as its only argument ([`main`]), and only the
//! capabilities that a repair needs. It works on descriptors from end to end.
//!
//! Whoever can write in a folder on the way could try to have root change a
//! file of their choice. What stops that:
//!
//! - no link is followed that anybody but root could have put there
//!   ([`Rule::Change`]), and the file itself is never a link;
//! - only a regular file with one name, or a directory, is changed: a second
//!   name may be anywhere, and a device or pipe is nobody's declared file;
//! - in a folder that others can write in, what belongs neither to root, nor to
//!   the folder's owner, nor to the declared owner is left alone, and what is
//!   root's is only changed while the kernel forbids links to files of others
//!   (`fs.protected_hardlinks`); else an old `/etc/shadow`, kept alive by a
//!   link, could be handed over by a repair;
//! - never setuid, setgid, sticky or writable for all; a file that is setuid or
//!   setgid now is left alone;
//! - a link takes the place of a link or of nothing, by exchange: what was
//!   there can be looked at afterwards and put back.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use prunella_core::{
    Failure,
    capability::{Answer, FileKind, Repair},
    service::Service,
};
use rustix::{
    fs::{FileType, Gid, Mode, RenameFlags, Uid, fchmod, fchown, renameat_with},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use crate::{
    accounts::Accounts,
    answer::answer,
    files::comparable_mode,
    own_program::own_program,
    runs_as::RunsAs,
    safe_path::{self, Place, Rule, WalkError, Walked, errno},
    transient::{Runner, Sandbox, Task},
};

/// A repair is a handful of system calls.
const LIMIT: Duration = Duration::from_secs(10);
/// What no repair ever sets: setuid, setgid, sticky, writable for all.
const FORBIDDEN: u32 = 0o7002;

/// Repairs the declared files of one service.
pub(crate) struct LinuxFileRepair {
    service: Arc<Service>,
    runner: Arc<dyn Runner>,
}

impl LinuxFileRepair {
    pub(crate) fn new(service: Arc<Service>, runner: Arc<dyn Runner>) -> Self {
        Self { service, runner }
    }

    fn request(&self, name: &str, what: Repair) -> Answer<Request> {
        let declared = self.service.file(name)?;
        let accounts = Accounts::read();
        let nothing_declared = |what: &str| {
            Failure::invalid(
                "nothing-declared",
                format!("no {what} is declared for `{name}`"),
            )
        };
        let change = match what {
            Repair::Mode => Change::Mode(declared.mode.ok_or_else(|| nothing_declared("mode"))?),
            Repair::Owner => {
                if declared.owner.is_none() && declared.group.is_none() {
                    return Err(nothing_declared("owner"));
                }
                let unknown = |kind: &str, account: &str| {
                    Failure::invalid(
                        "no-such-account",
                        format!("the declared {kind} `{account}` of `{name}` does not exist"),
                    )
                };
                let uid = declared
                    .owner
                    .as_deref()
                    .map(|owner| {
                        accounts
                            .uid_of(owner)
                            .ok_or_else(|| unknown("owner", owner))
                    })
                    .transpose()?;
                let gid = declared
                    .group
                    .as_deref()
                    .map(|group| {
                        accounts
                            .gid_of(group)
                            .ok_or_else(|| unknown("group", group))
                    })
                    .transpose()?;
                Change::Owner { uid, gid }
            }
            Repair::Target => Change::Target(
                declared
                    .target
                    .clone()
                    .ok_or_else(|| nothing_declared("link target"))?,
            ),
        };
        Ok(Request {
            name: name.to_owned(),
            path: declared.path.clone(),
            owner: declared
                .owner
                .as_deref()
                .and_then(|owner| accounts.uid_of(owner)),
            change,
        })
    }
}

impl LinuxFileRepair {
    pub(crate) fn repair(&self, deadline: Instant, name: &str, what: Repair) -> Answer<bool> {
        let request = self.request(name, what)?;
        let broken = |error: &dyn std::fmt::Display| {
            Failure::failed(
                "repair-broken",
                format!(
                    "the {} of `{name}` was not repaired: {error}",
                    what.as_str()
                ),
            )
        };
        let argument = serde_json::to_string(&request).map_err(|error| broken(&error))?;
        let task = Task {
            purpose: "repair",
            description: format!(
                "repair of the {} of `{name}` for {}",
                what.as_str(),
                self.service.unit
            ),
            command: vec![
                own_program()?.to_string_lossy().into_owned(),
                "internal".to_owned(),
                "repair".to_owned(),
                argument,
            ],
            runs_as: RunsAs::default(),
            sandbox: Sandbox::for_declared_files(),
            credentials: Vec::new(),
            shown: Vec::new(),
            timeout: LIMIT,
        };
        let ended = self.runner.run(deadline, &task)?;
        if ended.timed_out {
            return Err(Failure::timed_out(
                "deadline",
                format!("the repair of `{name}` took too long and may be half done"),
            ));
        }
        let said = String::from_utf8_lossy(&ended.output);
        let last = said.lines().next_back().unwrap_or_default();
        let outcome: Outcome = serde_json::from_str(last).map_err(|_| {
            broken(&format!(
                "it ended with exit code {:?} and said `{}`",
                ended.exit_code,
                prunella_core::text::one_line(last, 200)
            ))
        })?;
        match outcome {
            Outcome::Changed(changed) => Ok(changed),
            Outcome::Failed(failure) => Err(failure),
        }
    }
}

/// What the transient unit is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Request {
    name: String,
    path: PathBuf,
    /// The declared owner, whose file it may be in a folder of others.
    owner: Option<u32>,
    change: Change,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    Mode(u32),
    Owner { uid: Option<u32>, gid: Option<u32> },
    Target(PathBuf),
}

/// What it answers, as its last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Changed(bool),
    Failed(Failure),
}

/// `internal repair REQUEST`: the part that runs in the transient unit. The
/// request and the answer are JSON; the answer is the last line of the output.
pub(crate) fn main(request: &str) -> ExitCode {
    let outcome = serde_json::from_str::<Request>(request)
        .map_err(|error| Failure::invalid("bad-request", format!("not a repair: {error}")))
        .and_then(|request| carry_out(&request));
    let (outcome, code) = match outcome {
        Ok(changed) => (Outcome::Changed(changed), ExitCode::SUCCESS),
        Err(failure) => (Outcome::Failed(failure), ExitCode::FAILURE),
    };
    answer(&outcome, code)
}

fn carry_out(request: &Request) -> Answer<bool> {
    match &request.change {
        Change::Mode(mode) => {
            if mode & FORBIDDEN != 0 || mode & !0o7777 != 0 {
                return Err(refused(
                    request,
                    "a repair never makes a file setuid, setgid, sticky or writable for all",
                ));
            }
            let found = changeable(request)?;
            let there = comparable_mode(found.stat.st_mode, kind(&found));
            if there == *mode {
                return Ok(false);
            }
            // How a directory is shared (setgid, sticky) stays as it is.
            let kept = found.stat.st_mode & 0o7777 & !comparable_mode(0o7777, kind(&found));
            let file = found.open().map_err(|error| failed(request, error))?;
            fchmod(&file, Mode::from_raw_mode(mode | kept))
                .map_err(|error| failed(request, error))?;
            Ok(true)
        }
        Change::Owner { uid, gid } => {
            let found = changeable(request)?;
            let right = uid.is_none_or(|uid| uid == found.stat.st_uid)
                && gid.is_none_or(|gid| gid == found.stat.st_gid);
            if right {
                return Ok(false);
            }
            let file = found.open().map_err(|error| failed(request, error))?;
            fchown(&file, uid.map(Uid::from_raw), gid.map(Gid::from_raw))
                .map_err(|error| failed(request, error))?;
            Ok(true)
        }
        Change::Target(target) => link(request, target),
    }
}

/// The file, if it is one that may be changed.
fn changeable(request: &Request) -> Answer<Walked> {
    // The folder first: whether others can write in it decides what in it may
    // be changed.
    let place = folder(request)?;
    let folder_owner = place.folder.stat.st_uid;
    let trusted = place.folder.trusted;
    let found = place.open().map_err(|error| walk_failure(request, error))?;
    let stat = &found.stat;
    match found.kind() {
        FileType::RegularFile if stat.st_nlink == 1 => {}
        FileType::RegularFile => {
            return Err(refused(request, "it has a second name elsewhere"));
        }
        FileType::Directory => {}
        FileType::Symlink => return Err(refused(request, "it is a symbolic link")),
        _ => {
            return Err(refused(
                request,
                "it is neither a regular file nor a directory",
            ));
        }
    }
    if found.kind() == FileType::RegularFile && stat.st_mode & 0o6000 != 0 {
        return Err(refused(request, "it is setuid or setgid"));
    }
    if !trusted {
        let owner = stat.st_uid;
        if owner != 0 && owner != folder_owner && Some(owner) != request.owner {
            return Err(refused(
                request,
                "others can write in its folder, and it belongs to somebody else again",
            ));
        }
        if owner == 0 && found.kind() == FileType::RegularFile && !hardlinks_protected() {
            return Err(refused(
                request,
                "others can write in its folder, and fs.protected_hardlinks is off, so it could be a root's file from elsewhere",
            ));
        }
    }
    Ok(found)
}

/// Walks to the folder of the declared file.
fn folder(request: &Request) -> Answer<Place> {
    safe_path::walk_to_folder(&request.path, Rule::Change)
        .map_err(|error| walk_failure(request, error))
}

fn walk_failure(request: &Request, error: WalkError) -> Failure {
    let message = format!("`{}`: {error}", request.name);
    match error {
        WalkError::Missing | WalkError::MissingFolder | WalkError::NotAFolder => {
            Failure::not_found("no-such-file", message)
        }
        WalkError::ForeignLink | WalkError::ForeignParent | WalkError::TooManyLinks => {
            Failure::denied("unsafe-path", message)
        }
        WalkError::NotAbsolute => Failure::invalid("not-absolute", message),
        WalkError::Io(_) => Failure::failed("cannot-look", message),
    }
}

fn hardlinks_protected() -> bool {
    std::fs::read_to_string("/proc/sys/fs/protected_hardlinks")
        .is_ok_and(|value| value.trim() == "1")
}

fn kind(found: &Walked) -> FileKind {
    if found.kind() == FileType::Directory {
        FileKind::Directory
    } else {
        FileKind::File
    }
}

/// Makes the link, or gives it its target.
fn link(request: &Request, target: &Path) -> Answer<bool> {
    let place = folder(request)?;
    let (dir, name) = (&place.dir, &place.name);
    let bad = |error: io::Error| failed(request, errno(&error));

    let there = match dir.symlink_metadata(name) {
        Ok(found) => Some(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(bad(error)),
    };
    if let Some(there) = &there {
        if !there.is_symlink() {
            return Err(refused(
                request,
                "something stands in its place that is not a symbolic link",
            ));
        }
        if dir.read_link_contents(name).map_err(bad)? == target {
            return Ok(false);
        }
    }

    let new = new_name(&place);
    // What the operator declared may well lead out of the folder.
    dir.symlink_contents(target, &new).map_err(bad)?;
    let moved = match there {
        None => move_new(&place, &new),
        Some(_) => exchange(request, &place, &new),
    };
    if moved.is_err() {
        // Only our own new link has this name.
        let _ = dir.remove_file(&new);
    }
    moved.map(|()| true).map_err(|error| match error {
        Moved::Refused(failure) => failure,
        Moved::Errno(Errno::EXIST) => refused(request, "something else took its place just now"),
        Moved::Errno(error) => failed(request, error),
    })
}

enum Moved {
    Refused(Failure),
    Errno(Errno),
}

impl From<io::Error> for Moved {
    fn from(error: io::Error) -> Self {
        Self::Errno(errno(&error))
    }
}

/// Gives the new link its name, where nothing stands.
fn move_new(place: &Place, new: &OsStr) -> Result<(), Moved> {
    match rename(place, new, RenameFlags::NOREPLACE) {
        // A file system that cannot do this (NFS): only where no other can put
        // something there in between.
        Err(Errno::INVAL | Errno::NOSYS) if place.folder.trusted => replace(place, new),
        other => other.map_err(Moved::Errno),
    }
}

/// Exchanges the new link with the old one, and removes the old one; puts
/// everything back when it turns out not to be a link.
fn exchange(request: &Request, place: &Place, new: &OsStr) -> Result<(), Moved> {
    match rename(place, new, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        Err(Errno::INVAL | Errno::NOSYS) if place.folder.trusted => {
            return replace(place, new);
        }
        Err(error) => return Err(Moved::Errno(error)),
    }
    let old = place.dir.symlink_metadata(new).map_err(Moved::from)?;
    if !old.is_symlink() {
        rename(place, new, RenameFlags::EXCHANGE).map_err(Moved::Errno)?;
        return Err(Moved::Refused(refused(
            request,
            "something that is not a symbolic link took its place just now",
        )));
    }
    place.dir.remove_file(new).map_err(Moved::from)
}

/// Renames within the folder in a way for which cap-std has no word.
fn rename(place: &Place, new: &OsStr, flags: RenameFlags) -> rustix::io::Result<()> {
    renameat_with(&place.dir, new, &place.dir, &*place.name, flags)
}

fn replace(place: &Place, new: &OsStr) -> Result<(), Moved> {
    place
        .dir
        .rename(new, &place.dir, &place.name)
        .map_err(Moved::from)
}

/// A name beside the link's, which nothing has.
fn new_name(place: &Place) -> OsString {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut name = OsString::from(".");
    // A name may have 255 bytes; what is added must fit.
    let stem: Vec<u8> = place.name.as_bytes().iter().copied().take(180).collect();
    name.push(OsStr::from_bytes(&stem));
    name.push(format!(
        ".prunella-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    ));
    name
}

fn refused(request: &Request, why: &str) -> Failure {
    Failure::denied(
        "unsafe-repair",
        format!("`{}` is left alone: {why}", request.name),
    )
}

fn failed(request: &Request, error: Errno) -> Failure {
    let code = match error {
        Errno::ROFS => "read-only",
        Errno::NOSPC | Errno::DQUOT => "no-space",
        Errno::PERM | Errno::ACCESS => "not-permitted",
        _ => "repair-failed",
    };
    Failure::failed(
        code,
        format!("`{}` could not be repaired: {error}", request.name),
    )
}

#[cfg(test)]
mod tests;
