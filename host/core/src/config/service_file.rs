//! Reads one `services.d/*.toml`: one service.

use std::{collections::BTreeMap, ops::Range, path::Path, time::Duration};

use toml::de::DeTable;

use super::{
    Config,
    alerts::{self, Named},
    diagnostic::{Diagnostic, Place},
    reader::{Reader, Section, Text},
    value,
};
use crate::{
    StrategyName, UnitName,
    service::{
        BudgetSettings, DeclaredCheck, DeclaredFile, DeclaredProbe, FileRole, Order, Port,
        ProbeKind, ProofSettings, ReadBy, Service, StartLimit,
    },
};

const KEYS: &[&str] = &[
    "unit",
    "domain",
    "critical",
    "ports",
    "strategies",
    "order",
    "needs",
    "start-limit",
    "heal-on-stop",
    "proof",
    "budget",
    "alerts",
    "file",
    "check",
    "probe",
];

const FILE_KEYS: [&str; 11] = [
    "name", "path", "role", "mode", "owner", "group", "target", "keys", "optional", "read-by",
    "secret",
];

const CHECK_KEYS: [&str; 6] = [
    "name",
    "command",
    "timeout",
    "changes",
    "as-root",
    "validates",
];

const PROBE_KINDS: [&str; 7] = [
    "tcp", "unix", "http", "postgres", "mysql", "redis", "sqlite",
];

const PROBE_KEYS: [&str; 13] = [
    "name", "tcp", "unix", "http", "postgres", "mysql", "redis", "sqlite", "status", "timeout",
    "of", "every", "failures",
];

const LEAST: Duration = Duration::from_millis(1);

/// A service and the places that later checks need.
pub(super) struct Parsed {
    pub(super) service: Service,
    /// Whether the file has a `strategies` or a `[proof]` of its own.
    pub(super) own_strategies: bool,
    pub(super) unit_at: Place,
    pub(super) needs_at: BTreeMap<UnitName, Place>,
    pub(super) strategies_at: BTreeMap<StrategyName, Place>,
    pub(super) channels_at: Vec<Named>,
}

/// Reads a service; what `host` says holds where the file says nothing else.
/// None when it has no valid unit.
pub(super) fn read<'t>(
    reader: &mut Reader<'_>,
    table: &'t DeTable<'t>,
    file: &Path,
    host: &Config,
) -> Option<Parsed> {
    let top = Section {
        table,
        name: "a service's file",
    };
    reader.only(top, KEYS);
    let unit = read_unit(reader, top);
    // Everything is read even without a unit: all mistakes at once.
    let mut service = Service::new(match &unit {
        Some((unit, _)) => unit.clone(),
        None => UnitName::new("unnamed.service").ok()?,
    });
    service.declared_in = Some(file.to_owned());
    service.domain = reader
        .text(top, "domain", "Web shop")
        .map(|(text, _)| crate::text::one_line(text, 120));
    service.critical = reader.flag(top, "critical").unwrap_or_default();
    service.heal_on_stop = reader.flag(top, "heal-on-stop").unwrap_or_default();
    service.start_limit = reader
        .one_of(
            top,
            "start-limit",
            &[("heal", StartLimit::Heal), ("respect", StartLimit::Respect)],
        )
        .unwrap_or_default();
    service.ports = read_ports(reader, top);
    let mut needs_at = BTreeMap::new();
    for need in reader.texts(top, "needs", "\"postgresql@15-main.service\"") {
        let span = need.1.clone();
        let Some(need) = reader.unit(need) else {
            continue;
        };
        if needs_at
            .insert(need.clone(), reader.source.place(span.clone()))
            .is_some()
        {
            reader.warn(span, format!("{need} is named twice"), "name it once");
        } else {
            service.needs.push(need);
        }
    }
    let own_strategies = table.contains_key("strategies");
    let strategies_at = read_strategies(reader, top, &mut service.strategies);
    service.order = read_order(reader, top).unwrap_or(host.defaults.order);
    service.proof = proof_section(reader, top, &host.defaults.proof);
    service.budget = table
        .contains_key("budget")
        .then(|| budget_section(reader, top, &host.budget));
    let (alerts, channels_at) = alerts::read_service(reader, top);
    service.alerts = alerts;
    read_files(reader, top, &mut service);
    read_checks(reader, top, &mut service);
    read_probes(reader, top, &mut service);
    let (_, span) = unit?;
    Some(Parsed {
        service,
        own_strategies,
        unit_at: reader.source.place(span),
        needs_at,
        strategies_at,
        channels_at,
    })
}

fn read_unit(reader: &mut Reader<'_>, top: Section<'_>) -> Option<(UnitName, Range<usize>)> {
    if !top.table.contains_key("unit") {
        reader.found.push(
            Diagnostic::about_file(&reader.source.file, "the file names no unit")
                .help("add a line such as `unit = \"nginx.service\"`; one file is one service"),
        );
        return None;
    }
    let text = reader.text(top, "unit", "nginx.service")?;
    let span = text.1.clone();
    let unit = reader.unit(text)?;
    if !matches!(unit.kind(), "service" | "socket") {
        reader.error_help(
            span,
            format!(
                "{unit} is a {}: Prunella cares for services and sockets",
                unit.kind()
            ),
            "name the service that does the work",
        );
        return None;
    }
    Some((unit, span))
}

fn read_ports(reader: &mut Reader<'_>, top: Section<'_>) -> Vec<Port> {
    let mut ports: Vec<Port> = Vec::new();
    for (text, span) in reader.texts(top, "ports", "\"tcp/80\", \"udp/53\"") {
        match text.parse::<Port>() {
            Ok(port) if ports.contains(&port) => {
                reader.warn(span, format!("{port} is named twice"), "name it once");
            }
            Ok(port) => ports.push(port),
            Err(_) => {
                let shown = crate::text::one_line(text, 40);
                reader.error_help(
                    span,
                    format!("`{shown}` is not a port"),
                    "write `tcp/` or `udp/` and a number from 1 to 65535, such as \"tcp/80\"",
                );
            }
        }
    }
    ports
}

/// `strategies`, in order, without doubles.
pub(super) fn read_strategies(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    into: &mut Vec<StrategyName>,
) -> BTreeMap<StrategyName, Place> {
    let mut places = BTreeMap::new();
    for (text, span) in reader.texts(section, "strategies", "\"service-restart\"") {
        match StrategyName::new(text) {
            Ok(name) => {
                if places
                    .insert(name.clone(), reader.source.place(span.clone()))
                    .is_some()
                {
                    reader.warn(span, format!("{name} is named twice"), "name it once");
                } else {
                    into.push(name);
                }
            }
            Err(error) => reader.error(span, crate::text::one_line(&error.to_string(), 300)),
        }
    }
    places
}

/// `order`.
pub(super) fn read_order(reader: &mut Reader<'_>, section: Section<'_>) -> Option<Order> {
    reader.one_of(
        section,
        "order",
        &[("listed", Order::Listed), ("learned", Order::Learned)],
    )
}

/// `[proof]`, over `default`.
pub(super) fn proof_section(
    reader: &mut Reader<'_>,
    top: Section<'_>,
    default: &ProofSettings,
) -> ProofSettings {
    let mut proof = default.clone();
    let Some(section) = reader.section(top, "proof", "[proof]") else {
        return proof;
    };
    reader.only(section, &["stable-for", "timeout"]);
    if let Some(stable_for) = reader.duration(section, "stable-for", Duration::ZERO) {
        proof.stable_for = stable_for;
    }
    if let Some(timeout) = reader.duration(section, "timeout", LEAST) {
        proof.timeout = timeout;
    }
    proof
}

/// `[budget]`, over `default`.
pub(super) fn budget_section(
    reader: &mut Reader<'_>,
    top: Section<'_>,
    default: &BudgetSettings,
) -> BudgetSettings {
    let mut budget = default.clone();
    let Some(section) = reader.section(top, "budget", "[budget]") else {
        return budget;
    };
    reader.only(section, &["healings", "within", "backoff"]);
    if let Some(healings) = reader.number(section, "healings", 1_000) {
        budget.healings = healings;
    }
    if let Some(within) = reader.duration(section, "within", LEAST) {
        budget.within = within;
    }
    let Some(value) = section.table.get("backoff") else {
        return budget;
    };
    let Some(array) = value.get_ref().as_array() else {
        reader.error_help(
            value.span(),
            "`backoff` must be a list of durations",
            "for example: backoff = [\"0s\", \"1s\", \"5s\"]",
        );
        return budget;
    };
    budget.backoff = array
        .iter()
        .filter_map(|item| reader.duration_of(item, "backoff", Duration::ZERO))
        .collect();
    budget
}

/// Notes a name that stands twice in one file; true when it is the first.
fn first_of(
    reader: &mut Reader<'_>,
    seen: &mut BTreeMap<String, usize>,
    what: &str,
    name: &str,
    at: &Range<usize>,
) -> bool {
    let line = reader.source.place(at.clone()).line;
    if let Some(first) = seen.get(name) {
        reader.error_help(
            at.clone(),
            format!("there are two {what}s `{name}`"),
            format!("the first is declared in line {first}; give one of them another name"),
        );
        return false;
    }
    seen.insert(name.to_owned(), line);
    true
}

fn read_files(reader: &mut Reader<'_>, top: Section<'_>, service: &mut Service) {
    let mut seen = BTreeMap::new();
    for (section, at) in reader.sections(top, "file", "[[file]]") {
        reader.only(section, &FILE_KEYS);
        let name = reader.name(section, &at);
        let role = reader
            .one_of(
                section,
                "role",
                &[
                    ("plain", FileRole::Plain),
                    ("env", FileRole::Env),
                    ("database", FileRole::Database),
                    ("directory", FileRole::Directory),
                    ("symlink", FileRole::Symlink),
                    ("socket", FileRole::Socket),
                ],
            )
            .unwrap_or_default();
        if !section.table.contains_key("path") {
            reader.error_help(
                at.clone(),
                "[[file]] has no path",
                "add a line such as `path = \"/etc/nginx/nginx.conf\"`",
            );
        }
        let path = reader
            .text(section, "path", "/etc/nginx/nginx.conf")
            .and_then(|text| reader.path("path", text));
        let (owner, group) = read_owner(reader, section);
        let file = DeclaredFile {
            path: path.clone().unwrap_or_default(),
            role,
            mode: read_mode(reader, section, role),
            owner,
            group,
            target: read_target(reader, section, role, &at),
            keys: read_keys(reader, section, role),
            optional: reader.flag(section, "optional").unwrap_or_default(),
            read_by: reader
                .one_of(
                    section,
                    "read-by",
                    &[("service", ReadBy::Service), ("manager", ReadBy::Manager)],
                )
                .unwrap_or_default(),
            secret: reader.flag(section, "secret").unwrap_or_default(),
        };
        if let Some(name) = name
            && first_of(reader, &mut seen, "file", &name, &at)
            && path.is_some()
        {
            service.files.insert(name, file);
        }
    }
}

fn read_mode(reader: &mut Reader<'_>, section: Section<'_>, role: FileRole) -> Option<u32> {
    let (mode, span) = reader.mode(section, "mode")?;
    if mode > 0o777 {
        reader.error_help(
            span,
            format!(
                "the mode {mode:04o} has setuid, setgid or sticky bits: Prunella never sets those"
            ),
            format!("write \"0{:03o}\"", mode & 0o775),
        );
        return None;
    }
    if mode & 0o002 != 0 {
        reader.error_help(
            span,
            format!("the mode {mode:04o} lets everybody write: Prunella never sets that"),
            format!("write \"0{:03o}\"", mode & 0o775),
        );
        return None;
    }
    if role == FileRole::Symlink {
        reader.error_help(
            span,
            "a symbolic link has no mode of its own",
            "declare the file it leads to as a file of its own",
        );
        return None;
    }
    Some(mode)
}

fn read_owner(reader: &mut Reader<'_>, section: Section<'_>) -> (Option<String>, Option<String>) {
    let mut check = |(text, span): Text<'_>| {
        let valid = !text.is_empty()
            && text.len() <= 64
            && !text.starts_with('-')
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-.$".contains(&b));
        if !valid {
            let shown = crate::text::one_line(text, 40);
            reader.error_help(
                span,
                format!("`{shown}` is not the name of a user or group"),
                "for example: owner = \"www-data\", or owner = \"www-data:adm\"",
            );
        }
        valid.then(|| text.to_owned())
    };
    let owner = section
        .table
        .get("owner")
        .and_then(|value| Some((value.get_ref().as_str()?, value.span())));
    let group = section
        .table
        .get("group")
        .and_then(|value| Some((value.get_ref().as_str()?, value.span())));
    let (mut user, mut of_owner, mut both) = (None, None, None);
    if let Some((text, span)) = owner {
        match text.split_once(':') {
            Some((name, group_name)) => {
                user = check((name, span.clone()));
                of_owner = check((group_name, span.clone()));
                both = group.is_some().then_some(span);
            }
            None => user = check((text, span)),
        }
    }
    let group = group.and_then(check);
    // Whatever is not text at all.
    reader.text(section, "owner", "www-data");
    reader.text(section, "group", "www-data");
    if let Some(span) = both {
        reader.error_help(
            span,
            "the group stands both in `owner` and in `group`",
            "leave one of them out",
        );
    }
    (user, of_owner.or(group))
}

fn read_target(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    role: FileRole,
    at: &Range<usize>,
) -> Option<std::path::PathBuf> {
    let Some((text, span)) = reader.text(section, "target", "../sites-available/shop") else {
        if role == FileRole::Symlink && !section.table.contains_key("target") {
            reader.warn(
                at.clone(),
                "a symbolic link without a `target`: any target will do",
                "add `target`, to have the link brought back where it should lead",
            );
        }
        return None;
    };
    if role != FileRole::Symlink {
        reader.error_help(
            span,
            "`target` is for symbolic links",
            "add `role = \"symlink\"`, or leave `target` out",
        );
        return None;
    }
    if text.is_empty() || text.contains('\0') {
        reader.error(span, "`target` must be a path");
        return None;
    }
    Some(text.into())
}

fn read_keys(reader: &mut Reader<'_>, section: Section<'_>, role: FileRole) -> Vec<String> {
    let keys = reader.texts(section, "keys", "\"DATABASE_URL\"");
    if let Some((_, span)) = keys.first()
        && role != FileRole::Env
    {
        reader.error_help(
            span.clone(),
            "`keys` is for environment files",
            "add `role = \"env\"`, or leave `keys` out",
        );
    }
    let mut names = Vec::new();
    for (text, span) in keys {
        let valid = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if valid {
            names.push(text.to_owned());
        } else {
            let shown = crate::text::one_line(text, 40);
            reader.error(span, format!("`{shown}` cannot be the name of a variable"));
        }
    }
    names
}

fn read_checks(reader: &mut Reader<'_>, top: Section<'_>, service: &mut Service) {
    let mut seen = BTreeMap::new();
    for (section, at) in reader.sections(top, "check", "[[check]]") {
        reader.only(section, &CHECK_KEYS);
        let name = reader.name(section, &at);
        let command = read_command(reader, section, &at);
        let changes = reader.flag(section, "changes").unwrap_or_default();
        let check = DeclaredCheck {
            command: command.clone().unwrap_or_default(),
            timeout: reader
                .duration(section, "timeout", LEAST)
                // A configuration check reads files; half a minute is ample.
                .unwrap_or(Duration::from_secs(30)),
            changes,
            as_root: reader.flag(section, "as-root").unwrap_or_default(),
            // Whoever declares a harmless check and says no more about it
            // expects that it holds a start against a broken configuration.
            validates: reader.flag(section, "validates").unwrap_or(!changes),
        };
        if check.changes && check.validates {
            reader.error_help(
                at.clone(),
                "a check that validates must not change anything",
                "leave out `changes` or `validates`",
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

fn read_command(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
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
                "[[check]] has no command",
                format!("add a line such as `command = [{example}]`"),
            );
        }
        return None;
    };
    if !program.starts_with('/') {
        let shown = crate::text::one_line(program, 60);
        reader.error_help(
            span.clone(),
            format!("the program of a check must be an absolute path, and `{shown}` is not"),
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

fn read_probes(reader: &mut Reader<'_>, top: Section<'_>, service: &mut Service) {
    let mut seen = BTreeMap::new();
    for (section, at) in reader.sections(top, "probe", "[[probe]]") {
        reader.only(section, &PROBE_KEYS);
        let name = reader.name(section, &at);
        let kind = read_kind(reader, section, &at, service);
        let of = match reader.text(section, "of", "postgresql@15-main.service") {
            None => None,
            Some(text) => {
                let span = text.1.clone();
                let of = reader.unit(text);
                if let Some(of) = &of
                    && *of != service.unit
                    && !service.needs.contains(of)
                {
                    reader.warn(
                        span,
                        format!("{of} is not among what the service needs"),
                        format!("add it to `needs`: needs = [\"{of}\"]"),
                    );
                }
                // A probe of the service itself is simply its own.
                of.filter(|of| *of != service.unit)
            }
        };
        let probe = kind.map(|kind| DeclaredProbe {
            kind,
            timeout: reader
                .duration(section, "timeout", LEAST)
                .unwrap_or(Duration::from_secs(5)),
            of,
            every: reader.duration(section, "every", Duration::from_secs(1)),
            failures: reader.number(section, "failures", 1_000).unwrap_or(3),
        });
        if section.table.contains_key("failures") && !section.table.contains_key("every") {
            reader.warn(
                at.clone(),
                "`failures` has no effect without `every`",
                "add `every`, such as `every = \"30s\"`, to have the service watched by this probe",
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
    let shown = crate::text::one_line(text, 80);
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
            let host = text
                .strip_prefix("http://")
                .map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
            let valid = host.is_some_and(|host| {
                value::is_host_and_port(host) || value::is_host_and_port(&format!("{host}:80"))
            }) && !text.contains(|c: char| c.is_whitespace() || c.is_control());
            if !valid {
                reader.error_help(
                    span,
                    format!("`{shown}` is not a URL that a probe can ask"),
                    "write http://host:port/path; https cannot be asked",
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
