//! `prunella:observe/files`: declared files, by the operator's names for them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Described, Description, Look, Repair, Subject};

/// How a file stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stat {
    pub name: String,
}

/// The SHA-256 of its content in hexadecimal; `denied` for a secret file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sha256 {
    pub name: String,
}

/// The names that an environment file sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvKeys {
    pub name: String,
}

/// The names that the operator requires and that are missing or empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingKeys {
    pub name: String,
}

static STAT: Look = Look::new("files.stat");
static SHA256: Look = Look::new("files.sha256");
static ENV_KEYS: Look = Look::new("files.env-keys");
static MISSING_KEYS: Look = Look::new("files.missing-keys");

impl Described for Stat {
    fn description(&self) -> Description {
        Description::Look(&STAT)
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject::File(&self.name)
    }
}

impl Described for Sha256 {
    fn description(&self) -> Description {
        Description::Look(&SHA256)
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject::File(&self.name)
    }
}

impl Described for EnvKeys {
    fn description(&self) -> Description {
        Description::Look(&ENV_KEYS)
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject::File(&self.name)
    }
}

impl Described for MissingKeys {
    fn description(&self) -> Description {
        Description::Look(&MISSING_KEYS)
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject::File(&self.name)
    }
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A regular file.
    File,
    Directory,
    /// A symbolic link.
    Symlink,
    /// A Unix socket.
    Socket,
    /// A named pipe.
    Fifo,
    Device,
}

impl FileKind {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::Socket => "socket",
            Self::Fifo => "fifo",
            Self::Device => "device",
        }
    }
}

/// How a declared file stands. A link is not followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStatus {
    /// Absent when nothing is there.
    pub kind: Option<FileKind>,
    /// Permission bits (`0o7777`).
    pub mode: u32,
    /// The owner's name, or number.
    pub owner: String,
    /// The group's name, or number.
    pub group: String,
    /// Bytes; absent for a secret file.
    pub size: Option<u64>,
    /// Since it was last modified.
    pub age: Duration,
    /// Where a link leads.
    pub link_target: Option<String>,
    /// How it departs from its declaration, one sentence each.
    pub deviations: Vec<String>,
    /// Which of the deviations can be repaired.
    pub repairable: Vec<Repair>,
    /// Whether whoever reads it can.
    pub readable: bool,
}

/// A name in an environment file, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvKey {
    pub name: String,
    /// Whether its value is empty.
    pub empty: bool,
}
