//! Declared files, by the operator's names for them. Paths and declared values
//! stay with the host.

use std::time::Duration;

use crate::{Result, contract::observe::files as raw};

pub use raw::EnvKey;

/// How a declared file stands. A link is not followed.
///
/// # Errors
/// `not-found` when no file of that name is declared. A declared file that is
/// not there is no failure: see [`File::exists`].
pub fn stat(name: &str) -> Result<File> {
    Ok(File(raw::stat(name)?))
}

/// The SHA-256 of its content, in hexadecimal.
///
/// # Errors
/// `denied` for a file marked secret.
pub fn sha256(name: &str) -> Result<String> {
    Ok(raw::sha256(name)?)
}

/// The names that an environment file sets; never their values.
///
/// # Errors
/// Whatever kept the host from reading it.
pub fn env_keys(name: &str) -> Result<Vec<EnvKey>> {
    Ok(raw::env_keys(name)?)
}

/// The names that the operator requires of an environment file and that are
/// missing or empty.
///
/// # Errors
/// Whatever kept the host from reading it.
pub fn missing_keys(name: &str) -> Result<Vec<String>> {
    Ok(raw::missing_keys(name)?)
}

/// What of a declared file can be brought back to its declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Repair {
    /// The permission bits.
    Mode,
    /// User and group.
    Owner,
    /// Where a symbolic link leads.
    Target,
}

impl Repair {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Target => "target",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Mode, Self::Owner, Self::Target]
            .into_iter()
            .find(|repair| repair.as_str() == word)
    }
}

/// What the operator declared a file to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Any file.
    Plain,
    /// `NAME=value` lines, as EnvironmentFile= reads them.
    Env,
    /// An SQLite database.
    Database,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A Unix socket.
    Socket,
    /// A role newer than this SDK.
    Other,
}

/// A declared file as it was at one moment.
pub struct File(raw::File);

impl File {
    /// Whether anything is there.
    pub fn exists(&self) -> bool {
        self.0.exists()
    }

    /// `file`, `directory`, `symlink`, `socket`, `fifo`, `device`; empty when
    /// there is nothing.
    pub fn kind(&self) -> String {
        self.0.kind()
    }

    /// Permission bits, such as 0o640.
    pub fn mode(&self) -> u32 {
        self.0.mode()
    }

    /// The owner's name, or number.
    pub fn owner(&self) -> String {
        self.0.owner()
    }

    /// The group's name, or number.
    pub fn group(&self) -> String {
        self.0.group()
    }

    /// Bytes; absent for a file marked secret.
    pub fn size(&self) -> Option<u64> {
        self.0.size()
    }

    /// Since it was last modified.
    pub fn age(&self) -> Duration {
        Duration::from_millis(self.0.age())
    }

    /// Where a symbolic link leads.
    pub fn link_target(&self) -> Option<String> {
        self.0.link_target()
    }

    /// How it departs from its declaration, one sentence each; empty when all
    /// is as declared.
    pub fn deviations(&self) -> Vec<String> {
        self.0.deviations()
    }

    /// What of it [`file_repair`](crate::file_repair) could bring back.
    pub fn repairable(&self) -> Vec<Repair> {
        let words = self.0.repairable();
        words
            .iter()
            .filter_map(|word| Repair::parse(word))
            .collect()
    }

    /// Whether the operator said the service can start without it.
    pub fn optional(&self) -> bool {
        self.0.optional()
    }

    /// Who reads it: `service` when the program itself opens it, `manager`
    /// when systemd does so for it, as with EnvironmentFile=.
    pub fn read_by(&self) -> String {
        self.0.read_by()
    }

    /// What the operator declared it to be.
    pub fn role(&self) -> Role {
        match self.0.role().as_str() {
            "plain" => Role::Plain,
            "env" => Role::Env,
            "database" => Role::Database,
            "directory" => Role::Directory,
            "symlink" => Role::Symlink,
            "socket" => Role::Socket,
            _ => Role::Other,
        }
    }

    /// Whether whoever reads it can, counting every folder on the way.
    pub fn readable(&self) -> bool {
        self.0.readable()
    }
}
