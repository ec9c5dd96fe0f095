//! How full file systems are, as df(1) counts.

use std::path::PathBuf;

use prunella_api::{DiskStatus, Usage};
use prunella_core::capability::filesystems::FileSystem;
use prunella_linux::file_systems;

/// The host's own file systems and those that `declared` paths lie on, each once; those that
/// do not answer are left out.
pub(crate) fn disks(declared: &[PathBuf]) -> Vec<DiskStatus> {
    let found = file_systems::of_this_host(declared);
    found.iter().map(status).collect()
}

fn status(found: &FileSystem) -> DiskStatus {
    DiskStatus {
        place: found.mount_point.clone(),
        in_memory: matches!(found.kind.as_str(), "tmpfs" | "ramfs"),
        bytes: Usage {
            used: found.used,
            // What root alone may use counts as neither.
            available: found.available,
        },
        inodes: Usage {
            used: found.inodes_total.saturating_sub(found.inodes_available),
            available: found.inodes_available,
        },
        read_only: found.read_only,
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Size, inodes and their shares, as df prints them.
    fn df() -> Vec<u64> {
        let output = Command::new("df")
            .args([
                "--block-size=1",
                "--output=used,avail,pcent,iused,iavail,ipcent",
                "/",
            ])
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().nth(1).unwrap();
        line.split_whitespace()
            .map(|word| word.trim_end_matches('%').parse().unwrap_or(0))
            .collect()
    }

    fn ours() -> Vec<u64> {
        let disks = disks(&[]);
        let disk = disks.iter().find(|disk| disk.place == "/").unwrap();
        vec![
            disk.bytes.used,
            disk.bytes.available,
            disk.bytes.percent().unwrap_or(0),
            disk.inodes.used,
            disk.inodes.available,
            disk.inodes.percent().unwrap_or(0),
        ]
    }

    #[test]
    fn the_figures_are_those_of_df() {
        // Somebody may write in between, and take it back: of many looks, one sees what
        // df sees.
        let mut looks = (0..1_000).map(|_| (ours(), df()));
        assert!(looks.any(|(ours, theirs)| ours == theirs));
    }
}
