//! Builds the hostile strategy for WebAssembly, and makes a component of it.

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};
use wit_component::ComponentEncoder;

const TARGET: &str = "wasm32-unknown-unknown";

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in format!("{error:#}").lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<()> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = here
        .ancestors()
        .nth(2)
        .context("the tests are not two folders below the workspace")?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    for input in ["sdk", "wit", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    println!("cargo::rerun-if-changed={}", here.join("guest").display());

    let target_dir = out.join("guest");
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .current_dir(root)
        .args(["build", "--quiet", "--profile", "guest"])
        .args(["--target", TARGET, "--package", "prunella-hostile-guest"])
        .arg("--target-dir")
        .arg(&target_dir)
        // This folder is locked by nobody but the cargo started here.
        .env("CARGO_BUILD_BUILD_DIR", &target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", "-Clink-arg=-zstack-size=131072");
    // Flags and wrappers meant for the tests are not meant for the guest.
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
    let status = cargo.status().context("running cargo for the guest")?;
    ensure!(
        status.success(),
        "the hostile strategy does not build ({status}); is the target {TARGET} installed?"
    );
    let module = target_dir
        .join(TARGET)
        .join("guest/prunella_hostile_guest.wasm");
    let module = fs::read(&module).with_context(|| format!("reading {}", module.display()))?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.encode())
        .context("making a component of it")?;
    fs::write(out.join("hostile.wasm"), component).context("writing the component")
}

fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("cargo did not set {name}"))
}
