//! The highest version seen on this host of each signed strategy.
//!
//! An old signature stays good for ever. So that nobody can bring back an old
//! version with its known faults, what was seen is remembered where only root
//! can write, and outlives the plugin.

use std::{collections::BTreeMap, fs, io, path::Path};

use prunella_core::StrategyName;
use semver::Version;

use super::install_paths::Lock;
use crate::{DaemonError, Paths, explained, files};

const HEAD: &str = "\
# Written by Prunella: the highest version seen of each signed strategy. An older
# one may act only after `prunella plugin add --allow-downgrade`.
";

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions(BTreeMap<StrategyName, Version>);

impl Versions {
    /// Reads what was seen. A file that cannot be understood is logged, and
    /// counts as if nothing had been seen.
    pub fn read(paths: &Paths) -> Self {
        let path = paths.plugin_versions();
        match read(&path) {
            Ok(versions) => Self(versions),
            Err(error) => {
                tracing::warn!(
                    "an older version of a plugin cannot be told from a newer one: {}",
                    explained(&error)
                );
                Self::default()
            }
        }
    }

    /// The highest version of this strategy.
    pub fn highest(&self, name: &StrategyName) -> Option<&Version> {
        self.0.get(name)
    }

    /// Remembers versions that are higher than what was seen.
    pub fn remember(
        paths: &Paths,
        _held: &Lock,
        seen: impl IntoIterator<Item = (StrategyName, Version)>,
    ) -> Result<(), DaemonError> {
        let mut versions = read(&paths.plugin_versions())?;
        let mut changed = false;
        for (name, version) in seen {
            if versions.get(&name).is_none_or(|known| *known < version) {
                versions.insert(name, version);
                changed = true;
            }
        }
        if changed {
            write(paths, &versions)?;
        }
        Ok(())
    }

    /// Takes this version for the highest, although a higher one was seen.
    pub fn go_back(
        paths: &Paths,
        _held: &Lock,
        name: &StrategyName,
        version: &Version,
    ) -> Result<(), DaemonError> {
        let mut versions = read(&paths.plugin_versions())?;
        versions.insert(name.clone(), version.clone());
        write(paths, &versions)
    }
}

fn read(path: &Path) -> Result<BTreeMap<StrategyName, Version>, DaemonError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        // Whoever may not read it is not the one who lets anything act.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
            ) =>
        {
            return Ok(BTreeMap::new());
        }
        Err(error) => return Err(DaemonError::file("read", path)(error)),
    };
    let not_ours = |why: String| DaemonError::NotOurs {
        path: path.to_owned(),
        why,
    };
    let table: BTreeMap<String, String> =
        toml::from_str(&text).map_err(|error| not_ours(error.to_string()))?;
    table
        .into_iter()
        .map(|(name, version)| {
            let version = Version::parse(&version)
                .map_err(|error| not_ours(format!("the version of {name}: {error}")))?;
            let name = StrategyName::new(name).map_err(|error| not_ours(error.to_string()))?;
            Ok((name, version))
        })
        .collect()
}

fn write(paths: &Paths, versions: &BTreeMap<StrategyName, Version>) -> Result<(), DaemonError> {
    let mut text = HEAD.to_owned();
    for (name, version) in versions {
        text.push_str(&format!("{name} = \"{version}\"\n"));
    }
    files::write(&paths.plugin_versions(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_higher_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::all_in(folder.path());
        let name = StrategyName::new("site-fix").unwrap();
        let version = |text: &str| Version::parse(text).unwrap();
        let highest = || Versions::read(&paths).highest(&name).cloned();
        assert_eq!(highest(), None);
        let held = Lock::wait(&paths).unwrap();
        for (seen, then) in [
            ("1.9.0", "1.9.0"),
            ("1.10.0", "1.10.0"),
            ("1.10.0-rc.1", "1.10.0"),
            ("1.2.0", "1.10.0"),
        ] {
            Versions::remember(&paths, &held, [(name.clone(), version(seen))]).unwrap();
            assert_eq!(highest(), Some(version(then)), "after {seen}");
        }
        Versions::go_back(&paths, &held, &name, &version("1.2.0")).unwrap();
        assert_eq!(highest(), Some(version("1.2.0")));

        fs::write(paths.plugin_versions(), "what = is this").unwrap();
        assert_eq!(highest(), None);
        assert!(Versions::remember(&paths, &held, [(name.clone(), version("3.0.0"))]).is_err());
    }
}
