//! Rust: cargo, and the SDK.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use super::{Made, encode::encode};
use crate::{
    BuildError,
    tool::{find, run},
};

const TARGET: &str = "wasm32-unknown-unknown";

/// Flags that are meant for programs of this machine. Those for a strategy are
/// in the project's `.cargo/config.toml`.
const FOR_OTHERS: [&str; 4] = [
    "RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
];

pub(super) fn build(folder: &Path) -> Result<Made, BuildError> {
    let cargo = find("cargo").ok_or_else(|| BuildError::MissingTool {
        what: "cargo".to_owned(),
        why: "Rust is built with it",
        install: vec![
            "apt install rustup && rustup default stable".to_owned(),
            format!("rustup target add {TARGET}"),
        ],
    })?;
    require_target(folder)?;

    let mut command = Command::new(cargo);
    command.current_dir(folder).args([
        "build",
        "--release",
        "--lib",
        "--target",
        TARGET,
        "--message-format",
        "json-render-diagnostics",
    ]);
    for flags in FOR_OTHERS {
        command.env_remove(flags);
    }
    let output = run(&mut command)?;
    let (name, path) = artifact(&output.stdout, folder).ok_or_else(|| BuildError::Project {
        path: folder.join("Cargo.toml"),
        what: "the library has to be a cdylib: add `[lib]` with `crate-type = [\"cdylib\"]`"
            .to_owned(),
    })?;
    let module = fs::read(&path).map_err(BuildError::read(&path))?;
    Ok(Made {
        name,
        component: encode(&module, &path)?,
    })
}

/// Says what is missing before rustc does so in fifty lines.
fn require_target(folder: &Path) -> Result<(), BuildError> {
    let mut command = Command::new(find("rustc").unwrap_or_else(|| PathBuf::from("rustc")));
    command
        .current_dir(folder)
        .args(["--print", "target-libdir", "--target", TARGET]);
    let libraries = run(&mut command)?.stdout;
    let libraries = String::from_utf8_lossy(&libraries).trim().to_owned();
    if Path::new(&libraries).is_dir() {
        return Ok(());
    }
    let install = if find("rustup").is_some() {
        format!("rustup target add {TARGET}")
    } else {
        "apt install libstd-rust-dev-wasm32".to_owned()
    };
    Err(BuildError::MissingTool {
        what: format!("Rust's target {TARGET}"),
        why: "strategies are compiled for it",
        install: vec![install],
    })
}

/// One of cargo's messages, as far as it matters here; those about anything else
/// have other fields.
#[derive(Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    target: Target,
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// The name of the project's package, and the module that cargo has made of it.
fn artifact(messages: &[u8], folder: &Path) -> Option<(String, PathBuf)> {
    let manifest = folder.join("Cargo.toml");
    messages
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Artifact>(line).ok())
        .filter(|artifact| artifact.manifest_path == manifest)
        .find_map(|artifact| {
            let module = artifact.filenames.into_iter().find(|file| {
                file.extension()
                    .is_some_and(|extension| extension == "wasm")
            })?;
            // The target is called as the package, with `_` for `-`; a strategy's
            // name has no `_`.
            Some((artifact.target.name.replace('_', "-"), module))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_the_project_s_own() {
        let line = |manifest: &str, name: &str, file: &str| {
            serde_json::json!({
                "reason": "compiler-artifact",
                "manifest_path": manifest,
                "target": { "name": name },
                "filenames": [file],
            })
            .to_string()
        };
        let messages = [
            line("/p/vendor/sdk/Cargo.toml", "sdk", "/t/sdk.wasm"),
            "not JSON".to_owned(),
            line("/p/Cargo.toml", "cache_guard", "/t/libcache_guard.rlib"),
            line("/p/Cargo.toml", "cache_guard", "/t/cache_guard.wasm"),
        ]
        .join("\n");
        assert_eq!(
            artifact(messages.as_bytes(), Path::new("/p")),
            Some((
                "cache-guard".to_owned(),
                PathBuf::from("/t/cache_guard.wasm")
            ))
        );
        assert_eq!(artifact(messages.as_bytes(), Path::new("/q")), None);
    }
}
