//! Reads `[[probe]]`: the questions a service declares.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use prunella_core::{
    service::{DeclaredProbe, FileRole, ProbeKind, Service},
    text::one_line,
};

use super::{LEAST, first_of};
use crate::{
    reader::{Reader, Section},
    value,
};

const PROBE_KINDS: [&str; 7] = [
    "tcp", "unix", "http", "postgres", "mysql", "redis", "sqlite",
];

const PROBE_KEYS: [&str; 13] = [
    "name",
    "tcp",
    "unix",
    "http",
    "postgres",
    "mysql",
    "redis",
    "sqlite",
    "status",
    "timeout",
    "unit",
    "interval",
    "failure-threshold",
];

pub(super) fn read_probes(reader: &mut Reader<'_>, top: Section<'_>, service: &mut Service) {
    let mut seen = BTreeMap::new();
    for (section, at) in reader.sections(top, "probe", "[[probe]]") {
        reader.only(section, &PROBE_KEYS);
        let name = reader.name(section, &at);
        let kind = read_kind(reader, section, &at, service);
        let unit = match reader.text(section, "unit", "postgresql@15-main.service") {
            None => None,
            Some(text) => {
                let span = text.1.clone();
                let unit = reader.unit(text);
                if let Some(asked) = &unit
                    && *asked != service.unit
                    && !service.depends_on.contains(asked)
                {
                    reader.warn(
                        span,
                        format!("{asked} is not among what the service needs"),
                        format!("add it to `depends-on`: depends-on = [\"{asked}\"]"),
                    );
                }
                // A probe of the service itself is simply its own.
                unit.filter(|asked| *asked != service.unit)
            }
        };
        let probe = kind.map(|kind| DeclaredProbe {
            kind,
            timeout: reader
                .duration(section, "timeout", LEAST)
                .unwrap_or(Duration::from_secs(5)),
            unit,
            interval: reader.duration(section, "interval", Duration::from_secs(1)),
            failure_threshold: reader
                .number(section, "failure-threshold", 1_000)
                .unwrap_or(3),
        });
        if section.table.contains_key("failure-threshold")
            && !section.table.contains_key("interval")
        {
            reader.warn(
                at.clone(),
                "`failure-threshold` has no effect without `interval`",
                "add `interval`, such as `interval = \"30s\"`, to have the service watched by this probe",
            );
        }
        if let Some(name) = name
            && first_of(reader, &mut seen, "probe", &name, &at)
            && let Some(probe) = probe
        {
            service.probes.insert(name, probe);
        }
    }
}

fn read_kind(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
    service: &Service,
) -> Option<ProbeKind> {
    let kinds: Vec<&str> = PROBE_KINDS
        .into_iter()
        .filter(|kind| section.table.contains_key(*kind))
        .collect();
    let list = PROBE_KINDS.join(", ");
    let [kind] = kinds.as_slice() else {
        let (message, help) = if kinds.is_empty() {
            (
                "[[probe]] does not say what it asks".to_owned(),
                format!("add one of {list}, such as `tcp = \"127.0.0.1:80\"`"),
            )
        } else {
            (
                format!("[[probe]] asks more than one thing: {}", kinds.join(", ")),
                "make each a probe of its own".to_owned(),
            )
        };
        reader.error_help(at.clone(), message, help);
        return None;
    };
    if *kind != "http"
        && let Some((key, _)) = section.table.get_key_value("status")
    {
        reader.error_help(key.span(), "`status` is for http probes", "leave it out");
    }
    let example = match *kind {
        "unix" => "/run/app.sock",
        "http" => "http://127.0.0.1:80/health",
        "sqlite" => "database",
        _ => "127.0.0.1:5432",
    };
    let (text, span) = reader.text(section, kind, example)?;
    let shown = one_line(text, 80);
    let address = |reader: &mut Reader<'_>, path_too: bool| {
        let path = path_too && text.starts_with('/') && !text.contains('\0');
        let valid = path || value::is_host_and_port(text);
        if !valid {
            let or_path = if path_too {
                ", or the absolute path of a socket"
            } else {
                ""
            };
            reader.error_help(
                span.clone(),
                format!("`{shown}` is not an address"),
                format!("write host:port, such as \"127.0.0.1:5432\" or \"[::1]:5432\"{or_path}"),
            );
        }
        valid.then(|| text.to_owned())
    };
    match *kind {
        "tcp" => address(reader, false).map(ProbeKind::Tcp),
        "postgres" => address(reader, true).map(ProbeKind::Postgres),
        "mysql" => address(reader, true).map(ProbeKind::Mysql),
        "redis" => address(reader, true).map(ProbeKind::Redis),
        "unix" => reader.path("unix", (text, span)).map(ProbeKind::Unix),
        "sqlite" => {
            let known: Vec<&str> = service
                .files
                .iter()
                .filter(|(_, file)| matches!(file.role, FileRole::Database | FileRole::Plain))
                .map(|(name, _)| name.as_str())
                .collect();
            if known.contains(&text) {
                return Some(ProbeKind::Sqlite {
                    file: text.to_owned(),
                });
            }
            let help = match value::nearest(text, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if known.is_empty() => {
                    "declare it as a [[file]] with `role = \"database\"`".to_owned()
                }
                None => format!("declared are: {}", known.join(", ")),
            };
            reader.error_help(span, format!("no file `{shown}` is declared here"), help);
            None
        }
        _ => {
            let status = read_status(reader, section);
            let host = ["http://", "https://"]
                .iter()
                .find_map(|scheme| text.strip_prefix(scheme))
                .map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
            let valid = host.is_some_and(|host| {
                value::is_host_and_port(host) || value::is_host_and_port(&format!("{host}:80"))
            }) && !text.contains(|c: char| c.is_whitespace() || c.is_control());
            if !valid {
                reader.error_help(
                    span,
                    format!("`{shown}` is not a URL that a probe can ask"),
                    "write http://host:port/path, or the same with https",
                );
                return None;
            }
            Some(ProbeKind::Http {
                url: text.to_owned(),
                status,
            })
        }
    }
}

fn read_status(reader: &mut Reader<'_>, section: Section<'_>) -> Vec<u16> {
    let Some(value) = section.table.get("status") else {
        return Vec::new();
    };
    let items = match value.get_ref().as_array() {
        Some(array) => array.iter().collect(),
        None => vec![value],
    };
    items
        .into_iter()
        .filter_map(|item| reader.number_in(item, "status", 100..=599))
        .filter_map(|status| u16::try_from(status).ok())
        .collect()
}
