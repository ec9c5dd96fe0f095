//! JavaScript: componentize-js, with SpiderMonkey inside the component.

use std::{path::Path, process::Command};

use super::{Made, world::World};
use crate::{
    BuildError,
    tool::{find, run},
};

/// The project's own script, which calls componentize-js.
const SCRIPT: &str = "build.mjs";

const LIBRARY: &str = "@bytecodealliance/componentize-js";

pub(super) fn build(folder: &Path, out: &Path) -> Result<Made, BuildError> {
    let node = find("node").ok_or_else(|| BuildError::MissingTool {
        what: "node".to_owned(),
        why: "components of JavaScript are made with it",
        install: vec!["apt install nodejs npm".to_owned()],
    })?;
    let world = World::of(folder)?;
    let script = folder.join(SCRIPT);
    if !script.is_file() {
        return Err(BuildError::Project {
            path: script,
            what: "this script is missing; `prunella plugin new --lang js` shows how it looks"
                .to_owned(),
        });
    }
    // As node looks for it: here, and then in each folder above.
    let installed = folder
        .ancestors()
        .any(|folder| folder.join("node_modules").join(LIBRARY).is_dir());
    if !installed {
        return Err(BuildError::MissingTool {
            what: LIBRARY.to_owned(),
            why: "components of JavaScript are made with it",
            install: vec![
                "apt install nodejs npm".to_owned(),
                format!("cd {} && npm install", folder.display()),
            ],
        });
    }
    let written = out.join(format!("{}.new.wasm", world.name));
    run(Command::new(node)
        .current_dir(folder)
        .arg(SCRIPT)
        .arg(&world.folder)
        .arg(&world.world)
        .arg(&written))?;
    Ok(Made {
        component: super::take(&written)?,
        name: world.name,
    })
}
