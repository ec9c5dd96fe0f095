//! The copies of one file: a folder of root's with a file for each, named by its hash, and a
//! list of them.
//!
//! A secret's copies are encrypted by systemd-creds(1) where the host has it; elsewhere the
//! permissions of root's folder have to do.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use prunella_core::{Failure, Timestamp, capability::Answer, hash::sha256, remedy::FileRestore};
use serde::{Deserialize, Serialize};

use super::{CONTENT, Ownership, replace};

/// The list of the copies, in their folder.
const LIST: &str = "copies.json";

const SYSTEMD_CREDS: &str = "/usr/bin/systemd-creds";

/// The name that copies are encrypted with: one of another name is not decrypted.
const NAME: &str = "--name=prunella-content";

/// A file as it stands, without its content: whether it has changed is told by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    device: u64,
    inode: u64,
    size: u64,
    /// When it was changed last, by its content or otherwise.
    pub(crate) changed: Timestamp,
    changed_nanoseconds: i64,
}

impl Seen {
    /// A regular file that is not empty, nor too large to be kept.
    pub(in crate::remedies) fn at(path: &Path) -> Answer<Option<Self>> {
        match fs::symlink_metadata(path) {
            Ok(found) => Ok(Self::of(&found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(super::unread(path, &error)),
        }
    }

    pub(super) fn of(found: &fs::Metadata) -> Option<Self> {
        let (modified, changed) = (
            (found.mtime(), found.mtime_nsec()),
            (found.ctime(), found.ctime_nsec()),
        );
        let (seconds, nanoseconds) = modified.max(changed);
        let milliseconds = u64::try_from(seconds)
            .unwrap_or_default()
            .saturating_mul(1000);
        let fraction = u64::try_from(nanoseconds / 1_000_000).unwrap_or_default();
        (found.is_file() && found.len() > 0 && found.len() <= CONTENT).then(|| Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.len(),
            changed: Timestamp::from_millis(milliseconds.saturating_add(fraction)),
            changed_nanoseconds: nanoseconds,
        })
    }
}

/// What is recorded of one copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Copied {
    pub(super) sha256: String,
    pub(super) size: u64,
    pub(super) ownership: Ownership,
    pub(super) at: Timestamp,
    pub(super) encrypted: bool,
    /// The file it is in.
    path: PathBuf,
}

/// The copies there are, the oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::remedies) struct Copies {
    copies: Vec<Copied>,
    /// The file as it was copied last.
    seen: Option<Seen>,
    /// What was there, and what was brought back in its place and did not help: by hash.
    #[serde(default)]
    no_help: Option<(String, String)>,
    /// The file as Prunella itself has brought it back last.
    #[serde(default)]
    own: Option<Seen>,
}

impl Copies {
    /// Those in a folder; none where there is no such folder.
    pub(in crate::remedies) fn read(folder: &Path) -> Answer<Self> {
        let list = folder.join(LIST);
        match fs::read(&list) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| super::unread(&list, &error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(super::unread(&list, &error)),
        }
    }

    fn write(&self, folder: &Path) -> Answer<()> {
        let list = folder.join(LIST);
        let text = serde_json::to_vec(self).map_err(|error| unkept(&list, &error))?;
        write(&list, &text).map_err(|error| unkept(&list, &error))
    }

    /// Whether the file has not changed since it was copied.
    pub(super) fn is_current(&self, seen: &Seen) -> bool {
        self.seen.as_ref() == Some(seen)
    }

    pub(super) fn latest(&self) -> Option<&Copied> {
        self.copies.last()
    }

    pub(super) fn find(&self, sha256: &str) -> Option<&Copied> {
        self.copies.iter().find(|copy| copy.sha256 == sha256)
    }

    /// Whether Prunella has brought the file back, and nobody has changed it since.
    pub(in crate::remedies) fn is_own(&self, seen: &Seen) -> bool {
        self.own.as_ref() == Some(seen)
    }

    /// Whether bringing this back in place of that did not help before.
    pub(in crate::remedies) fn did_not_help(&self, there: &str, brought: &str) -> bool {
        self.no_help
            .as_ref()
            .is_some_and(|(was, came)| was == there && came == brought)
    }
}

/// Remembers the file as Prunella itself has brought it back.
pub(super) fn remember_own(folder: &Path, seen: Seen) -> Answer<()> {
    let mut copies = Copies::read(folder)?;
    make(folder)?;
    copies.own = Some(seen);
    copies.write(folder)
}

/// Remembers that bringing this back in place of that did not help.
pub(super) fn remember_no_help(folder: &Path, there: &str, brought: &str) -> Answer<()> {
    let mut copies = Copies::read(folder)?;
    make(folder)?;
    copies.no_help = Some((there.to_owned(), brought.to_owned()));
    copies.write(folder)
}

/// Takes a copy of a file that is as it was seen; false when it is not.
pub(super) fn keep(
    declared: &FileRestore,
    folder: &Path,
    seen: &Seen,
    now: Timestamp,
) -> Answer<bool> {
    let replace::Read {
        content,
        ownership,
        seen: read,
    } = replace::read_seen(&declared.path)?;
    if read.as_ref() != Some(seen) {
        return Ok(false);
    }
    make(folder)?;
    let sha256 = sha256(&content);
    let mut copies = Copies::read(folder)?;
    let known = copies.copies.iter().position(|copy| copy.sha256 == sha256);
    let copy = match known {
        Some(place) => Copied {
            ownership,
            ..copies.copies.remove(place)
        },
        None => {
            let path = folder.join(&sha256);
            let encrypted = declared.secret.then(|| encrypted(&content)).flatten();
            write(&path, encrypted.as_deref().unwrap_or(&content))
                .map_err(|error| unkept(&path, &error))?;
            Copied {
                sha256,
                size: content.len() as u64,
                ownership,
                at: now,
                encrypted: encrypted.is_some(),
                path,
            }
        }
    };
    copies.copies.push(copy);
    let surplus = copies.copies.len().saturating_sub(declared.generations);
    let old: Vec<Copied> = copies.copies.drain(..surplus).collect();
    copies.seen = Some(*seen);
    copies.no_help = None;
    copies.write(folder)?;
    for copy in old {
        // What the list does not name is never read.
        let _ = fs::remove_file(&copy.path);
    }
    Ok(true)
}

/// The content of a copy, which is what its hash says.
pub(super) fn content_of(copy: &Copied) -> Answer<Vec<u8>> {
    let kept = fs::read(&copy.path).map_err(|error| super::unread(&copy.path, &error))?;
    let content = if copy.encrypted {
        creds("decrypt", &kept).map_err(|error| super::unread(&copy.path, &error))?
    } else {
        kept
    };
    if sha256(&content) != copy.sha256 {
        return Err(super::unread(&copy.path, &"it is damaged"));
    }
    Ok(content)
}

/// None where the host cannot encrypt.
fn encrypted(content: &[u8]) -> Option<Vec<u8>> {
    creds("encrypt", content).ok()
}

/// Has systemd-creds(1) encrypt or decrypt with the host's own key.
fn creds(verb: &str, input: &[u8]) -> io::Result<Vec<u8>> {
    let mut command = Command::new(SYSTEMD_CREDS);
    command.args([verb, NAME]);
    if verb == "encrypt" {
        command.arg("--with-key=host");
    }
    let mut child = command
        .args(["-", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    // It reads everything before it writes anything.
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input)?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!(
            "systemd-creds {verb} failed ({})",
            output.status
        )));
    }
    Ok(output.stdout)
}

fn make(folder: &Path) -> Answer<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| unkept(folder, &error))
}

/// Writes a file of root's in one step.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let _ = fs::remove_file(&unfinished);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

fn unkept(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(
        "cannot-keep",
        format!("{} could not be written: {error}", path.display()),
    )
}
