//! Reads `[[check]]`: the commands a service declares.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use prunella_core::{
    service::{DeclaredCheck, Service},
    text::one_line,
};

use super::{LEAST, first_of};
use crate::reader::{Reader, Section};

const CHECK_KEYS: [&str; 6] = [
    "name",
    "command",
    "timeout",
    "mutates",
    "as-root",
    "validates",
];

pub(super) fn read_checks(reader: &mut Reader<'_>, top: Section<'_>, service: &mut Service) {
    let mut seen = BTreeMap::new();
    for (section, at) in reader.sections(top, "check", "[[check]]") {
        reader.only(section, &CHECK_KEYS);
        let name = reader.name(section, &at);
        let command = read_command(reader, section, &at, "check");
        let mutates = reader.flag(section, "mutates").unwrap_or_default();
        let check = DeclaredCheck {
            command: command.clone().unwrap_or_default(),
            timeout: reader
                .duration(section, "timeout", LEAST)
                // A configuration check reads files; half a minute is ample.
                .unwrap_or(Duration::from_secs(30)),
            mutates,
            as_root: reader.flag(section, "as-root").unwrap_or_default(),
            // Whoever declares a harmless check and says no more about it
            // expects that it holds a start against a broken configuration.
            validates: reader.flag(section, "validates").unwrap_or(!mutates),
        };
        if check.mutates && check.validates {
            reader.error_help(
                at.clone(),
                "a check that validates must not change anything",
                "leave out `mutates` or `validates`",
            );
        }
        if let Some(name) = name
            && first_of(reader, &mut seen, "check", &name, &at)
            && command.is_some()
        {
            service.checks.insert(name, check);
        }
    }
}

/// The `command` of a check or of a probe.
pub(super) fn read_command(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
    what: &str,
) -> Option<Vec<String>> {
    let example = "\"/usr/sbin/nginx\", \"-t\"";
    let words = reader.texts(section, "command", example);
    let Some((program, span)) = words.first() else {
        let empty = section
            .table
            .get("command")
            .is_none_or(|value| value.get_ref().is_array());
        if empty {
            reader.error_help(
                at.clone(),
                format!("[[{what}]] has no command"),
                format!("add a line such as `command = [{example}]`"),
            );
        }
        return None;
    };
    if !program.starts_with('/') {
        let shown = one_line(program, 60);
        reader.error_help(
            span.clone(),
            format!("the program of a {what} must be an absolute path, and `{shown}` is not"),
            format!("find it with `command -v {shown}`; there is no shell and no PATH"),
        );
        return None;
    }
    if let Some((_, span)) = words.iter().find(|(word, _)| word.contains('\0')) {
        reader.error(span.clone(), "a command cannot contain NUL");
        return None;
    }
    Some(words.into_iter().map(|(word, _)| word.to_owned()).collect())
}
