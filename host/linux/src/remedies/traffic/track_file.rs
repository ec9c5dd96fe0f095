//! A file of which keepalived tracks the number (`track_file` in keepalived.conf(5)). It is
//! replaced in one step, and so never half of a number.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read as _, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use cap_std::fs::{Metadata, MetadataExt as _};
use prunella_core::{
    Failure,
    capability::Answer,
    remedy::{ChangedTraffic, Plan, Receipt, ServerState, TrackFile, TrafficChange, Undo},
};
use rustix::fs::{Gid, Mode, OFlags, Uid, fchmod, fchown, openat, renameat};
use serde::{Deserialize, Serialize};

use super::{Request as TrafficRequest, did, would};
use crate::{
    remedies::{
        helper::{Helper, Outcome, Request as HelperRequest},
        in_folder::{look, open_to_read, to_disk, walk},
    },
    safe_path::Place,
    transient::Sandbox,
};

/// A small file, and a rename.
const LIMIT: Duration = Duration::from_secs(10);
/// Bytes of a file with a number.
const CONTENT: u64 = 64;

/// What is asked of the helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(in super::super) enum Request {
    Plan {
        name: String,
        file: TrackFile,
    },
    Apply {
        name: String,
        path: std::path::PathBuf,
        from: String,
        to: i32,
    },
    Undo {
        path: std::path::PathBuf,
        from: String,
        to: i32,
    },
}

pub(super) struct TrackFileHere<'a> {
    helper: &'a Helper,
}

impl<'a> TrackFileHere<'a> {
    pub(super) fn new(helper: &'a Helper) -> Self {
        Self { helper }
    }

    pub(super) fn plan(
        &self,
        deadline: Instant,
        name: &str,
        file: &TrackFile,
        to: ServerState,
    ) -> Answer<Plan> {
        match to {
            ServerState::Drain => {}
            ServerState::Maint => {
                return Ok(Plan::nothing(format!(
                    "`{name}` is a track file, which knows no maintenance"
                )));
            }
            ServerState::Ready => {
                return Ok(Plan::nothing(format!(
                    "`{name}` is a track file, and which number it had before is not known"
                )));
            }
        }
        let request = Request::Plan {
            name: name.to_owned(),
            file: file.clone(),
        };
        self.run(deadline, &format!("plan of traffic `{name}`"), request)?
            .planned()
    }

    pub(super) fn apply(
        &self,
        deadline: Instant,
        name: &str,
        path: &Path,
        from: &str,
        to: i32,
    ) -> Answer<Receipt> {
        let request = Request::Apply {
            name: name.to_owned(),
            path: path.to_owned(),
            from: from.to_owned(),
            to,
        };
        self.run(deadline, &format!("change of traffic `{name}`"), request)?
            .applied()
    }

    pub(super) fn undo(
        &self,
        deadline: Instant,
        path: &Path,
        from: &str,
        to: i32,
    ) -> Answer<String> {
        let request = Request::Undo {
            path: path.to_owned(),
            from: from.to_owned(),
            to,
        };
        let what = format!("undoing of the change of {}", path.display());
        self.run(deadline, &what, request)?.taken_back()
    }

    fn run(&self, deadline: Instant, what: &str, request: Request) -> Answer<Outcome> {
        let request = HelperRequest::Traffic(TrafficRequest::TrackFile(request));
        let sandbox = Sandbox::for_declared_files();
        self.helper.run(deadline, what, &request, sandbox, LIMIT)
    }
}

/// What runs in the helper.
pub(super) fn carry_out(request: &Request) -> Answer<Outcome> {
    match request {
        Request::Plan { name, file } => plan(name, file).map(Outcome::Planned),
        Request::Apply {
            name,
            path,
            from,
            to,
        } => apply(name, path, from, *to).map(Outcome::Applied),
        Request::Undo { path, from, to } => undo(path, from, *to).map(Outcome::TakenBack),
    }
}

fn plan(name: &str, TrackFile { path, out }: &TrackFile) -> Answer<Plan> {
    let shown = path.display();
    let Some(content) = read(&walk(path)?, path)? else {
        return Ok(
            Plan::nothing(format!("the track file of `{name}` is not there"))
                .details(format!("{shown}: keepalived makes it with `init_file`")),
        );
    };
    let Some(now) = number(&content) else {
        return Err(Failure::failed(
            "no-number",
            format!("{shown} is left alone: it does not contain a number"),
        ));
    };
    if now == i64::from(*out) {
        return Ok(Plan::nothing(format!("`{name}` is drained already"))
            .details(format!("{shown} says {out}")));
    }
    let changed = ChangedTraffic {
        name: name.to_owned(),
        change: TrafficChange::TrackFile {
            path: path.clone(),
            from: content,
            to: *out,
        },
    };
    Ok(Plan::to(would(name, ServerState::Drain))
        .details(format!("{shown} from {now} to {out}"))
        .undone_by(Undo::RestoreTraffic(changed)))
}

fn apply(name: &str, path: &Path, from: &str, to: i32) -> Answer<Receipt> {
    let place = walk(path)?;
    if read(&place, path)?.as_deref() != Some(from) {
        return Err(Failure::failed(
            "changed-meanwhile",
            format!("the track file of `{name}` is not what it was when this was planned"),
        ));
    }
    replace(&place, path, &format!("{to}\n"))?;
    Ok(Receipt::done(did(name, ServerState::Drain)))
}

fn undo(path: &Path, from: &str, to: i32) -> Answer<String> {
    let shown = path.display();
    let place = walk(path)?;
    remove_temporary(&place).map_err(|error| failed(path, &error))?;
    let Some(now) = read(&place, path)? else {
        return Ok(format!("{shown} is not there any more"));
    };
    if now == from {
        return Ok(format!("{shown} is as before"));
    }
    if number(&now) != Some(i64::from(to)) {
        return Ok(format!("{shown} was changed since: it is left so"));
    }
    replace(&place, path, from)?;
    Ok(format!("brought the former number of {shown} back"))
}

fn number(content: &str) -> Option<i64> {
    content.trim().parse().ok()
}

/// What is in the file; none where there is none.
fn read(place: &Place, path: &Path) -> Answer<Option<String>> {
    let Some(found) = look(place, &place.name)? else {
        return Ok(None);
    };
    if !found.is_file() {
        return Err(failed(path, &"it is no regular file"));
    }
    let file = open_to_read(place).map_err(|error| failed(path, &error))?;
    let mut content = String::new();
    file.take(CONTENT + 1)
        .read_to_string(&mut content)
        .map_err(|error| failed(path, &error))?;
    if content.len() as u64 > CONTENT {
        return Err(failed(path, &"it is too long for a number"));
    }
    Ok(Some(content))
}

/// Puts a file with this content into the place of the one that is there, of the same owner and
/// mode.
fn replace(place: &Place, path: &Path, content: &str) -> Answer<()> {
    let found = look(place, &place.name)?.ok_or_else(|| failed(path, &"it is gone"))?;
    write(place, &found, content).map_err(|error| {
        let _ = remove_temporary(place);
        failed(path, &error)
    })
}

fn write(place: &Place, like: &Metadata, content: &str) -> io::Result<()> {
    let temporary = temporary(place);
    remove_temporary(place)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let mut file = File::from(openat(&place.dir, &*temporary, flags, mode)?);
    file.write_all(content.as_bytes())?;
    let (uid, gid) = (Uid::from_raw(like.uid()), Gid::from_raw(like.gid()));
    fchown(&file, Some(uid), Some(gid))?;
    fchmod(&file, Mode::from_raw_mode(like.mode() & 0o777))?;
    file.sync_all()?;
    renameat(&place.dir, &*temporary, &place.dir, &*place.name)?;
    to_disk(&place.dir)
}

/// The name of the new one before it takes its place.
fn temporary(place: &Place) -> OsString {
    let mut name = OsString::from(".");
    name.push(&place.name);
    name.push(".prunella");
    name
}

/// What was made and did not come to its place.
fn remove_temporary(place: &Place) -> io::Result<()> {
    match place.dir.remove_file(temporary(place)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(
        "cannot-change",
        format!("{} is left alone: {error}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    };

    use super::*;

    fn declared(folder: &Path) -> TrackFile {
        TrackFile {
            path: folder.join("web"),
            out: -254,
        }
    }

    #[test]
    fn a_number_goes_and_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = declared(folder.path());
        let content = || fs::read_to_string(&file.path).unwrap();
        fs::write(&file.path, " 10").unwrap();
        fs::set_permissions(&file.path, fs::Permissions::from_mode(0o640)).unwrap();
        let plan = plan("vip", &file).unwrap();
        assert_eq!(plan.summary, "drain `vip`");
        let details = plan.details.unwrap();
        assert!(details.ends_with("web from 10 to -254"), "{details}");
        let receipt = apply("vip", &file.path, " 10", -254).unwrap();
        assert_eq!(receipt.summary, "drained `vip`");
        assert_eq!(content(), "-254\n");
        let mode = fs::metadata(&file.path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o640);
        let again = super::plan("vip", &file).unwrap();
        assert_eq!(again.summary, "`vip` is drained already");
        assert!(!again.eligible);
        for expected in ["brought the former number of", "is as before"] {
            let done = undo(&file.path, " 10", -254).unwrap();
            assert!(done.contains(expected), "{done}");
            assert_eq!(content(), " 10");
        }
    }

    #[test]
    fn one_that_was_cut_off_is_undone() {
        let folder = tempfile::tempdir().unwrap();
        let file = declared(folder.path());
        fs::write(&file.path, "0\n").unwrap();
        let left = folder.path().join(".web.prunella");
        fs::write(&left, "-25").unwrap();
        let done = undo(&file.path, "0\n", -254).unwrap();
        assert!(done.ends_with("is as before"), "{done}");
        assert!(!left.exists());
        // And it can be done after all.
        fs::write(&left, "-25").unwrap();
        apply("vip", &file.path, "0\n", -254).unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn what_somebody_else_wrote_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = declared(folder.path());
        fs::write(&file.path, "7\n").unwrap();
        let failure = apply("vip", &file.path, "0\n", -254).unwrap_err();
        assert!(failure.is("changed-meanwhile"), "{failure}");
        let done = undo(&file.path, "0\n", -254).unwrap();
        assert!(done.ends_with("was changed since: it is left so"), "{done}");
        assert_eq!(fs::read_to_string(&file.path).unwrap(), "7\n");
    }

    #[test]
    fn what_is_no_number_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = declared(folder.path());
        let missing = plan("vip", &file).unwrap();
        assert_eq!(missing.summary, "the track file of `vip` is not there");
        for content in ["", "on\n", &"1".repeat(65)] {
            fs::write(&file.path, content).unwrap();
            plan("vip", &file).unwrap_err();
        }
        fs::remove_file(&file.path).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &file.path).unwrap();
        plan("vip", &file).unwrap_err();
    }
}
