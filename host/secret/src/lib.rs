//! Reads a secret at the moment it is needed.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use prunella_core::secret::{Secret, SecretSource};
use rustix::fs::{FileType, Mode, OFlags, fstat};
use zeroize::Zeroizing;

/// Far more than any key or URL needs.
const MAX: u64 = 16 * 1024;
/// Room for that, and for finding that there is no more.
const BUFFER: usize = 32 * 1024;

/// Why a secret cannot be used. What it is never shows.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A link could lead anywhere.
    #[error("{0} is a symbolic link: name the file itself")]
    Link(PathBuf),
    /// A folder, a pipe, a device.
    #[error("{0} is not a regular file")]
    NotAFile(PathBuf),
    /// It is another user's.
    #[error("{path} belongs to user {uid}: chown root:root {path}")]
    Owner {
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// It is no secret any more.
    #[error("{path} can be read by others (mode {mode:04o}): chmod 600 {path}")]
    Readable { path: PathBuf, mode: u32 },
    /// More than 16 KiB.
    #[error("{0} is too large to hold a secret")]
    TooLarge(PathBuf),
    /// There is nothing in it.
    #[error("{0} is empty")]
    Empty(SecretSource),
    /// It is not the text that a secret is.
    #[error("{0} holds more than one line, or characters that no secret has")]
    NotText(SecretSource),
    /// systemd has handed this process no such credential.
    #[error(
        "{0} is not there: only the units of systemd that have it in LoadCredential= can read it"
    )]
    NoCredential(SecretSource),
}

/// Reads a secret of one line.
///
/// # Errors
/// [`SecretError`].
pub fn read(source: &SecretSource) -> Result<Secret, SecretError> {
    let secret = read_lines(source)?;
    if secret.reveal().contains(['\n', '\r']) {
        return Err(SecretError::NotText(source.clone()));
    }
    Ok(secret)
}

/// What is wrong with what stands where a secret is to be read, in words that do not tell
/// the secret. What this process may not read is not known.
pub fn wrong_with(source: &SecretSource, may_have_lines: bool) -> Option<&'static str> {
    let found = if may_have_lines {
        read_lines(source)
    } else {
        read(source)
    };
    match found.err()? {
        SecretError::Empty(_) => Some("it is empty"),
        SecretError::NotText(_) if may_have_lines => {
            Some("it is not UTF-8 text, or holds characters that no secret has")
        }
        SecretError::NotText(_) => {
            Some("it is not one line of UTF-8 text, or holds characters that no secret has")
        }
        SecretError::TooLarge(_) => Some("it is too large to hold a secret"),
        _ => None,
    }
}

/// Reads a key: what can stand in a header as it is.
///
/// # Errors
/// [`SecretError`]; also when there is anything but printable ASCII in it.
pub fn read_key(source: &SecretSource) -> Result<Secret, SecretError> {
    let key = read_lines(source)?;
    if key.reveal().bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(key)
    } else {
        Err(SecretError::NotText(source.clone()))
    }
}

/// Reads a secret that may have several lines.
///
/// # Errors
/// [`SecretError`].
pub fn read_lines(source: &SecretSource) -> Result<Secret, SecretError> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    read_from(source, folder.as_deref())
}

fn read_from(source: &SecretSource, credentials: Option<&Path>) -> Result<Secret, SecretError> {
    let bytes = match source {
        SecretSource::File(path) => read_file(path, true)?,
        SecretSource::Credential(name) => {
            let path = credentials
                .map(|folder| folder.join(name))
                .filter(|path| path.is_file())
                .ok_or_else(|| SecretError::NoCredential(source.clone()))?;
            // systemd guards the folder; an ACL of its own shows as a group's
            // right to read.
            read_file(&path, false)?
        }
    };
    let text = str::from_utf8(&bytes).map_err(|_| SecretError::NotText(source.clone()))?;
    let secret = Secret::new(text);
    if secret.is_empty() {
        return Err(SecretError::Empty(source.clone()));
    }
    let control = |c: char| c.is_control() && c != '\n' && c != '\r';
    if secret.reveal().chars().any(control) {
        return Err(SecretError::NotText(source.clone()));
    }
    Ok(secret)
}

/// What was checked is what is read: both through one descriptor.
fn read_file(path: &Path, private: bool) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let failed = |source: io::Error| SecretError::Io {
        path: path.to_owned(),
        source,
    };
    // A link could lead to a file that is not meant to be sent anywhere; a pipe
    // must not make the open wait.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
        rustix::io::Errno::LOOP => SecretError::Link(path.to_owned()),
        errno => failed(errno.into()),
    })?;
    let found = fstat(&file).map_err(|errno| failed(errno.into()))?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(SecretError::NotAFile(path.to_owned()));
    }
    if found.st_uid != 0 && found.st_uid != rustix::process::geteuid().as_raw() {
        return Err(SecretError::Owner {
            path: path.to_owned(),
            uid: found.st_uid,
        });
    }
    if private && found.st_mode & 0o077 != 0 {
        return Err(SecretError::Readable {
            path: path.to_owned(),
            mode: found.st_mode & 0o7777,
        });
    }
    // Large enough never to be moved, which would leave a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(BUFFER));
    File::from(file)
        .take(MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX) {
        return Err(SecretError::TooLarge(path.to_owned()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn written(text: &[u8], mode: u32) -> (tempfile::TempDir, SecretSource) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, SecretSource::File(path))
    }

    #[test]
    fn a_private_file_is_read_without_its_newline() {
        for mode in [0o600, 0o400] {
            let (_folder, source) = written(b"hunter2\n", mode);
            assert_eq!(read(&source).unwrap().reveal(), "hunter2");
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_not() {
        for mode in [0o640, 0o604, 0o644, 0o660] {
            let (_folder, source) = written(b"hunter2\n", mode);
            let error = read(&source).unwrap_err();
            assert!(matches!(error, SecretError::Readable { .. }), "{error:?}");
            assert!(error.to_string().contains("chmod 600 "), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn neither_is_what_is_no_private_file_of_ours() {
        let (folder, source) = written(b"hunter2", 0o600);
        let SecretSource::File(path) = &source else {
            unreachable!()
        };
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(path, &link).unwrap();
        assert!(matches!(
            read(&SecretSource::File(link)),
            Err(SecretError::Link(_))
        ));
        assert!(matches!(
            read(&SecretSource::File(folder.path().to_owned())),
            Err(SecretError::NotAFile(_))
        ));
        assert!(matches!(
            read(&SecretSource::File(folder.path().join("nothing"))),
            Err(SecretError::Io { .. })
        ));
        let pipe = folder.path().join("pipe");
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, mode, 0).unwrap();
        assert!(matches!(
            read(&SecretSource::File(pipe)),
            Err(SecretError::NotAFile(_))
        ));
        // Only root can give files away.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(path, Some(1000), None).unwrap();
            assert!(matches!(
                read(&source),
                Err(SecretError::Owner { uid: 1000, .. })
            ));
        }
    }

    #[test]
    fn invalid_secrets() {
        let (_folder, source) = written(b" \n", 0o600);
        assert!(matches!(read(&source), Err(SecretError::Empty(_))));
        for text in [&b"a\nb"[..], b"a\0b", b"a\xff"] {
            let (_folder, source) = written(text, 0o600);
            assert!(matches!(read(&source), Err(SecretError::NotText(_))));
        }
        let (_folder, source) = written(b"a\nb\n", 0o600);
        assert_eq!(read_lines(&source).unwrap().reveal(), "a\nb");
        let (_folder, source) = written(&vec![b'a'; 20_000], 0o600);
        assert!(matches!(read(&source), Err(SecretError::TooLarge(_))));
    }

    #[test]
    fn what_is_wrong_with_a_secret_is_said_without_it() {
        for (text, several, expected) in [
            (&b"hunter2\n"[..], false, None),
            (b"\n", true, Some("it is empty")),
            (b"a\nb\n", true, None),
            (b"a\nb\n", false, Some("it is not one line")),
            (b"a\0b", true, Some("it is not UTF-8 text")),
            (b"a\xff", false, Some("it is not one line of UTF-8 text")),
        ] {
            let (_folder, source) = written(text, 0o600);
            let said = wrong_with(&source, several);
            let fits = match expected {
                Some(start) => said.is_some_and(|said| said.starts_with(start)),
                None => said.is_none(),
            };
            assert!(fits, "{text:?}: {said:?}");
        }
    }

    #[test]
    fn a_key_is_one_printable_word() {
        let (_folder, source) = written(b"sk-1234\n", 0o600);
        assert_eq!(read_key(&source).unwrap().reveal(), "sk-1234");
        for text in [&b"two words"[..], b"a\nb", "schlüssel".as_bytes()] {
            let (_folder, source) = written(text, 0o600);
            assert!(matches!(read_key(&source), Err(SecretError::NotText(_))));
        }
    }

    #[test]
    fn credentials_are_where_systemd_put_them() {
        let (folder, _) = written(b"hunter2", 0o440);
        let source = SecretSource::Credential("secret".to_owned());
        let found = read_from(&source, Some(folder.path())).unwrap();
        assert_eq!(found.reveal(), "hunter2");
        let other = SecretSource::Credential("other".to_owned());
        for (source, folder) in [(&source, None), (&other, Some(folder.path()))] {
            let error = read_from(source, folder).unwrap_err();
            assert!(error.to_string().contains("LoadCredential="), "{error}");
        }
    }
}
