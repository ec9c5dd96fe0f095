//! Reads `[[config-update]]`.

use std::{ops::Range, time::Duration};

use prunella_core::{
    remedy::{ConfigFormat, ConfigUpdate, ConfigValues, Lease, LeaseEnds, Remedy},
    text::one_line,
};

use super::super::LEAST;
use crate::reader::{Reader, Section};

/// Whoever changes a configuration tries it, and mends it, within some minutes.
const UNTOUCHED_FOR: Duration = Duration::from_secs(10 * 60);

/// The former file is kept for a week.
const KEEP: Duration = Duration::from_secs(7 * 86_400);

const KEYS: [&str; 14] = [
    "name",
    "path",
    "format",
    "key",
    "values",
    "min",
    "max",
    "step",
    "check",
    "secret",
    "untouched-for",
    "keep",
    "lease",
    "calm",
];

/// What an operator has to write.
const REQUIRED: [(&str, &str); 3] = [
    ("path", "add a line such as `path = \"/etc/web.toml\"`"),
    ("key", "add a line such as `key = \"server.workers\"`"),
    (
        "check",
        "name a [[check]] that fails with a bad file, such as `check = \"config\"`",
    ),
];

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<Remedy> {
    reader.only(section, &KEYS);
    for (key, help) in REQUIRED {
        if !section.table.contains_key(key) {
            reader.error_help(at.clone(), format!("[[config-update]] has no {key}"), help);
        }
    }
    let values = values(reader, section, at);
    let secret = reader.flag(section, "secret").unwrap_or_default();
    let untouched_for = reader.duration(section, "untouched-for", Duration::ZERO);
    let lease = lease(reader, section);
    let format = format(reader, section);
    let path = reader.text(section, "path", "/etc/web.toml");
    let path = path.and_then(|text| reader.path("path", text));
    let key = key(reader, section);
    let check = reader.text(section, "check", "config");
    Some(Remedy::ConfigUpdate(ConfigUpdate {
        path: path?,
        format: format?,
        key: key?,
        values: values?,
        check: check?.0.to_owned(),
        secret,
        untouched_for: untouched_for.unwrap_or(UNTOUCHED_FOR),
        lease: lease?,
    }))
}

/// As it is named, or as the end of the file's name tells.
fn format(reader: &mut Reader<'_>, section: Section<'_>) -> Option<ConfigFormat> {
    if section.table.contains_key("format") {
        return reader.one_of(section, "format", &ConfigFormat::ALL);
    }
    let value = section.table.get("path")?;
    let format = ConfigFormat::of(value.get_ref().as_str()?.as_ref());
    if format.is_none() {
        let known = ConfigFormat::ALL.map(|(word, _)| word).join(", ");
        reader.error_help(
            value.span(),
            "the end of `path` does not tell the file's format",
            format!("add `format`, one of: {known}"),
        );
    }
    format
}

fn key(reader: &mut Reader<'_>, section: Section<'_>) -> Option<String> {
    let (key, span) = reader.text(section, "key", "server.workers")?;
    if key.split('.').any(str::is_empty) || key.contains(char::is_control) {
        reader.error_help(
            span,
            format!("`key` cannot be `{}`", one_line(key, 60)),
            "write the names that lead to the value, with dots between them: `server.workers`",
        );
        return None;
    }
    Some(key.to_owned())
}

/// Either `values`, or `min`, `max` and `step`.
fn values(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<ConfigValues> {
    let in_range = ["min", "max", "step"];
    let named: Vec<&str> = in_range
        .into_iter()
        .filter(|key| section.table.contains_key(*key))
        .collect();
    if !section.table.contains_key("values") {
        if named.len() < in_range.len() {
            reader.error_help(
                at.clone(),
                "[[config-update]] does not say what the value may be",
                "add `values = [\"8\", \"4\", \"2\"]`, in the order in which they are tried, or \
                 `min`, `max` and `step`",
            );
            return None;
        }
        return range(reader, section, at);
    }
    if !named.is_empty() {
        reader.error_help(
            at.clone(),
            format!("`values` and `{}` exclude each other", named.join("`, `")),
            "keep either a list of values, or a range",
        );
        return None;
    }
    listed(reader, section)
}

fn listed(reader: &mut Reader<'_>, section: Section<'_>) -> Option<ConfigValues> {
    let span = section.table.get("values")?.span();
    let before = reader.found.len();
    let mut values: Vec<String> = Vec::new();
    for (value, span) in reader.texts(section, "values", "\"8\", \"4\"") {
        if value.is_empty() || value.contains(char::is_control) {
            reader.error_help(
                span,
                "a value is text on one line",
                "write it as it stands in the file, without its quotes",
            );
        } else if values.iter().any(|known| known == value) {
            reader.error_help(
                span,
                format!("`{}` stands twice in `values`", one_line(value, 60)),
                "name each value once: the next one is looked up by the one before it",
            );
        } else {
            values.push(value.to_owned());
        }
    }
    if reader.found.len() > before {
        return None;
    }
    if values.len() < 2 {
        reader.error_help(
            span,
            "`values` has no two values",
            "name what the value is, and what may come after it: `values = [\"8\", \"4\"]`",
        );
        return None;
    }
    Some(ConfigValues::Listed(values))
}

fn range(reader: &mut Reader<'_>, section: Section<'_>, at: &Range<usize>) -> Option<ConfigValues> {
    let min = reader.integer(section, "min", i64::MIN..=i64::MAX);
    let max = reader.integer(section, "max", i64::MIN..=i64::MAX);
    let step = reader.integer(section, "step", i64::MIN..=i64::MAX);
    let (min, max, step) = (min?, max?, step?);
    if min >= max || step == 0 {
        reader.error_help(
            at.clone(),
            "there is no step from `min` to `max`",
            "write such as `min = 2`, `max = 8` and `step = -2`: `min` is less than `max`, and \
             `step` is not 0",
        );
        return None;
    }
    Some(ConfigValues::Range { min, max, step })
}

/// With `lease` the former content comes back; without it stays, and the former file is kept
/// for `keep`.
fn lease(reader: &mut Reader<'_>, section: Section<'_>) -> Option<Lease> {
    let before = reader.found.len();
    let keep = reader.duration(section, "keep", LEAST);
    let lease = reader.duration(section, "lease", LEAST);
    let calm = reader.duration(section, "calm", LEAST);
    let span = |key: &str| section.table.get(key).map(|value| value.span());
    if let (Some(span), Some(_)) = (span("keep"), span("lease")) {
        reader.error_help(
            span,
            "`keep` and `lease` exclude each other",
            "with `lease` the former content comes back; without it, it is kept for `keep`",
        );
    }
    if let (Some(span), None) = (span("calm"), span("lease")) {
        reader.error_help(
            span,
            "`calm` has no `lease`",
            "add `lease`: for how long the new value stays at most",
        );
    }
    if reader.found.len() > before {
        return None;
    }
    Some(match lease {
        Some(lasts) => Lease {
            lasts,
            ends: LeaseEnds::Undone,
            calm: calm.unwrap_or(lasts),
        },
        None => Lease {
            lasts: keep.unwrap_or(KEEP),
            ends: LeaseEnds::Kept,
            calm: Duration::ZERO,
        },
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::tests::{load, service, shown};

    const CHECK: &str = "[[check]]\nname = \"config\"\ncommand = [\"/bin/true\"]\n";

    fn read_all(text: &str) -> ConfigUpdate {
        let text = format!("unit = \"web\"\n{CHECK}[[config-update]]\nname = \"workers\"\n{text}");
        let loaded = load(&[("services.d/web.toml", text.as_str())]);
        assert_eq!(shown(&loaded), "");
        let config = loaded.config.unwrap();
        let service = &config.services["web.service"];
        let last = service.strategies.last().map(|name| name.as_str());
        assert_eq!(last, Some("reconfigure"));
        match &service.remedies["workers"] {
            Remedy::ConfigUpdate(update) => update.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_said_and_what_is_not() {
        let update = read_all(
            "path = \"/etc/web.toml\"\nkey = \"server.workers\"\nvalues = [\"8\", \"4\"]\n\
             check = \"config\"\n",
        );
        assert_eq!(
            update,
            ConfigUpdate {
                path: "/etc/web.toml".into(),
                format: ConfigFormat::Toml,
                key: "server.workers".to_owned(),
                values: ConfigValues::Listed(vec!["8".to_owned(), "4".to_owned()]),
                check: "config".to_owned(),
                secret: false,
                untouched_for: Duration::from_secs(600),
                lease: Lease {
                    lasts: Duration::from_secs(7 * 86_400),
                    ends: LeaseEnds::Kept,
                    calm: Duration::ZERO,
                },
            }
        );
    }

    #[test]
    fn a_range_for_a_while() {
        let update = read_all(
            "path = \"/etc/default/web\"\nformat = \"env\"\nkey = \"WORKERS\"\nmin = 1\nmax = 8\n\
             step = -2\ncheck = \"config\"\nlease = \"1h\"\ncalm = \"10m\"\nsecret = true\n\
             untouched-for = \"1m\"\n",
        );
        assert_eq!(update.format, ConfigFormat::Env);
        let range = ConfigValues::Range {
            min: 1,
            max: 8,
            step: -2,
        };
        assert_eq!(update.values, range);
        assert_eq!(update.lease.ends, LeaseEnds::Undone);
        assert_eq!(update.lease.calm, Duration::from_secs(600));
    }

    const PATH: &str = "path = \"/etc/web.toml\"";
    const REST: &str = "key = \"a\"\nvalues = [\"8\", \"4\"]\ncheck = \"config\"";

    #[rstest]
    #[case::path(&[REST], "[[config-update]] has no path\n --> services.d/web.toml:5:1")]
    #[case::key(&[PATH, "values = [\"1\", \"2\"]\ncheck = \"config\""], "[[config-update]] has no key")]
    #[case::check(&[PATH, "key = \"a\"\nvalues = [\"1\", \"2\"]"], "[[config-update]] has no check")]
    #[case::no_such_check(&[PATH, "key = \"a\"\nvalues = [\"1\", \"2\"]\ncheck = \"other\""], "other")]
    #[case::relative(&["path = \"web.toml\"", REST], "`path` must be an absolute path")]
    #[case::format(&["path = \"/etc/web\"", REST], "does not tell the file's format\n --> services.d/web.toml:7:8")]
    #[case::other_format(&[PATH, REST, "format = \"xml\""], "`format` cannot be `xml`")]
    #[case::empty_name(&[PATH, "key = \"a..b\"\nvalues = [\"1\", \"2\"]\ncheck = \"config\""], "`key` cannot be `a..b`")]
    #[case::no_values(&[PATH, "key = \"a\"\ncheck = \"config\"\nmin = 1\nmax = 2"], "does not say what the value may be")]
    #[case::one_value(&[PATH, "key = \"a\"\ncheck = \"config\"\nvalues = [\"1\"]"], "`values` has no two values\n  --> services.d/web.toml:10:10")]
    #[case::twice(&[PATH, "key = \"a\"\ncheck = \"config\"\nvalues = [\"1\", \"2\", \"1\"]"], "`1` stands twice in `values`")]
    #[case::two_lines(&[PATH, "key = \"a\"\ncheck = \"config\"\nvalues = [\"1\", \"2\\n3\"]"], "a value is text on one line")]
    #[case::both(&[PATH, REST, "step = 1"], "`values` and `step` exclude each other")]
    #[case::no_step(&[PATH, "key = \"a\"\ncheck = \"config\"\nmin = 1\nmax = 2\nstep = 0"], "there is no step from `min` to `max`")]
    #[case::text_in_range(&[PATH, "key = \"a\"\ncheck = \"config\"\nmin = \"1\"\nmax = 2\nstep = 1"], "`min` must be a whole number")]
    #[case::keep_and_lease(&[PATH, REST, "keep = \"1d\"\nlease = \"1h\""], "`keep` and `lease` exclude each other")]
    #[case::calm(&[PATH, REST, "calm = \"1m\""], "`calm` has no `lease`")]
    #[case::unknown(&[PATH, REST, "reload = true"], "unknown key `reload`")]
    fn mistakes(#[case] lines: &[&str], #[case] says: &str) {
        let text = lines.join("\n");
        let shown = service(&format!(
            "unit = \"web\"\n{CHECK}[[config-update]]\nname = \"workers\"\n{text}\n"
        ));
        assert!(shown.contains(says), "{shown}");
    }

    #[test]
    fn a_check_that_changes_things_validates_nothing() {
        let shown = service(&format!(
            "unit = \"web\"\n{CHECK}mutates = true\n[[config-update]]\nname = \"workers\"\n{PATH}\n{REST}\n"
        ));
        assert!(
            shown.contains("the check `config` changes things"),
            "{shown}"
        );
    }
}
