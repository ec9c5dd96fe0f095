//! Declared files: how they stand, their hash, and the names in env files.
//!
//! Nothing is opened that was not looked at first, and then the very same file
//! is opened: see [`safe_path`](crate::confined). Sentences say what is wrong
//! and name no path. Who can read a file is computed from owners, permission
//! bits and ACLs; see [`access`](crate::access) for what that leaves out.

use std::{
    fs::File,
    io::Read,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use prunella_core::{
    Failure,
    capability::{Answer, EnvKey, FileKind, FileStatus, Repair},
    hash::hexadecimal,
    service::{DeclaredFile, FileRole, ReadBy, Service},
};
use rustix::fs::{FileType, Stat};
use sha2::{Digest, Sha256};

use crate::{
    access::{self, Access},
    accounts::{Accounts, Identity},
    env_file,
    runs_as::Who,
    safe_path::{self, Last, Rule, WalkError, Walked},
    timeout::with_timeout,
};

/// An environment file longer than this is none: systemd passes all of it on
/// to execve, which takes no more.
const LONGEST_ENV_FILE: u64 = 1024 * 1024;
/// Read at a time while hashing; the deadline is looked at in between.
const CHUNK: usize = 128 * 1024;

/// The declared files of one service.
pub(crate) struct LinuxFiles {
    service: Arc<Service>,
    who: Arc<dyn Who>,
}

impl LinuxFiles {
    pub(crate) fn new(service: Arc<Service>, who: Arc<dyn Who>) -> Self {
        Self { service, who }
    }
}

impl LinuxFiles {
    pub(crate) fn stat(&self, deadline: Instant, name: &str) -> Answer<FileStatus> {
        let declared = self.service.file(name)?.clone();
        let runs_as = match declared.read_by {
            ReadBy::Manager => None,
            ReadBy::Service => Some(self.who.runs_as(deadline)?),
        };
        let name = name.to_owned();
        with_timeout(deadline, "looking at a declared file", move || {
            let accounts = Accounts::read();
            let reader = runs_as.map_or_else(Identity::root, |who| who.identity(&accounts));
            stat(&name, &declared, &accounts, &reader)
        })?
    }

    pub(crate) fn sha256(&self, deadline: Instant, name: &str) -> Answer<String> {
        let declared = self.service.file(name)?.clone();
        if declared.secret {
            return Err(Failure::denied(
                "secret",
                format!("`{name}` is marked secret, so its hash is not told"),
            ));
        }
        let name = name.to_owned();
        with_timeout(deadline, "hashing a declared file", move || {
            let mut file = open_content(&name, &declared.path, Last::Keep)?;
            sha256(deadline, &name, &mut file)
        })?
    }

    pub(crate) fn env_keys(&self, deadline: Instant, name: &str) -> Answer<Vec<EnvKey>> {
        let declared = self.service.file(name)?.clone();
        let name = name.to_owned();
        with_timeout(deadline, "reading a declared file", move || {
            env_keys(&name, &declared)
        })?
    }

    pub(crate) fn missing_keys(&self, deadline: Instant, name: &str) -> Answer<Vec<String>> {
        let wanted = self.service.file(name)?.keys.clone();
        let there = self.env_keys(deadline, name)?;
        Ok(wanted
            .into_iter()
            .filter(|key| !there.iter().any(|found| found.name == *key && !found.empty))
            .collect())
    }
}

fn stat(
    name: &str,
    declared: &DeclaredFile,
    accounts: &Accounts,
    reader: &Identity,
) -> Answer<FileStatus> {
    let found = match safe_path::walk(&declared.path, Rule::Look, Last::Keep) {
        Ok(found) => found,
        Err(error @ (WalkError::Missing | WalkError::MissingFolder | WalkError::NotAFolder)) => {
            return Ok(absent(declared, error));
        }
        Err(error) => {
            return Err(Failure::failed("cannot-look", format!("`{name}`: {error}")));
        }
    };
    let kind = kind_of(found.kind());
    let link_target = (kind == FileKind::Symlink)
        .then(|| found.link_target())
        .and_then(Result::ok)
        .map(|target| prunella_core::text::one_line(&target.to_string_lossy(), 4096));
    // What a link leads to counts for reading, and for what the file is.
    let end = if kind == FileKind::Symlink {
        safe_path::walk(&declared.path, Rule::Look, Last::Follow).ok()
    } else {
        None
    };
    let readable = match (&end, kind) {
        (Some(end), _) => readable(end, declared, reader),
        (None, FileKind::Symlink) => false,
        (None, _) => readable(&found, declared, reader),
    };
    let (deviations, repairable) =
        compare(declared, accounts, &found.stat, kind, end.as_ref(), &found);
    Ok(FileStatus {
        kind: Some(kind),
        mode: found.stat.st_mode & 0o7777,
        owner: accounts.user_name(found.stat.st_uid),
        group: accounts.group_name(found.stat.st_gid),
        size: (!declared.secret).then(|| u64::try_from(found.stat.st_size).unwrap_or(0)),
        age: age(&found.stat),
        link_target,
        deviations,
        repairable,
        readable,
    })
}

fn absent(declared: &DeclaredFile, error: WalkError) -> FileStatus {
    let mut deviations = Vec::new();
    if !declared.optional {
        deviations.push(error.to_string());
    }
    // A link that should be there can be made, when its folder is there.
    let makes_link = declared.target.is_some() && error == WalkError::Missing;
    FileStatus {
        kind: None,
        mode: 0,
        owner: String::new(),
        group: String::new(),
        size: None,
        age: Duration::ZERO,
        link_target: None,
        deviations,
        repairable: if makes_link {
            vec![Repair::Target]
        } else {
            Vec::new()
        },
        readable: false,
    }
}

/// How it departs from its declaration, and what of that can be repaired.
fn compare(
    declared: &DeclaredFile,
    accounts: &Accounts,
    stat: &Stat,
    kind: FileKind,
    end: Option<&Walked>,
    found: &Walked,
) -> (Vec<String>, Vec<Repair>) {
    let mut deviations = Vec::new();
    let mut repairable = Vec::new();

    // A link to a file of the right kind is as good as the file, unless a link
    // was declared.
    let kind_there = match end {
        Some(end) if declared.role != FileRole::Symlink => kind_of(end.kind()),
        _ => kind,
    };
    let dangling = kind == FileKind::Symlink && end.is_none();
    if dangling {
        deviations.push("it is a symbolic link to something that does not exist".to_owned());
    } else if let Some(expected) = declared.role.kind()
        && kind_there != expected
    {
        deviations.push(format!(
            "it is {}, declared is {}",
            phrase(kind_there),
            phrase(expected)
        ));
    }

    if let Some(target) = &declared.target {
        let matches =
            kind == FileKind::Symlink && found.link_target().is_ok_and(|there| there == *target);
        if !matches {
            deviations.push(if kind == FileKind::Symlink {
                "it leads elsewhere than declared".to_owned()
            } else {
                format!("it is {}, declared is a symbolic link", phrase(kind))
            });
            if kind == FileKind::Symlink {
                repairable.push(Repair::Target);
            }
        }
        // The sentence about the kind says the same.
        deviations.dedup();
    }

    let attributes =
        declared.mode.is_some() || declared.owner.is_some() || declared.group.is_some();
    if kind == FileKind::Symlink {
        if attributes {
            deviations.push(
                "it is a symbolic link, so its declared mode and owner cannot be compared"
                    .to_owned(),
            );
        }
        return (deviations, repairable);
    }
    // A second name of the same file may be anywhere: not for us to change.
    let changeable = kind == FileKind::Directory || (kind == FileKind::File && stat.st_nlink == 1);
    if let Some(mode) = declared.mode
        && let there = comparable_mode(stat.st_mode, kind)
        && there != mode
    {
        deviations.push(format!("its mode is {there:04o}, declared is {mode:04o}"));
        if changeable {
            repairable.push(Repair::Mode);
        }
    }
    let mut owner_deviates = false;
    if let Some(owner) = &declared.owner {
        match accounts.uid_of(owner) {
            None => deviations.push(format!("its declared owner `{owner}` does not exist")),
            Some(uid) if uid != stat.st_uid => {
                owner_deviates = true;
                deviations.push(format!(
                    "its owner is {}, declared is {owner}",
                    accounts.user_name(stat.st_uid)
                ));
            }
            Some(_) => {}
        }
    }
    if let Some(group) = &declared.group {
        match accounts.gid_of(group) {
            None => deviations.push(format!("its declared group `{group}` does not exist")),
            Some(gid) if gid != stat.st_gid => {
                owner_deviates = true;
                deviations.push(format!(
                    "its group is {}, declared is {group}",
                    accounts.group_name(stat.st_gid)
                ));
            }
            Some(_) => {}
        }
    }
    if owner_deviates && changeable {
        repairable.push(Repair::Owner);
    }
    (deviations, repairable)
}

/// The permission bits that a declared mode is compared with. On a directory
/// setgid and sticky mean how it is shared, and are not declared.
pub(crate) fn comparable_mode(mode: u32, kind: FileKind) -> u32 {
    if kind == FileKind::Directory {
        mode & 0o777
    } else {
        mode & 0o7777
    }
}

fn readable(end: &Walked, declared: &DeclaredFile, reader: &Identity) -> bool {
    let wanted = match kind_of(end.kind()) {
        // Connecting to a socket needs write permission (unix(7)).
        FileKind::Socket => access::WRITE,
        FileKind::Directory => access::READ | access::SEARCH,
        // A database that cannot be written to is of no use to its service,
        // but `readable` is what was asked.
        _ => access::READ,
    };
    // Opening a folder's name where a file was expected helps nobody.
    let usable = declared
        .role
        .kind()
        .is_none_or(|kind| kind == FileKind::Symlink || kind == kind_of(end.kind()));
    usable
        && end
            .folders
            .iter()
            .all(|folder| folder.allows(reader, access::SEARCH))
        && Access::of(&end.fd, &end.stat).allows(reader, wanted)
}

fn age(stat: &Stat) -> Duration {
    let modified = u64::try_from(stat.st_mtime).unwrap_or(0);
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .saturating_sub(Duration::from_secs(modified))
}

fn kind_of(kind: FileType) -> FileKind {
    match kind {
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        FileType::Socket => FileKind::Socket,
        FileType::Fifo => FileKind::Fifo,
        FileType::BlockDevice | FileType::CharacterDevice => FileKind::Device,
        // The kernel has no other kinds; were there one, it would be no link
        // and no folder, and reading it is refused below.
        FileType::RegularFile | FileType::Unknown => FileKind::File,
    }
}

fn phrase(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "a regular file",
        FileKind::Directory => "a directory",
        FileKind::Symlink => "a symbolic link",
        FileKind::Socket => "a socket",
        FileKind::Fifo => "a named pipe",
        FileKind::Device => "a device",
    }
}

/// Opens a declared regular file for reading.
fn open_content(name: &str, path: &Path, last: Last) -> Answer<File> {
    let found = safe_path::walk(path, Rule::Look, last).map_err(|error| match error {
        WalkError::Missing | WalkError::MissingFolder | WalkError::NotAFolder => {
            Failure::not_found("no-such-file", format!("`{name}`: {error}"))
        }
        error => Failure::failed("cannot-look", format!("`{name}`: {error}")),
    })?;
    if found.kind() != FileType::RegularFile {
        return Err(Failure::invalid(
            "not-a-regular-file",
            format!("`{name}` is {}", phrase(kind_of(found.kind()))),
        ));
    }
    if !found.content_is_meant() {
        return Err(Failure::denied(
            "foreign-link",
            format!("`{name}`: a link of one user leads to a file of another, so it is not read"),
        ));
    }
    found.open().map(File::from).map_err(|error| {
        Failure::failed("cannot-open", format!("`{name}` cannot be opened: {error}"))
    })
}

fn sha256(deadline: Instant, name: &str, file: &mut File) -> Answer<String> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0_u8; CHUNK];
    loop {
        if Instant::now() >= deadline {
            return Err(Failure::timed_out(
                "deadline",
                format!("`{name}` is too long to be hashed in time"),
            ));
        }
        let read = file
            .read(&mut chunk)
            .map_err(|error| cannot_read(name, &error))?;
        match chunk.get(..read) {
            Some([]) | None => break,
            Some(bytes) => hash.update(bytes),
        }
    }
    Ok(hexadecimal(&hash.finalize()))
}

fn env_keys(name: &str, declared: &DeclaredFile) -> Answer<Vec<EnvKey>> {
    if declared.role != FileRole::Env {
        return Err(Failure::invalid(
            "not-an-env-file",
            format!(
                "`{name}` is declared as {}, not as an env file",
                declared.role.as_str()
            ),
        ));
    }
    // systemd follows a link here, so what counts is what it leads to.
    let file = open_content(name, &declared.path, Last::Follow)?;
    let mut content = Vec::new();
    file.take(LONGEST_ENV_FILE + 1)
        .read_to_end(&mut content)
        .map_err(|error| cannot_read(name, &error))?;
    if u64::try_from(content.len()).is_ok_and(|length| length > LONGEST_ENV_FILE) {
        return Err(Failure::invalid(
            "too-large",
            format!("`{name}` is longer than 1 MiB, which no environment file is"),
        ));
    }
    env_file::keys(&content)
        .map_err(|error| Failure::invalid("not-text", format!("`{name}`: {error}")))
}

fn cannot_read(name: &str, error: &std::io::Error) -> Failure {
    Failure::failed("cannot-read", format!("`{name}` cannot be read: {error}"))
}

#[cfg(test)]
mod tests;
