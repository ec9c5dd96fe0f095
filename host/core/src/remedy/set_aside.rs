//! `[[set-aside]]`: something that a service makes anew when it is missing.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::DeclaredRemedy;

/// A folder or file that may be moved aside: a cache, say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// An absolute path.
    pub path: PathBuf,
    /// For how long what was moved aside is kept; then it is deleted.
    #[serde(rename = "keep_milliseconds", with = "crate::span::in_millis")]
    pub keep: Duration,
}

/// What was, or is about to be, moved aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedAside {
    /// Where it belongs.
    pub path: PathBuf,
    /// Its name while it is aside, in the same folder.
    pub aside: String,
    /// What names it, wherever it is: its device and inode.
    pub device: u64,
    pub inode: u64,
}

impl DeclaredRemedy for SetAside {
    fn path(&self) -> Option<&Path> {
        Some(&self.path)
    }
}
