//! What changed lately: the unit's files, declared files, packages.
//!
//! Everything is read and nothing is run: times of files, and the end of the
//! package manager's own log (`/var/log/dpkg.log`, `/var/log/dnf.rpm.log`). A
//! log that was rotated a moment ago hides what is older, and a file whose time
//! was set back hides itself: this is a hint for people, and nothing rests on it.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Instant,
};

use jiff::{civil::DateTime, tz::TimeZone};
use prunella_core::{
    Timestamp, UnitName,
    analyst::{Change, ChangeOf, Changes, ChangesQuestion},
    capability::Answer,
    service::FileRole,
};

use crate::{Linux, timeout::with_timeout};

/// Where unit files and drop-ins are, but for generated ones: those come from
/// something else (systemd.unit(5), "Unit File Load Path").
const UNIT_PATHS: [&str; 8] = [
    "etc/systemd/system.control",
    "run/systemd/system.control",
    "run/systemd/transient",
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// Folders of Prunella's own files: it writes there itself.
const OUR_FOLDERS: [&str; 3] = ["/etc/prunella", "/var/lib/prunella", "/run/prunella"];

/// Drop-ins looked at, at most.
const DROP_INS_MAX: usize = 64;

/// So much of a package manager's log, from its end.
const LOG_MAX: u64 = 256 << 10;

/// So much of a package's list of files.
const LIST_MAX: u64 = 4 << 20;

/// Packages that are told of, and whose lists of files are read, at most.
const PACKAGES_MAX: usize = 50;

impl Changes for Linux {
    fn since(&self, deadline: Instant, question: &ChangesQuestion<'_>) -> Answer<Vec<Change>> {
        let look = Look::of(Path::new("/"), question);
        with_timeout(deadline, "looking for what changed lately", move || {
            look.look()
        })
    }
}

/// A question, on its way to a thread of its own.
struct Look {
    root: PathBuf,
    unit: UnitName,
    fragment: Option<PathBuf>,
    files: Vec<Declared>,
    since: Timestamp,
    until: Timestamp,
    zone: TimeZone,
}

struct Declared {
    path: PathBuf,
    optional: bool,
}

impl Look {
    fn of(root: &Path, question: &ChangesQuestion<'_>) -> Self {
        // A database, a folder or a socket changes while all is well.
        let files = question
            .service
            .files
            .iter()
            .filter(|(_, file)| {
                matches!(
                    file.role,
                    FileRole::Plain | FileRole::Env | FileRole::Symlink
                )
            })
            .map(|(_, file)| Declared {
                path: file.path.clone(),
                optional: file.optional,
            })
            .collect();
        Self {
            root: root.to_owned(),
            unit: question.service.unit.clone(),
            fragment: question.fragment.map(PathBuf::from),
            files,
            since: question.since,
            until: question.until,
            zone: TimeZone::system(),
        }
    }

    fn look(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for path in self.unit_files() {
            changes.extend(self.file(ChangeOf::Unit, &path, path.display().to_string()));
        }
        for Declared { path, optional } in &self.files {
            let what = path.display().to_string();
            if !optional && self.is_missing(path) {
                changes.extend(self.missing(path, what));
            } else {
                changes.extend(self.file(ChangeOf::File, path, what));
            }
        }
        changes.extend(self.packages());
        changes.sort_by_key(|change| std::cmp::Reverse(change.at));
        changes
    }

    fn below_root(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The unit's own file and its drop-ins.
    fn unit_files(&self) -> Vec<PathBuf> {
        let mut folders = vec![format!("{}.d", self.unit)];
        folders.extend(self.unit.template().map(|template| format!("{template}.d")));
        folders.push(format!("{}.d", self.unit.kind()));
        let mut files: Vec<PathBuf> = self.fragment.iter().cloned().collect();
        for path in UNIT_PATHS {
            for folder in &folders {
                let folder = Path::new("/").join(path).join(folder);
                let Ok(entries) = fs::read_dir(self.below_root(&folder)) else {
                    continue;
                };
                files.extend(
                    entries
                        .take(DROP_INS_MAX)
                        .filter_map(Result::ok)
                        .map(|entry| folder.join(entry.file_name()))
                        .filter(|path| path.extension().is_some_and(|e| e == "conf")),
                );
            }
        }
        // /lib is a link to /usr/lib on most hosts.
        let usr = files.clone();
        files.retain(|path| {
            path.strip_prefix("/lib/").is_err()
                || !usr.contains(&Path::new("/usr").join(path.strip_prefix("/").unwrap_or(path)))
        });
        files.truncate(DROP_INS_MAX);
        files
    }

    fn file(&self, of: ChangeOf, path: &Path, what: String) -> Option<Change> {
        if is_ours(path) {
            return None;
        }
        let at_path = self.below_root(path);
        let link = fs::symlink_metadata(&at_path).ok()?;
        // Where a link leads may have changed, or what is there.
        let mut found = vec![link];
        found.extend(fs::metadata(&at_path).ok());
        let written = found
            .iter()
            .filter_map(|file| timestamp(file.mtime(), file.mtime_nsec()))
            .filter(|at| self.within(*at))
            .max();
        if let Some(at) = written {
            return Some(Change {
                of,
                what,
                how: "was modified".to_owned(),
                at,
            });
        }
        // A file that was put in place keeps the time of its making.
        let touched = found
            .iter()
            .filter_map(|file| timestamp(file.ctime(), file.ctime_nsec()))
            .filter(|at| self.within(*at))
            .max()?;
        Some(Change {
            of,
            what,
            how: "was put in place, or got another owner or mode".to_owned(),
            at: touched,
        })
    }

    fn is_missing(&self, path: &Path) -> bool {
        fs::symlink_metadata(self.below_root(path))
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// A file that is not there, and when the nearest folder that is there was changed
    /// last: that is when the file went, or later. However long ago that was.
    fn missing(&self, path: &Path, what: String) -> Option<Change> {
        let (folder, found) = path
            .ancestors()
            .skip(1)
            .find_map(|folder| Some((folder, fs::metadata(self.below_root(folder)).ok()?)))?;
        Some(Change {
            of: ChangeOf::Missing,
            what,
            how: format!("something in {} last changed", folder.display()),
            at: timestamp(found.mtime(), found.mtime_nsec())?,
        })
    }

    fn within(&self, at: Timestamp) -> bool {
        (self.since..=self.until).contains(&at)
    }

    fn packages(&self) -> Vec<Change> {
        let dpkg = end_of(&self.root.join("var/log/dpkg.log"));
        let dnf = end_of(&self.root.join("var/log/dnf.rpm.log"));
        let mut changes: Vec<Change> = dpkg
            .lines()
            .filter_map(|line| dpkg_line(line, &self.zone))
            .chain(dnf.lines().filter_map(dnf_line))
            .filter(|change| !change.what.starts_with("prunella"))
            .filter(|change| self.within(change.at))
            .collect();
        let surplus = changes.len().saturating_sub(PACKAGES_MAX);
        changes.drain(..surplus);
        for change in &mut changes {
            if self.is_own(&change.what) {
                change.of = ChangeOf::OwnPackage;
            }
        }
        changes
    }

    /// Whether the unit's file comes from this package of dpkg's.
    fn is_own(&self, package: &str) -> bool {
        let Some(fragment) = &self.fragment else {
            return false;
        };
        // The list may have /lib where systemd has /usr/lib.
        let path = fragment.to_string_lossy();
        let path = path.strip_prefix("/usr").unwrap_or(&path);
        let name = package.split(':').next().unwrap_or(package);
        // It becomes part of a path.
        if !path.starts_with("/lib/") || package.contains('/') {
            return false;
        }
        [package, name].iter().any(|package| {
            let list = self
                .root
                .join("var/lib/dpkg/info")
                .join(format!("{package}.list"));
            let mut text = String::new();
            File::open(list)
                .and_then(|file| file.take(LIST_MAX).read_to_string(&mut text))
                .is_ok()
                && text
                    .lines()
                    .any(|line| line.strip_prefix("/usr").unwrap_or(line) == path)
        })
    }
}

/// From a file's time.
fn timestamp(seconds: i64, nanos: i64) -> Option<Timestamp> {
    let whole = seconds.saturating_mul(1_000);
    let millis = u64::try_from(whole.saturating_add(nanos / 1_000_000)).ok()?;
    Some(Timestamp::from_millis(millis))
}

/// Whether a file is Prunella's own: in one of its folders, or a unit or
/// drop-in of its (`prunella.service`, `50-prunella.conf`).
fn is_ours(path: &Path) -> bool {
    OUR_FOLDERS.iter().any(|folder| path.starts_with(folder))
        || path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| {
                ["prunella.", "prunella-", "prunella@", "50-prunella"]
                    .iter()
                    .any(|ours| name.starts_with(ours))
            })
}

/// The last lines of a log, whole ones; nothing when it cannot be read.
fn end_of(path: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let from = size.saturating_sub(LOG_MAX);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(LOG_MAX).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(match text.split_once('\n') {
            // It begins in the middle of one.
            Some((_, whole)) if from > 0 => whole.to_owned(),
            _ => text,
        })
    };
    read().unwrap_or_default()
}

/// `2026-11-20 10:00:00 upgrade nginx:amd64 1.22.1-9 1.22.1-10`, in local time.
fn dpkg_line(line: &str, zone: &TimeZone) -> Option<Change> {
    let mut words = line.split_ascii_whitespace();
    let (date, time) = (words.next()?, words.next()?);
    let action = words.next()?;
    let package = words.next()?;
    let (before, after) = (words.next()?, words.next()?);
    let how = match action {
        "install" => format!("was installed ({after})"),
        "upgrade" => format!("was upgraded from {before} to {after}"),
        "remove" | "purge" => "was removed".to_owned(),
        _ => return None,
    };
    let at: DateTime = format!("{date}T{time}").parse().ok()?;
    let at = at.to_zoned(zone.clone()).ok()?.timestamp();
    Some(Change {
        of: ChangeOf::Package,
        what: package.to_owned(),
        how,
        at: Timestamp::from_jiff(at)?,
    })
}

/// `2026-11-20T10:00:00+0000 SUBDEBUG Upgrade: nginx-1:1.20.1-14.el9.x86_64`.
fn dnf_line(line: &str) -> Option<Change> {
    let mut words = line.split_ascii_whitespace();
    let at = words.next()?;
    let (action, package) = match words.next()? {
        // The level stands first.
        "SUBDEBUG" | "INFO" | "DEBUG" => (words.next()?, words.next()?),
        action => (action, words.next()?),
    };
    let how = match action {
        "Installed:" => "was installed",
        // The new one; the old one is told of as `Upgraded:`.
        "Upgrade:" => "was upgraded",
        "Downgrade:" => "was downgraded",
        "Erase:" | "Removed:" => "was removed",
        "Reinstall:" => "was installed again",
        _ => return None,
    };
    let at = jiff::Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", at).ok()?;
    Some(Change {
        of: ChangeOf::Package,
        what: package.to_owned(),
        how: how.to_owned(),
        at: Timestamp::from_jiff(at)?,
    })
}

#[cfg(test)]
mod tests;
