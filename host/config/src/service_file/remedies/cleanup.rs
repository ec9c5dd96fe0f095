//! Reads `[[cleanup]]`.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use prunella_core::remedy::{Cleanup, CleanupFolder, CleanupOf, CleanupPreset, Remedy};

use super::super::LEAST;
use crate::reader::{Reader, Section};

/// Less is not worth an act: what would be gained is used up again at once.
const AT_LEAST: u64 = 1 << 20;

/// Folders that no host does without, themselves; what lies in them may be named.
const NEVER: [&str; 8] = [
    "/", "/dev", "/home", "/root", "/run", "/srv", "/var", "/var/lib",
];

/// Folders that no host does without, with all that is in them.
const NEVER_BELOW: [&str; 10] = [
    "/bin",
    "/boot",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/sbin",
    "/sys",
    "/usr",
    "/var/lib/dpkg",
];

/// What a preset says itself.
const OF_A_FOLDER: [&str; 3] = ["patterns", "truncate", "mounted"];

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<Remedy> {
    reader.only(
        section,
        &[
            "name",
            "path",
            "preset",
            "patterns",
            "older-than",
            "keep-newest",
            "at-most",
            "at-least",
            "truncate",
            "mounted",
        ],
    );
    let older_than = reader.duration(section, "older-than", LEAST);
    let keep_newest = reader.number(section, "keep-newest", 1_000_000);
    let at_most = reader.size(section, "at-most");
    let at_least = at_least(reader, section, at_most)?;
    let of = match (
        section.table.contains_key("path"),
        section.table.contains_key("preset"),
    ) {
        (true, true) => {
            let span = section.table.get("preset").map(|value| value.span());
            reader.error_help(
                span.unwrap_or_else(|| at.clone()),
                "[[cleanup]] has both a path and a preset",
                "leave one of them out; for both, declare two",
            );
            return None;
        }
        (false, false) => {
            reader.error_help(
                at.clone(),
                "[[cleanup]] has no path",
                "add a line such as `path = \"/var/cache/web\"` or `preset = \"apt\"`",
            );
            return None;
        }
        (true, false) => CleanupOf::Folder(folder(reader, section)?),
        (false, true) => CleanupOf::Preset(preset(reader, section)?),
    };
    let of_preset = match &of {
        CleanupOf::Preset(preset) => preset.older_than(),
        CleanupOf::Folder(_) => Duration::ZERO,
    };
    Some(Remedy::Cleanup(Cleanup {
        of,
        older_than: older_than.unwrap_or(of_preset),
        keep_newest: keep_newest.unwrap_or_default(),
        at_most,
        at_least,
    }))
}

fn at_least(reader: &mut Reader<'_>, section: Section<'_>, at_most: Option<u64>) -> Option<u64> {
    let Some(value) = section.table.get("at-least") else {
        return Some(at_most.map_or(AT_LEAST, |most| most.min(AT_LEAST)));
    };
    let at_least = reader.size(section, "at-least")?;
    if at_most.is_some_and(|most| most < at_least) {
        reader.error_help(
            value.span(),
            "`at-least` is more than `at-most`: nothing could ever be deleted",
            "lower the one, or raise the other",
        );
        return None;
    }
    Some(at_least)
}

fn preset(reader: &mut Reader<'_>, section: Section<'_>) -> Option<CleanupPreset> {
    let known = CleanupPreset::ALL.map(|preset| (preset.as_str(), preset));
    let preset = reader.one_of(section, "preset", &known)?;
    for key in OF_A_FOLDER {
        if let Some(value) = section.table.get(key) {
            reader.error_help(
                value.span(),
                format!("`{key}` cannot stand beside a preset, which knows its own files"),
                "leave it out, or name a `path` instead of the preset",
            );
            return None;
        }
    }
    Some(preset)
}

fn folder(reader: &mut Reader<'_>, section: Section<'_>) -> Option<CleanupFolder> {
    let text = reader.text(section, "path", "/var/cache/web")?;
    let span = text.1.clone();
    let path = reader.path("path", text)?;
    let is_needed = NEVER.iter().any(|never| path == Path::new(never))
        || NEVER_BELOW.iter().any(|never| path.starts_with(never));
    if is_needed {
        reader.error_help(
            span,
            format!("{} cannot be cleaned up: the host needs it", path.display()),
            "name the folder that holds nothing but what can be spared",
        );
        return None;
    }
    let mut patterns = Vec::new();
    for (pattern, span) in reader.texts(section, "patterns", "\"*.log\"") {
        if pattern.is_empty() || pattern.starts_with('/') || pattern.contains("..") {
            reader.error_help(
                span,
                "a pattern fits the name of a file, or its path in the folder",
                "write it as in \"*.log\" or \"old/*.gz\"",
            );
            return None;
        }
        patterns.push(pattern.to_owned());
    }
    let truncate = reader.flag(section, "truncate").unwrap_or_default();
    if truncate && patterns.is_empty() {
        let span = section.table.get("truncate").map(|value| value.span());
        reader.error_help(
            span.unwrap_or_default(),
            "`truncate` needs `patterns`: without them every open file would be emptied",
            "say which are logs, such as `patterns = [\"*.log\"]`",
        );
        return None;
    }
    let mounted = match section.table.contains_key("mounted") {
        true => mounted(reader, section, &path)?,
        false => None,
    };
    Some(CleanupFolder {
        path,
        patterns,
        truncate,
        mounted,
    })
}

/// `true` for the folder itself, or the folder above it where something has to be mounted.
fn mounted(reader: &mut Reader<'_>, section: Section<'_>, path: &Path) -> Option<Option<PathBuf>> {
    let value = section.table.get("mounted")?;
    if let Some(itself) = value.get_ref().as_bool() {
        return Some(itself.then(|| path.to_owned()));
    }
    let text = reader.text(section, "mounted", "/mnt/data")?;
    let span = text.1.clone();
    let point = reader.path("mounted", text)?;
    if !path.starts_with(&point) || point == Path::new("/") {
        reader.error_help(
            span,
            format!("{} does not lie in {}", path.display(), point.display()),
            "name where the file system of `path` is mounted, or write `mounted = true` if that \
             is `path` itself",
        );
        return None;
    }
    Some(Some(point))
}
