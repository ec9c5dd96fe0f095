//! What stands on the host: units, processes, files, checks, probes, lines.

use std::time::Duration;

use prunella_config::reader::{Reader, Section};
use prunella_core::{
    capability::{ActiveState, LogEntry, Ownership, PastIncident},
    health::{Metric, Subject},
    service::{DnsQuestion, FileRole, Port, ProbeKind, TlsQuestion},
};

use super::values::{after, not_a_port, whole};
use crate::{
    Sim,
    build::{Check, File, Process, Unit},
    world::START,
};

/// systemd's words for a failure (`Result=`).
const RESULTS: [&str; 11] = [
    "exit-code",
    "signal",
    "core-dump",
    "timeout",
    "watchdog",
    "oom-kill",
    "start-limit-hit",
    "resources",
    "protocol",
    "exec-condition",
    "dependency",
];

/// What describes a unit.
const UNIT: [&str; 12] = [
    "state",
    "failure",
    "exit-code",
    "signal",
    "restarts",
    "load-state",
    "type",
    "alias",
    "requires",
    "required-by",
    "start-takes",
    "comes-up-after",
];

pub(super) fn unit_keys() -> impl Iterator<Item = &'static str> {
    UNIT.into_iter()
}

fn same(words: &[&'static str]) -> Vec<(&'static str, &'static str)> {
    words.iter().map(|word| (*word, *word)).collect()
}

/// What is said about a unit; `state` where nothing else is.
pub(super) fn unit(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    mut unit: Unit,
    state: &'static str,
) -> Unit {
    let states = same(&["active", "failed", "inactive", "activating", "deactivating"]);
    let failure = reader.one_of(section, "failure", &same(&RESULTS));
    let state = reader
        .one_of(section, "state", &states)
        .unwrap_or(if failure.is_some() { "failed" } else { state });
    unit = match state {
        "failed" => unit.failed(failure.unwrap_or("exit-code")),
        "inactive" => unit.inactive(),
        "active" => unit,
        other => unit.with(|status| {
            status.active_state = ActiveState::parse(other);
            let sub_state = match status.active_state {
                ActiveState::Activating => "auto-restart",
                _ => "stop-sigterm",
            };
            sub_state.clone_into(&mut status.sub_state);
        }),
    };
    if let Some(value) = section.table.get("exit-code")
        && let Some(code) = reader.number_in(value, "exit-code", 0..=255)
    {
        unit = unit.with(|status| status.exit_code = i32::try_from(code).ok());
    }
    if let Some((signal, _)) = reader.text(section, "signal", "KILL") {
        let signal = signal.trim_start_matches("SIG").to_owned();
        unit = unit.with(|status| status.signal = Some(signal));
    }
    if let Some(value) = section.table.get("restarts")
        && let Some(restarts) = reader.number_in(value, "restarts", 0..=1_000_000)
    {
        unit = unit.with(|status| status.restarts = restarts);
    }
    let loaded = same(&["loaded", "masked", "not-found", "bad-setting", "error"]);
    if let Some(state) = reader.one_of(section, "load-state", &loaded) {
        unit = unit.with(|status| state.clone_into(&mut status.load_state));
    }
    let kinds = same(&[
        "simple", "exec", "forking", "oneshot", "notify", "dbus", "idle",
    ]);
    if let Some(kind) = reader.one_of(section, "type", &kinds) {
        unit = unit.with(|status| status.kind = Some(kind.to_owned()));
    }
    for text in reader.texts(section, "alias", "\"www.service\"") {
        if let Some(alias) = reader.unit(text) {
            unit = unit.with(|status| status.names.push(alias));
        }
    }
    for text in reader.texts(section, "requires", "\"db.service\"") {
        if let Some(other) = reader.unit(text) {
            unit = unit.with(|status| status.requires.push(other));
        }
    }
    for text in reader.texts(section, "required-by", "\"shop.service\"") {
        if let Some(other) = reader.unit(text) {
            unit = unit.with(|status| status.required_by.push(other));
        }
    }
    if let Some(time) = after(reader, section, "start-takes") {
        unit = unit.start_takes(time);
    }
    if let Some(time) = after(reader, section, "comes-up-after") {
        unit = unit.comes_up_after(time);
    }
    unit
}

/// `[[other]]`: units beside the failed one.
pub(super) fn units(reader: &mut Reader<'_>, top: Section<'_>, mut host: Sim) -> Sim {
    for (section, at) in reader.sections(top, "other", "[[other]]") {
        let keys: Vec<&str> = ["unit", "needed"].into_iter().chain(UNIT).collect();
        reader.only(section, &keys);
        if section.table.get("unit").is_none() {
            reader.error_help(
                at,
                "[[other]] does not say which unit it is",
                "add `unit = \"db.service\"`",
            );
            continue;
        }
        let Some(name) = reader
            .text(section, "unit", "db.service")
            .and_then(|text| reader.unit(text))
        else {
            continue;
        };
        let model = unit(reader, section, Unit::named(name), "active");
        host = match reader.flag(section, "needed") {
            Some(true) => host.needs(model),
            _ => host.unit_beside(model),
        };
    }
    host
}

/// A port that a table must name.
fn port_of(reader: &mut Reader<'_>, section: Section<'_>, key: &str) -> Option<Port> {
    let (text, span) = reader.text(section, key, "tcp/80")?;
    match text.parse() {
        Ok(port) => Some(port),
        Err(_) => {
            not_a_port(reader, text, span);
            None
        }
    }
}

/// `[[process]]` and `[[socket]]`: who holds what.
pub(super) fn processes(reader: &mut Reader<'_>, top: Section<'_>, mut host: Sim) -> Sim {
    const KINSHIPS: [(&str, Ownership); 3] = [
        ("own", Ownership::Own),
        ("leftover", Ownership::Leftover),
        ("foreign", Ownership::Foreign),
    ];
    for (section, at) in reader.sections(top, "process", "[[process]]") {
        reader.only(
            section,
            &[
                "executable",
                "holds",
                "ownership",
                "user",
                "unit",
                "ignores-term",
                "ends-after",
            ],
        );
        let executable = reader.text(section, "executable", "/usr/bin/web");
        let ownership = reader.one_of(section, "ownership", &KINSHIPS);
        let port = port_of(reader, section, "holds");
        if section.table.get("executable").is_none() || section.table.get("ownership").is_none() {
            reader.error_help(
                at,
                "[[process]] does not say what it is",
                "add `executable = \"/usr/bin/web\"` and `ownership`: own, leftover or foreign",
            );
        }
        let (Some((executable, _)), Some(ownership)) = (executable, ownership) else {
            continue;
        };
        let mut process = match ownership {
            Ownership::Own => Process::own(executable),
            Ownership::Leftover => Process::leftover(executable),
            Ownership::Foreign => Process::stranger(executable),
        };
        if let Some((user, _)) = reader.text(section, "user", "www-data") {
            process = process.user(user);
        }
        if let Some(unit) = reader
            .text(section, "unit", "apache2.service")
            .and_then(|text| reader.unit(text))
        {
            process = process.of_unit(unit.as_str());
        }
        if let Some(true) = reader.flag(section, "ignores-term") {
            process = process.ignoring_term();
        }
        if let Some(time) = after(reader, section, "ends-after") {
            process = process.ends_after(time);
        }
        host = match port {
            Some(port) => host.taken(&port.to_string(), process),
            None => host.process(process),
        };
    }
    for (section, at) in reader.sections(top, "socket", "[[socket]]") {
        reader.only(section, &["unit", "holds"]);
        let port = port_of(reader, section, "holds");
        let unit = reader
            .text(section, "unit", "web.socket")
            .and_then(|text| reader.unit(text));
        if section.table.get("unit").is_none() || section.table.get("holds").is_none() {
            reader.error_help(
                at,
                "[[socket]] says neither or only one of what it is and holds",
                "add `unit = \"web.socket\"` and `holds = \"tcp/80\"`",
            );
        }
        if let (Some(port), Some(unit)) = (port, unit) {
            host = host.socket(&port.to_string(), unit.as_str());
        }
    }
    host
}

/// `[[file]]`: declared files, as they are and as they should be.
pub(super) fn files(reader: &mut Reader<'_>, top: Section<'_>, mut host: Sim) -> Sim {
    const ROLES: [(&str, FileRole); 6] = [
        ("plain", FileRole::Plain),
        ("env", FileRole::Env),
        ("database", FileRole::Database),
        ("directory", FileRole::Directory),
        ("symlink", FileRole::Symlink),
        ("socket", FileRole::Socket),
    ];
    for (section, at) in reader.sections(top, "file", "[[file]]") {
        reader.only(
            section,
            &[
                "name",
                "role",
                "exists",
                "appears-after",
                "mode",
                "is-mode",
                "owner",
                "is-owner",
                "target",
                "is-target",
                "keys",
                "sets",
                "content",
                "age",
                "readable",
                "optional",
                "secret",
                "read-by",
            ],
        );
        let Some(name) = reader.name(section, &at) else {
            continue;
        };
        let mut file = File::new(reader.one_of(section, "role", &ROLES).unwrap_or_default());
        let declared = reader.mode(section, "mode").map(|(mode, _)| mode);
        let is = reader.mode(section, "is-mode").map(|(mode, _)| mode);
        if let Some(declared) = declared.or(is) {
            file = file.mode(is.unwrap_or(declared), declared);
        }
        let declared = reader.text(section, "owner", "root").map(|(text, _)| text);
        let is = reader
            .text(section, "is-owner", "root")
            .map(|(text, _)| text);
        if let Some(declared) = declared.or(is) {
            file = file.owner(is.unwrap_or(declared), declared);
        }
        let declared = reader
            .text(section, "target", "/srv/site")
            .map(|(text, _)| text);
        let is = reader
            .text(section, "is-target", "/srv/old")
            .map(|(text, _)| text);
        if let Some(declared) = declared.or(is) {
            file = file.target(Some(is.unwrap_or(declared)), declared);
        }
        for (key, _) in reader.texts(section, "keys", "\"DATABASE_URL\"") {
            file = file.requires(key);
        }
        for (line, span) in reader.texts(section, "sets", "\"PORT=80\"") {
            match line.split_once('=') {
                Some((key, value)) => file = file.sets(key, value),
                None => reader.error_help(
                    span,
                    "an environment file sets `NAME=value`",
                    "add `=` and a value, which may be empty",
                ),
            }
        }
        if let Some((content, _)) = reader.text(section, "content", "some text") {
            file = file.content(content.as_bytes());
        }
        if let Some(age) = after(reader, section, "age") {
            file = file.age(age);
        }
        if let Some((word, span)) = reader.text(section, "read-by", "service")
            && let Some(true) = reader.word(
                "read-by",
                (word, span),
                &[("service", false), ("manager", true)],
            )
        {
            file = file.read_by_manager();
        }
        if let Some(true) = reader.flag(section, "optional") {
            file = file.optional();
        }
        if let Some(true) = reader.flag(section, "secret") {
            file = file.secret();
        }
        if let Some(false) = reader.flag(section, "readable") {
            file = file.unreadable();
        }
        if let Some(false) = reader.flag(section, "exists") {
            file = file.missing();
        }
        if let Some(time) = after(reader, section, "appears-after") {
            file = file.appears_after(time);
        }
        host = host.file(&name, file);
    }
    host
}

/// `[[check]]`: what comes of declared checks.
pub(super) fn checks(reader: &mut Reader<'_>, top: Section<'_>, mut host: Sim) -> Sim {
    for (section, at) in reader.sections(top, "check", "[[check]]") {
        reader.only(
            section,
            &["name", "exit-code", "output", "mutates", "validates"],
        );
        let Some(name) = reader.name(section, &at) else {
            continue;
        };
        let output = reader.text(section, "output", "web.conf:3: no such word");
        let output = output.map_or("", |(text, _)| text);
        let code = section
            .table
            .get("exit-code")
            .and_then(|value| reader.number_in(value, "exit-code", 0..=255))
            .and_then(|code| i32::try_from(code).ok())
            .unwrap_or(0);
        let mut check = match code {
            0 => Check::passes(),
            code => Check::fails(code, output),
        };
        let changes = reader.flag(section, "mutates").unwrap_or(false);
        if changes {
            check = check.changing();
        }
        // As in a service's file: what changes nothing says whether the
        // configuration is valid, unless told otherwise.
        if reader.flag(section, "validates").unwrap_or(!changes) {
            check = check.validating();
        }
        host = host.check(&name, check);
    }
    host
}

/// `[[probe]]`: who answers.
pub(super) fn probes(reader: &mut Reader<'_>, top: Section<'_>, mut host: Sim) -> Sim {
    let address = || "127.0.0.1:1".to_owned();
    for (section, at) in reader.sections(top, "probe", "[[probe]]") {
        reader.only(section, &["name", "kind", "unit", "answers"]);
        let Some(name) = reader.name(section, &at) else {
            continue;
        };
        let kinds = same(&ProbeKind::WORDS);
        let kind = match reader.one_of(section, "kind", &kinds) {
            Some("unix") => ProbeKind::Unix("/run/simulated".into()),
            Some("http") => ProbeKind::http("http://127.0.0.1:1/"),
            Some("tls") => ProbeKind::Tls(TlsQuestion {
                place: address(),
                ..TlsQuestion::default()
            }),
            Some("dns") => ProbeKind::Dns(DnsQuestion {
                name: "simulated.example".to_owned(),
                ..DnsQuestion::default()
            }),
            Some("command") => ProbeKind::Command(vec!["/bin/true".to_owned()]),
            Some("postgres") => ProbeKind::Postgres(address()),
            Some("mysql") => ProbeKind::Mysql(address()),
            Some("redis") => ProbeKind::Redis(address()),
            Some("sqlite") => ProbeKind::Sqlite { file: name.clone() },
            _ => ProbeKind::Tcp(address()),
        };
        let of = reader
            .text(section, "unit", "db.service")
            .and_then(|text| reader.unit(text));
        host = match of {
            Some(unit) => host.probe_of(unit.as_str(), &name, kind),
            None => host.probe(&name, kind),
        };
        if let Some(false) = reader.flag(section, "answers") {
            host = host.mute(&name);
        }
    }
    host
}

/// `[[log]]`: lines in the journal, oldest first.
pub(super) fn logs(reader: &mut Reader<'_>, top: Section<'_>, mut host: Sim) -> Sim {
    for (section, _) in reader.sections(top, "log", "[[log]]") {
        reader.only(section, &["unit", "priority", "message"]);
        let unit = reader
            .text(section, "unit", "db.service")
            .and_then(|text| reader.unit(text))
            .unwrap_or_else(|| host.unit());
        let priority = section
            .table
            .get("priority")
            .and_then(|value| reader.number_in(value, "priority", 0..=7))
            .and_then(|priority| u8::try_from(priority).ok())
            .unwrap_or(6);
        let at = host.timestamp();
        if let Some((message, _)) = reader.text(section, "message", "out of memory") {
            let line = LogEntry::new(at, priority, message);
            host = host.logs(unit.as_str(), [line]);
        }
    }
    host
}

/// `[[past]]`: earlier incidents, oldest first.
pub(super) fn past(reader: &mut Reader<'_>, top: Section<'_>, mut host: Sim) -> Sim {
    let endings = same(&[
        "healed",
        "recovered",
        "left-alone",
        "escalated",
        "interrupted",
    ]);
    for (number, (section, _)) in reader
        .sections(top, "past", "[[past]]")
        .into_iter()
        .enumerate()
    {
        reader.only(section, &["ago", "cause", "ended", "strategy"]);
        let ago = after(reader, section, "ago").unwrap_or(Duration::from_secs(86_400));
        let cause = reader.one_of(section, "cause", &same(&RESULTS));
        let ended = reader.one_of(section, "ended", &endings);
        let strategy = reader.text(section, "strategy", "service-restart");
        host = host.past(PastIncident {
            id: format!("earlier-{}", number + 1),
            at: START.saturating_sub(ago),
            cause: cause.unwrap_or("exit-code").to_owned(),
            ended: ended.unwrap_or("healed").to_owned(),
            strategy: strategy.map(|(name, _)| name.to_owned()),
        });
    }
    host
}

/// `[memory]` and `[disk]`.
pub(super) fn resources(reader: &mut Reader<'_>, top: Section<'_>, mut host: Sim) -> Sim {
    for (key, name) in [("memory", "[memory]"), ("disk", "[disk]")] {
        let Some(section) = reader.section(top, key, name) else {
            continue;
        };
        reader.only(section, &["total", "available"]);
        let total = reader.size(section, "total");
        let available = reader.size(section, "available");
        if let (Some(total), Some(available)) = (total, available) {
            host = match key {
                "memory" => host.memory(total, available),
                _ => host.disk(total, available),
            };
        }
    }
    host
}

/// `[[metric]]`: what is measured of the service, of another unit, or of the host.
pub(super) fn metrics(reader: &mut Reader<'_>, top: Section<'_>, mut host: Sim) -> Sim {
    let known: Vec<(&str, Metric)> = Metric::ALL
        .iter()
        .map(|metric| (metric.as_str(), *metric))
        .collect();
    for (section, at) in reader.sections(top, "metric", "[[metric]]") {
        reader.only(section, &["name", "of", "value", "an-hour"]);
        if section.table.get("name").is_none() {
            let help = "add a `name`, such as `memory-bytes`";
            reader.error_help(at, "[[metric]] has no name", help);
            continue;
        }
        let metric = reader.one_of(section, "name", &known);
        let of = match reader.text(section, "of", "host") {
            Some((Subject::HOST, _)) => Some(Subject::HOST.to_owned()),
            Some(text) => reader.unit(text).map(|unit| unit.to_string()),
            None => Some(host.unit().to_string()),
        };
        let value = whole(reader, section, "value").unwrap_or(0);
        let an_hour = whole(reader, section, "an-hour").unwrap_or(0);
        let value = u64::try_from(value).unwrap_or(0);
        if let (Some(metric), Some(of)) = (metric, of) {
            host = host.measured_growing(&of, metric.as_str(), value, an_hour as f64);
        }
    }
    host
}
