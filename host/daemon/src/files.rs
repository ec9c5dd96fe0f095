//! Files that Prunella writes for the operator, and may write again.
//!
//! The first line of such a file carries the hash of what follows. As long as
//! they agree nobody has edited it, and it may be replaced or removed.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use prunella_core::hash::sha256;

use crate::DaemonError;

/// What the first line begins with.
const MARK: &str = "# Written by Prunella; sha256 of the lines below: ";

/// What there is of a file that Prunella would write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Nothing,
    /// What Prunella would write now.
    Same,
    /// What Prunella wrote once, and nobody edited.
    Ours,
    /// What somebody else wrote, or edited.
    Edited,
}

/// `body` with its first line.
pub fn marked(body: &str) -> String {
    format!("{MARK}{}\n{body}", sha256(body.as_bytes()))
}

/// Whether nobody has edited `text` since Prunella wrote it.
fn is_ours(text: &str) -> bool {
    text.strip_prefix(MARK)
        .and_then(|rest| rest.split_once('\n'))
        .is_some_and(|(claimed, body)| claimed == sha256(body.as_bytes()))
}

/// Compares what is there with `body`. A link counts as edited: whoever put it
/// there had a reason (`systemctl mask` is one).
pub fn look(path: &Path, body: &str) -> Result<Found, DaemonError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(DaemonError::file("look at", path)(error)),
        Ok(there) if !there.is_file() => return Ok(Found::Edited),
        Ok(_) => {}
    }
    let text = fs::read(path).map_err(DaemonError::file("read", path))?;
    let text = String::from_utf8_lossy(&text);
    Ok(if text == marked(body) {
        Found::Same
    } else if is_ours(&text) {
        Found::Ours
    } else {
        Found::Edited
    })
}

/// Whether a file is there and nobody edited it since Prunella wrote it.
pub fn is_unedited(path: &Path) -> Result<bool, DaemonError> {
    Ok(look(path, "")? != Found::Edited)
}

/// Whether Prunella wrote it once, edited or not.
pub fn is_marked(path: &Path) -> Result<bool, DaemonError> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_file() => {}
        _ => return Ok(false),
    }
    let text = fs::read(path).map_err(DaemonError::file("read", path))?;
    Ok(text.starts_with(MARK.as_bytes()))
}

/// Writes `content` (0644) so that at any moment the whole old or the whole new
/// file is there, also after a power cut. A link of this name is replaced, not
/// followed.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), DaemonError> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // A name that systemd and the configuration both ignore.
    let fresh = dir.join(format!(".{name}.prunella-new"));
    let written = || -> io::Result<()> {
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&fresh)?;
        file.write_all(content.as_ref())?;
        // The umask may have taken some of it.
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        fs::File::open(dir)?.sync_all()
    };
    written()
        .inspect_err(|_| {
            // Nothing half-written stays behind; the first error is the one to
            // tell.
            let _ = fs::remove_file(&fresh);
        })
        .map_err(DaemonError::file("write", path))
}

/// Makes a folder, and those above it; true when it was not there.
pub fn folder(path: &Path, mode: u32) -> Result<bool, DaemonError> {
    if path.is_dir() {
        return Ok(false);
    }
    let made = || -> io::Result<()> {
        if let Some(parent) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(parent)?;
        }
        DirBuilder::new().recursive(true).mode(mode).create(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    };
    made().map_err(DaemonError::file("create", path))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_ours_until_somebody_edits_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.service");
        assert_eq!(look(&path, "one\n").unwrap(), Found::Nothing);
        write(&path, marked("one\n")).unwrap();
        assert_eq!(look(&path, "one\n").unwrap(), Found::Same);
        assert_eq!(look(&path, "two\n").unwrap(), Found::Ours);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}more\n")).unwrap();
        assert_eq!(look(&path, "one\n").unwrap(), Found::Edited);
        assert!(!is_unedited(&path).unwrap());
    }

    #[test]
    fn a_link_is_somebody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.service");
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert_eq!(look(&path, "").unwrap(), Found::Edited);
    }

    #[test]
    fn files_and_folders_have_their_modes() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        assert!(folder(&inner, 0o700).unwrap());
        assert!(!folder(&inner, 0o700).unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&inner), 0o700);
        let file = inner.join("f");
        write(&file, "x").unwrap();
        write(&file, "y").unwrap();
        assert_eq!(mode(&file), 0o644);
        assert_eq!(fs::read_to_string(&file).unwrap(), "y");
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 1);
    }
}
