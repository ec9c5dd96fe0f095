//! Reads `[[set-aside]]`.

use std::{ops::Range, path::Path, time::Duration};

use prunella_core::remedy::{Remedy, SetAside};

use super::super::LEAST;
use crate::reader::{Reader, Section};

/// What was moved aside is kept for a week.
const KEEP: Duration = Duration::from_secs(7 * 86_400);

/// What no host does without.
const NEVER: [&str; 12] = [
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/proc", "/run", "/sys", "/usr", "/var",
];

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<Remedy> {
    reader.only(section, &["name", "path", "keep"]);
    let keep = reader.duration(section, "keep", LEAST).unwrap_or(KEEP);
    if !section.table.contains_key("path") {
        reader.error_help(
            at.clone(),
            "[[set-aside]] has no path",
            "add a line such as `path = \"/var/cache/web\"`",
        );
        return None;
    }
    let text = reader.text(section, "path", "/var/cache/web")?;
    let span = text.1.clone();
    let path = reader.path("path", text)?;
    if NEVER.iter().any(|never| path == Path::new(never)) {
        reader.error_help(
            span,
            format!(
                "{} cannot be moved aside: the host needs it",
                path.display()
            ),
            "name the folder that the service makes anew when it is missing",
        );
        return None;
    }
    Some(Remedy::SetAside(SetAside { path, keep }))
}
