//! `config-update`: a declared value in a configuration file takes the next of its declared
//! values.
//!
//! The new content is written beside the file. The declared check then runs where the file's
//! path shows the new content, and to nobody else: the file itself is replaced only when that
//! passes. From there on it goes as with `file-restore`: what is put in place is known again by
//! its hash and its time, and what it replaces by its device and inode.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, Timestamp,
    capability::Answer,
    duration::written,
    hash::sha256,
    remedy::{ConfigUpdate, NoNextValue, Plan, Receipt, ReplacedContent, Undo, UndoReason},
    text::{one_line, redact},
};
use serde::{Deserialize, Serialize};

use super::{
    Tools,
    file_restore::{
        FileRestoreHere, aside,
        copies::{Copies, Seen},
        difference::difference,
        folder_of,
        now::{Now, look_at},
        replace::{self, Former, changed_meanwhile, former, put_in_place, write_aside},
        sandbox,
    },
    helper::{Helper, Outcome, Request as HelperRequest},
    in_folder::walk,
};
use crate::{
    clock::SystemClock,
    config_file::{self, Unusable},
    safe_path::Place,
    transient::ShownInstead,
};

/// Reading a file, and writing another.
const LIMIT: Duration = Duration::from_secs(20);

/// So much of a value is shown.
const SHOWN: usize = 60;

/// What is asked of the helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(super) enum Request {
    Plan {
        update: Update,
        now: Timestamp,
    },
    /// Writes the new content beside the file.
    Prepare {
        update: Update,
        replaced: ReplacedContent,
    },
    /// Puts it in place.
    Put {
        update: Update,
        replaced: ReplacedContent,
    },
}

/// What is declared, and what is remembered of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Update {
    name: String,
    declared: ConfigUpdate,
    /// The folder that remembers what did not help.
    copies: PathBuf,
}

pub(super) struct ConfigUpdateHere<'a> {
    helper: &'a Helper,
    files: FileRestoreHere<'a>,
    tools: &'a Tools,
}

impl<'a> ConfigUpdateHere<'a> {
    pub(super) fn new(helper: &'a Helper, files: FileRestoreHere<'a>, tools: &'a Tools) -> Self {
        Self {
            helper,
            files,
            tools,
        }
    }

    pub(super) fn plan(
        &self,
        deadline: Instant,
        name: &str,
        declared: &ConfigUpdate,
    ) -> Answer<Plan> {
        let request = Request::Plan {
            update: self.update(name, declared)?,
            now: SystemClock.now(),
        };
        let what = format!("plan of config-update `{name}`");
        self.run(deadline, &what, request, Vec::new())?.planned()
    }

    pub(super) fn apply(
        &self,
        deadline: Instant,
        name: &str,
        declared: &ConfigUpdate,
        replaced: &ReplacedContent,
    ) -> Answer<Receipt> {
        let what = format!("config-update of `{name}`");
        let request = Request::Prepare {
            update: self.update(name, declared)?,
            replaced: replaced.clone(),
        };
        let folder = folder_of(&replaced.path);
        let plan = self
            .run(deadline, &what, request, folder.clone())?
            .planned()?;
        let put = self.put(deadline, name, declared, replaced, &plan);
        if !put.as_ref().is_ok_and(|receipt| receipt.changed) {
            // What was written for it is of no use any more.
            self.files
                .take_back(deadline, replaced, UndoReason::CutOff)?;
        }
        put
    }

    /// Has what is written aside checked, and puts it in place when it passes.
    fn put(
        &self,
        deadline: Instant,
        name: &str,
        declared: &ConfigUpdate,
        replaced: &ReplacedContent,
        plan: &Plan,
    ) -> Answer<Receipt> {
        let update = self.update(name, declared)?;
        let check = &declared.check;
        let instead = ShownInstead {
            path: replaced.path.clone(),
            shown: replaced.path.with_file_name(&replaced.aside),
        };
        let report = self.tools.checks.run_with(deadline, check, vec![instead])?;
        if !report.passed {
            let said = match report.output.lines().last() {
                Some(said) if !update.declared.is_secret() => format!(": {}", one_line(said, 200)),
                _ => String::new(),
            };
            return Ok(Receipt::nothing(format!(
                "the check `{check}` did not pass when it was tried to {}, so the file stays as \
                 it is{said}",
                plan.summary,
            )));
        }
        let what = format!("config-update of `{name}`");
        let request = Request::Put {
            update,
            replaced: replaced.clone(),
        };
        self.run(deadline, &what, request, folder_of(&replaced.path))?
            .applied()
    }

    fn update(&self, name: &str, declared: &ConfigUpdate) -> Answer<Update> {
        Ok(Update {
            name: name.to_owned(),
            declared: declared.clone(),
            copies: self.files.copies(name)?,
        })
    }

    fn run(
        &self,
        deadline: Instant,
        what: &str,
        request: Request,
        writable: Vec<String>,
    ) -> Answer<Outcome> {
        let request = HelperRequest::ConfigUpdate(request);
        self.helper
            .run(deadline, what, &request, sandbox(writable), LIMIT)
    }
}

/// What runs in the helper.
pub(super) fn carry_out(request: &Request) -> Answer<Outcome> {
    match request {
        Request::Plan { update, now } => plan(update, *now).map(Outcome::Planned),
        Request::Prepare { update, replaced } => prepare(update, replaced).map(Outcome::Planned),
        Request::Put { update, replaced } => put(update, replaced).map(Outcome::Applied),
    }
}

/// A content, and what comes after it.
struct Step {
    from: String,
    to: String,
    content: Vec<u8>,
}

impl Update {
    /// The next step from a content; why there is none.
    fn step(&self, content: &[u8]) -> Result<Step, String> {
        let Self { name, declared, .. } = self;
        let ConfigUpdate {
            format,
            key,
            values,
            ..
        } = declared;
        let left_alone = |why: Unusable| format!("`{name}` is left alone: {why}");
        let from = config_file::value(content, *format, key).map_err(left_alone)?;
        let to = values.next(&from).map_err(|why| {
            let from = self.shown(&from);
            match why {
                NoNextValue::NotDeclared => {
                    format!("`{name}` is left alone: {key} is {from}, which is no declared value")
                }
                NoNextValue::Last => {
                    format!("{key} in `{name}` is {from}, the last of its declared values")
                }
            }
        })?;
        let content = config_file::with_value(content, *format, key, &to).map_err(left_alone)?;
        Ok(Step { from, to, content })
    }

    fn shown(&self, value: &str) -> String {
        if self.declared.is_secret() {
            return "not shown".to_owned();
        }
        one_line(&redact(value), SHOWN)
    }

    /// ``workers in `web` from 8 to 4``
    fn told(&self, step: &Step) -> String {
        let Self { name, declared, .. } = self;
        let key = one_line(&declared.key, SHOWN);
        if self.declared.is_secret() {
            return format!("{key} in `{name}` to the next of its values");
        }
        let (from, to) = (self.shown(&step.from), self.shown(&step.to));
        format!("{key} in `{name}` from {from} to {to}")
    }
}

fn plan(update: &Update, now: Timestamp) -> Answer<Plan> {
    let Update {
        name,
        declared,
        copies,
    } = update;
    let path = &declared.path;
    let (before, current) = match look_at(name, path)? {
        Now::Missing => return Ok(Plan::nothing(format!("`{name}` does not exist"))),
        Now::Empty { .. } => return Ok(Plan::nothing(format!("`{name}` is empty"))),
        Now::Other(why) => return Ok(Plan::nothing(why)),
        Now::Full { is, sha256, .. } => (is, sha256),
    };
    let remembered = Copies::read(copies)?;
    let Some(seen) = Seen::at(path)? else {
        return Err(changed_meanwhile(name));
    };
    let age = now.since(seen.changed);
    if age < declared.untouched_for && !remembered.is_own(&seen) {
        return Ok(Plan::nothing(format!(
            "`{name}` was changed {} ago, and whoever did may still be at work on it",
            written(Duration::from_secs(age.as_secs()))
        )));
    }
    let content = replace::content_at(&walk(path)?, path)?;
    if sha256(&content) != current {
        return Err(changed_meanwhile(name));
    }
    let step = match update.step(&content) {
        Ok(step) => step,
        Err(why) => return Ok(Plan::nothing(why)),
    };
    let brought = sha256(&step.content);
    if remembered.did_not_help(&current, &brought) {
        return Ok(Plan::nothing(format!(
            "it was tried to change {} before, and that did not help",
            update.told(&step)
        )));
    }
    let replaced = ReplacedContent {
        path: path.clone(),
        aside: aside(path, now),
        before: Some(before),
        sha256: brought,
        modified: now,
        copies: copies.clone(),
    };
    Ok(Plan::to(format!("change {}", update.told(&step)))
        .undone_by(Undo::TakeContentBack(replaced))
        .lease(declared.lease))
}

/// The file as it was planned to be replaced, and what takes its place.
fn planned(update: &Update, replaced: &ReplacedContent) -> Answer<(Place, Former, Step)> {
    let name = &update.name;
    let place = walk(&replaced.path)?;
    let former = former(&place, name, replaced)?.ok_or_else(|| changed_meanwhile(name))?;
    let step = update.step(&former.content).ok();
    match step.filter(|step| sha256(&step.content) == replaced.sha256) {
        Some(step) => Ok((place, former, step)),
        None => Err(changed_meanwhile(name)),
    }
}

fn prepare(update: &Update, replaced: &ReplacedContent) -> Answer<Plan> {
    let (place, former, step) = planned(update, replaced)?;
    let ownership = former.ownership;
    write_aside(&place, &step.content, ownership, Some(&former), replaced)?;
    Ok(Plan::to(format!("change {}", update.told(&step))))
}

fn put(update: &Update, replaced: &ReplacedContent) -> Answer<Receipt> {
    let (place, former, step) = planned(update, replaced)?;
    if !replace::is_prepared(&place, replaced)? {
        return Err(Failure::failed(
            "changed-meanwhile",
            format!(
                "what was written for `{}` was changed meanwhile",
                update.name
            ),
        ));
    }
    put_in_place(&place, &update.name, Some(&former), replaced)?;
    let shown = !update.declared.is_secret();
    Ok(Receipt {
        details: shown
            .then(|| difference(&former.content, &step.content))
            .flatten(),
        ..Receipt::done(format!("changed {}", update.told(&step)))
    })
}

#[cfg(test)]
mod tests;
