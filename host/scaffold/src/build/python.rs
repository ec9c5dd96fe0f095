//! Python: componentize-py, with its interpreter inside the component.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Made, world::World};
use crate::{
    BuildError,
    tool::{find, is_program, run},
};

const PROGRAM: &str = "componentize-py";

/// The module in `src/` with the class `Strategy`.
const MODULE: &str = "strategy";

pub(super) fn build(folder: &Path, out: &Path) -> Result<Made, BuildError> {
    let program = program(folder).ok_or_else(|| BuildError::MissingTool {
        what: PROGRAM.to_owned(),
        why: "components of Python are made with it",
        install: vec![
            "apt install python3-venv".to_owned(),
            format!("cd {}", folder.display()),
            "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt".to_owned(),
        ],
    })?;
    let world = World::of(folder)?;
    let source = folder.join("src").join(format!("{MODULE}.py"));
    if !source.is_file() {
        return Err(BuildError::Project {
            path: source,
            what: "this file is missing; it holds the class `Strategy`".to_owned(),
        });
    }
    let written = out.join(format!("{}.new.wasm", world.name));
    run(Command::new(program)
        .current_dir(folder)
        // Otherwise it looks for whatever else is installed on this machine,
        // and takes it along.
        .env_remove("VIRTUAL_ENV")
        .env_remove("PYTHONPATH")
        .arg("--wit-path")
        .arg(&world.folder)
        .args(["--world", &world.world, "--quiet", "componentize", MODULE])
        .args(["--python-path", "src", "--stub-wasi", "--output"])
        .arg(&written))?;
    Ok(Made {
        component: super::take(&written)?,
        name: world.name,
    })
}

/// The project's own, that of the active environment, or the PATH's.
fn program(folder: &Path) -> Option<PathBuf> {
    let active = env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    [Some(folder.join(".venv")), active]
        .into_iter()
        .flatten()
        .map(|environment| environment.join("bin").join(PROGRAM))
        .find(|path| is_program(path))
        .or_else(|| find(PROGRAM))
}
