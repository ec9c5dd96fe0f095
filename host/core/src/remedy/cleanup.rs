//! `[[cleanup]]`: files that may be deleted where room is needed.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::DeclaredRemedy;

/// What may be deleted, and how much of it. It cannot be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleanup {
    pub of: CleanupOf,
    /// Only what has not been changed for so long; zero for any age.
    #[serde(rename = "older_than_milliseconds", with = "crate::span::in_millis")]
    pub older_than: Duration,
    /// So many of the newest files stay.
    pub keep_newest: u32,
    /// The most bytes that one run may free.
    pub at_most: Option<u64>,
    /// Where fewer bytes could be freed, nothing is done.
    pub at_least: u64,
}

/// Where a cleanup looks for files to delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CleanupOf {
    Folder(CleanupFolder),
    Preset(CleanupPreset),
}

/// A folder, with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanupFolder {
    /// An absolute path.
    pub path: PathBuf,
    /// Files fit one of them: by their name, and where a `/` stands in the pattern by their
    /// path in the folder. Empty for all files.
    pub patterns: Vec<String>,
    /// Whether logs that programs have open are emptied.
    pub truncate: bool,
    /// Where something has to be mounted: the folder itself, or one that it lies in.
    pub mounted: Option<PathBuf>,
}

/// What every host has of such files; the mildest to lose comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CleanupPreset {
    Apt,
    Pip,
    Npm,
    /// Untagged images of a container engine, which deletes them itself.
    ContainerImages,
    Coredumps,
    Tmp,
    Journal,
}

const DAY: Duration = Duration::from_secs(86_400);

impl CleanupPreset {
    /// All there are.
    pub const ALL: [Self; 7] = [
        Self::Apt,
        Self::Pip,
        Self::Npm,
        Self::ContainerImages,
        Self::Coredumps,
        Self::Tmp,
        Self::Journal,
    ];

    /// Its name in a service's file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apt => "apt",
            Self::Pip => "pip",
            Self::Npm => "npm",
            Self::ContainerImages => "container-images",
            Self::Coredumps => "coredumps",
            Self::Tmp => "tmp",
            Self::Journal => "journal",
        }
    }

    /// Where its files lie.
    pub fn folders(self) -> &'static [&'static str] {
        match self {
            Self::Apt => &["/var/cache/apt/archives"],
            Self::Pip => &["/root/.cache/pip"],
            Self::Npm => &["/root/.npm/_cacache"],
            Self::ContainerImages => &["/var/lib/docker", "/var/lib/containers/storage"],
            Self::Coredumps => &["/var/lib/systemd/coredump"],
            Self::Tmp => &["/tmp", "/var/tmp"],
            Self::Journal => &["/var/log/journal", "/run/log/journal"],
        }
    }

    /// The patterns of its files; empty for all.
    pub fn patterns(self) -> &'static [&'static str] {
        match self {
            Self::Apt => &["*.deb"],
            // Those that journald has closed: it names the active ones without an `@`.
            Self::Journal => &["*@*.journal", "*@*.journal~"],
            _ => &[],
        }
    }

    /// Whether folders in its folders are looked through as well.
    pub fn is_deep(self) -> bool {
        !matches!(self, Self::Apt | Self::Coredumps)
    }

    /// From which age on its files may go, where the operator says nothing else.
    pub fn older_than(self) -> Duration {
        match self {
            Self::Apt | Self::Pip | Self::Npm => Duration::ZERO,
            // One that is just being built has no name yet.
            Self::ContainerImages => DAY,
            // They may be what people need to find out why something failed.
            Self::Coredumps => 3 * DAY,
            Self::Journal => 7 * DAY,
            // As systemd-tmpfiles does in /tmp.
            Self::Tmp => 10 * DAY,
        }
    }
}

impl DeclaredRemedy for Cleanup {
    fn path(&self) -> Option<&Path> {
        match &self.of {
            CleanupOf::Folder(folder) => Some(&folder.path),
            CleanupOf::Preset(_) => None,
        }
    }

    fn makes_room_in(&self) -> Vec<&Path> {
        match &self.of {
            CleanupOf::Folder(folder) => vec![&folder.path],
            CleanupOf::Preset(preset) => preset.folders().iter().map(Path::new).collect(),
        }
    }

    fn harm(&self) -> usize {
        let presets = CleanupPreset::ALL.len();
        match &self.of {
            CleanupOf::Preset(preset) => *preset as usize,
            CleanupOf::Folder(folder) => presets + usize::from(folder.truncate),
        }
    }
}
