//! What a command changes on the host, said as it is done.

use std::{fs, path::Path};

use anyhow::Context as _;

use crate::{
    output::{self, GOOD, QUIET},
    systemctl,
};

/// Says what is done, as it is done, or what would be.
pub(crate) struct Changes {
    dry_run: bool,
    count: u32,
}

impl Changes {
    pub(crate) fn new(dry_run: bool) -> Self {
        Self { dry_run, count: 0 }
    }

    pub(crate) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn changed(&mut self, what: &str, which: &str) -> anyhow::Result<()> {
        self.count += 1;
        let would = if self.dry_run { "would: " } else { "" };
        Ok(output::print(&format!(
            "{GOOD}{would}{what:<9}{GOOD:#}  {which}\n"
        ))?)
    }

    /// Removes a file, and says so.
    pub(crate) fn remove_file(&mut self, path: &Path) -> anyhow::Result<()> {
        if !self.dry_run {
            fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        self.changed("removed", &path.display().to_string())
    }

    pub(crate) fn kept(&self, what: &str, which: &str) -> anyhow::Result<()> {
        Ok(output::print(&format!(
            "{QUIET}{what:<9}  {which}{QUIET:#}\n"
        ))?)
    }

    pub(crate) fn systemctl(&mut self, words: &[&str]) -> anyhow::Result<()> {
        if !self.dry_run {
            systemctl::run(words)?;
        }
        self.changed("ran", &format!("systemctl {}", words.join(" ")))
    }
}
