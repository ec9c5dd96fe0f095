//! C: clang, with bindings made here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use wit_bindgen_core::Files;

use super::{Made, encode::encode, world::World};
use crate::{
    BuildError,
    tool::{find, run},
};

/// A strategy calls the host and puts sentences together; wasm-ld's default of
/// 64 KiB, said aloud.
const STACK_SIZE: &str = "-Wl,-z,stack-size=65536";

pub(super) fn build(folder: &Path, out: &Path) -> Result<Made, BuildError> {
    let clang = require("clang", "C is compiled with it", "clang")?;
    require("wasm-ld", "WebAssembly is linked with it", "lld")?;
    let mut world = World::of(folder)?;
    let bindings = out.join("bindings");
    let objects = generate(&mut world, &bindings)?;

    let module = out.join(format!("{}.module.wasm", world.name));
    let mut command = Command::new(clang);
    command
        .current_dir(folder)
        .args(["--target=wasm32-unknown-unknown", "-std=c17", "-Os"])
        .args(["-Wall", "-Wextra", "-Werror=implicit-function-declaration"])
        // Without a C library: what little is needed is in `runtime/`.
        .args(["-nostdlib", "-ffreestanding", "-ffunction-sections"])
        .args(["-I", "src", "-isystem", "runtime/include", "-isystem"])
        .arg(&bindings)
        .args(["-Wl,--no-entry", "-Wl,--gc-sections", "-Wl,--strip-debug"])
        .arg(STACK_SIZE)
        .arg("-o")
        .arg(&module);
    for sources in [folder.join("src"), folder.join("runtime"), bindings] {
        command.args(c_files(&sources)?);
    }
    command.args(objects);
    run(&mut command)?;
    let bytes = super::take(&module)?;
    Ok(Made {
        component: encode(&bytes, &module)?,
        name: world.name,
    })
}

fn require(program: &str, why: &'static str, package: &str) -> Result<PathBuf, BuildError> {
    find(program).ok_or_else(|| BuildError::MissingTool {
        what: program.to_owned(),
        why,
        install: vec![format!("apt install {package}")],
    })
}

/// Writes the bindings; gives the object files among them, which carry the
/// world into the module.
fn generate(world: &mut World, folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let mut files = Files::default();
    // The incident is only lent, and given back by the bindings.
    let options = wit_bindgen_c::Opts {
        autodrop_borrows: wit_bindgen_c::Enabled::Yes,
        ..wit_bindgen_c::Opts::default()
    };
    options
        .build()
        .generate(&mut world.resolve, world.id, &mut files)
        .map_err(|error| BuildError::World {
            path: world.folder.clone(),
            reason: format!("{error:#}"),
        })?;
    fs::create_dir_all(folder).map_err(BuildError::write(folder))?;
    let mut objects = Vec::new();
    for (name, content) in files.iter() {
        let path = folder.join(name);
        fs::write(&path, content).map_err(BuildError::write(&path))?;
        if name.ends_with(".o") {
            objects.push(path);
        }
    }
    Ok(objects)
}

/// The C files of one folder, in order; none if it is not there.
fn c_files(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(BuildError::read(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
