//! `file-restore`: a declared file's content comes back from a copy of what was in force while
//! the service was well, or from a declared source.
//!
//! What the file is now is looked at here; copies are taken and content is replaced in the
//! helper. What is brought back is known again by its hash and its time, and what it replaces
//! by its device and inode: so it is known of each name what stands there, however far an act
//! came before it was cut off.

mod attributes;
pub(super) mod copies;
pub(super) mod difference;
pub(super) mod now;
pub(super) mod replace;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, Timestamp, UnitName,
    capability::Answer,
    hash::sha256,
    remedy::{
        AmountOf, FileRestore, Lease, LeaseEnds, Plan, Receipt, ReplacedContent, Undo, UndoReason,
    },
};
use serde::{Deserialize, Serialize};

use self::{
    copies::{Copied, Copies, Seen},
    now::{Now, look_at, source_of},
};
use super::{
    Tools,
    helper::{Helper, Outcome, Request as HelperRequest},
    in_folder::stamp,
};
use crate::{
    clock::{self, SystemClock},
    transient::{Capability, ProtectSystem, Sandbox},
};

/// No more than this is kept or brought back.
const CONTENT: u64 = 1 << 20;

/// Reading, encrypting and writing as much.
const LIMIT: Duration = Duration::from_secs(20);

/// What is asked of the helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(super) enum Request {
    Keep {
        declared: FileRestore,
        copies: PathBuf,
        /// The file as it was seen: nothing else is kept.
        seen: Seen,
        now: Timestamp,
    },
    Restore {
        name: String,
        replaced: ReplacedContent,
        from: Origin,
        secret: bool,
    },
    TakeBack {
        replaced: ReplacedContent,
        /// Whether it is remembered that it did not help.
        no_help: bool,
    },
    Discard(ReplacedContent),
}

/// Where content comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Origin {
    Copy(Copied),
    Source(PathBuf, Ownership),
}

/// Whose a file is, and who may do what with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ownership {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Permission bits.
    pub(super) mode: u32,
}

/// Runs a declared check, and tells whether it passes.
pub(super) type RunCheck<'a> = &'a dyn Fn(&str) -> Answer<bool>;

pub(super) struct FileRestoreHere<'a> {
    helper: &'a Helper,
    unit: &'a UnitName,
    tools: &'a Tools,
}

impl<'a> FileRestoreHere<'a> {
    pub(super) fn new(helper: &'a Helper, unit: &'a UnitName, tools: &'a Tools) -> Self {
        Self {
            helper,
            unit,
            tools,
        }
    }

    pub(super) fn copies(&self, name: &str) -> Answer<PathBuf> {
        let content = self.tools.content.as_ref().ok_or_else(|| {
            Failure::unavailable("no-copies", "there is no folder to keep copies in")
        })?;
        Ok(content.join(self.unit.as_str()).join(name))
    }

    /// Takes a copy of the file where it has changed, and is in force: it was written before
    /// the service's run began. Whether it did.
    pub(super) fn keep(
        &self,
        deadline: Instant,
        name: &str,
        declared: &FileRestore,
    ) -> Answer<bool> {
        let folder = self.copies(name)?;
        let Some(seen) = Seen::at(&declared.path)? else {
            return Ok(false);
        };
        if Copies::read(&folder)?.is_current(&seen) {
            return Ok(false);
        }
        let status = self.tools.units.get(deadline, self.unit)?;
        let Some(began) = status.inactive_exit_monotonic.filter(|_| status.is_up()) else {
            return Ok(false);
        };
        let began = clock::now().saturating_sub(clock::monotonic().since(began));
        if seen.changed >= began {
            return Ok(false);
        }
        let request = Request::Keep {
            declared: declared.clone(),
            copies: folder.clone(),
            seen,
            now: SystemClock.now(),
        };
        let what = format!("copy of file-restore `{name}`");
        let mut writable = vec![self.content_root(&folder)];
        if declared.secret {
            // The host's key is made when it is used first.
            writable.push("/var/lib/systemd".to_owned());
        }
        self.run(deadline, &what, request, writable)?.kept()
    }

    pub(super) fn plan(
        &self,
        deadline: Instant,
        name: &str,
        declared: &FileRestore,
        passes: RunCheck<'_>,
    ) -> Answer<Plan> {
        let nothing = |why: String| Ok(Plan::nothing(why));
        if let Some(why) = self.tools.not_down(deadline, self.unit)? {
            return nothing(why);
        }
        let now = look_at(name, &declared.path)?;
        let folder = self.copies(name)?;
        let copies = Copies::read(&folder)?;
        let (before, current, is_full) = match &now {
            Now::Other(why) => return nothing(why.clone()),
            Now::Missing => (None, String::new(), false),
            Now::Empty { is } => (Some(*is), sha256(b""), false),
            Now::Full { is, sha256, .. } => (Some(*is), sha256.clone(), true),
        };
        let found = match &declared.source {
            Some(source) => source_of(name, source, &copies)?,
            None => match copies.latest() {
                Some(copy) => Ok((copy.sha256.clone(), copy.size, Origin::Copy(copy.clone()))),
                None => Err(format!(
                    "no copy of `{name}` was kept yet while {} was well",
                    self.unit
                )),
            },
        };
        let (sha256, size, from) = match found {
            Ok(found) => found,
            Err(why) => return nothing(why),
        };
        if current == sha256 {
            return nothing(format!("`{name}` is what it should be"));
        }
        if let Now::Full { modified, .. } = &now {
            let Some(check) = &declared.check else {
                return nothing(format!("`{name}` is there, and not empty"));
            };
            if copies.latest().is_some_and(|copy| copy.sha256 == current) {
                return nothing(format!(
                    "`{name}` is what it was while {} was well",
                    self.unit
                ));
            }
            let age = SystemClock.now().since(*modified);
            if age < declared.settle {
                return nothing(format!(
                    "`{name}` was changed {} s ago, and whoever did may still be at work on it",
                    age.as_secs()
                ));
            }
            if passes(check)? {
                return nothing(format!("`{name}` passes its check `{check}`"));
            }
        }
        if copies.did_not_help(&current, &sha256) {
            return nothing(format!(
                "the content of `{name}` was brought back before, and that did not help"
            ));
        }
        let at = SystemClock.now();
        let replaced = ReplacedContent {
            path: declared.path.clone(),
            aside: aside(&declared.path, at),
            before,
            sha256,
            modified: at,
            copies: folder,
        };
        let why = match (is_full, before) {
            (true, _) => "is broken",
            (false, Some(_)) => "is empty",
            (false, None) => "is missing",
        };
        let whence = match from {
            Origin::Copy(_) => "its last copy",
            Origin::Source(..) => "its source",
        };
        Ok(Plan::to(format!(
            "bring back the content of `{name}`, which {why}, from {whence}"
        ))
        .amount(AmountOf::Bytes, size)
        .undone_by(Undo::TakeContentBack(replaced))
        .lease(Lease {
            lasts: declared.keep,
            ends: LeaseEnds::Kept,
            calm: Duration::ZERO,
        }))
    }

    pub(super) fn apply(
        &self,
        deadline: Instant,
        name: &str,
        declared: &FileRestore,
        replaced: &ReplacedContent,
    ) -> Answer<Receipt> {
        if let Some(why) = self.tools.not_down(deadline, self.unit)? {
            return Ok(Receipt::nothing(why));
        }
        let copies = Copies::read(&replaced.copies)?;
        let from = match &declared.source {
            Some(source) => match source_of(name, source, &copies)? {
                Ok((_, _, from)) => from,
                Err(why) => return Ok(Receipt::nothing(why)),
            },
            None => match copies.find(&replaced.sha256) {
                Some(copy) => Origin::Copy(copy.clone()),
                None => return Ok(Receipt::nothing(format!("the copy of `{name}` is gone"))),
            },
        };
        let request = Request::Restore {
            name: name.to_owned(),
            replaced: replaced.clone(),
            from,
            secret: declared.secret,
        };
        let what = format!("file-restore of `{name}`");
        self.run(deadline, &what, request, folder_of(&replaced.path))?
            .applied()
    }

    pub(super) fn take_back(
        &self,
        deadline: Instant,
        replaced: &ReplacedContent,
        why: UndoReason,
    ) -> Answer<String> {
        let what = format!("undoing of the file-restore of {}", replaced.path.display());
        let mut writable = folder_of(&replaced.path);
        writable.push(self.content_root(&replaced.copies));
        let request = Request::TakeBack {
            replaced: replaced.clone(),
            // A person who takes it back does not want it again, either.
            no_help: matches!(why, UndoReason::NoHelp | UndoReason::Ordered),
        };
        self.back(deadline, &what, request, writable)
    }

    pub(super) fn discard(&self, deadline: Instant, replaced: &ReplacedContent) -> Answer<String> {
        let what = format!("deleting of what was kept of {}", replaced.path.display());
        let writable = folder_of(&replaced.path);
        self.back(
            deadline,
            &what,
            Request::Discard(replaced.clone()),
            writable,
        )
    }

    fn back(
        &self,
        deadline: Instant,
        what: &str,
        request: Request,
        writable: Vec<String>,
    ) -> Answer<String> {
        self.run(deadline, what, request, writable)?.taken_back()
    }

    fn run(
        &self,
        deadline: Instant,
        what: &str,
        request: Request,
        writable: Vec<String>,
    ) -> Answer<Outcome> {
        let request = HelperRequest::FileRestore(request);
        self.helper
            .run(deadline, what, &request, sandbox(writable), LIMIT)
    }

    /// The folder of all that Prunella keeps, which is there: those below it may not be yet.
    fn content_root(&self, copies: &Path) -> String {
        let content = self.tools.content.as_deref().and_then(Path::parent);
        content.unwrap_or(copies).to_string_lossy().into_owned()
    }
}

pub(super) fn folder_of(path: &Path) -> Vec<String> {
    let folder = path
        .parent()
        .map(|folder| folder.to_string_lossy().into_owned());
    folder.into_iter().collect()
}

/// It may lie anywhere, and belong to anybody.
pub(super) fn sandbox(writable: Vec<String>) -> Sandbox {
    Sandbox {
        protect_system: ProtectSystem::Strict,
        protect_home: true,
        private_tmp: false,
        private_network: true,
        writable,
        capabilities: vec![
            Capability::Chown,
            Capability::DacOverride,
            Capability::DacReadSearch,
            Capability::Fowner,
        ],
        families: vec!["AF_UNIX"],
        devices: Vec::new(),
    }
}

/// The name of what is replaced, in the same folder.
pub(super) fn aside(path: &Path, at: Timestamp) -> String {
    let name = path.file_name().unwrap_or_default().display();
    format!("{name}.replaced-{}", stamp(at))
}

/// What runs in the helper.
pub(super) fn carry_out(request: &Request) -> Answer<Outcome> {
    match request {
        Request::Keep {
            declared,
            copies,
            seen,
            now,
        } => copies::keep(declared, copies, seen, *now).map(Outcome::Kept),
        Request::Restore {
            name,
            replaced,
            from,
            secret,
        } => replace::restore(name, replaced, from, *secret).map(Outcome::Applied),
        Request::TakeBack { replaced, no_help } => {
            replace::take_back(replaced, *no_help).map(Outcome::TakenBack)
        }
        Request::Discard(replaced) => replace::discard(replaced).map(Outcome::TakenBack),
    }
}

fn unread(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::unavailable(
        "unread",
        format!("{} cannot be read: {error}", path.display()),
    )
}
