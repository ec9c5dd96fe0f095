//! File systems: those that the service's declared files lie on, and the host's own.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, Timestamp,
    capability::{
        Answer,
        filesystems::{FileSystem, percent_used},
    },
    remedy::Remedy,
    service::Service,
    text::{one_line, redact},
};
use rustix::fs::{StatVfs, StatVfsMountFlags, statvfs};

use crate::{
    clock,
    journal::{Journal, JournalQuery},
};

/// What every host has, whatever is declared.
const PLACES: [&str; 4] = ["/", "/var", "/tmp", "/run"];

/// A kernel line older than this tells nothing of now.
const LATELY: Duration = Duration::from_secs(24 * 60 * 60);

/// So many of the kernel's newest lines are looked through.
const KERNEL_LINES: usize = 500;

/// So many lines are given of one file system.
const LINES_MAX: usize = 10;

/// So many characters of a line.
const LINE_MAX: usize = 300;

/// A line of `/proc/PID/mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) point: PathBuf,
    pub(crate) kind: String,
    pub(crate) device: String,
}

/// Those of the declared files and cleanups, and of `/`, `/var`, `/tmp` and `/run`, each once.
pub(super) fn list(
    deadline: Instant,
    service: &Service,
    journal: &Journal,
) -> Answer<Vec<FileSystem>> {
    let mounts = mounts()?;
    let kernel = kernel_lines(deadline, journal);
    let declared = service
        .files
        .iter()
        .map(|(name, file)| (Some(name), file.path.clone()));
    let cleaned = service.remedies.values().flat_map(Remedy::makes_room_in);
    let cleaned = cleaned.map(|path| (None, path.to_owned()));
    let own = PLACES.iter().map(|place| (None, PathBuf::from(place)));
    let mut found: Vec<FileSystem> = Vec::new();
    for (name, path) in own.chain(declared).chain(cleaned) {
        let Some(mount) = mount_of(&mounts, &path) else {
            continue;
        };
        let point = mount.point.to_string_lossy();
        let known = found.iter().position(|known| known.mount_point == point);
        let place = match known {
            Some(place) => place,
            None => {
                // One that does not answer keeps nobody from knowing the others.
                let Ok(file_system) = measured(mount, &kernel) else {
                    continue;
                };
                found.push(file_system);
                found.len() - 1
            }
        };
        if let (Some(name), Some(known)) = (name, found.get_mut(place)) {
            known.files.push(name.clone());
        }
    }
    Ok(found)
}

/// The one below a declared file or cleanup, or one of the places that every host has; below a
/// cleanup in several folders the fullest.
pub(super) fn below(
    deadline: Instant,
    service: &Service,
    journal: &Journal,
    place: &str,
) -> Answer<FileSystem> {
    let mounts = mounts()?;
    let unknown = |why: &str| {
        let shown = one_line(place, 80);
        Failure::unavailable(
            "statvfs",
            format!("the file system below `{shown}` does not answer: {why}"),
        )
    };
    let kernel = kernel_lines(deadline, journal);
    let mut fullest: Option<(&Mount, FileSystem)> = None;
    let paths = if PLACES.contains(&place) {
        vec![Path::new(place)]
    } else {
        service.paths_of(place)?
    };
    for path in paths {
        let mount = mount_of(&mounts, path).ok_or_else(|| unknown("it is mounted nowhere"))?;
        let found = measured(mount, &kernel).map_err(|error| unknown(&error.to_string()))?;
        if fullest
            .as_ref()
            .is_none_or(|(_, known)| known.used_percent < found.used_percent)
        {
            fullest = Some((mount, found));
        }
    }
    let (mount, mut found) = fullest.ok_or_else(|| unknown("it lies nowhere"))?;
    found.files = service
        .files
        .iter()
        .filter(|(_, file)| mount_of(&mounts, &file.path) == Some(mount))
        .map(|(name, _)| name.clone())
        .collect();
    Ok(found)
}

pub(crate) fn measured(mount: &Mount, kernel: &[String]) -> io::Result<FileSystem> {
    let stat = as_init_sees_it(&mount.point).or_else(|_| statvfs(&mount.point))?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    let used = stat.f_blocks.saturating_sub(stat.f_bfree);
    Ok(FileSystem {
        mount_point: mount.point.to_string_lossy().into_owned(),
        device: mount.device.clone(),
        kind: mount.kind.clone(),
        total: bytes(stat.f_blocks),
        used: bytes(used),
        available: bytes(stat.f_bavail),
        used_percent: percent_used(used, stat.f_bavail),
        inodes_total: stat.f_files,
        inodes_available: stat.f_favail,
        read_only: stat.f_flag.contains(StatVfsMountFlags::RDONLY),
        files: Vec::new(),
        kernel_log: about(mount, kernel),
    })
}

/// The daemon runs with a view of its own, in which nearly everything is read-only:
/// whether a file system really is, init's view tells. Only root may look through it.
fn as_init_sees_it(point: &Path) -> rustix::io::Result<StatVfs> {
    let below = point.strip_prefix("/").unwrap_or(point);
    statvfs(Path::new("/proc/1/root").join(below))
}

/// What is mounted where, as init sees it; the last at a place counts.
pub(crate) fn mounts() -> Answer<Vec<Mount>> {
    let text = fs::read_to_string("/proc/1/mountinfo")
        .or_else(|_| fs::read_to_string("/proc/self/mountinfo"))
        .map_err(|error| {
            Failure::unavailable("proc", format!("cannot read what is mounted: {error}"))
        })?;
    Ok(text.lines().filter_map(parse).collect())
}

/// `36 35 98:0 /root /point rw,noatime shared:1 - ext4 /dev/sda1 rw`, see proc(5).
fn parse(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let point = before.split(' ').nth(4)?;
    let mut after = after.split(' ');
    Some(Mount {
        point: unescaped(point).into(),
        kind: after.next()?.to_owned(),
        device: one_line(&unescaped(after.next()?), LINE_MAX),
    })
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescaped(text: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .into_iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(text.to_owned(), |text, (escaped, plain)| {
            text.replace(escaped, plain)
        })
}

/// The mount that a path lies on, or would lie on if it is not there.
pub(crate) fn mount_of<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let real = path
        .ancestors()
        .find_map(|there| Some((there.canonicalize().ok()?, path.strip_prefix(there).ok()?)))
        .map_or_else(|| path.to_owned(), |(there, rest)| there.join(rest));
    mounts
        .iter()
        .rev()
        .filter(|mount| real.starts_with(&mount.point))
        .max_by_key(|mount| mount.point.components().count())
}

/// What the kernel itself has logged lately, oldest first. `_TRANSPORT=kernel` is
/// journald's own field: nobody else can write such a line.
fn kernel_lines(deadline: Instant, journal: &Journal) -> Vec<String> {
    let question = JournalQuery {
        any_of: vec![vec![("_TRANSPORT", "kernel".to_owned())]],
        newest: KERNEL_LINES,
        namespaces: false,
    };
    let since = clock::now().saturating_sub(LATELY);
    journal
        .ask(deadline, &question)
        .unwrap_or_default()
        .into_iter()
        .filter(|entry| Timestamp::from_micros(entry.at) >= since)
        .map(|entry| {
            let text = redact(&String::from_utf8_lossy(&entry.message));
            one_line(&text, LINE_MAX)
        })
        .collect()
}

/// The kernel's lines that name this file system's device.
fn about(mount: &Mount, kernel: &[String]) -> Vec<String> {
    let Some(device) = mount.device.strip_prefix("/dev/") else {
        return Vec::new();
    };
    let name = device.rsplit('/').next().unwrap_or(device);
    let mut lines: Vec<String> = kernel
        .iter()
        .rev()
        .filter(|line| names(line, name))
        .take(LINES_MAX)
        .cloned()
        .collect();
    lines.reverse();
    lines
}

/// Whether a line names a device as a word: `sda1`, and not `sda10`.
fn names(line: &str, device: &str) -> bool {
    line.match_indices(device).any(|(at, _)| {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line
            .get(at + device.len()..)
            .and_then(|text| text.chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn mount(point: &str) -> Mount {
        Mount {
            point: point.into(),
            kind: "ext4".to_owned(),
            device: "/dev/sda1".to_owned(),
        }
    }

    #[test]
    fn a_line_of_mountinfo() {
        let line =
            "36 35 8:1 / /mnt/with\\040space rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=x";
        assert_eq!(parse(line), Some(mount("/mnt/with space")));
        assert_eq!(parse("nonsense"), None);
    }

    #[rstest]
    #[case("/var/lib/x", "/var")]
    #[case("/various", "/")]
    #[case("/var", "/var")]
    fn the_deepest_mount_counts(#[case] path: &str, #[case] point: &str) {
        let mounts = [mount("/"), mount("/var")];
        let found = mount_of(&mounts, Path::new(path)).unwrap();
        assert_eq!(found.point, Path::new(point));
    }

    #[rstest]
    #[case("EXT4-fs error (device sda1): ext4_lookup", true)]
    #[case("sda1: rw=0, sector=1", true)]
    #[case("EXT4-fs (sda10): mounted", false)]
    #[case("xsda1 is something else", false)]
    fn lines_that_name_a_device(#[case] line: &str, #[case] named: bool) {
        assert_eq!(names(line, "sda1"), named);
    }

    #[test]
    fn this_host_answers() {
        let service = Service::new(prunella_core::UnitName::new("x.service").unwrap());
        let deadline = Instant::now() + Duration::from_secs(20);
        let found = list(deadline, &service, &Journal::of_this_host()).unwrap();
        let root = found.iter().find(|found| found.mount_point == "/").unwrap();
        assert!(root.total >= root.available && !root.kind.is_empty());
        assert!(below(deadline, &service, &Journal::of_this_host(), "/etc").is_err());
    }
}
