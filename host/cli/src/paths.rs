//! Where things are: the folders that `--config`, `--state` and `--run-dir`
//! move.

use std::path::{Path, PathBuf};

use crate::args::Global;

/// Configuration, unless told otherwise.
pub(crate) const CONFIG: &str = "/etc/prunella";
/// Incidents, unless told otherwise.
pub(crate) const STATE: &str = "/var/lib/prunella";
/// Sockets and locks, unless told otherwise.
pub(crate) const RUN: &str = prunella_api::DEFAULT_RUN_DIR;
/// Compiled strategies. Never below the configuration.
pub(crate) const CACHE: &str = "/var/cache/prunella";

/// The folders of one Prunella.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paths {
    /// `/etc/prunella`
    pub(crate) config: PathBuf,
    /// `/var/lib/prunella`
    pub(crate) state: PathBuf,
    /// `/run/prunella`
    pub(crate) run: PathBuf,
    /// `/var/cache/prunella`
    pub(crate) cache: PathBuf,
}

impl Paths {
    /// As the global options say.
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            config: global.config.clone(),
            state: global.state.clone(),
            run: global.run_dir.clone(),
            // A Prunella that keeps its state elsewhere keeps its cache there
            // too, so that two of them never share one.
            cache: if global.state == Path::new(STATE) {
                PathBuf::from(CACHE)
            } else {
                global.state.join("cache")
            },
        }
    }

    /// All of them in one folder.
    #[cfg(test)]
    pub(crate) fn all_in(folder: &Path) -> Self {
        Self {
            config: folder.to_owned(),
            state: folder.to_owned(),
            run: folder.to_owned(),
            cache: folder.to_owned(),
        }
    }

    /// `prunella.toml`
    pub(crate) fn main_file(&self) -> PathBuf {
        self.config.join("prunella.toml")
    }

    /// `services.d`
    pub(crate) fn services(&self) -> PathBuf {
        self.config.join("services.d")
    }

    /// `plugins`
    pub(crate) fn plugins(&self) -> PathBuf {
        self.config.join(prunella_core::config::PLUGINS)
    }

    /// `keys`: whose signatures count.
    pub(crate) fn keys(&self) -> PathBuf {
        self.config.join("keys")
    }

    /// Held while what lies in `plugins` is changed, so that nobody reads it
    /// in between.
    pub(crate) fn plugins_lock(&self) -> PathBuf {
        self.state.join("plugins.lock")
    }

    /// The highest version seen of each signed strategy.
    pub(crate) fn plugin_versions(&self) -> PathBuf {
        self.state.join("plugin-versions.toml")
    }

    /// `templates`
    pub(crate) fn templates(&self) -> PathBuf {
        self.config.join("templates")
    }

    /// The incident store.
    pub(crate) fn store(&self) -> PathBuf {
        self.state.join("prunella.db")
    }

    /// The global options that lead another process to the same folders.
    pub(crate) fn options(&self) -> Vec<(&'static str, &Path)> {
        [
            ("--config", &self.config, CONFIG),
            ("--state", &self.state, STATE),
            ("--run-dir", &self.run, RUN),
        ]
        .into_iter()
        .filter(|(_, path, default)| path.as_path() != Path::new(default))
        .map(|(option, path, _)| (option, path.as_path()))
        .collect()
    }
}
