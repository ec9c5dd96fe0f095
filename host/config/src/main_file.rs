//! Reads `prunella.toml`: what holds for the host, and each strategy's grants.

use std::{collections::BTreeMap, ops::Range, path::Path, time::Duration};

use toml::de::{DeTable, DeValue};

use super::{
    Config, Defaults, HostBudget, StrategySettings,
    alerts::{self, AlertPlaces},
    channels,
    diagnostic::Place,
    grants::read_grant,
    health, metrics,
    reader::{Reader, Section},
    service_file::{budget_section, proof_section, read_order, read_strategies},
    store, telemetry,
};
use prunella_core::{
    StrategyName, UnitName,
    policy::{BUILTIN_STRATEGIES, Grant, Grants, Limits},
    trust::SignaturePolicy,
};

const KEYS: &[&str] = &[
    "limits",
    "oversight",
    "signatures",
    "budget",
    "host-budget",
    "health",
    "metrics",
    "protect",
    "defaults",
    "retry-interval",
    "store",
    "strategy",
    "analysis",
    "telemetry",
    "channel",
    "alerts",
];

const LIMIT_KEYS: [&str; 11] = [
    "deadline",
    "cpu",
    "memory",
    "host-calls",
    "data-per-call",
    "log-bytes",
    "journal-bytes",
    "hashed-bytes",
    "bus-calls",
    "metric-reads",
    "handles",
];

const LEAST: Duration = Duration::from_millis(1);

/// What has to be looked at again when everything is read.
#[derive(Default)]
pub(super) struct Places {
    /// Of the default strategies.
    pub(super) strategies: BTreeMap<StrategyName, Place>,
    pub(super) alerts: AlertPlaces,
}

/// Reads the file into `config`. `folder` is where relative paths of components
/// begin.
pub(super) fn read<'t>(
    reader: &mut Reader<'_>,
    table: &'t DeTable<'t>,
    folder: &Path,
    config: &mut Config,
) -> Places {
    let top = Section {
        table,
        name: "prunella.toml",
    };
    reader.only(top, KEYS);
    config.limits = limits_section(reader, top, &config.limits.clone());
    config.budget = budget_section(reader, top, &config.budget.clone());
    config.host_budget = host_budget_section(reader, top);
    let host = &mut config.host_health;
    config.health = health::host_section(reader, top, &config.health.clone(), host);
    config.metrics = metrics::section(reader, top);
    config.retention = store::section(reader, top);
    if let Some(protect) = reader.section(top, "protect", "[protect]") {
        reader.only(protect, &["add", "remove"]);
        config.protect = units(reader, protect, "add");
        config.unprotect = units(reader, protect, "remove");
    }
    if let Some(value) = table.get("retry-interval") {
        config.retry_interval = if value.get_ref().as_str() == Some("never") {
            None
        } else {
            // A retry in quick succession would be a healing loop.
            reader
                .duration_of(value, "retry-interval", Duration::from_secs(60))
                .or(config.retry_interval)
        };
    }
    if let Some(policy) = reader.one_of(top, "signatures", &SignaturePolicy::ALL) {
        config.signatures = policy;
    }
    config.analysis = super::analysis::read(reader, top);
    config.traces = telemetry::read(reader, top);
    config.oversight = super::oversight::read(reader, top, config.analysis.is_some());
    config.channels = channels::read(reader, top);
    let strategies = defaults_section(reader, top, &mut config.defaults);
    let alerts = alerts::read(reader, top, &mut config.alerts);
    if let Some(strategies) = reader.section(top, "strategy", "[strategy.NAME]") {
        for (key, value) in strategies.table {
            let name: &str = key.get_ref();
            let Some(section) = value.get_ref().as_table() else {
                reader.error_help(
                    key.span(),
                    "`strategy` holds one table for each strategy",
                    "for example: [strategy.site-fix]",
                );
                continue;
            };
            match StrategyName::new(name) {
                Ok(strategy) => {
                    let section = Section {
                        table: section,
                        name: "[strategy.NAME]",
                    };
                    let settings =
                        strategy_section(reader, section, &strategy, key.span(), folder, config);
                    config.strategies.insert(strategy, settings);
                }
                Err(error) => {
                    reader.error(
                        key.span(),
                        prunella_core::text::one_line(&error.to_string(), 300),
                    );
                }
            }
        }
    }
    Places { strategies, alerts }
}

fn units(reader: &mut Reader<'_>, section: Section<'_>, key: &str) -> Vec<UnitName> {
    reader
        .texts(section, key, "\"dbus.service\"")
        .into_iter()
        .filter_map(|text| reader.unit(text))
        .collect()
}

fn defaults_section(
    reader: &mut Reader<'_>,
    top: Section<'_>,
    defaults: &mut Defaults,
) -> BTreeMap<StrategyName, Place> {
    let Some(section) = reader.section(top, "defaults", "[defaults]") else {
        return BTreeMap::new();
    };
    reader.only(section, &["proof", "strategies", "order"]);
    defaults.order = read_order(reader, section).unwrap_or_default();
    defaults.proof = proof_section(reader, section, &defaults.proof.clone());
    if !section.table.contains_key("strategies") {
        return BTreeMap::new();
    }
    defaults.strategies.clear();
    read_strategies(reader, section, &mut defaults.strategies)
}

fn host_budget_section(reader: &mut Reader<'_>, top: Section<'_>) -> HostBudget {
    let mut budget = HostBudget::default();
    let Some(section) = reader.section(top, "host-budget", "[host-budget]") else {
        return budget;
    };
    reader.only(section, &["healings", "window", "max-concurrent"]);
    if let Some(healings) = reader.number(section, "healings", 1_000) {
        budget.healings = healings;
    }
    if let Some(window) = reader.duration(section, "window", LEAST) {
        budget.window = window;
    }
    if let Some(max) = reader.number(section, "max-concurrent", 1_000) {
        budget.max_concurrent = max;
    }
    budget
}

fn limits_section(reader: &mut Reader<'_>, top: Section<'_>, default: &Limits) -> Limits {
    let mut limits = default.clone();
    let Some(section) = reader.section(top, "limits", "[limits]") else {
        return limits;
    };
    reader.only(section, &LIMIT_KEYS);
    if let Some(deadline) = reader.duration(section, "deadline", LEAST) {
        limits.deadline = deadline;
    }
    if let Some(cpu) = reader.duration(section, "cpu", LEAST) {
        limits.cpu = cpu;
    }
    let mut bytes = |key, limit: &mut usize| {
        if let Some(size) = reader.size(section, key) {
            *limit = usize::try_from(size).unwrap_or(usize::MAX);
        }
    };
    bytes("memory", &mut limits.memory);
    bytes("data-per-call", &mut limits.data_per_call);
    bytes("log-bytes", &mut limits.log_bytes);
    bytes("journal-bytes", &mut limits.journal_bytes);
    if let Some(size) = reader.size(section, "hashed-bytes") {
        limits.hashed_bytes = size;
    }
    if let Some(calls) = reader.number(section, "host-calls", u32::MAX) {
        limits.host_calls = calls;
    }
    if let Some(calls) = reader.number(section, "bus-calls", u32::MAX) {
        limits.bus_calls = calls;
    }
    if let Some(calls) = reader.number(section, "metric-reads", u32::MAX) {
        limits.metric_reads = calls;
    }
    // Each handle may hold a file descriptor of the daemon.
    if let Some(handles) = reader.number(section, "handles", 1_024) {
        limits.handles = usize::try_from(handles).unwrap_or(limits.handles);
    }
    limits
}

fn strategy_section(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    strategy: &StrategyName,
    at: Range<usize>,
    folder: &Path,
    config: &Config,
) -> StrategySettings {
    reader.only(
        section,
        &["component", "sha256", "settings", "limits", "allow"],
    );
    let builtin = BUILTIN_STRATEGIES.contains(&strategy.as_str());
    let line = reader.source.place(at.clone()).line;
    let mut settings = StrategySettings {
        declared_at: Some(format!("{}:{line}", reader.source.file.display())),
        ..StrategySettings::default()
    };
    match reader.text(section, "component", "plugins/site-fix.wasm") {
        Some((_, span)) if builtin => reader.error_help(
            span,
            format!("`{strategy}` is a built-in strategy: its name is reserved"),
            "give your component another name, such as `[strategy.my-fix]`",
        ),
        Some((text, span)) => {
            let shown = prunella_core::text::one_line(text, 80);
            if text.is_empty() || text.contains('\0') {
                reader.error(span, "`component` must be the path of a file");
            } else if Path::new(text)
                .components()
                .any(|part| part == std::path::Component::ParentDir)
            {
                reader.error_help(
                    span,
                    format!("`component` must not contain `..`, and `{shown}` does"),
                    "relative paths begin at the configuration's folder",
                );
            } else {
                settings.component = Some(folder.join(text));
            }
        }
        None if !builtin && !section.table.contains_key("component") => {
            settings.component = Some(folder.join("plugins").join(format!("{strategy}.wasm")));
        }
        None => {}
    }
    if let Some((text, span)) = reader.text(section, "sha256", "9f86d081884c7d65…") {
        if builtin {
            reader.error_help(
                span,
                format!("`{strategy}` is built in: there is no file to hash"),
                "leave `sha256` out",
            );
        } else {
            settings.sha256 = reader.sha256(text, span);
        }
    }
    (settings.settings, settings.places.each) = read_settings(reader, section);
    settings.places.section = Some(reader.source.place(at));
    if section.table.contains_key("limits") {
        settings.limits = Some(limits_section(reader, section, &config.limits));
    }
    if section.table.contains_key("allow") {
        let grants: Vec<Grant> = reader
            .sections(section, "allow", "[[strategy.NAME.allow]]")
            .into_iter()
            .filter_map(|(allow, at)| read_grant(reader, allow, &at))
            .collect();
        settings.grants = Some(Grants(grants));
    }
    settings
}

/// The `settings` of a strategy, each as text, and where each name and value
/// stands.
pub fn read_settings(
    reader: &mut Reader<'_>,
    section: Section<'_>,
) -> (BTreeMap<String, String>, BTreeMap<String, (Place, Place)>) {
    let mut settings = BTreeMap::new();
    let mut places = BTreeMap::new();
    let Some(section) = reader.section(section, "settings", "[strategy.NAME.settings]") else {
        return (settings, places);
    };
    for (key, value) in section.table {
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(flag) => flag.to_string(),
            DeValue::Datetime(date) => date.to_string(),
            DeValue::Array(_) | DeValue::Table(_) => {
                reader.error_help(
                    value.span(),
                    "a setting is text, a number, or true or false",
                    "write a list as text with commas, if the strategy takes one",
                );
                continue;
            }
        };
        let name = key.get_ref().to_string();
        let at = |span| reader.source.place(span);
        places.insert(name.clone(), (at(key.span()), at(value.span())));
        settings.insert(name, text);
    }
    (settings, places)
}
