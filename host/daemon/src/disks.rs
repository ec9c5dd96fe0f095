//! How full file systems are, as df(1) counts.

use std::{collections::BTreeSet, fs, os::unix::fs::MetadataExt as _};

use prunella_api::{DiskStatus, Usage};
use rustix::fs::{StatVfs, StatVfsMountFlags, statvfs};

/// Where Prunella looks. `/var` is rarely a file system of its own.
const PLACES: [&str; 2] = ["/", "/var"];

/// The file systems of [`PLACES`], each once; those that do not answer are left
/// out.
pub(crate) fn disks() -> Vec<DiskStatus> {
    let mut seen = BTreeSet::new();
    PLACES
        .into_iter()
        .filter_map(|place| {
            let (device, stat) = look(place)?;
            seen.insert(device).then(|| status(place, &stat))
        })
        .collect()
}

/// Which file system that is, and its figures. The daemon runs with a view of its
/// own, in which nearly everything is read-only: whether a file system really is,
/// init's view tells, which only root may look through.
fn look(place: &str) -> Option<(u64, StatVfs)> {
    let by_init = format!("/proc/1/root{place}");
    [by_init.as_str(), place].into_iter().find_map(|path| {
        let device = fs::metadata(path).ok()?.dev();
        Some((device, statvfs(path).ok()?))
    })
}

fn status(place: &str, stat: &StatVfs) -> DiskStatus {
    DiskStatus {
        place: place.to_owned(),
        bytes: Usage {
            used: stat
                .f_blocks
                .saturating_sub(stat.f_bfree)
                .saturating_mul(stat.f_frsize),
            // What root alone may use (f_bfree) counts as neither.
            available: stat.f_bavail.saturating_mul(stat.f_frsize),
        },
        inodes: Usage {
            used: stat.f_files.saturating_sub(stat.f_ffree),
            available: stat.f_ffree,
        },
        read_only: stat.f_flag.contains(StatVfsMountFlags::RDONLY),
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
        let disk = status("/", &look("/").unwrap().1);
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
        // Somebody may write in between: what was the same before and after is
        // what df must have seen.
        let same = (0..1_000).find_map(|_| {
            let before = ours();
            let theirs = df();
            (before == ours()).then_some((before, theirs))
        });
        let (ours, theirs) = same.unwrap();
        assert_eq!(ours, theirs);
    }
}
