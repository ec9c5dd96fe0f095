//! Reads the key at the moment it is needed.

use std::{
    fs::File,
    io::{self, Read as _},
    path::PathBuf,
};

use prunella_core::secret::{Secret, SecretSource};
use rustix::fs::{FileType, Mode, OFlags, fstat};

/// Far more than any key needs.
const MAX: u64 = 16 * 1024;

/// Why a key cannot be used. What it is never shows.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("{source_name} cannot be read: {source}")]
    Io {
        source_name: SecretSource,
        #[source]
        source: io::Error,
    },
    #[error("{0} must be a regular file that only its owner, root, can read: chmod 600")]
    Unsafe(SecretSource),
    #[error("{0} holds no key of one line")]
    Content(SecretSource),
    #[error("{0} is not there: only units with LoadCredential= have it")]
    NoCredential(SecretSource),
}

/// Reads it.
pub(crate) fn read(source: &SecretSource) -> Result<Secret, KeyError> {
    let (path, private) = match source {
        SecretSource::File(path) => (path.clone(), true),
        // systemd guards the folder.
        SecretSource::Credential(name) => {
            let path = std::env::var_os("CREDENTIALS_DIRECTORY")
                .map(|folder| PathBuf::from(folder).join(name))
                .filter(|path| path.is_file())
                .ok_or_else(|| KeyError::NoCredential(source.clone()))?;
            (path, false)
        }
    };
    let failed = |error: io::Error| KeyError::Io {
        source_name: source.clone(),
        source: error,
    };
    // A link could lead to a file that is not meant to be sent anywhere; a pipe
    // must not make the open wait.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file =
        rustix::fs::open(&path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
    let found = fstat(&file).map_err(|errno| failed(errno.into()))?;
    let ours = found.st_uid == 0 || found.st_uid == rustix::process::geteuid().as_raw();
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile
        || !ours
        || (private && found.st_mode & 0o077 != 0)
    {
        return Err(KeyError::Unsafe(source.clone()));
    }
    let mut text = String::new();
    File::from(file)
        .take(MAX)
        .read_to_string(&mut text)
        .map_err(failed)?;
    let key = Secret::new(&text);
    if key.is_empty() || !key.reveal().bytes().all(|b| b.is_ascii_graphic()) {
        return Err(KeyError::Content(source.clone()));
    }
    Ok(key)
}
