//! Reads `[health.logs.NAME]`: what is looked for in the lines of a service.
//!
//! ```toml
//! [health.logs.deadlock]
//! pattern = "deadlock detected"   # `*` for any text, `?` for any one character
//! degraded = 1                    # lines a minute
//! for = "0s"
//! ```

use prunella_core::{
    health::{HealthSettings, Metric},
    name::is_plain,
    text::one_line,
};

use super::{
    limits,
    reader::{Reader, Section},
};

/// Each is looked for in each line.
const MOST: usize = 16;

/// Bytes of a pattern.
const LONGEST: usize = 200;

const METRIC: Metric = Metric::LogMatchesPerMinute;

pub(super) fn read(reader: &mut Reader<'_>, health: Section<'_>, settings: &mut HealthSettings) {
    let Some(logs) = reader.section(health, "logs", "[health.logs.NAME]") else {
        return;
    };
    for (key, value) in logs.table {
        let name: &str = key.get_ref();
        if !is_plain(name) {
            let shown = one_line(name, 60);
            reader.error_help(
                key.span(),
                format!("`{shown}` is not a name"),
                "use lower-case letters, digits and `-`, beginning with a letter, at most 64",
            );
            continue;
        }
        if value.get_ref().as_str() == Some("off") {
            settings.log_patterns.remove(name);
            settings.limits.set_of_instance(METRIC, name, None);
            continue;
        }
        let Some(table) = value.get_ref().as_table() else {
            reader.error_help(
                value.span(),
                format!("`{name}` must be a table, or \"off\""),
                "for example: deadlock = { pattern = \"deadlock detected\", degraded = 1 }",
            );
            continue;
        };
        let section = Section {
            table,
            name: "[health.logs.NAME]",
        };
        one(reader, section, name, settings);
        if settings.log_patterns.len() > MOST {
            settings.log_patterns.remove(name);
            reader.error(
                key.span(),
                format!("a service can have at most {MOST} patterns"),
            );
        }
    }
}

fn one(reader: &mut Reader<'_>, section: Section<'_>, name: &str, settings: &mut HealthSettings) {
    let limit_keys = limits::keys_of(METRIC);
    let keys: Vec<&str> = std::iter::once("pattern")
        .chain(limit_keys.iter().copied())
        .collect();
    reader.only(section, &keys);
    let at = section
        .table
        .iter()
        .next()
        .map_or(0..0, |(key, _)| key.span());
    match reader.text(section, "pattern", "deadlock detected") {
        Some((text, span)) if text.trim_matches('*').is_empty() || text.len() > LONGEST => {
            reader.error_help(
                span,
                format!("`pattern` must be some text, of at most {LONGEST} bytes"),
                "for example: pattern = \"deadlock detected\"",
            );
        }
        Some((text, _)) => {
            settings
                .log_patterns
                .insert(name.to_owned(), text.to_owned());
        }
        None if section.table.contains_key("pattern") => {}
        None if settings.log_patterns.contains_key(name) => {}
        None => reader.error_help(
            at.clone(),
            format!("`{name}` has no `pattern`"),
            "add one, such as `pattern = \"deadlock detected\"`: a line counts that contains it",
        ),
    }
    if !limit_keys
        .iter()
        .any(|key| section.table.contains_key(*key))
    {
        return;
    }
    let default = settings.limits.of_series(METRIC, Some(name)).copied();
    if let Some(limit) = limits::limit(reader, section, at, METRIC, default.as_ref()) {
        settings.limits.set_of_instance(METRIC, name, Some(limit));
    }
}
