//! Where things are.

use std::path::{Path, PathBuf};

/// Configuration, unless told otherwise.
pub const CONFIG: &str = "/etc/prunella";
/// Incidents, unless told otherwise.
pub const STATE: &str = "/var/lib/prunella";
/// Sockets and locks, unless told otherwise.
pub const RUN: &str = prunella_api::DEFAULT_RUN_DIR;
/// Compiled strategies. Never below the configuration.
pub const CACHE: &str = "/var/cache/prunella";

/// The folders of one Prunella.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// `/etc/prunella`
    pub config: PathBuf,
    /// `/var/lib/prunella`
    pub state: PathBuf,
    /// `/run/prunella`
    pub run: PathBuf,
    /// `/var/cache/prunella`
    pub cache: PathBuf,
}

impl Paths {
    /// The cache follows the state.
    pub fn new(config: PathBuf, state: PathBuf, run: PathBuf) -> Self {
        // A Prunella that keeps its state elsewhere keeps its cache there
        // too, so that two of them never share one.
        let cache = if state == Path::new(STATE) {
            PathBuf::from(CACHE)
        } else {
            state.join("cache")
        };
        Self {
            config,
            state,
            run,
            cache,
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
    pub fn main_file(&self) -> PathBuf {
        self.config.join("prunella.toml")
    }

    /// The last `prunella.toml` without a mistake.
    pub fn last_good_main_file(&self) -> PathBuf {
        self.state.join("last-good-prunella.toml")
    }

    /// While it is there, nothing is healed.
    pub fn kill_switch(&self) -> PathBuf {
        self.config.join("off")
    }

    /// `services.d`
    pub fn services(&self) -> PathBuf {
        self.config.join("services.d")
    }

    /// `plugins`
    pub fn plugins(&self) -> PathBuf {
        self.config.join(prunella_config::PLUGINS)
    }

    /// `keys`: whose signatures count.
    pub fn keys(&self) -> PathBuf {
        self.config.join("keys")
    }

    /// Held while what lies in `plugins` is changed, so that nobody reads it
    /// in between.
    pub fn plugins_lock(&self) -> PathBuf {
        self.state.join("plugins.lock")
    }

    /// The highest version seen of each signed strategy.
    pub fn plugin_versions(&self) -> PathBuf {
        self.state.join("plugin-versions.toml")
    }

    /// `templates`
    pub fn templates(&self) -> PathBuf {
        self.config.join("templates")
    }

    /// The incident store.
    pub fn store(&self) -> PathBuf {
        self.state.join("prunella.db")
    }

    /// Copies of the files whose content may be brought back.
    pub fn content(&self) -> PathBuf {
        self.state.join("content")
    }

    /// What was measured.
    pub fn metrics(&self) -> PathBuf {
        self.state.join("metrics.db")
    }

    /// The global options that lead another process to the same folders.
    pub fn options(&self) -> Vec<(&'static str, &Path)> {
        [
            ("--config", &self.config, CONFIG),
            ("--state-dir", &self.state, STATE),
            ("--run-dir", &self.run, RUN),
        ]
        .into_iter()
        .filter(|(_, path, default)| path.as_path() != Path::new(default))
        .map(|(option, path, _)| (option, path.as_path()))
        .collect()
    }
}
