//! The disk that a simulated host begins with.

use prunella_core::capability::filesystems::{FileSystem, percent_used};

const GIB: u64 = 1 << 30;

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
