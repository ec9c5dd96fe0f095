//! One file system, on which everything lies.

use prunella_core::{
    Failure,
    capability::{
        Answer,
        filesystems::{Below, FileSystem},
    },
};

use crate::world::World;

/// What every host has, whatever is declared.
const PLACES: [&str; 4] = ["/", "/var", "/tmp", "/run"];

impl World {
    pub(super) fn file_systems(&self) -> Vec<FileSystem> {
        vec![FileSystem {
            files: self.service.files.keys().cloned().collect(),
            ..self.disk.clone()
        }]
    }

    pub(super) fn file_system_below(&self, below: &Below) -> Answer<FileSystem> {
        if !PLACES.contains(&below.place.as_str()) {
            self.service.paths_of(&below.place)?;
        }
        self.file_systems()
            .pop()
            .ok_or_else(|| Failure::unavailable("no-disk", "there is no disk"))
    }
}
