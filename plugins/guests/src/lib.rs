//! Makes components of packages of this workspace: called by the build scripts of
//! the crates that embed them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};
use wit_component::ComponentEncoder;

const TARGET: &str = "wasm32-unknown-unknown";

/// What is built together.
#[derive(Debug, Clone, Copy)]
pub struct Guests<'a> {
    /// What they are to people, such as `the built-in strategies`.
    pub what: &'a str,
    /// Their packages, each with its folder, from the top of the workspace.
    pub packages: &'a [(&'a str, &'a str)],
    /// The stack of each, in bytes. A strategy calls the host and puts sentences
    /// together: Rust's default of 1 MiB would be most of its memory.
    pub stack: usize,
}

impl<'a> Guests<'a> {
    /// Builds them: the name of each package, and its component. Tells cargo what
    /// they are made of: their folders, the SDK and the contract.
    fn build(&self) -> Result<Vec<(&'a str, Vec<u8>)>> {
        let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
        let root = here
            .ancestors()
            .nth(2)
            .context("the crate is not two folders below the workspace")?;
        let shared = [
            "sdk/Cargo.toml",
            "sdk/src",
            "wit",
            "Cargo.toml",
            "Cargo.lock",
        ];
        let folders = self.packages.iter().map(|(_, folder)| *folder);
        for input in folders.chain(shared) {
            println!("cargo::rerun-if-changed={}", root.join(input).display());
        }
        let modules = self.modules(root)?;
        self.packages
            .iter()
            .map(|(package, _)| {
                let module = modules.join(format!("{}.wasm", package.replace('-', "_")));
                let module =
                    fs::read(&module).with_context(|| format!("reading {}", module.display()))?;
                let component = ComponentEncoder::default()
                    .validate(true)
                    .module(&module)
                    .and_then(|encoder| encoder.encode())
                    .with_context(|| format!("making a component of {package}"))?;
                Ok((*package, component))
            })
            .collect()
    }

    /// Builds them, and puts each where it can be embedded: `OUT_DIR/PACKAGE.wasm`.
    ///
    /// # Errors
    /// When one does not build, or cannot be written.
    pub fn embed(&self) -> Result<()> {
        for (package, component) in self.build()? {
            write(&format!("{package}.wasm"), &component)?;
        }
        Ok(())
    }

    /// Builds them with a cargo of their own; the folder with the modules.
    fn modules(&self, root: &Path) -> Result<PathBuf> {
        let target_dir = target_dir()?;
        let mut cargo = Command::new(variable("CARGO")?);
        cargo
            .current_dir(root)
            .args(["build", "--quiet", "--locked", "--profile", "guest"])
            .args(["--target", TARGET, "--target-dir"])
            .arg(&target_dir);
        for (package, _) in self.packages {
            cargo.args(["--package", package]);
        }
        // Flags and wrappers meant for the crate that embeds them (clippy among
        // them) are not meant for the guests.
        for meant_for_us in [
            "RUSTFLAGS",
            "CARGO_BUILD_RUSTFLAGS",
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
            "RUSTC_WORKSPACE_WRAPPER",
            "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
            "CARGO_BUILD_TARGET",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_TARGET_DIR",
        ] {
            cargo.env_remove(meant_for_us);
        }
        cargo
            .env(
                "CARGO_ENCODED_RUSTFLAGS",
                format!("-Clink-arg=-zstack-size={}", self.stack),
            )
            // Sharing this folder with the cargo that runs us would wait for a lock
            // that it holds until we are done.
            .env("CARGO_BUILD_BUILD_DIR", &target_dir);
        let status = cargo
            .status()
            .with_context(|| format!("running cargo for {}", self.what))?;
        ensure!(
            status.success(),
            "{} do not build: cargo ended with {status}; its words are above",
            self.what
        );
        Ok(target_dir.join(TARGET).join("guest"))
    }
}

/// Beside the workspace's own builds, where the tag of cargo marks the top: guests
/// are the same for all profiles, and need to be built only once. With `--target`,
/// cargo marks that target's folder too, just below the top.
fn target_dir() -> Result<PathBuf> {
    let out = PathBuf::from(variable("OUT_DIR")?);
    let tagged = |folder: &&Path| folder.join("CACHEDIR.TAG").exists();
    let top = out
        .ancestors()
        .find(tagged)
        .map(|folder| folder.parent().filter(tagged).unwrap_or(folder));
    Ok(top.unwrap_or(&out).join("guests"))
}

/// Writes a file of `OUT_DIR`. One that is as it should be is left alone, so that
/// nothing which embeds it is built again.
fn write(name: &str, bytes: &[u8]) -> Result<()> {
    let path = PathBuf::from(variable("OUT_DIR")?).join(name);
    if fs::read(&path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))
}

/// The end of a build script: an error becomes one of cargo's.
#[must_use]
pub fn exit(outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in format!("{error:#}").lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("cargo did not set {name}"))
}
