//! `cleanup`: files that were declared as expendable are deleted, the oldest first.
//!
//! What is looked for stands in [`walk`], what of it may go in [`choose`], and which files are
//! in use in [`in_use`]. Images of containers are not files of their own: [`images`]. The plan and the act choose by the same rules; what was planned is
//! not what is deleted, since a file may have been opened or changed meanwhile.

mod choose;
mod delete;
mod images;
mod in_use;
mod walk;

use std::time::{Duration, Instant};

use prunella_core::{
    Failure, Timestamp,
    capability::Answer,
    remedy::{
        Amount, AmountOf, Cleanup, CleanupFolder, CleanupOf, CleanupPreset, DeclaredRemedy as _,
        Plan, Receipt,
    },
    text::one_line,
};
use rustix::fs::fstatvfs;
use serde::{Deserialize, Serialize};

use self::{
    choose::{Chosen, Wanted, choose},
    in_use::InUse,
    walk::{Root, Rules, look_through},
};
use super::helper::{Helper, Outcome, Request as HelperRequest};
use crate::{
    clock::SystemClock,
    host::filesystems::mounts,
    package_lock,
    transient::{Capability, ProtectSystem, Sandbox},
};

/// Looking through a large cache on a slow disk.
const LOOKING: Duration = Duration::from_secs(30);
/// Deleting what was found there.
const DELETING: Duration = Duration::from_secs(90);
/// So many of the largest files are named.
const NAMED: usize = 3;
/// A file system is short of inodes when fewer than one of so many are left.
const SHORT_OF_INODES: u64 = 20;
/// Deleting fewer than one of so many does not help it.
const WORTHWHILE: u64 = 100;

/// What is asked of the helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Request {
    name: String,
    declared: Cleanup,
    now: Timestamp,
    /// Whether it is done, and not only planned.
    apply: bool,
}

pub(super) struct CleanupHere<'a> {
    helper: &'a Helper,
}

impl<'a> CleanupHere<'a> {
    pub(super) fn new(helper: &'a Helper) -> Self {
        Self { helper }
    }

    pub(super) fn plan(&self, deadline: Instant, name: &str, declared: &Cleanup) -> Answer<Plan> {
        self.run(deadline, name, declared, false)?.planned()
    }

    pub(super) fn apply(
        &self,
        deadline: Instant,
        name: &str,
        declared: &Cleanup,
    ) -> Answer<Receipt> {
        self.run(deadline, name, declared, true)?.applied()
    }

    fn run(
        &self,
        deadline: Instant,
        name: &str,
        declared: &Cleanup,
        apply: bool,
    ) -> Answer<Outcome> {
        let request = HelperRequest::Cleanup(Request {
            name: name.to_owned(),
            declared: declared.clone(),
            now: SystemClock.now(),
            apply,
        });
        let (what, limit) = if apply {
            (format!("cleanup of `{name}`"), DELETING)
        } else {
            (format!("plan of cleanup `{name}`"), LOOKING)
        };
        self.helper.run(deadline, &what, &request, sandbox(), limit)
    }
}

/// Its files may lie anywhere and belong to anybody; which of them are open, the processes of
/// all users tell.
fn sandbox() -> Sandbox {
    Sandbox {
        protect_system: ProtectSystem::Programs,
        protect_home: false,
        private_tmp: false,
        private_network: true,
        writable: Vec::new(),
        capabilities: vec![
            Capability::DacOverride,
            Capability::DacReadSearch,
            Capability::Fowner,
            Capability::SysPtrace,
        ],
        families: vec!["AF_UNIX"],
        devices: Vec::new(),
    }
}

/// What runs in the helper.
pub(super) fn carry_out(request: &Request) -> Answer<Outcome> {
    let Request {
        name,
        declared,
        now,
        apply,
    } = request;
    if declared.of == CleanupOf::Preset(CleanupPreset::ContainerImages) {
        return images::carry_out(name, declared, *now, *apply);
    }
    let prospect = match look(name, declared, *now)? {
        Ok(prospect) => prospect,
        Err(because) if *apply => return Ok(Outcome::Applied(Receipt::nothing(because))),
        Err(because) => return Ok(Outcome::Planned(Plan::nothing(because))),
    };
    if *apply {
        prospect.carry_out(name).map(Outcome::Applied)
    } else {
        Ok(Outcome::Planned(prospect.plan(name)))
    }
}

/// What may be deleted now, where it lies, and how that is counted.
struct Prospect {
    roots: Vec<Root>,
    chosen: Chosen,
    amount: Amount,
}

/// Looks for what may go; answers with the reason, where nothing may.
fn look(name: &str, declared: &Cleanup, now: Timestamp) -> Answer<Result<Prospect, String>> {
    if let Some(because) = is_forbidden(name, declared)? {
        return Ok(Err(because));
    }
    let rules = rules(declared);
    let mut roots = Vec::new();
    let mut found = Vec::new();
    for path in declared.makes_room_in() {
        if let Some(root) = Root::open(name, path)? {
            look_through(&root, roots.len(), &rules, &mut found)?;
            roots.push(root);
        }
    }
    if roots.is_empty() {
        return Ok(Err(format!("`{name}` does not exist")));
    }
    let in_use = InUse::look(&found)?;
    let wanted = Wanted {
        not_after: now.saturating_sub(declared.older_than),
        has_age: !declared.older_than.is_zero(),
        keep_newest: declared.keep_newest,
        at_most: declared.at_most,
        truncate: matches!(&declared.of, CleanupOf::Folder(folder) if folder.truncate),
    };
    let chosen = choose(found, &in_use, &wanted);
    if chosen.is_empty() {
        return Ok(Err(chosen.left.because(name)));
    }
    let bytes = Amount {
        value: chosen.bytes(),
        of: AmountOf::Bytes,
    };
    let files = chosen.files();
    let amount = if bytes.value >= declared.at_least {
        bytes
    } else if roots.iter().any(|root| files >= worthwhile(root)) {
        // Empty files take no room, and each an inode.
        Amount {
            value: files,
            of: AmountOf::Files,
        }
    } else {
        let least = Amount {
            value: declared.at_least,
            of: AmountOf::Bytes,
        };
        return Ok(Err(format!(
            "{bytes} of `{name}` could be freed, and less than {least} is not worth it"
        )));
    };
    Ok(Ok(Prospect {
        roots,
        chosen,
        amount,
    }))
}

/// Why nothing of it may be looked at, if so.
fn is_forbidden(name: &str, declared: &Cleanup) -> Answer<Option<String>> {
    match &declared.of {
        CleanupOf::Folder(CleanupFolder {
            mounted: Some(point),
            ..
        }) => {
            let mounts = mounts()?;
            // What an automounter would mount there is not mounted.
            let there = mounts.iter().rev().find(|mount| mount.point == *point);
            Ok(there
                .is_none_or(|mount| mount.kind == "autofs")
                .then(|| format!("the file system of `{name}` is not mounted")))
        }
        CleanupOf::Preset(CleanupPreset::Apt) => Ok(package_lock::holder()
            .map(|who| format!("a package manager may need what is in `{name}`: {who}"))),
        CleanupOf::Folder(_) | CleanupOf::Preset(_) => Ok(None),
    }
}

fn rules(declared: &Cleanup) -> Rules {
    match &declared.of {
        CleanupOf::Folder(folder) => Rules {
            patterns: folder.patterns.clone(),
            deep: true,
            by_every_time: false,
        },
        CleanupOf::Preset(preset) => Rules {
            patterns: preset.patterns().iter().map(|p| (*p).to_owned()).collect(),
            deep: preset.is_deep(),
            by_every_time: *preset == CleanupPreset::Tmp,
        },
    }
}

/// From how many files on it is worthwhile to delete them for their inodes alone; never, where
/// inodes are left.
fn worthwhile(root: &Root) -> u64 {
    match fstatvfs(&root.dir) {
        Ok(of) if of.f_files != 0 && of.f_favail < of.f_files / SHORT_OF_INODES => {
            of.f_files.div_ceil(WORTHWHILE)
        }
        _ => u64::MAX,
    }
}

impl Prospect {
    fn plan(&self, name: &str) -> Plan {
        let mut largest: Vec<_> = self.chosen.all().collect();
        largest.sort_by_key(|found| std::cmp::Reverse(found.bytes));
        let named: Vec<String> = largest
            .iter()
            .take(NAMED)
            .map(|found| {
                let size = Amount {
                    value: found.bytes,
                    of: AmountOf::Bytes,
                };
                let path = one_line(&found.path.to_string_lossy(), 80);
                format!("{path} ({size})")
            })
            .collect();
        Plan {
            amount: Some(self.amount),
            ..Plan::to(self.chosen.in_words("delete", "empty", name))
        }
        .details(format!("the largest: {}", named.join(", ")))
    }

    fn carry_out(&self, name: &str) -> Answer<Receipt> {
        let done = delete::delete(&self.roots, &self.chosen);
        if done.deleted + done.emptied == 0 {
            let why = done
                .trouble
                .unwrap_or_else(|| "all of it is in use or was changed meanwhile".to_owned());
            return Err(Failure::failed(
                "cannot-delete",
                format!("nothing of `{name}` could be deleted: {why}"),
            ));
        }
        let mut summary =
            choose::in_words(done.deleted, done.emptied, ("deleted", "emptied"), name);
        if done.left != 0 {
            summary = format!("{summary}; {} stayed", choose::files(done.left));
        }
        if let Some(trouble) = &done.trouble {
            summary = format!("{summary} ({trouble})");
        }
        let measured = match self.amount.of {
            AmountOf::Bytes => done.bytes,
            _ => done.deleted,
        };
        Ok(Receipt {
            predicted: Some(self.amount),
            measured: Some(Amount {
                value: measured,
                ..self.amount
            }),
            ..Receipt::done(summary)
        })
    }
}

/// A cleanup whose folder is not touched, and why.
fn unsafe_path(name: &str, why: &str) -> Failure {
    Failure::denied("unsafe-path", format!("`{name}` is left alone: {why}"))
}

#[cfg(test)]
mod tests;
