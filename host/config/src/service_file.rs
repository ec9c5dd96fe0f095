//! Reads one `services.d/*.toml`: one service.

mod checks;
mod endpoint;
mod files;
mod http_request;
mod objective;
mod probes;
mod remedies;

use std::{collections::BTreeMap, ops::Range, path::Path, time::Duration};

use toml::de::DeTable;

use super::{
    Config,
    alerts::{self, Named},
    diagnostic::{Diagnostic, Place},
    health,
    reader::{Reader, Section},
};
use prunella_core::{
    StrategyName, UnitName,
    duration::written,
    service::{BudgetSettings, Order, Port, ProofSettings, RunPolicy, Service, StartLimit},
};

const KEYS: &[&str] = &[
    "unit",
    "domain",
    "critical",
    "ports",
    "strategies",
    "heal-degraded",
    "order",
    "depends-on",
    "start-limit",
    "run-policy",
    "heal-on-stop",
    "proof",
    "budget",
    "health",
    "objective",
    "metrics",
    "alerts",
    "file",
    "check",
    "probe",
];

/// The tables of remedies.
#[cfg(test)]
pub(super) use self::remedies::tables as remedy_tables;

/// Shorter than this, nothing can be waited for.
pub(super) const LEAST: Duration = Duration::from_millis(1);

/// What was found in a service's file.
pub(super) struct Read {
    /// Absent when the file does not say of which unit it is.
    pub(super) parsed: Option<Parsed>,
    /// The strategies that it names, which are checked in any case.
    pub(super) strategies_at: BTreeMap<StrategyName, Place>,
}

/// A service and the places that later checks need.
pub(super) struct Parsed {
    pub(super) service: Service,
    /// Whether the file has a `strategies` or a `[proof]` of its own.
    pub(super) own_strategies: bool,
    pub(super) unit_at: Place,
    pub(super) ports_at: Vec<(Port, Place)>,
    pub(super) depends_on_at: BTreeMap<UnitName, Place>,
    /// Those that may act when it is degraded.
    pub(super) heal_degraded_at: BTreeMap<StrategyName, Place>,
    /// Declared remedies, by name.
    pub(super) remedies_at: BTreeMap<String, Place>,
    pub(super) channels_at: Vec<Named>,
}

/// Reads a service; what `host` says holds where the file says nothing else.
pub(super) fn read<'t>(
    reader: &mut Reader<'_>,
    table: &'t DeTable<'t>,
    file: &Path,
    host: &Config,
) -> Option<Read> {
    let top = Section {
        table,
        name: "a service's file",
    };
    let known: Vec<&str> = KEYS.iter().copied().chain(remedies::tables()).collect();
    reader.only(top, &known);
    let unit = read_unit(reader, top);
    // Everything is read even without a unit: all mistakes at once.
    let mut service = Service::new(match &unit {
        Some((unit, _)) => unit.clone(),
        None => UnitName::new("unnamed.service").ok()?,
    });
    service.declared_in = Some(file.to_owned());
    service.domain = reader
        .text(top, "domain", "Web shop")
        .map(|(text, _)| prunella_core::text::one_line(text, 120));
    service.critical = reader.flag(top, "critical").unwrap_or_default();
    service.heal_on_stop = reader.flag(top, "heal-on-stop").unwrap_or_default();
    service.start_limit = reader
        .one_of(
            top,
            "start-limit",
            &[("heal", StartLimit::Heal), ("respect", StartLimit::Respect)],
        )
        .unwrap_or_default();
    let ports_at = read_ports(reader, top);
    service.ports = ports_at.iter().map(|(port, _)| *port).collect();
    // What holds a port is there to be talked to.
    let meant_to_run = if service.ports.is_empty() {
        RunPolicy::OnFailure
    } else {
        RunPolicy::Always
    };
    service.run_policy = reader
        .one_of(
            top,
            "run-policy",
            &[RunPolicy::Always, RunPolicy::OnFailure].map(|policy| (policy.as_str(), policy)),
        )
        .unwrap_or(meant_to_run);
    let mut depends_on_at = BTreeMap::new();
    for need in reader.texts(top, "depends-on", "\"postgresql@15-main.service\"") {
        let span = need.1.clone();
        let Some(need) = reader.unit(need) else {
            continue;
        };
        if depends_on_at
            .insert(need.clone(), reader.source.place(span.clone()))
            .is_some()
        {
            reader.warn(span, format!("{need} is named twice"), "name it once");
        } else {
            service.depends_on.push(need);
        }
    }
    let own_strategies = table.contains_key("strategies");
    let strategies_at = read_strategies(reader, top, &mut service.strategies);
    let heal_degraded_at = read_names(reader, top, "heal-degraded", &mut service.heal_degraded);
    service.order = read_order(reader, top).unwrap_or(host.defaults.order);
    service.proof = proof_section(reader, top, &host.defaults.proof);
    service.budget = table
        .contains_key("budget")
        .then(|| budget_section(reader, top, &host.budget));
    service.health = health::section(reader, top, &host.health);
    let channels_at = alerts::read_service(reader, top, &mut service);
    files::read_files(reader, top, &mut service);
    checks::read_checks(reader, top, &mut service);
    probes::read_probes(reader, top, &mut service);
    let remedies_at = remedies::read(reader, top, &mut service);
    service.objective = objective::read(reader, top, &service);
    probes::check_limits(reader, top, &service);
    service.metrics_endpoint = endpoint::read(reader, top);
    let parsed = unit.map(|(_, span)| Parsed {
        service,
        own_strategies,
        unit_at: reader.source.place(span),
        ports_at,
        depends_on_at,
        heal_degraded_at,
        remedies_at,
        channels_at,
    });
    Some(Read {
        parsed,
        strategies_at,
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
    if unit.kind() != "service" {
        reader.error_help(
            span,
            format!("{unit} is a {}: only services can be healed", unit.kind()),
            "name the service that does the work",
        );
        return None;
    }
    Some((unit, span))
}

fn read_ports(reader: &mut Reader<'_>, top: Section<'_>) -> Vec<(Port, Place)> {
    let mut ports: Vec<(Port, Place)> = Vec::new();
    for (text, span) in reader.texts(top, "ports", "\"tcp/80\", \"udp/53\"") {
        match text.parse::<Port>() {
            Ok(port) if ports.iter().any(|(known, _)| *known == port) => {
                reader.warn(span, format!("{port} is named twice"), "name it once");
            }
            Ok(port) => ports.push((port, reader.source.place(span))),
            Err(_) => {
                let shown = prunella_core::text::one_line(text, 40);
                reader.error_help(
                    span,
                    format!("`{shown}` is not a port"),
                    "write `tcp/` or `udp/` and a number from 1 to 65535, such as \"tcp/80\"; where the \
                     address matters, put it before the number: \"udp/127.0.0.53:53\", \
                     \"tcp/[::1]:80\"",
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
    if let Some(value) = section.table.get("strategies")
        && value
            .get_ref()
            .as_array()
            .is_some_and(|list| list.is_empty())
    {
        reader.warn(
            value.span(),
            "`strategies` is empty: failures are told, and nothing heals them",
            "leave it out, or list some, such as `strategies = [\"service-restart\"]`",
        );
    }
    read_names(reader, section, "strategies", into)
}

/// A list of strategies, in order, without doubles.
fn read_names(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    key: &str,
    into: &mut Vec<StrategyName>,
) -> BTreeMap<StrategyName, Place> {
    let mut places = BTreeMap::new();
    for (text, span) in reader.texts(section, key, "\"service-restart\"") {
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
            Err(error) => {
                reader.error(span, prunella_core::text::one_line(&error.to_string(), 300))
            }
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
        proof.timeout = Some(timeout);
    }
    if let (Some(value), Some(timeout)) = (section.table.get("stable-for"), proof.timeout)
        && proof.stable_for > timeout
    {
        reader.warn(
            value.span(),
            format!(
                "`stable-for` ({}) is longer than `timeout` ({})",
                written(proof.stable_for),
                written(timeout)
            ),
            "`timeout` is for becoming well, and `stable-for` is watched after that: a healing \
             counts only when both are over",
        );
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
    reader.only(section, &["healings", "window", "backoff"]);
    if let Some(healings) = reader.number(section, "healings", 1_000) {
        budget.healings = healings;
    }
    if let Some(window) = reader.duration(section, "window", LEAST) {
        budget.window = window;
    }
    if let Some(value) = section.table.get("backoff") {
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
    }
    check_backoff(reader, section, &budget);
    budget
}

/// Notes a wait in `backoff` that never comes to its end: once the healings before it are as
/// old as `window`, they no longer count, and the first wait is due.
fn check_backoff(reader: &mut Reader<'_>, section: Section<'_>, budget: &BudgetSettings) {
    let after_the_first = budget.backoff.iter().skip(1);
    let Some(longest) = after_the_first.max().filter(|wait| **wait > budget.window) else {
        return;
    };
    let written_here = ["backoff", "window"]
        .iter()
        .find_map(|key| section.table.get(*key));
    let Some(value) = written_here else {
        return;
    };
    let (longest, window) = (written(*longest), written(budget.window));
    reader.warn(
        value.span(),
        format!("`backoff` has a wait ({longest}) that is longer than `window` ({window})"),
        format!(
            "healings older than {window} no longer count, so the next one then waits as the first \
             does: make `window` at least {longest}, or the wait shorter"
        ),
    );
}

fn plural(what: &str) -> String {
    match what.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{what}s"),
    }
}

/// Notes a name that stands twice in one file; true when it is the first.
pub(super) fn first_of(
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
            format!("there are two {} `{name}`", plural(what)),
            format!("the first is declared in line {first}; give one of them another name"),
        );
        return false;
    }
    seen.insert(name.to_owned(), line);
    true
}
