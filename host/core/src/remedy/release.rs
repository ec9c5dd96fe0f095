//! `[[release]]`: a link that says which release of a service is in force.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::DeclaredRemedy;
use crate::Timestamp;

/// A link that may go back to where it led before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The link. Absolute.
    pub path: PathBuf,
    /// A release is proven once the service was healthy with it for so long.
    #[serde(rename = "healthy_for_milliseconds", with = "crate::span::in_millis")]
    pub healthy_for: Duration,
    /// A failure counts as that of a release when it began so soon after the link's change.
    #[serde(rename = "within_milliseconds", with = "crate::span::in_millis")]
    pub within: Duration,
}

/// Where a release's link leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseInForce {
    /// As it stands in the link: absolute, or beside it.
    pub target: String,
    /// When the link was made.
    pub since: Timestamp,
    /// Those of the targets that were asked about where something stands.
    pub there: Vec<String>,
}

/// What is known of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRelease {
    /// Where the link leads while it is in force.
    pub target: String,
    /// When the service was last proven healthy with it.
    pub proven: Option<Timestamp>,
    /// When it was rolled back from, unless it was proven since.
    pub left: Option<Timestamp>,
}

/// How a link was changed, or is about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkChange {
    pub path: PathBuf,
    /// Where it led.
    pub from: String,
    /// Where it leads then.
    pub to: String,
    /// The name of the new link until it takes the place of the old one, in the same folder.
    pub temporary: String,
}

impl DeclaredRemedy for Release {
    fn path(&self) -> Option<&Path> {
        Some(&self.path)
    }
}
