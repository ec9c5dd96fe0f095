//! Builds the built-in strategies for WebAssembly, makes components of them,
//! and compiles those ahead of time, so that nothing is compiled while a
//! service is down.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use wit_component::ComponentEncoder;

const STRATEGIES: [&str; 5] = [
    "config-validation",
    "database-check",
    "environment-check",
    "port-conflict",
    "service-restart",
];

const TARGET: &str = "wasm32-unknown-unknown";

/// A strategy calls the host and puts sentences together. Rust's default of
/// 1 MiB would be most of its memory.
const STACK_SIZE: usize = 64 << 10;

fn main() -> ExitCode {
    match bundle() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in format!("{error:#}").lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn bundle() -> Result<()> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = here
        .ancestors()
        .nth(2)
        .context("the bundle is not two folders below the workspace")?;
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
    for strategy in STRATEGIES {
        println!(
            "cargo::rerun-if-changed={}",
            root.join("plugins").join(strategy).display()
        );
    }

    require_target()?;
    // Beside the binary's own builds, where the tag of cargo marks the top: they
    // are the same for all profiles, and need to be built only once. With
    // `--target`, cargo marks that target's folder too, just below the top.
    let tagged = |folder: &&Path| folder.join("CACHEDIR.TAG").exists();
    let top = out
        .ancestors()
        .find(tagged)
        .map(|folder| folder.parent().filter(tagged).unwrap_or(folder));
    let modules = build(root, &top.unwrap_or(&out).join("guests"))?;
    for strategy in STRATEGIES {
        let module = modules.join(format!("{}.wasm", strategy.replace('-', "_")));
        let module = fs::read(&module).with_context(|| format!("reading {}", module.display()))?;
        let component = ComponentEncoder::default()
            .validate(true)
            .module(&module)
            .and_then(|encoder| encoder.encode())
            .with_context(|| format!("making a component of {strategy}"))?;
        let precompiled = prunella_engine::precompile(&component)
            .with_context(|| format!("compiling {strategy} ahead of time"))?;
        write(&out.join(format!("{strategy}.wasm")), &component)?;
        write(&out.join(format!("{strategy}.cwasm")), &precompiled)?;
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
    let libraries = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success() && Path::new(libraries.trim()).is_dir(),
        "Rust's target {TARGET} is not installed, and the built-in strategies are built for it.\n\
         Install it with `rustup target add {TARGET}`, or let `cargo xtask setup` do so."
    );
    Ok(())
}

/// Builds the strategies with a cargo of their own; the folder with the
/// modules.
fn build(root: &Path, target_dir: &Path) -> Result<PathBuf> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .current_dir(root)
        .args([
            "build",
            "--quiet",
            "--locked",
            "--profile",
            "guest",
            "--target",
            TARGET,
        ])
        .arg("--target-dir")
        .arg(target_dir)
        .args(
            STRATEGIES
                .iter()
                .flat_map(|strategy| ["--package", strategy]),
        );
    // Flags and wrappers meant for the binary (clippy among them) are not meant
    // for the strategies.
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
            format!("-Clink-arg=-zstack-size={STACK_SIZE}"),
        )
        // Sharing this folder with the cargo that runs us would wait for a lock
        // that it holds until we are done.
        .env("CARGO_BUILD_BUILD_DIR", target_dir);
    let status = cargo
        .status()
        .context("running cargo for the built-in strategies")?;
    if !status.success() {
        bail!(
            "the built-in strategies do not build: cargo ended with {status}; its words are above"
        );
    }
    Ok(target_dir.join(TARGET).join("guest"))
}

/// Leaves a file alone that is as it should be, so that nothing which embeds it
/// is built again.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}

fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("cargo did not set {name}"))
}
