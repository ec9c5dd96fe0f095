//! The world of a project that is not in Rust: `wit/`, with the contract in
//! `wit/deps/`.

use std::path::{Path, PathBuf};

use wit_bindgen_core::wit_parser::{Resolve, WorldId};

use crate::BuildError;

/// A project's world, parsed.
pub(super) struct World {
    /// The folder it was read from.
    pub(super) folder: PathBuf,
    pub(super) resolve: Resolve,
    pub(super) id: WorldId,
    /// What the world is called.
    pub(super) world: String,
    /// What its package is called: the strategy's name.
    pub(super) name: String,
}

impl World {
    /// Reads the one world in `wit/`.
    pub(super) fn of(project: &Path) -> Result<Self, BuildError> {
        let folder = project.join("wit");
        if !folder.is_dir() {
            return Err(BuildError::Project {
                path: folder,
                what: "this folder is missing; it holds the strategy's world, and \
                       `prunella plugin new` shows how it looks"
                    .to_owned(),
            });
        }
        let cannot = |reason: String| BuildError::World {
            path: folder.clone(),
            reason,
        };
        let mut resolve = Resolve::default();
        let (package, _) = resolve
            .push_dir(&folder)
            .map_err(|error| cannot(format!("{error:#}")))?;
        let id = resolve
            .select_world(&[package], None)
            .map_err(|error| cannot(format!("{error:#}")))?;
        let world = resolve
            .worlds
            .get(id)
            .map(|world| world.name.clone())
            .ok_or_else(|| cannot("it has no world".to_owned()))?;
        let name = resolve
            .packages
            .get(package)
            .map(|package| package.name.name.clone())
            .ok_or_else(|| cannot("it has no package".to_owned()))?;
        Ok(Self {
            folder,
            resolve,
            id,
            world,
            name,
        })
    }
}
