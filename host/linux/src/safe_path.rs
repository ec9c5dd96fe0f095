//! Walking to a declared path, one folder at a time.
//!
//! What is changed is changed in a [`Dir`] of cap-std, which cannot be left by any name.
//! cap-std has no word for who owns a link, so links are followed here, by two rules.
//!
//! A path that the operator declared may run through folders that others can
//! write in. Whoever can write in a folder can put a link there, or move
//! another file into the declared place, and so point root at something that
//! was never declared. Two rules come from that:
//!
//! - For *looking* ([`Rule::Look`]) links are followed as the kernel would, and
//!   the owners of those that are not root's are remembered. Content is only
//!   read when what is found belongs to them as well: a link of user `app` may
//!   show what is `app`'s, not `/etc/shadow`.
//! - For *changing* ([`Rule::Change`]) a link is followed only where nobody but
//!   root could have put it. From the first folder on that another can write
//!   in, every link and every `..` is refused.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Component, Path},
};

use cap_std::{ambient_authority, fs::Dir};
use rustix::{
    fs::{FileType, Mode, OFlags, Stat, fstat, open, openat, readlinkat},
    io::Errno,
};

use crate::access::Access;

/// As many links as the kernel itself follows on one path.
const LINKS: usize = 40;

/// How a path may be walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Links are followed; those of others are remembered.
    Look,
    /// No link that anybody but root could have put there is followed.
    Change,
}

/// What becomes of a link at the very end of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    /// It is what was asked for.
    Keep,
    /// It is followed, by the same rule.
    Follow,
}

/// Why a path could not be walked. The sentences name no path: strategies read
/// them, and paths stay on the host's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WalkError {
    #[error("it does not exist")]
    Missing,
    #[error("a folder on the way to it does not exist")]
    MissingFolder,
    #[error("something on the way to it is not a folder")]
    NotAFolder,
    #[error("its path is not absolute")]
    NotAbsolute,
    #[error("too many links lead to it")]
    TooManyLinks,
    #[error("a link leads to it from a folder that others than root can write in")]
    ForeignLink,
    #[error("`..` stands in its path behind a folder that others than root can write in")]
    ForeignParent,
    #[error("the way to it cannot be walked ({0})")]
    Io(Errno),
}

/// What stands at the end of a path.
#[derive(Debug)]
pub(crate) struct Walked {
    /// Opened for its path only: neither reading it nor its driver was touched.
    pub(crate) fd: OwnedFd,
    pub(crate) stat: Stat,
    /// Every folder passed, in order.
    pub(crate) folders: Vec<Access>,
    /// Whether only root can write in all the folders passed.
    pub(crate) trusted: bool,
    /// The owners, other than root, of the links that were followed.
    pub(crate) link_owners: Vec<u32>,
}

impl Walked {
    /// What kind of thing it is.
    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    /// Whether its content may be shown to somebody who asked by this path:
    /// see [`Rule::Look`].
    pub(crate) fn content_is_meant(&self) -> bool {
        self.link_owners
            .iter()
            .all(|owner| *owner == self.stat.st_uid)
    }

    /// Opens it for reading: the very file that was found, without waiting for
    /// a pipe's other end or becoming a terminal's owner.
    pub(crate) fn open(&self) -> rustix::io::Result<OwnedFd> {
        // The link in /proc leads to the descriptor's own file, whatever
        // stands at its path by now.
        open(
            format!("/proc/self/fd/{}", self.fd.as_raw_fd()),
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )
    }

    /// Where the link that was found leads.
    pub(crate) fn link_target(&self) -> rustix::io::Result<OsString> {
        let target = readlinkat(&self.fd, "", Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()))
    }
}

/// A folder, and the name of something in it.
#[derive(Debug)]
pub(crate) struct Place {
    /// The folder, as [`walk`] found it.
    pub(crate) folder: Walked,
    /// The same, to work in: nothing outside it can be reached.
    pub(crate) dir: Dir,
    /// The name in it, which need not exist.
    pub(crate) name: OsString,
}

impl Place {
    /// Looks at what has the name, without following it.
    pub(crate) fn open(self) -> Result<Walked, WalkError> {
        let fd = step(&self.dir, &self.name).map_err(|errno| match errno {
            Errno::NOENT => WalkError::Missing,
            errno => WalkError::Io(errno),
        })?;
        let stat = fstat(&fd).map_err(WalkError::Io)?;
        let mut folders = self.folder.folders;
        folders.push(Access::of(&self.folder.fd, &self.folder.stat));
        Ok(Walked {
            fd,
            stat,
            folders,
            trusted: self.folder.trusted,
            link_owners: self.folder.link_owners,
        })
    }
}

/// Walks to what `path` names.
pub(crate) fn walk(path: &Path, rule: Rule, last: Last) -> Result<Walked, WalkError> {
    if !path.is_absolute() {
        return Err(WalkError::NotAbsolute);
    }
    let mut todo: VecDeque<OsString> = VecDeque::new();
    push_front(&mut todo, path);
    let mut links = 0_usize;
    let mut here = root()?;

    while let Some(name) = todo.pop_front() {
        if here.kind() != FileType::Directory {
            return Err(WalkError::NotAFolder);
        }
        let access = Access::of(&here.fd, &here.stat);
        here.trusted &= only_root_writes(&here.stat);
        if name == ".." && rule == Rule::Change && !here.trusted {
            return Err(WalkError::ForeignParent);
        }
        let folder = Dir::from_std_file(File::from(here.fd));
        let opened = step(&folder, &name);
        here.fd = folder.into_std_file().into();
        let fd = opened.map_err(|errno| match errno {
            Errno::NOENT if todo.is_empty() => WalkError::Missing,
            Errno::NOENT => WalkError::MissingFolder,
            Errno::NOTDIR => WalkError::NotAFolder,
            errno => WalkError::Io(errno),
        })?;
        let stat = fstat(&fd).map_err(WalkError::Io)?;
        let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;

        if is_link && !(todo.is_empty() && last == Last::Keep) {
            links += 1;
            if links > LINKS {
                return Err(WalkError::TooManyLinks);
            }
            if rule == Rule::Change && !(here.trusted && stat.st_uid == 0) {
                return Err(WalkError::ForeignLink);
            }
            if stat.st_uid != 0 && !here.link_owners.contains(&stat.st_uid) {
                here.link_owners.push(stat.st_uid);
            }
            let target = readlinkat(&fd, "", Vec::new()).map_err(WalkError::Io)?;
            let target = OsString::from_vec(target.into_bytes());
            let target = Path::new(&target);
            here.folders.push(access);
            if target.is_absolute() {
                let top = root()?;
                here.fd = top.fd;
                here.stat = top.stat;
            }
            push_front(&mut todo, target);
            continue;
        }
        here.folders.push(access);
        here.fd = fd;
        here.stat = stat;
    }
    Ok(here)
}

/// Walks to the folder that `path` lies in, and gives the name in it.
pub(crate) fn walk_to_folder(path: &Path, rule: Rule) -> Result<Place, WalkError> {
    let mut components = path.components();
    let name = match components.next_back() {
        Some(Component::Normal(name)) => name.to_owned(),
        _ => return Err(WalkError::NotAFolder),
    };
    let mut folder =
        walk(components.as_path(), rule, Last::Follow).map_err(|error| match error {
            WalkError::Missing => WalkError::MissingFolder,
            other => other,
        })?;
    if folder.kind() != FileType::Directory {
        return Err(WalkError::NotAFolder);
    }
    folder.trusted &= only_root_writes(&folder.stat);
    let dir = folder
        .fd
        .try_clone()
        .map_err(|error| WalkError::Io(errno(&error)))?;
    Ok(Place {
        folder,
        dir: Dir::from_std_file(File::from(dir)),
        name,
    })
}

/// Whether nobody but root can change `path`, nor put something else in its
/// place: it, and every folder on the way, are root's, and writable by no one
/// else. An error is a sentence about `path`.
pub(crate) fn belongs_to_root(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let found =
        walk(path, Rule::Change, Last::Follow).map_err(|error| format!("{shown}: {error}"))?;
    if !found.trusted {
        return Err(format!(
            "{shown}: a folder on the way to it belongs to another than root, or others can write in it"
        ));
    }
    if !only_root_writes(&found.stat) {
        return Err(format!(
            "{shown}: it belongs to another than root, or others can write to it"
        ));
    }
    Ok(())
}

/// Owned by root, and no write permission for group or others. An ACL that
/// lets somebody write shows in the group's bits.
fn only_root_writes(stat: &Stat) -> bool {
    stat.st_uid == 0 && stat.st_mode & 0o022 == 0
}

/// Opens what has this name in a folder, for its path only and without following
/// it: one name that is not followed leads nowhere but into the folder, or up from it,
/// and whoever asks for that has seen to it that the way up is nobody else's.
///
/// Not by cap-std: systemd forbids openat2 where RestrictSUIDSGID= holds
/// (systemd.exec(5)), and without it cap-std follows a link that it is to open.
fn step(folder: &Dir, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::empty())
}

/// The system's number of an error of cap-std's, which has some of its own for
/// names that lead out.
pub(crate) fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::XDEV)
}

fn root() -> Result<Walked, WalkError> {
    let dir = Dir::open_ambient_dir("/", ambient_authority())
        .map_err(|error| WalkError::Io(errno(&error)))?;
    let fd = OwnedFd::from(dir.into_std_file());
    let stat = fstat(&fd).map_err(WalkError::Io)?;
    Ok(Walked {
        fd,
        stat,
        folders: Vec::new(),
        trusted: true,
        link_owners: Vec::new(),
    })
}

/// Puts the parts of `path` before what is still to be walked. A slash at the
/// end asks for a folder, and so for a link to be followed.
fn push_front(todo: &mut VecDeque<OsString>, path: &Path) {
    let parts: Vec<OsString> = path
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect();
    if path.as_os_str().as_bytes().ends_with(b"/") && !parts.is_empty() {
        todo.push_front(OsStr::new(".").to_owned());
    }
    for part in parts.into_iter().rev() {
        todo.push_front(part);
    }
}

#[cfg(test)]
mod tests;
