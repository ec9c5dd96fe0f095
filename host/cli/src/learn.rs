//! The services file that `prunella enable` writes.

use std::fmt::Write as _;

use prunella_core::{service::ProbeKind, text::one_line};
use prunella_linux::learn::Learned;

/// What stands at the end of the file.
const MORE: &str = "
# More that can be said here, for a start:
#
# domain = \"what this is for\"
# critical = true
# start-limit = \"respect\"    # leave a hit start limit to people
#
# [[probe]]
# name = \"answers\"
# http = \"http://127.0.0.1:8080/health\"
";

/// The text for a unit, with what was learnt about it and why it is believed.
pub(crate) fn services_file(learned: &Learned) -> String {
    let mut text = String::new();
    let description = one_line(&learned.status.description, 100);
    if !description.is_empty() {
        let _ = writeln!(text, "# {description}");
    }
    let _ = writeln!(text, "unit = {}", quoted(learned.status.name.as_str()));
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
    let sockets = learned.unix_sockets.iter().map(|socket| {
        let path = quoted(&socket.what.to_string_lossy());
        (format!("unix = {path}"), socket.why.as_str())
    });
    let probes = learned
        .probes
        .iter()
        .filter_map(|probe| Some((asking(&probe.what)?, probe.why.as_str())));
    for (number, (asks, why)) in probes.chain(sockets).enumerate() {
        let _ = writeln!(text, "\n# {}", one_line(why, 160));
        let _ = writeln!(text, "[[probe]]");
        let _ = writeln!(text, "name = {}", quoted(&numbered("answers", number)));
        let _ = writeln!(text, "{asks}");
    }
    text.push_str(MORE);
    text
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

/// A probe's line; `None` for one that needs a declared file.
fn asking(probe: &ProbeKind) -> Option<String> {
    let value = match probe {
        ProbeKind::Tcp(place)
        | ProbeKind::Postgres(place)
        | ProbeKind::Mysql(place)
        | ProbeKind::Redis(place) => quoted(place),
        ProbeKind::Unix(path) => quoted(&path.to_string_lossy()),
        ProbeKind::Http { url, .. } => quoted(url),
        ProbeKind::Sqlite { .. } => return None,
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
