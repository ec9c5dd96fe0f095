//! `cargo xtask setup`: what building and testing needs, and how to get it. Every
//! command gets what it needs itself, and nothing else.

mod languages;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use prunella_machine::kernel;

use crate::step::{find, take, workspace};

/// What strategies are compiled for.
const WASM: &str = "wasm32-unknown-unknown";

/// What a command does, and so what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Build,
    /// Running the tests of its crates.
    Tests,
    /// Compiling strategies in other languages than Rust.
    Languages,
    /// Booting throw-away machines that share this host's `/usr`.
    Machines,
    /// Booting throw-away machines with another version of systemd than this host's.
    Images,
    /// Booting throw-away machines with a kernel of their own.
    Kernel,
}

impl Need {
    pub(crate) const ALL: [Self; 6] = [
        Self::Build,
        Self::Tests,
        Self::Languages,
        Self::Machines,
        Self::Images,
        Self::Kernel,
    ];

    /// Programs, and Debian's packages that have them.
    fn programs(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Build => &[("cc", "build-essential")],
            Self::Tests => &[
                ("openssl", "openssl"),
                ("minisign", "minisign"),
                ("curl", "curl"),
                ("python3", "python3"),
            ],
            Self::Languages => &[
                ("clang", "clang"),
                ("wasm-ld", "lld"),
                ("python3", "python3"),
                ("node", "nodejs"),
                ("npm", "npm"),
            ],
            Self::Machines => &[
                ("systemd-nspawn", "systemd-container"),
                ("journalctl", "systemd"),
                ("dbus-daemon", "dbus"),
                ("nsenter", "util-linux"),
            ],
            Self::Images => &[("mmdebstrap", "mmdebstrap")],
            Self::Kernel if kernel::AVAILABLE => &kernel::PROGRAMS,
            Self::Kernel => &[],
        }
    }
}

/// The Debian packages that are missing for this.
pub(crate) fn missing(needs: &[Need]) -> Vec<&'static str> {
    let mut missing: Vec<&str> = needs
        .iter()
        .flat_map(|need| need.programs())
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if needs.contains(&Need::Languages) && !languages::python_has_venv() {
        missing.push("python3-venv");
    }
    missing.sort_unstable();
    missing.dedup();
    missing
}

/// Gets what is missing for this. Says exactly what to install where it may not do that
/// itself.
pub(crate) fn run(needs: &[Need]) -> Result<()> {
    if needs.contains(&Need::Build) {
        wasm_target()?;
    }
    debian(&missing(needs))?;
    if needs.contains(&Need::Languages) {
        languages::get()?;
    }
    if needs.contains(&Need::Kernel) {
        own_kernel()?;
    }
    Ok(())
}

/// Makes what machines with a kernel of their own go on from; says so where there are none.
fn own_kernel() -> Result<()> {
    if !kernel::AVAILABLE {
        eprintln!(
            "\n==> WARNING: tests on a kernel of their own need x86-64, and are LEFT OUT here: \
             memory, CPU and I/O as control groups limit them, swap, loop devices, the clock"
        );
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("\n==> WARNING: machines with a kernel of their own are made by root only");
        return Ok(());
    }
    eprintln!("\n==> a machine with a kernel of its own (the first time: two minutes, 1 GB)");
    kernel::prepare()
}

/// Installs Debian packages, or says which to install.
fn debian(missing: &[&str]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if find("apt-get").is_none() {
        bail!(
            "please install these packages, under the names that your distribution has for \
             them (these are Debian's): {packages}"
        );
    }
    if !rustix::process::geteuid().is_root() {
        bail!("please run, as root: apt-get install {packages}");
    }
    // A fresh container has no lists of packages, and old lists name versions that are gone.
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
    // In the workspace, because its toolchain file chooses the Rust.
    let libraries = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", WASM])
        .current_dir(workspace())
        .stdin(Stdio::null())
        .output()
        .context("cannot run rustc")?;
    let folder = String::from_utf8_lossy(&libraries.stdout).trim().to_owned();
    if libraries.status.success() && Path::new(&folder).is_dir() {
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
