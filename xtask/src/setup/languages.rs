//! The toolchains that components of Python and JavaScript are made with: in
//! `target/tools`, in the versions that the templates ask for.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use crate::{
    step::{take, workspace},
    tool::target,
};

/// Says what the folder has been filled from.
const STAMP: &str = "installed-from";

/// Whether Python can make environments: Debian keeps that in a package of its own.
pub(super) fn python_has_venv() -> bool {
    Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Installs what is not there yet, or is there in another version.
pub(super) fn get() -> Result<()> {
    let templates = workspace().join("sdk/templates");
    let python = templates.join("python/requirements.txt");
    unless_installed(&tools().join("python"), &python, |folder| {
        take(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        take(
            Command::new(folder.join("bin/pip"))
                .args(["install", "--quiet", "--disable-pip-version-check", "-r"])
                .arg(&python),
        )
    })?;
    let javascript = templates.join("js/package.json");
    unless_installed(&tools().join("js"), &javascript, |folder| {
        // A template's name is no name for a package yet.
        let package = fs::read_to_string(&javascript)?.replace("{{name}}", "tools");
        fs::write(folder.join("package.json"), package)?;
        take(
            Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--loglevel", "error"])
                .current_dir(folder),
        )
    })
}

fn tools() -> PathBuf {
    target().join("tools")
}

/// Fills a folder anew, unless it was filled from this very list.
fn unless_installed(
    folder: &Path,
    list: &Path,
    install: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let wanted = fs::read(list).with_context(|| format!("cannot read {}", list.display()))?;
    let stamp = folder.join(STAMP);
    if fs::read(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    install(folder).with_context(|| format!("cannot install what {} lists", list.display()))?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}
