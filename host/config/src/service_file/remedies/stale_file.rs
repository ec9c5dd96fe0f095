//! Reads `[[stale-file]]`.

use std::{ops::Range, time::Duration};

use prunella_core::remedy::{Remedy, StaleFile, TraceKind};

use super::super::LEAST;
use crate::reader::{Reader, Section};

/// What was removed is kept for an hour: long enough to see what it was.
const KEEP: Duration = Duration::from_secs(3600);

const KINDS: [(&str, TraceKind); 3] = [
    ("pid", TraceKind::Pid),
    ("lock", TraceKind::Lock),
    ("socket", TraceKind::Socket),
];

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<Remedy> {
    reader.only(section, &["name", "path", "kind", "keep"]);
    let what = reader.one_of(section, "kind", &KINDS);
    if !section.table.contains_key("kind") {
        reader.error_help(
            at.clone(),
            "[[stale-file]] has no kind",
            "add `kind = \"pid\"`, `kind = \"lock\"` or `kind = \"socket\"`",
        );
    }
    let keep = reader.duration(section, "keep", LEAST);
    if what == Some(TraceKind::Socket) && section.table.contains_key("keep") {
        reader.error_help(
            at.clone(),
            "a socket is not kept: nobody can listen on it again",
            "remove the line `keep`",
        );
    }
    if !section.table.contains_key("path") {
        reader.error_help(
            at.clone(),
            "[[stale-file]] has no path",
            "add a line such as `path = \"/run/web.pid\"`",
        );
        return None;
    }
    let text = reader.text(section, "path", "/run/web.pid")?;
    let path = reader.path("path", text)?;
    Some(Remedy::StaleFile(StaleFile {
        path,
        what: what?,
        keep: keep.unwrap_or(KEEP),
    }))
}
