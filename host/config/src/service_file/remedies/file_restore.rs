//! Reads `[[file-restore]]`.

use std::{ops::Range, time::Duration};

use prunella_core::remedy::{FileRestore, Remedy};

use super::super::LEAST;
use crate::reader::{Reader, Section};

/// So many copies are kept.
const GENERATIONS: u32 = 3;
const GENERATIONS_MAX: u32 = 100;

/// Whoever edits a file tries it within a minute, and then knows that it is broken.
const SETTLE: Duration = Duration::from_secs(60);

/// A file that was replaced is kept for a week.
const KEEP: Duration = Duration::from_secs(7 * 86_400);

const KEYS: [&str; 8] = [
    "name",
    "path",
    "source",
    "check",
    "secret",
    "generations",
    "settle",
    "keep",
];

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<Remedy> {
    reader.only(section, &KEYS);
    let check = reader.text(section, "check", "config");
    let check = check.map(|(name, _)| name.to_owned());
    let generations = reader
        .number(section, "generations", GENERATIONS_MAX)
        .unwrap_or(GENERATIONS);
    let source = reader
        .text(section, "source", "/usr/share/web/web.conf")
        .and_then(|text| reader.path("source", text));
    let settle = reader.duration(section, "settle", Duration::ZERO);
    let keep = reader.duration(section, "keep", LEAST);
    let secret = reader.flag(section, "secret").unwrap_or_default();
    if !section.table.contains_key("path") {
        reader.error_help(
            at.clone(),
            "[[file-restore]] has no path",
            "add a line such as `path = \"/etc/web.conf\"`",
        );
        return None;
    }
    let text = reader.text(section, "path", "/etc/web.conf")?;
    let span = text.1.clone();
    let path = reader.path("path", text)?;
    if source.as_ref() == Some(&path) {
        reader.error_help(
            span,
            "`source` is the file itself",
            "name the file that its content comes from, or remove `source`",
        );
        return None;
    }
    Some(Remedy::FileRestore(FileRestore {
        path,
        source,
        check,
        secret,
        generations: usize::try_from(generations).unwrap_or(usize::MAX),
        settle: settle.unwrap_or(SETTLE),
        keep: keep.unwrap_or(KEEP),
    }))
}
