//! The project's own programs, built so that they run in every machine.

use std::{
    env,
    io::{self, IsTerminal},
    path::PathBuf,
    process::{Command, Stdio},
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
    /// With all it needs inside: runs in every machine.
    Static,
    /// With the host's C library: runs where the machine's is as new, and there
    /// something can be preloaded.
    Dynamic,
}

/// Builds program `name` of the workspace's `package` and returns its path.
///
/// It is linked statically, for its machine's C library may be older than the
/// host's. Where `PRUNELLA_BIN` names a file, that is taken for `prunella`
/// instead.
///
/// # Errors
/// When it does not build; the compiler's messages go to the standard error.
pub fn program(package: &str, name: &str, profile: Profile) -> Result<PathBuf> {
    linked(package, name, profile, Linking::Static)
}

/// Like [`program`], linked so.
///
/// # Errors
/// When it does not build; the compiler's messages go to the standard error.
pub fn linked(package: &str, name: &str, profile: Profile, linking: Linking) -> Result<PathBuf> {
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
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["build", "--message-format=json-render-diagnostics"])
        .args(["--bin", name])
        .arg("--target-dir")
        .arg(house::target_dir()?)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    match linking {
        Linking::Static => command
            .args(["--package", package, "--target", &target])
            // Above all other places where flags may be set. Only for the target:
            // build scripts and macros cannot be linked so.
            .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static"),
        // As a plain build of everything has it: most is compiled already.
        Linking::Dynamic => command.arg("--workspace"),
    };
    if profile == Profile::Release {
        command.arg("--release");
    }
    // It may take minutes: whoever looks on should see that it goes on.
    if !io::stderr().is_terminal() {
        command.arg("--quiet");
    }
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{package}'s program {name} does not build"
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message.pointer("/target/name") == Some(&Value::from(name)))
        .find_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .with_context(|| format!("cargo did not say where it put {name}"))
}
