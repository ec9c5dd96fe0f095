//! `[[stale-file]]`: a trace that a service may leave behind when it is killed, and that keeps
//! it from starting again.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::DeclaredRemedy;

/// A pid file, lock or Unix socket that may be removed once it is proven stale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaleFile {
    /// An absolute path.
    pub path: PathBuf,
    pub what: TraceKind,
    /// For how long what was removed is kept beside its place; then it is deleted. A socket is
    /// never kept.
    #[serde(rename = "keep_milliseconds", with = "crate::span::in_millis")]
    pub keep: Duration,
}

/// What a service leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TraceKind {
    /// A file with the number of a process.
    Pid,
    /// A file, or an empty folder, that stands for a lock.
    Lock,
    /// A Unix socket.
    Socket,
}

impl TraceKind {
    /// For people: `pid file`.
    pub fn title(self) -> &'static str {
        match self {
            Self::Pid => "pid file",
            Self::Lock => "lock",
            Self::Socket => "socket",
        }
    }
}

impl DeclaredRemedy for StaleFile {
    fn path(&self) -> Option<&Path> {
        Some(&self.path)
    }
}
