//! `[[release]]`: what says which release of a service is in force: a link, or Debian packages.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::DeclaredRemedy;
use crate::{Timestamp, text::one_line};

/// Characters of a release that people see.
const LABEL: usize = 80;

/// What may go back to the release before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    #[serde(flatten)]
    pub of: ReleaseOf,
    /// A release is proven once the service was healthy with it for so long.
    #[serde(rename = "healthy_for_milliseconds", with = "crate::span::in_millis")]
    pub healthy_for: Duration,
    /// A failure counts as that of a release when it began so soon after the change.
    #[serde(rename = "within_milliseconds", with = "crate::span::in_millis")]
    pub within: Duration,
}

/// What says which release is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseOf {
    /// Where a link leads. Absolute.
    Path(PathBuf),
    /// The versions of installed Debian packages, which change together.
    Packages(Vec<String>),
}

impl ReleaseOf {
    /// How people know a release: by the last part of where the link leads, by the version of
    /// the first package.
    pub fn label(&self, target: &str) -> String {
        match self {
            Self::Path(_) => LinkChange::label(target),
            Self::Packages(_) => match PackageVersion::parse_all(target) {
                Some(all) => PackageVersion::label(&all),
                None => one_line(target, LABEL),
            },
        }
    }
}

/// Which release is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseInForce {
    /// Where the link leads, as it stands there: absolute, or beside it. Of packages, as
    /// [`PackageVersion::all_as_text`].
    pub target: String,
    /// When that came into force.
    pub since: Timestamp,
    /// The first of the others that can be gone back to.
    pub there: Option<String>,
    /// Why one of the others cannot be gone back to, where that is not plain.
    pub not_there: Option<String>,
}

/// What is known of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRelease {
    /// As [`ReleaseInForce::target`].
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

impl LinkChange {
    /// How people know where a link leads: by the last part of it.
    pub fn label(target: &str) -> String {
        let last = Path::new(target).file_name();
        let last = last.map_or(target.into(), |last| last.to_string_lossy());
        one_line(&last, LABEL)
    }
}

/// A Debian package of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageVersion {
    pub name: String,
    pub version: String,
}

impl fmt::Display for PackageVersion {
    /// `nginx=1.22.1-9`, as apt-get takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.version)
    }
}

impl PackageVersion {
    /// `nginx=1.22.1-9 nginx-common=1.22.1-9`.
    pub fn all_as_text(all: &[Self]) -> String {
        let texts: Vec<String> = all.iter().map(Self::to_string).collect();
        texts.join(" ")
    }

    /// How people know packages that change together: by the version of the first.
    pub fn label(all: &[Self]) -> String {
        let version = all.first().map(|first| first.version.as_str());
        one_line(version.unwrap_or_default(), LABEL)
    }

    /// What [`PackageVersion::all_as_text`] has written; nothing of anything else.
    pub fn parse_all(text: &str) -> Option<Vec<Self>> {
        let of = |word: &str| {
            let (name, version) = word.split_once('=')?;
            Some(Self {
                name: name.to_owned(),
                version: version.to_owned(),
            })
        };
        text.split(' ').map(of).collect()
    }
}

/// How installed packages were changed, or are about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageChange {
    /// What was installed.
    pub from: Vec<PackageVersion>,
    /// What is installed then: the same packages, in the same order.
    pub to: Vec<PackageVersion>,
}

impl DeclaredRemedy for Release {
    fn path(&self) -> Option<&Path> {
        match &self.of {
            ReleaseOf::Path(path) => Some(path),
            ReleaseOf::Packages(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_has_a_short_name() {
        let link = ReleaseOf::Path("/srv/web/current".into());
        assert_eq!(link.label("releases/2026-11-30"), "2026-11-30");
        assert_eq!(link.label("/"), "/");
        let packages = ReleaseOf::Packages(vec!["nginx".to_owned()]);
        let target = "nginx=1:1.22.1-9 nginx-common=1.22.1-9";
        assert_eq!(packages.label(target), "1:1.22.1-9");
        assert_eq!(packages.label("releases/1"), "releases/1");
        let all = PackageVersion::parse_all(target).unwrap();
        assert_eq!(PackageVersion::all_as_text(&all), target);
    }
}
