//! `cargo xtask setup`: what building and testing needs, and how to get it.

mod languages;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::step::{find, take, workspace};

/// What strategies are compiled for.
const WASM: &str = "wasm32-unknown-unknown";

/// Programs, and Debian's packages that have them.
const BUILD: [(&str, &str); 3] = [
    ("cc", "build-essential"),
    ("openssl", "openssl"),
    ("minisign", "minisign"),
];
/// For strategies in other languages than Rust.
const LANGUAGES: [(&str, &str); 5] = [
    ("clang", "clang"),
    ("wasm-ld", "lld"),
    ("python3", "python3"),
    ("node", "nodejs"),
    ("npm", "npm"),
];
const MACHINES: [(&str, &str); 6] = [
    ("systemd-nspawn", "systemd-container"),
    ("journalctl", "systemd"),
    ("dbus-daemon", "dbus"),
    ("mmdebstrap", "mmdebstrap"),
    ("nsenter", "util-linux"),
    ("python3", "python3"),
];

/// Gets what is missing; with `machines`, also what throw-away machines need.
/// Says exactly what to install where it may not do that itself.
pub(crate) fn run(machines: bool) -> Result<()> {
    wasm_target()?;
    let mut wanted = BUILD.to_vec();
    wanted.extend(LANGUAGES);
    if machines {
        wanted.extend(MACHINES);
    }
    let mut missing: Vec<&str> = wanted
        .into_iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| package)
        .collect();
    if !languages::python_has_venv() {
        missing.push("python3-venv");
    }
    debian(&missing)?;
    languages::get()
}

/// Installs packages of Debian's, or says which to install.
fn debian(missing: &[&str]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if find("apt-get").is_none() {
        bail!(
            "please install, under the names your distribution has for them: {packages} \
             (these are Debian's)"
        );
    }
    if !rustix::process::geteuid().is_root() {
        bail!("please run, as root: apt-get install {packages}");
    }
    // The lists may be missing in a fresh container, or be too old.
    take(&mut apt(&["update"]))?;
    let mut install = apt(&["install", "--yes", "--no-install-recommends"]);
    take(install.args(missing)).with_context(|| format!("please install {packages}"))
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn wasm_target() -> Result<()> {
    // Asked in the workspace: its toolchain file may choose another Rust.
    let libraries = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", WASM])
        .current_dir(workspace())
        .stdin(Stdio::null())
        .output()
        .context("cannot run rustc")?;
    let folder = String::from_utf8_lossy(&libraries.stdout).trim().to_owned();
    let there = libraries.status.success() && Path::new(&folder).is_dir();
    if there {
        return Ok(());
    }
    if find("rustup").is_none() {
        bail!(
            "please add the target {WASM} to your Rust: on Debian it is \
             `apt-get install libstd-rust-dev-wasm32`"
        );
    }
    take(
        Command::new("rustup")
            .args(["target", "add", WASM])
            .current_dir(workspace()),
    )
}
