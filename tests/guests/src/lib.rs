//! Builds the components that tests run: called by the build script of the crate
//! that embeds them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, ensure};
use wit_component::ComponentEncoder;

const TARGET: &str = "wasm32-unknown-unknown";

/// The `main` of a build script: builds these packages of the workspace, for
/// WebAssembly and with a stack of so many bytes, and makes components of them,
/// `OUT_DIR/PACKAGE.wasm`. `sources` are the folders they are made of, besides
/// the SDK and the contract, from the crate's own folder.
#[must_use]
pub fn build(packages: &[&str], stack: usize, sources: &[&str]) -> ExitCode {
    match try_build(packages, stack, sources) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in format!("{error:#}").lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn try_build(packages: &[&str], stack: usize, sources: &[&str]) -> Result<()> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = here
        .ancestors()
        .nth(2)
        .context("the tests are not two folders below the workspace")?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    for input in [
        "sdk/Cargo.toml",
        "sdk/src",
        "wit",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    for input in sources {
        println!("cargo::rerun-if-changed={}", here.join(input).display());
    }
    require_target()?;

    let target_dir = out.join("guest");
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .current_dir(root)
        .args(["build", "--quiet", "--profile", "guest", "--target", TARGET])
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .arg("--target-dir")
        .arg(&target_dir)
        // This folder is locked by nobody but the cargo started here.
        .env("CARGO_BUILD_BUILD_DIR", &target_dir)
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            format!("-Clink-arg=-zstack-size={stack}"),
        );
    // Flags and wrappers meant for the tests are not meant for the guests.
    for meant_for_us in [
        "RUSTFLAGS",
        "CARGO_BUILD_RUSTFLAGS",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
        "CARGO_BUILD_TARGET",
        "CARGO_TARGET_DIR",
    ] {
        cargo.env_remove(meant_for_us);
    }
    let status = cargo.status().context("running cargo for the guests")?;
    ensure!(
        status.success(),
        "the guests do not build ({status}); cargo's words are above"
    );
    for package in packages {
        let module = target_dir.join(TARGET).join("guest");
        let module = module.join(format!("{}.wasm", package.replace('-', "_")));
        let module = fs::read(&module).with_context(|| format!("reading {}", module.display()))?;
        let component = ComponentEncoder::default()
            .validate(true)
            .module(&module)
            .and_then(|encoder| encoder.encode())
            .with_context(|| format!("making a component of {package}"))?;
        fs::write(out.join(format!("{package}.wasm")), component).context("writing it")?;
    }
    Ok(())
}

/// Says what is missing before rustc does so in fifty lines.
fn require_target() -> Result<()> {
    let rustc = variable("RUSTC")?;
    let output = Command::new(&rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("running {rustc}"))?;
    ensure!(
        output.status.success()
            && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir(),
        "Rust's target {TARGET} is not installed: `cargo xtask setup` installs it"
    );
    Ok(())
}

fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("cargo did not set {name}"))
}
