//! The file systems of this host that can fill up, and those that given paths lie on.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use prunella_core::capability::{Answer, filesystems::FileSystem};

use crate::host::filesystems::{Mount, measured, mount_of, mounts};

/// What every host has, whatever is mounted.
const PLACES: [&str; 4] = ["/", "/var", "/tmp", "/run"];

/// Kinds without a device of this host's that hold files all the same.
const WITHOUT_DEVICE: [&str; 3] = ["zfs", "btrfs", "bcachefs"];

/// Kinds whose server may be away: a question then takes for ever.
const REMOTE: [&str; 10] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "ceph",
    "glusterfs",
    "9p",
    "virtiofs",
    "afs",
    "lustre",
];

/// Images that are full by their nature.
const READ_ONLY_IMAGES: [&str; 4] = ["squashfs", "iso9660", "erofs", "udf"];

/// How long a file system may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Those that have been asked and did not answer yet. Each is asked by one thread at most.
static UNANSWERED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// What is mounted somewhere below a path.
pub(crate) fn mounts_below(path: &Path) -> Answer<Vec<PathBuf>> {
    let mounts = mounts()?.into_iter().map(|mount| mount.point);
    let below = |point: &PathBuf| point != path && point.starts_with(path);
    Ok(mounts.filter(below).collect())
}

/// Every file system of this host that holds files on a disk or a server, `/tmp` and `/run`,
/// and those that the paths lie on; each once, by its place. One that does not answer is left
/// out.
pub fn of_this_host(paths: &[PathBuf]) -> Vec<FileSystem> {
    let Ok(mounts) = mounts() else {
        return Vec::new();
    };
    let named = PLACES
        .iter()
        .map(Path::new)
        .chain(paths.iter().map(PathBuf::as_path))
        .filter_map(|path| mount_of(&mounts, path));
    let mut chosen: Vec<&Mount> = Vec::new();
    let mut points = BTreeSet::new();
    for mount in named.chain(mounts.iter().filter(|mount| is_real(mount))) {
        // A later mount hides an earlier one at its place.
        let last = mounts.iter().rev().find(|other| other.point == mount.point);
        if let Some(last) = last
            && points.insert(&last.point)
        {
            chosen.push(last);
        }
    }
    let mut devices = BTreeSet::new();
    let mut found: Vec<FileSystem> = chosen
        .into_iter()
        .filter_map(|mount| {
            let (device, file_system) = ask(mount)?;
            // The same one elsewhere: a bind mount, or a subvolume.
            devices.insert(device).then_some(file_system)
        })
        .collect();
    found.sort_by(|a, b| a.mount_point.cmp(&b.mount_point));
    found
}

/// Where file systems of any kind are mounted; nothing, where the kernel does not tell.
pub fn mount_points() -> Option<BTreeSet<String>> {
    let mounts = mounts().ok()?;
    let point = |mount: &Mount| mount.point.to_string_lossy().into_owned();
    Some(mounts.iter().map(point).collect())
}

/// Whether it holds files that outlive a boot, and may fill up.
fn is_real(mount: &Mount) -> bool {
    let kind = mount.kind.as_str();
    if READ_ONLY_IMAGES.contains(&kind) {
        return false;
    }
    // A file that is mounted over another, as in containers, is no file system of its own.
    let on_device = mount.device.starts_with("/dev/") && mount.point.is_dir();
    on_device || WITHOUT_DEVICE.contains(&kind) || REMOTE.contains(&kind)
}

/// Its figures and its device number; `None` when it does not answer.
fn ask(mount: &Mount) -> Option<(u64, FileSystem)> {
    let kind = mount.kind.as_str();
    if !REMOTE.contains(&kind) && !kind.starts_with("fuse") {
        return look(mount);
    }
    let unanswered = || UNANSWERED.lock().unwrap_or_else(PoisonError::into_inner);
    if !unanswered().insert(mount.point.clone()) {
        return None;
    }
    let (answer, answered) = mpsc::channel();
    let asked = mount.clone();
    let asking = thread::Builder::new()
        .name("file-system".to_owned())
        .spawn(move || {
            let found = look(&asked);
            unanswered().remove(&asked.point);
            // Nobody may be waiting any more.
            let _ = answer.send(found);
        });
    if asking.is_err() {
        unanswered().remove(&mount.point);
        return None;
    }
    answered.recv_timeout(PATIENCE).ok()?
}

fn look(mount: &Mount) -> Option<(u64, FileSystem)> {
    let below = mount.point.strip_prefix("/").unwrap_or(&mount.point);
    // The daemon has a view of its own.
    let by_init = Path::new("/proc/1/root").join(below);
    let device = fs::metadata(by_init)
        .or_else(|_| fs::metadata(&mount.point))
        .ok()?
        .dev();
    Some((device, measured(mount, &[]).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_there_once_and_first() {
        let found = of_this_host(&[PathBuf::from("/etc/passwd"), PathBuf::from("/nowhere/x")]);
        assert_eq!(found.first().unwrap().mount_point, "/");
        assert_eq!(
            found
                .iter()
                .filter(|found| found.mount_point == "/")
                .count(),
            1
        );
    }

    #[test]
    fn what_lies_in_memory_or_is_an_image_is_not_real() {
        let mount = |kind: &str, device: &str| Mount {
            point: "/".into(),
            kind: kind.to_owned(),
            device: device.to_owned(),
        };
        assert!(is_real(&mount("ext4", "/dev/sda1")));
        assert!(is_real(&mount("zfs", "tank/data")));
        assert!(is_real(&mount("nfs4", "server:/export")));
        assert!(!is_real(&mount("tmpfs", "tmpfs")));
        assert!(!is_real(&mount("proc", "proc")));
        assert!(!is_real(&mount("squashfs", "/dev/loop3")));
    }
}
