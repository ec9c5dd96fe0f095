//! `[[file-restore]]`: a file whose content comes back as it was while the service was well.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::DeclaredRemedy;

use crate::Timestamp;

/// A file whose content may be brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRestore {
    /// An absolute path.
    pub path: PathBuf,
    /// Where the content comes from, instead of the copies that are kept of it.
    pub source: Option<PathBuf>,
    /// The check that fails while the content is broken. Without one, only a file that is
    /// missing or empty is broken.
    pub check: Option<String>,
    /// Whether nothing of the content may be shown, and its copies are encrypted where the
    /// host can.
    pub secret: bool,
    /// So many copies are kept.
    pub generations: usize,
    /// Whoever has changed the file less long ago may still be at work on it. Of a file that
    /// is missing or empty this does not hold.
    #[serde(rename = "settle_milliseconds", with = "crate::span::in_millis")]
    pub settle: Duration,
    /// For how long a file that was replaced is kept beside it.
    #[serde(rename = "keep_milliseconds", with = "crate::span::in_millis")]
    pub keep: Duration,
}

/// A file whose content was, or is about to be, brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedContent {
    pub path: PathBuf,
    /// The name of the file that is replaced, in the same folder.
    pub aside: String,
    /// The device and inode of the file that is replaced; none where there is none.
    pub before: Option<(u64, u64)>,
    /// The hash of what is brought back, …
    pub sha256: String,
    /// … and when that file is said to be modified: with both, it is known again.
    pub modified: Timestamp,
    /// The folder of the copies, which remembers what did not help.
    pub copies: PathBuf,
}

impl DeclaredRemedy for FileRestore {
    fn path(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn checks(&self) -> Vec<&str> {
        self.check.as_deref().into_iter().collect()
    }
}
