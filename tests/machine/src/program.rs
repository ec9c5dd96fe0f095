//! The project's own programs, built so that they run in every machine.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::house;

/// How a program is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Quickly; to find mistakes.
    Dev,
    /// As it is shipped; to measure, and to show.
    Release,
}

/// How a program is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linking {
    /// With the host's C library: runs in machines that share the host's `/usr`.
    Dynamic,
    /// With all it needs inside: runs in every machine.
    Static,
}

/// What makes a program static, and keeps its start short: packed, its relocations are
/// a fortieth of what they would be, and all are read at each start. `.cargo/config.toml`
/// has the same for a release.
const STATIC: [&str; 2] = [
    "-Ctarget-feature=+crt-static",
    "-Clink-arg=-Wl,-z,pack-relative-relocs",
];

/// Builds program `name` of the workspace's `package` and returns its path.
///
/// Both linkings share all compiled crates: only the program itself is linked anew.
/// Where `PRUNELLA_BIN` names a file, that is taken for `prunella` instead.
///
/// # Errors
/// When it does not build; the compiler's messages go to the standard error.
pub fn program(package: &str, name: &str, profile: Profile, linking: Linking) -> Result<PathBuf> {
    if name == "prunella"
        && let Some(path) = env::var_os("PRUNELLA_BIN")
    {
        let path = PathBuf::from(path);
        ensure!(
            path.is_file(),
            "PRUNELLA_BIN is {}, and that is no file",
            path.display()
        );
        return Ok(path.canonicalize()?);
    }
    let mut command = cargo();
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    match linking {
        Linking::Dynamic => command.arg("build"),
        Linking::Static => command.args(["rustc", "--package", package]),
    };
    command
        .args(["--bin", name, "--message-format=json-render-diagnostics"])
        .arg("--target-dir")
        .arg(house::target_dir()?);
    if profile == Profile::Release {
        command.arg("--release");
    }
    if linking == Linking::Static {
        command.arg("--").args(STATIC);
    }
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{package}'s program {name} does not build"
    );
    let built = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message.pointer("/target/name") == Some(&Value::from(name)))
        .find_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .with_context(|| format!("cargo did not say where it put {name}"))?;
    keep(&built, name, profile, linking)
}

/// The cargo that runs us, in the workspace, as if a shell ran it.
///
/// What it has told its child about one package is left out: a crate whose build script
/// reads that (ring) would be compiled anew for each of them.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let of_a_package = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(of_a_package) {
            command.env_remove(name);
        }
    }
    command
}

/// How often a program was kept by this process.
static KEPT: AtomicU32 = AtomicU32::new(0);

/// Links a program to a path of its own: cargo puts both linkings at the same, so that one
/// takes the place of the other.
fn keep(built: &Path, name: &str, profile: Profile, linking: Linking) -> Result<PathBuf> {
    let linking = match linking {
        Linking::Dynamic => "dynamic",
        Linking::Static => "static",
    };
    let profile = match profile {
        Profile::Dev => "debug",
        Profile::Release => "release",
    };
    let folder = house::machines_dir()?.join(linking).join(profile);
    fs::create_dir_all(&folder)?;
    let path = folder.join(name);
    // A machine may still run the one before, and tests side by side may keep the same one.
    let number = KEPT.fetch_add(1, Ordering::Relaxed);
    let new = folder.join(format!("{name}.{}-{number}", std::process::id()));
    fs::hard_link(built, &new)
        .and_then(|()| fs::rename(&new, &path))
        .with_context(|| format!("cannot link {} to {}", built.display(), path.display()))?;
    // rename(2) leaves it where both are one file already.
    if new.exists() {
        fs::remove_file(&new)?;
    }
    Ok(path)
}
