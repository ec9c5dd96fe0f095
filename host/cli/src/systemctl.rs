//! Asking systemd for what an operator would ask it for, with `systemctl`.
//!
//! For commands that people run now and then. What has to be quick or must not
//! fail with a missing program goes over D-Bus, in `prunella-linux`.

use std::{path::Path, process::Command};

use anyhow::Context as _;

use crate::exit::{Exit, Problem};

/// Whether systemd runs this host (sd_booted(3)).
pub(crate) fn booted() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Runs `systemctl` with `words`, and returns what it wrote.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("systemctl")
        .args(["--no-pager", "--no-ask-password"])
        .args(words)
        .env("LC_ALL", "C.UTF-8")
        .env_remove("SYSTEMD_COLORS")
        .env("SYSTEMD_COLORS", "0")
        .output()
        .context("cannot run systemctl")?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Problem::new(
        Exit::Trouble,
        format!("`systemctl {}` failed: {}", words.join(" "), said.trim()),
    )
    .into())
}

/// Whether `systemctl` with `words` answers yes by its exit code.
pub(crate) fn says(words: &[&str]) -> bool {
    Command::new("systemctl")
        .args(words)
        .arg("--quiet")
        .output()
        .is_ok_and(|output| output.status.success())
}
