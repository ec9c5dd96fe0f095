//! `set-aside`: a declared folder or file is moved aside in its own folder, and back.
//!
//! What is moved is named by its device and inode, which a rename keeps. So it is known of
//! each name what stands there, however far an act came before it was cut off.

use std::{
    ffi::OsStr,
    io,
    time::{Duration, Instant},
};

use cap_std::fs::{Dir, Metadata, MetadataExt, PermissionsExt};
use prunella_core::{
    Failure, Timestamp,
    capability::Answer,
    remedy::{Lease, LeaseEnds, MovedAside, Plan, Receipt, SetAside, Undo},
};
use rustix::{
    fs::{Gid, Mode, Uid, fchmod, fchown},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use super::{
    helper::{Helper, Outcome, Request as HelperRequest},
    in_folder::{exchange, failed, is, look, rename, stamp, to_disk, unsafe_path, walk},
};
use crate::{
    clock::SystemClock,
    file_systems::mounts_below,
    safe_path::{self, Rule, WalkError},
    transient::Sandbox,
};

/// A rename, and an empty folder.
const LIMIT: Duration = Duration::from_secs(10);
/// Deleting what was kept: a cache may have a million files.
const DELETING: Duration = Duration::from_secs(300);

/// What is asked of the helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(super) enum Request {
    Plan {
        name: String,
        declared: SetAside,
        now: Timestamp,
    },
    Apply {
        name: String,
        moved: MovedAside,
    },
    Undo(MovedAside),
    Discard(MovedAside),
}

pub(super) struct SetAsideHere<'a> {
    helper: &'a Helper,
}

impl<'a> SetAsideHere<'a> {
    pub(super) fn new(helper: &'a Helper) -> Self {
        Self { helper }
    }

    pub(super) fn plan(&self, deadline: Instant, name: &str, declared: &SetAside) -> Answer<Plan> {
        let request = Request::Plan {
            name: name.to_owned(),
            declared: declared.clone(),
            now: SystemClock.now(),
        };
        self.run(deadline, &format!("plan of set-aside `{name}`"), request)?
            .planned()
    }

    pub(super) fn apply(
        &self,
        deadline: Instant,
        name: &str,
        moved: &MovedAside,
    ) -> Answer<Receipt> {
        let request = Request::Apply {
            name: name.to_owned(),
            moved: moved.clone(),
        };
        self.run(deadline, &format!("set-aside of `{name}`"), request)?
            .applied()
    }

    pub(super) fn undo(&self, deadline: Instant, moved: &MovedAside) -> Answer<String> {
        let what = format!("undoing of the set-aside of {}", moved.path.display());
        self.back(deadline, &what, Request::Undo(moved.clone()))
    }

    pub(super) fn discard(&self, deadline: Instant, moved: &MovedAside) -> Answer<String> {
        let what = format!("deleting of what was kept of {}", moved.path.display());
        self.back(deadline, &what, Request::Discard(moved.clone()))
    }

    fn back(&self, deadline: Instant, what: &str, request: Request) -> Answer<String> {
        self.run(deadline, what, request)?.taken_back()
    }

    fn run(&self, deadline: Instant, what: &str, request: Request) -> Answer<Outcome> {
        let timeout = match request {
            Request::Discard(_) => DELETING,
            _ => LIMIT,
        };
        let request = HelperRequest::SetAside(request);
        self.helper.run(
            deadline,
            what,
            &request,
            Sandbox::for_declared_files(),
            timeout,
        )
    }
}

/// What runs in the helper.
pub(super) fn carry_out(request: &Request) -> Answer<Outcome> {
    match request {
        Request::Plan {
            name,
            declared,
            now,
        } => plan(name, declared, *now).map(Outcome::Planned),
        Request::Apply { name, moved } => apply(name, moved).map(Outcome::Applied),
        Request::Undo(moved) => undo(moved).map(Outcome::TakenBack),
        Request::Discard(moved) => discard(moved).map(Outcome::TakenBack),
    }
}

fn plan(name: &str, declared: &SetAside, now: Timestamp) -> Answer<Plan> {
    let path = &declared.path;
    let place = match safe_path::walk_to_folder(path, Rule::Change) {
        Ok(place) => place,
        Err(WalkError::MissingFolder) => {
            return Ok(Plan::nothing(format!("`{name}` does not exist")));
        }
        Err(error) => return Err(unsafe_path(path, &error.to_string())),
    };
    let Some(found) = look(&place, &place.name)? else {
        return Ok(Plan::nothing(format!("`{name}` does not exist")));
    };
    if !found.is_dir() && !found.is_file() {
        return Err(unsafe_path(path, "it is neither a folder nor a file"));
    }
    if found.dev()
        != place
            .dir
            .dir_metadata()
            .map_err(|e| failed(path, &e))?
            .dev()
    {
        return Err(unsafe_path(
            path,
            "it is a mount point, and what is mounted cannot be moved",
        ));
    }
    if let Some(mount) = mounts_below(path)?.first() {
        return Err(unsafe_path(
            path,
            &format!("{} is mounted in it", mount.display()),
        ));
    }
    if found.is_dir() && is_empty(&place.dir, &place.name).map_err(|e| failed(path, &e))? {
        return Ok(Plan::nothing(format!("`{name}` is empty")));
    }
    let aside = format!("{}.set-aside-{}", place.name.display(), stamp(now));
    let moved = MovedAside {
        path: path.clone(),
        aside,
        device: found.dev(),
        inode: found.ino(),
    };
    Ok(Plan::to(format!("move `{name}` aside"))
        .undone_by(Undo::MoveBack(moved))
        .lease(Lease {
            lasts: declared.keep,
            ends: LeaseEnds::Kept,
            calm: Duration::ZERO,
        }))
}

fn apply(name: &str, moved: &MovedAside) -> Answer<Receipt> {
    let path = &moved.path;
    let place = walk(path)?;
    let found = look(&place, &place.name)?.filter(|found| is(found, moved));
    let Some(found) = found else {
        return Err(Failure::failed(
            "changed-meanwhile",
            format!("`{name}` is not what it was when its move was planned"),
        ));
    };
    let aside = OsStr::new(&moved.aside);
    if found.is_dir() {
        make_empty(&place.dir, aside, &found).map_err(|e| failed(path, &e))?;
        match exchange(&place, aside, &place.name) {
            // A file system that cannot exchange two names.
            Err(Errno::INVAL | Errno::NOSYS) => {
                place.dir.remove_dir(aside).map_err(|e| failed(path, &e))?;
                rename(&place, &place.name, aside).map_err(|e| failed(path, &e))?;
                make_empty(&place.dir, &place.name, &found).map_err(|e| failed(path, &e))?;
            }
            Err(error) => {
                // Empty, and made by nobody else.
                let _ = place.dir.remove_dir(aside);
                return Err(failed(path, &error));
            }
            Ok(()) => {}
        }
    } else {
        rename(&place, &place.name, aside).map_err(|e| failed(path, &e))?;
    }
    to_disk(&place.dir).map_err(|e| failed(path, &e))?;
    Ok(Receipt::done(format!("moved `{name}` aside")))
}

fn undo(moved: &MovedAside) -> Answer<String> {
    let path = &moved.path;
    let place = walk(path)?;
    let aside = OsStr::new(&moved.aside);
    let here = look(&place, &place.name)?;
    let there = look(&place, aside)?;
    if here.as_ref().is_some_and(|here| is(here, moved)) {
        // An empty folder that was made to take its place.
        if there.is_some_and(|there| there.is_dir()) {
            let _ = place.dir.remove_dir(aside);
        }
        return Ok(format!("{} had not been moved", path.display()));
    }
    if !there.is_some_and(|there| is(&there, moved)) {
        return Err(Failure::not_found(
            "gone",
            format!(
                "what was moved aside is not at {} any more",
                path.with_file_name(aside).display()
            ),
        ));
    }
    let done = format!("moved {} back", path.display());
    if here.is_none() {
        rename(&place, aside, &place.name).map_err(|e| failed(path, &e))?;
        to_disk(&place.dir).map_err(|e| failed(path, &e))?;
        return Ok(done);
    }
    exchange(&place, aside, &place.name).map_err(|e| failed(path, &e))?;
    to_disk(&place.dir).map_err(|e| failed(path, &e))?;
    // What stood in for it goes when there is nothing in it.
    let is_left = place.dir.remove_dir(aside).is_err();
    Ok(if is_left {
        format!(
            "{done}; what was made since is kept as {}",
            path.with_file_name(aside).display()
        )
    } else {
        done
    })
}

fn discard(moved: &MovedAside) -> Answer<String> {
    let path = path_of(moved);
    let place = walk(&moved.path)?;
    let aside = OsStr::new(&moved.aside);
    let Some(found) = look(&place, aside)? else {
        return Ok(format!("{} is gone already", path.display()));
    };
    if let Some(mount) = mounts_below(&path)?.first() {
        return Err(unsafe_path(
            &path,
            &format!("{} is mounted in it", mount.display()),
        ));
    }
    if found.is_dir() {
        place.dir.remove_dir_all(aside)
    } else {
        place.dir.remove_file(aside)
    }
    .map_err(|e| failed(&path, &e))?;
    Ok(format!("deleted {}", path.display()))
}

/// Where it is while it is aside.
fn path_of(moved: &MovedAside) -> std::path::PathBuf {
    moved.path.with_file_name(&moved.aside)
}

fn is_empty(dir: &Dir, name: &OsStr) -> io::Result<bool> {
    Ok(dir.read_dir(name)?.next().is_none())
}

/// Makes an empty folder of the same owner and mode.
fn make_empty(dir: &Dir, name: &OsStr, like: &Metadata) -> io::Result<()> {
    dir.create_dir(name)?;
    let made = dir.open(name)?;
    let (uid, gid) = (Uid::from_raw(like.uid()), Gid::from_raw(like.gid()));
    fchown(&made, Some(uid), Some(gid))?;
    fchmod(
        &made,
        Mode::from_raw_mode(like.permissions().mode() & 0o7777),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests;
