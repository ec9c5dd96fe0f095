//! Programs that are tools of ours and no part of Prunella: from the PATH, or
//! installed into `target/tools` when they are first needed.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::step::{cargo, find, take, workspace};

/// A program of crates.io, and the version that is installed where there is
/// none.
pub(crate) struct Tool {
    /// The crate, and the program.
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
}

impl Tool {
    /// Where it is; installs it first where it is missing.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        if let Some(found) = find(self.name) {
            return Ok(found);
        }
        let tools = target().join("tools");
        let program = tools.join("bin").join(self.name);
        if !program.is_file() {
            let arguments = ["install", self.name, "--locked", "--version", self.version];
            take(cargo(&arguments).arg("--root").arg(&tools))
                .with_context(|| format!("cannot get {}", self.name))?;
        }
        Ok(program)
    }

    /// It, run in the workspace.
    pub(crate) fn command(&self) -> Result<Command> {
        let mut command = Command::new(self.path()?);
        command.current_dir(workspace());
        Ok(command)
    }
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}
