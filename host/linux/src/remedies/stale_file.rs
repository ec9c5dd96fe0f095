//! `stale-file`: a declared pid file, lock or socket is removed once it is proven stale.
//!
//! That the service is down is proven here; what no process stands for, holds or listens on,
//! in the helper ([`proof`]). What is removed is moved aside by a rename, which keeps device
//! and inode: so it is known of each name what stands there, however far an act came before it
//! was cut off.

mod proof;

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    time::{Duration, Instant},
};

use cap_std::fs::{FileTypeExt as _, Metadata, MetadataExt};
use prunella_core::{
    Failure, Timestamp, UnitName,
    capability::Answer,
    remedy::{Lease, LeaseEnds, MovedAside, Plan, Receipt, StaleFile, TraceKind, Undo},
};
use serde::{Deserialize, Serialize};

use super::{
    Tools,
    helper::{Helper, Outcome, Request as HelperRequest},
    in_folder::{failed, is, look, rename, stamp, to_disk, unsafe_path, walk},
};
use crate::{
    accounts::Accounts,
    clock::SystemClock,
    safe_path::{self, Last, Place, Rule, WalkError},
    transient::{Capability, ProtectSystem, Sandbox},
};

/// A few looks, and a rename.
const LIMIT: Duration = Duration::from_secs(10);

/// What is asked of the helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(super) enum Request {
    Plan {
        trace: Trace,
        now: Timestamp,
    },
    Remove {
        trace: Trace,
        /// As it was planned; none for a socket, which is not kept.
        moved: Option<MovedAside>,
        now: Timestamp,
    },
    PutBack(MovedAside),
    Discard(MovedAside),
}

/// What may be stale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trace {
    name: String,
    declared: StaleFile,
    /// The service's user; its traces are its own or root's.
    user: Option<u32>,
}

pub(super) struct StaleFileHere<'a> {
    helper: &'a Helper,
    unit: &'a UnitName,
    tools: &'a Tools,
}

impl<'a> StaleFileHere<'a> {
    pub(super) fn new(helper: &'a Helper, unit: &'a UnitName, tools: &'a Tools) -> Self {
        Self {
            helper,
            unit,
            tools,
        }
    }

    pub(super) fn plan(&self, deadline: Instant, name: &str, declared: &StaleFile) -> Answer<Plan> {
        // Most services leave nothing behind: that is seen without a helper.
        let found = safe_path::walk(&declared.path, Rule::Look, Last::Keep);
        if let Err(WalkError::Missing | WalkError::MissingFolder) = found {
            return Ok(Plan::nothing(format!("`{name}` does not exist")));
        }
        if let Some(why) = self.tools.not_down(deadline, self.unit)? {
            return Ok(Plan::nothing(why));
        }
        let request = Request::Plan {
            trace: self.trace(deadline, name, declared)?,
            now: SystemClock.now(),
        };
        let what = format!("plan of stale-file `{name}`");
        self.run(deadline, &what, request, None)?.planned()
    }

    pub(super) fn apply(
        &self,
        deadline: Instant,
        name: &str,
        declared: &StaleFile,
        moved: Option<&MovedAside>,
    ) -> Answer<Receipt> {
        if let Some(why) = self.tools.not_down(deadline, self.unit)? {
            return Ok(Receipt::nothing(why));
        }
        let request = Request::Remove {
            trace: self.trace(deadline, name, declared)?,
            moved: moved.cloned(),
            now: SystemClock.now(),
        };
        let what = format!("removal of stale-file `{name}`");
        self.run(deadline, &what, request, Some(&declared.path))?
            .applied()
    }

    pub(super) fn put_back(&self, deadline: Instant, moved: &MovedAside) -> Answer<String> {
        let what = format!("putting back of {}", moved.path.display());
        self.back(deadline, &what, Request::PutBack(moved.clone()), moved)
    }

    pub(super) fn discard(&self, deadline: Instant, moved: &MovedAside) -> Answer<String> {
        let what = format!("deleting of what was kept of {}", moved.path.display());
        self.back(deadline, &what, Request::Discard(moved.clone()), moved)
    }

    fn back(
        &self,
        deadline: Instant,
        what: &str,
        request: Request,
        moved: &MovedAside,
    ) -> Answer<String> {
        self.run(deadline, what, request, Some(&moved.path))?
            .taken_back()
    }

    fn run(
        &self,
        deadline: Instant,
        what: &str,
        request: Request,
        changes: Option<&Path>,
    ) -> Answer<Outcome> {
        let request = HelperRequest::StaleFile(request);
        self.helper
            .run(deadline, what, &request, sandbox(changes), LIMIT)
    }

    fn trace(&self, deadline: Instant, name: &str, declared: &StaleFile) -> Answer<Trace> {
        let runs_as = self.tools.who.runs_as(deadline)?;
        Ok(Trace {
            name: name.to_owned(),
            declared: declared.clone(),
            user: runs_as.identity(&Accounts::read()).uid,
        })
    }
}

/// It may lie anywhere, and belong to anybody. Listeners are looked for in the host's network.
fn sandbox(changes: Option<&Path>) -> Sandbox {
    let folder = changes.and_then(Path::parent);
    Sandbox {
        protect_system: ProtectSystem::Strict,
        protect_home: true,
        private_tmp: false,
        private_network: false,
        writable: folder
            .map(|folder| folder.to_string_lossy().into_owned())
            .into_iter()
            .collect(),
        capabilities: vec![
            Capability::DacOverride,
            Capability::DacReadSearch,
            Capability::Fowner,
        ],
        families: vec!["AF_UNIX"],
        devices: Vec::new(),
    }
}

/// What runs in the helper.
pub(super) fn carry_out(request: &Request) -> Answer<Outcome> {
    match request {
        Request::Plan { trace, now } => plan(trace, *now).map(Outcome::Planned),
        Request::Remove { trace, moved, now } => {
            remove(trace, moved.as_ref(), *now).map(Outcome::Applied)
        }
        Request::PutBack(moved) => put_back(moved).map(Outcome::TakenBack),
        Request::Discard(moved) => discard(moved).map(Outcome::TakenBack),
    }
}

/// A trace that is proven stale, or why it is not.
fn find(trace: &Trace) -> Answer<Result<(Place, Metadata), String>> {
    let name = &trace.name;
    let path = &trace.declared.path;
    let not = |why: String| Ok(Err(why));
    let place = match safe_path::walk_to_folder(path, Rule::Change) {
        Ok(place) => place,
        Err(WalkError::MissingFolder) => return not(format!("`{name}` does not exist")),
        Err(error) => return Err(unsafe_path(path, &error.to_string())),
    };
    let Some(found) = look(&place, &place.name)? else {
        return not(format!("`{name}` does not exist"));
    };
    let what = trace.declared.what;
    let kind = found.file_type();
    let as_declared = match what {
        TraceKind::Pid => kind.is_file(),
        TraceKind::Lock => kind.is_file() || kind.is_dir(),
        TraceKind::Socket => kind.is_socket(),
    };
    if kind.is_symlink() {
        return not(format!("`{name}` is a symbolic link"));
    }
    if !as_declared {
        return not(format!("`{name}` is no {}", what.title()));
    }
    if found.uid() != 0 && Some(found.uid()) != trace.user {
        return not(format!(
            "`{name}` belongs neither to root nor to the service's user"
        ));
    }
    let folder = place.dir.dir_metadata().map_err(|e| failed(path, &e))?;
    if found.dev() != folder.dev() {
        return not(format!("`{name}` is a mount point"));
    }
    Ok(match proof::gap(name, what, &place, &found)? {
        Some(gap) => Err(gap),
        None => Ok((place, found)),
    })
}

fn plan(trace: &Trace, now: Timestamp) -> Answer<Plan> {
    let (place, found) = match find(trace)? {
        Ok(found) => found,
        Err(why) => return Ok(Plan::nothing(why)),
    };
    let declared = &trace.declared;
    let plan = Plan::to(format!(
        "remove the stale {} `{}`",
        declared.what.title(),
        trace.name
    ));
    if declared.what == TraceKind::Socket {
        return Ok(plan);
    }
    let moved = MovedAside {
        path: declared.path.clone(),
        aside: aside(&place.name, now).to_string_lossy().into_owned(),
        device: found.dev(),
        inode: found.ino(),
    };
    Ok(plan.undone_by(Undo::PutBack(moved)).lease(Lease {
        lasts: declared.keep,
        ends: LeaseEnds::Kept,
        calm: Duration::ZERO,
    }))
}

/// The name of what is removed, until it is deleted.
fn aside(name: &OsStr, now: Timestamp) -> OsString {
    let mut aside = name.to_owned();
    aside.push(format!(".stale-{}", stamp(now)));
    aside
}

fn remove(trace: &Trace, moved: Option<&MovedAside>, now: Timestamp) -> Answer<Receipt> {
    let (place, found) = match find(trace)? {
        Ok(found) => found,
        Err(why) => return Ok(Receipt::nothing(why)),
    };
    let changed = || {
        Failure::failed(
            "changed-meanwhile",
            format!(
                "`{}` is not what it was when it was proven stale",
                trace.name
            ),
        )
    };
    if moved.is_some_and(|moved| !is(&found, moved)) {
        return Err(changed());
    }
    let path = &trace.declared.path;
    let aside = moved.map_or_else(
        || aside(&place.name, now),
        |moved| OsString::from(&moved.aside),
    );
    rename(&place, &place.name, &aside).map_err(|error| failed(path, &error))?;
    // A service that starts by now makes a new one, which must not be lost.
    let is_it = look(&place, &aside)?
        .is_some_and(|there| there.dev() == found.dev() && there.ino() == found.ino());
    if !is_it {
        rename(&place, &aside, &place.name).map_err(|error| failed(path, &error))?;
        return Err(changed());
    }
    if moved.is_none() {
        place
            .dir
            .remove_file(&aside)
            .map_err(|error| failed(path, &error))?;
    }
    to_disk(&place.dir).map_err(|error| failed(path, &error))?;
    let what = trace.declared.what.title();
    Ok(Receipt::done(format!(
        "removed the stale {what} `{}`",
        trace.name
    )))
}

fn put_back(moved: &MovedAside) -> Answer<String> {
    let path = &moved.path;
    let place = walk(path)?;
    let aside = OsStr::new(&moved.aside);
    let here = look(&place, &place.name)?;
    if here.as_ref().is_some_and(|here| is(here, moved)) {
        return Ok(format!("{} had not been removed", path.display()));
    }
    let there = look(&place, aside)?;
    if !there.is_some_and(|there| is(&there, moved)) {
        return Err(Failure::not_found(
            "gone",
            format!(
                "what was removed is not at {} any more",
                path.with_file_name(aside).display()
            ),
        ));
    }
    if here.is_some() {
        return Ok(format!(
            "left {} as it is: the service has made it anew",
            path.display()
        ));
    }
    rename(&place, aside, &place.name).map_err(|error| failed(path, &error))?;
    to_disk(&place.dir).map_err(|error| failed(path, &error))?;
    Ok(format!("put {} back", path.display()))
}

fn discard(moved: &MovedAside) -> Answer<String> {
    let path = moved.path.with_file_name(&moved.aside);
    let place = walk(&moved.path)?;
    let aside = OsStr::new(&moved.aside);
    let found = look(&place, aside)?.filter(|found| is(found, moved));
    let Some(found) = found else {
        return Ok(format!("{} is gone already", path.display()));
    };
    if found.is_dir() {
        place.dir.remove_dir(aside)
    } else {
        place.dir.remove_file(aside)
    }
    .map_err(|error| failed(&path, &error))?;
    Ok(format!("deleted {}", path.display()))
}

#[cfg(test)]
mod tests;
