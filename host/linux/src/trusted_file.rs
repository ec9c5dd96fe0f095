//! Reading a file whose content root is going to trust: a plugin.
//!
//! The whole path must be safe, not only the file: no component may be a link,
//! and file and folders must belong to root and be writable by nobody else.
//! Each component is opened from the one before, so that what was checked is
//! what is read.

use std::{
    fs::File,
    io::Read as _,
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, Stat, fstat, openat},
    io::Errno,
};

/// Why a file cannot be trusted, or not be read.
#[derive(Debug, thiserror::Error)]
pub enum TrustedFileError {
    /// The path is not absolute, or leads back with `..`.
    #[error("{0} is not an absolute path without `..`")]
    Path(PathBuf),
    /// It, or a folder on the way, is a link.
    #[error("{0} is a symbolic link: name the file itself")]
    Link(PathBuf),
    /// It, or a folder on the way, belongs to somebody else.
    #[error("{path} belongs to user {uid}, not to root: chown root:root {path}")]
    Owner { path: PathBuf, uid: u32 },
    /// It, or a folder on the way, can be written by others.
    #[error("{path} can be written by others than root (mode {mode:04o}): chmod go-w {path}")]
    Writable {
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is a folder, a pipe, a device.
    #[error("{0} is not a regular file")]
    NotAFile(PathBuf),
    /// It is larger than it may be.
    #[error("{path} is larger than {limit} bytes")]
    TooLarge {
        path: PathBuf,
        /// The most there may be.
        limit: u64,
    },
    /// The system refused.
    #[error("cannot read {path}")]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl TrustedFileError {
    /// Whether there is no such file.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }
}

/// Whether what is put into the folder `path` can be trusted: no link on the
/// way, and nobody but root can write to any part of it.
///
/// # Errors
/// Whatever makes it untrustworthy, with the command that mends it.
pub fn check_folder(path: &Path) -> Result<(), TrustedFileError> {
    walk(path, OFlags::PATH | OFlags::DIRECTORY).map(drop)
}

/// Reads `path` once, whole, if it can be trusted.
///
/// # Errors
/// Whatever makes it untrustworthy, with the command that mends it.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, TrustedFileError> {
    // A pipe or a device must not make the open wait.
    let (here, walked) = walk(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
    let stat = stat(&here, &walked)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(TrustedFileError::NotAFile(walked));
    }
    let mut bytes = Vec::new();
    File::from(here)
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| TrustedFileError::Io {
            path: walked.clone(),
            source,
        })?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(TrustedFileError::TooLarge {
            path: walked,
            limit,
        });
    }
    Ok(bytes)
}

/// Opens `path` part by part, each of which has to be trustworthy; the last one
/// with `flags`.
fn walk(path: &Path, flags: OFlags) -> Result<(OwnedFd, PathBuf), TrustedFileError> {
    let mut components = path.components();
    if components.next() != Some(Component::RootDir) {
        return Err(TrustedFileError::Path(path.to_owned()));
    }
    let mut walked = PathBuf::from("/");
    let mut here = open(
        CWD,
        Path::new("/"),
        OFlags::PATH | OFlags::DIRECTORY,
        &walked,
    )?;
    check(&here, &walked)?;
    let mut components = components.peekable();
    while let Some(component) = components.next() {
        let Component::Normal(name) = component else {
            return Err(TrustedFileError::Path(path.to_owned()));
        };
        walked.push(name);
        let flags = if components.peek().is_some() {
            OFlags::PATH | OFlags::DIRECTORY
        } else {
            flags
        };
        here = open(&here, Path::new(name), flags, &walked)?;
        check(&here, &walked)?;
    }
    Ok((here, walked))
}

fn open(
    from: impl std::os::fd::AsFd,
    name: &Path,
    flags: OFlags,
    walked: &Path,
) -> Result<OwnedFd, TrustedFileError> {
    openat(
        from,
        name,
        flags | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|errno| match errno {
        // ENOTDIR is what O_DIRECTORY makes of a link.
        Errno::LOOP => TrustedFileError::Link(walked.to_owned()),
        Errno::NOTDIR if walked.is_symlink() => TrustedFileError::Link(walked.to_owned()),
        errno => TrustedFileError::Io {
            path: walked.to_owned(),
            source: errno.into(),
        },
    })
}

fn stat(file: &OwnedFd, walked: &Path) -> Result<Stat, TrustedFileError> {
    fstat(file).map_err(|errno| TrustedFileError::Io {
        path: walked.to_owned(),
        source: errno.into(),
    })
}

fn check(file: &OwnedFd, walked: &Path) -> Result<(), TrustedFileError> {
    let stat = stat(file, walked)?;
    if stat.st_uid != 0 {
        return Err(TrustedFileError::Owner {
            path: walked.to_owned(),
            uid: stat.st_uid,
        });
    }
    if stat.st_mode & 0o022 != 0 {
        return Err(TrustedFileError::Writable {
            path: walked.to_owned(),
            mode: stat.st_mode & 0o7777,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    /// A folder below `/root`, since `/tmp` itself is writable by everybody.
    fn folder() -> tempfile::TempDir {
        tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in("/root")
            .expect("these tests run as root")
    }

    #[test]
    fn a_file_of_root_is_read() {
        let folder = folder();
        let file = folder.path().join("a.wasm");
        fs::write(&file, b"bytes").unwrap();
        assert_eq!(read(&file, 100).unwrap(), b"bytes");
        assert!(matches!(
            read(&file, 4),
            Err(TrustedFileError::TooLarge { .. })
        ));
    }

    #[test]
    fn files_others_can_change_are_not_trusted() {
        let folder = folder();
        let file = folder.path().join("a.wasm");
        fs::write(&file, b"bytes").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(
            read(&file, 100),
            Err(TrustedFileError::Writable { .. })
        ));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::chown(&file, Some(1000), None).unwrap();
        assert!(matches!(
            read(&file, 100),
            Err(TrustedFileError::Owner { uid: 1000, .. })
        ));
        std::os::unix::fs::chown(&file, Some(0), None).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(
            read(&file, 100),
            Err(TrustedFileError::Writable { .. })
        ));
    }

    #[test]
    fn no_link_is_followed() {
        let folder = folder();
        fs::create_dir(folder.path().join("real")).unwrap();
        fs::write(folder.path().join("real/a.wasm"), b"bytes").unwrap();
        std::os::unix::fs::symlink("real", folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink("a.wasm", folder.path().join("real/b.wasm")).unwrap();
        for path in ["link/a.wasm", "real/b.wasm"] {
            let error = read(&folder.path().join(path), 100).unwrap_err();
            assert!(
                matches!(error, TrustedFileError::Link(_)),
                "{path}: {error:?}"
            );
        }
    }

    #[test]
    fn a_folder_and_a_pipe_are_not_files() {
        let folder = folder();
        assert!(matches!(
            read(folder.path(), 100),
            Err(TrustedFileError::NotAFile(_))
        ));
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        assert!(matches!(
            read(&pipe, 100),
            Err(TrustedFileError::NotAFile(_))
        ));
        assert!(matches!(
            read(Path::new("relative"), 100),
            Err(TrustedFileError::Path(_))
        ));
    }
}
