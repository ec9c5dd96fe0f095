//! The services file that `prunella enable` writes.

use std::fmt::Write as _;

use prunella_core::{service::ProbeKind, text::one_line};
use prunella_linux::learn::{Finding, Learned, ProposedRemedy, ProposedValue};

/// Keys that many a service needs, below those that were learned. A line whose `#`
/// no space follows is an example: it is valid as soon as the `#` is gone.
const MORE_KEYS: &str = "
# More that can be said here; take away the # of what is wanted:
#domain = \"what this is for\"
";

/// What stands at the end of the file.
const MORE_SECTIONS: &str = "
# A question of your own:
#[[probe]]
#name = \"health\"
#http = \"http://127.0.0.1:8080/health\"
";

/// How often a service is asked whether it answers, and how often it may fail to.
const INTERVAL: &str = "10s";
const INTERVAL_CRITICAL: &str = "5s";
const FAILURES: u32 = 3;

/// The text for a unit, with what was learnt about it and why it is believed.
pub(crate) fn services_file(learned: &Learned, critical: bool) -> String {
    let interval = if critical {
        INTERVAL_CRITICAL
    } else {
        INTERVAL
    };
    let mut text = String::new();
    let description = one_line(&learned.status.description, 100);
    if !description.is_empty() {
        let _ = writeln!(text, "# {description}");
    }
    let _ = writeln!(text, "unit = {}", quoted(learned.status.name.as_str()));
    if critical {
        let _ = writeln!(text, "critical = true");
    }
    let ports = learned
        .ports
        .iter()
        .map(|port| (port.what.to_string(), port.why.as_str()));
    list(&mut text, "ports", ports);
    let _ = writeln!(text, "# {}", one_line(&learned.run_policy.why, 160));
    let policy = quoted(learned.run_policy.what.as_str());
    let _ = writeln!(text, "run-policy = {policy}");
    if !learned.needs.is_empty() {
        let needs = learned
            .needs
            .iter()
            .map(|unit| (unit.what.to_string(), unit.why.as_str()));
        list(&mut text, "depends-on", needs);
    }
    text.push_str(MORE_KEYS);
    if !critical {
        let _ = writeln!(text, "#critical = true");
    }
    let _ = writeln!(
        text,
        "# leave a hit start limit to people:\n#start-limit = \"respect\""
    );
    for (number, file) in learned.env_files.iter().enumerate() {
        let _ = writeln!(text, "\n# {}", one_line(&file.why, 160));
        let _ = writeln!(text, "[[file]]");
        let _ = writeln!(text, "name = {}", quoted(&numbered("environment", number)));
        let _ = writeln!(text, "path = {}", quoted(&file.what.path.to_string_lossy()));
        let _ = writeln!(text, "role = \"env\"\nread-by = \"manager\"");
        if file.what.optional {
            let _ = writeln!(text, "optional = true");
        }
    }
    for (number, check) in learned.checks.iter().enumerate() {
        let words: Vec<String> = check.what.command.iter().map(|w| quoted(w)).collect();
        let _ = writeln!(text, "\n# {}", one_line(&check.why, 160));
        let _ = writeln!(text, "[[check]]");
        let _ = writeln!(text, "name = {}", quoted(&numbered("config", number)));
        let _ = writeln!(text, "command = [{}]", words.join(", "));
        let _ = writeln!(text, "validates = true");
        if check.what.as_root {
            let _ = writeln!(text, "as-root = true");
        }
    }
    propose(&mut text, &learned.remedies);
    let asked = learned
        .probe
        .as_ref()
        .and_then(|probe| Some((asking(&probe.what)?, &probe.why)));
    if let Some((asks, why)) = asked {
        let _ = writeln!(text, "\n# {}", one_line(why, 240));
        let _ = writeln!(text, "[[probe]]");
        let _ = writeln!(text, "name = \"answers\"");
        let _ = writeln!(text, "{asks}");
        let _ = writeln!(
            text,
            "# asked every {interval}: after {FAILURES} failures in a row it counts as failed"
        );
        let _ = writeln!(text, "interval = {}", quoted(interval));
        let _ = writeln!(text, "failure-threshold = {FAILURES}");
    }
    if let Some(not_asked) = &learned.not_asked {
        let _ = writeln!(text, "\n# {}", one_line(not_asked, 300));
    }
    text.push_str(MORE_SECTIONS);
    let _ = writeln!(text, "#interval = {}", quoted(interval));
    text
}

/// Remedies to decide about, commented out.
fn propose(text: &mut String, remedies: &[Finding<ProposedRemedy>]) {
    for remedy in remedies {
        let _ = writeln!(text, "\n# {}:", one_line(&remedy.why, 240));
        let _ = writeln!(text, "#[[{}]]", remedy.what.table);
        let _ = writeln!(text, "#name = {}", quoted(&remedy.what.name));
        for (key, value) in &remedy.what.keys {
            let value = match value {
                ProposedValue::Text(value) => quoted(value),
                ProposedValue::Number(value) => value.to_string(),
                ProposedValue::List(values) => {
                    let values: Vec<String> = values.iter().map(|one| quoted(one)).collect();
                    format!("[{}]", values.join(", "))
                }
            };
            let _ = writeln!(text, "#{key} = {value}");
        }
    }
}

/// A key with a list, and the reasons above it.
fn list<'a>(text: &mut String, key: &str, items: impl Iterator<Item = (String, &'a str)>) {
    let mut words = Vec::new();
    for (item, why) in items {
        let _ = writeln!(text, "# {item}: {}", one_line(why, 160));
        words.push(quoted(&item));
    }
    let _ = writeln!(text, "{key} = [{}]", words.join(", "));
}

/// `name`, `name-2`, `name-3`, …
fn numbered(name: &str, number: usize) -> String {
    if number == 0 {
        name.to_owned()
    } else {
        format!("{name}-{}", number + 1)
    }
}

/// A probe's lines; `None` for one that needs a declared file.
fn asking(probe: &ProbeKind) -> Option<String> {
    let value = match probe {
        ProbeKind::Tcp(place)
        | ProbeKind::Postgres(place)
        | ProbeKind::Mysql(place)
        | ProbeKind::Redis(place) => quoted(place),
        ProbeKind::Unix(path) => quoted(&path.to_string_lossy()),
        ProbeKind::Http(question) => {
            let url = quoted(&question.url);
            let status: Vec<String> = question.status.iter().map(u16::to_string).collect();
            if status.is_empty() {
                url
            } else {
                format!("{url}\nstatus = [{}]", status.join(", "))
            }
        }
        // Nothing that is learned.
        ProbeKind::Tls(_)
        | ProbeKind::Dns(_)
        | ProbeKind::Sqlite { .. }
        | ProbeKind::Command(_) => return None,
    };
    Some(format!("{} = {value}", probe.as_str()))
}

/// A text as TOML has it: unit names may hold a backslash.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_for_toml() {
        assert_eq!(quoted("a.service"), "\"a.service\"");
        let read: toml::Table = format!("x = {}", quoted("a\\x2d\"b\n")).parse().unwrap();
        assert_eq!(read["x"].as_str(), Some("a\\x2d\"b\n"));
    }

    #[test]
    fn lists_give_their_reasons() {
        let mut text = String::new();
        list(
            &mut text,
            "ports",
            [("tcp/80".to_owned(), "it listens there now")].into_iter(),
        );
        assert_eq!(
            text,
            "# tcp/80: it listens there now\nports = [\"tcp/80\"]\n"
        );
        assert_eq!(numbered("config", 0), "config");
        assert_eq!(numbered("config", 1), "config-2");
    }
}
