//! A scenario's own keys, and its `[expect]`.

use prunella_config::{
    read_grant, read_settings,
    reader::{Reader, Section},
};
use prunella_core::{UnitName, policy::Grants, service::Port};
use toml::de::DeTable;

use super::{
    Expected, Scenario,
    things::{checks, files, logs, metrics, past, probes, processes, resources, unit_keys, units},
    values::not_a_port,
};
use crate::{Sim, build::Unit};

/// What may stand at the top, besides what describes a unit.
const KEYS: [&str; 21] = [
    "summary",
    "unit",
    "ports",
    "domain",
    "critical",
    "start-limit",
    "settings",
    "starts-when",
    "other",
    "process",
    "socket",
    "file",
    "check",
    "probe",
    "log",
    "past",
    "memory",
    "disk",
    "metric",
    "allow",
    "expect",
];

/// Reads a scenario.
pub(super) fn scenario(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<Scenario> {
    let top = Section {
        table,
        name: "a scenario",
    };
    let keys: Vec<&str> = KEYS.into_iter().chain(unit_keys()).collect();
    reader.only(top, &keys);
    let summary = reader
        .text(top, "summary", "A leftover holds the port")
        .map(|(text, _)| text.to_owned());
    let unit = failed_unit(reader, top);
    let name = unit.clone().or_else(|| UnitName::new("web.service").ok())?;
    let model = super::things::unit(reader, top, Unit::named(name), "failed");
    let mut host = Sim::of(model);
    host = service(reader, top, host);
    host = units(reader, top, host);
    host = processes(reader, top, host);
    host = files(reader, top, host);
    host = checks(reader, top, host);
    host = probes(reader, top, host);
    host = logs(reader, top, host);
    host = past(reader, top, host);
    host = resources(reader, top, host);
    host = metrics(reader, top, host);
    host = starts_when(reader, top, host);
    host = policy(reader, top, host);
    let expect = expected(reader, top);
    unit.map(|_| Scenario {
        summary,
        host,
        expect,
    })
}

fn failed_unit(reader: &mut Reader<'_>, top: Section<'_>) -> Option<UnitName> {
    if top.table.get("unit").is_none() {
        reader.error_help(
            0..0,
            "a scenario is about a unit, and this one does not say which",
            "add `unit = \"web.service\"` at the top",
        );
        return None;
    }
    let text = reader.text(top, "unit", "web.service")?;
    reader.unit(text)
}

fn service(reader: &mut Reader<'_>, top: Section<'_>, mut host: Sim) -> Sim {
    for (text, span) in reader.texts(top, "ports", "\"tcp/80\"") {
        match text.parse::<Port>() {
            Ok(port) => host = host.port(&port.to_string()),
            Err(_) => not_a_port(reader, text, span),
        }
    }
    if let Some((domain, _)) = reader.text(top, "domain", "Web shop") {
        let domain = domain.to_owned();
        host = host.declare(|service| service.domain = Some(domain));
    }
    if let Some(critical) = reader.flag(top, "critical") {
        host = host.declare(|service| service.critical = critical);
    }
    if let Some(true) = reader.one_of(top, "start-limit", &[("heal", false), ("respect", true)]) {
        host = host.respects_start_limit();
    }
    host
}

/// What has to hold for a start of the service to succeed.
fn starts_when(reader: &mut Reader<'_>, top: Section<'_>, mut host: Sim) -> Sim {
    let Some(section) = reader.section(top, "starts-when", "[starts-when]") else {
        return host;
    };
    reader.only(section, &["files", "units", "never"]);
    for (file, span) in reader.texts(section, "files", "\"cache\"") {
        if host.service().file(file).is_err() {
            let shown = prunella_core::text::one_line(file, 60);
            reader.error_help(
                span,
                format!("there is no file `{shown}`"),
                "declare it with [[file]], or name one that is declared",
            );
            continue;
        }
        let file = file.to_owned();
        host = host.starts_when(&format!("{file}: not as it should be"), move |view| {
            view.is_as_declared(&file)
        });
    }
    for text in reader.texts(section, "units", "\"db.service\"") {
        let Some(unit) = reader.unit(text) else {
            continue;
        };
        host = host.starts_when(&format!("cannot reach {unit}"), move |view| {
            view.is_up(unit.as_str())
        });
    }
    if let Some(true) = reader.flag(section, "never") {
        host = host.starts_when("it never starts", |_| false);
    }
    host
}

/// Grants and settings.
fn policy(reader: &mut Reader<'_>, top: Section<'_>, mut host: Sim) -> Sim {
    if top.table.contains_key("allow") {
        // An empty list grants nothing, and says so.
        let grants = reader
            .sections(top, "allow", "[[allow]]")
            .into_iter()
            .filter_map(|(section, at)| read_grant(reader, section, &at))
            .collect();
        host = host.with_grants(Grants(grants));
    }
    for (key, value) in read_settings(reader, top).0 {
        host = host.setting(&key, value);
    }
    host
}

fn expected(reader: &mut Reader<'_>, top: Section<'_>) -> Expected {
    const ASSESSMENTS: [(&str, &str); 5] = [
        ("applies", "applies"),
        ("not-applicable", "not-applicable"),
        ("blocked-by", "blocked-by"),
        ("veto", "veto"),
        ("failure", "failure"),
    ];
    const OUTCOMES: [(&str, &str); 5] = [
        ("healed", "healed"),
        ("not-applicable", "not-applicable"),
        ("failed", "failed"),
        ("blocked-by", "blocked-by"),
        ("failure", "failure"),
    ];
    let Some(section) = reader.section(top, "expect", "[expect]") else {
        return Expected::default();
    };
    reader.only(
        section,
        &[
            "assessment",
            "outcome",
            "blocked-by",
            "failure",
            "says",
            "acts",
            "denied",
            "log",
        ],
    );
    Expected {
        assessment: reader.one_of(section, "assessment", &ASSESSMENTS),
        outcome: reader.one_of(section, "outcome", &OUTCOMES),
        blocked_by: reader
            .text(section, "blocked-by", "db.service")
            .and_then(|text| reader.unit(text))
            .map(|unit| unit.to_string()),
        failure: reader
            .text(section, "failure", "not-granted")
            .map(|(code, _)| code.to_owned()),
        says: list(reader, section, "says", "\"had to be killed\"").unwrap_or_default(),
        acts: list(reader, section, "acts", "\"start web.service\""),
        denied: list(
            reader,
            section,
            "denied",
            "\"unit-control.stop of db.service: not-granted\"",
        ),
        log: list(reader, section, "log", "\"the cache is there\"").unwrap_or_default(),
    }
}

/// A list of text; absent when it is not there, which is not the same as empty.
fn list(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    key: &str,
    example: &str,
) -> Option<Vec<String>> {
    section.table.get(key)?;
    let texts = reader.texts(section, key, example);
    Some(texts.into_iter().map(|(text, _)| text.to_owned()).collect())
}
