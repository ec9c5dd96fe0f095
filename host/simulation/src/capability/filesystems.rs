//! One file system, on which everything lies.

use prunella_core::{
    Failure,
    capability::{
        Answer,
        filesystems::{Below, FileSystem, percent_used},
    },
};

use crate::world::World;

const GIB: u64 = 1 << 30;

/// What every host has, whatever is declared.
const PLACES: [&str; 4] = ["/", "/var", "/tmp", "/run"];

/// A disk with room for everything.
pub(crate) fn roomy() -> FileSystem {
    FileSystem {
        mount_point: "/".to_owned(),
        device: "/dev/sda1".to_owned(),
        kind: "ext4".to_owned(),
        total: 100 * GIB,
        used: 40 * GIB,
        available: 60 * GIB,
        used_percent: percent_used(40, 60),
        inodes_total: 1_000_000,
        inodes_available: 900_000,
        read_only: false,
        files: Vec::new(),
        kernel_log: Vec::new(),
    }
}

impl World {
    pub(super) fn file_systems(&self) -> Vec<FileSystem> {
        vec![FileSystem {
            files: self.service.files.keys().cloned().collect(),
            ..self.disk.clone()
        }]
    }

    pub(super) fn file_system_below(&self, below: &Below) -> Answer<FileSystem> {
        if !PLACES.contains(&below.place.as_str()) {
            self.service.file(&below.place)?;
        }
        self.file_systems()
            .pop()
            .ok_or_else(|| Failure::unavailable("no-disk", "there is no disk"))
    }
}
