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
            // Compiling them takes far longer than what they do, however slowly they do it;
            // and they have many crates in common.
            let mut install = cargo(&["install", self.name, "--locked", "--debug"]);
            install
                .args(["--version", self.version])
                .arg("--root")
                .arg(&tools)
                .arg("--target-dir")
                .arg(tools.join("build"));
            take(&mut install).with_context(|| format!("cannot get {}", self.name))?;
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
