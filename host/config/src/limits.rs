//! Reads the limits of sampled metrics in `[health]` and `[health.host]`.
//!
//! ```toml
//! cpu = { degraded = "90%", critical = "95%", clear = "80%", for = "5m" }
//! disk = { forecast = "6h" }
//! processes = { degraded = 1000 }
//! tasks = "off"
//! ```

use std::{ops::Range, time::Duration};

use prunella_core::{
    duration::written,
    health::{Metric, MetricLimit, MetricLimits, Quantity},
    text::one_line,
};
use toml::de::DeValue;

use super::{
    reader::{Reader, Section},
    value,
};

/// A key, and what it limits.
pub(super) type Key = (&'static str, Metric);

/// What can be limited of a service.
pub(super) const OF_SERVICES: &[Key] = &[
    ("cpu", Metric::CpuPermille),
    ("cpu-core", Metric::CpuCorePermille),
    ("throttled", Metric::ThrottledPermille),
    ("memory", Metric::MemoryPermille),
    ("memory-size", Metric::MemoryBytes),
    ("swap", Metric::SwapBytes),
    ("processes", Metric::Processes),
    ("tasks", Metric::TasksPermille),
    ("descriptors", Metric::DescriptorsPermille),
    ("cpu-pressure", Metric::PressureCpuPermille),
    ("memory-pressure", Metric::PressureMemoryPermille),
    ("io-pressure", Metric::PressureIoPermille),
    ("log-lines", Metric::LogLinesPerMinute),
    ("log-errors", Metric::LogErrorsPerMinute),
    ("requests", Metric::RequestsPerMinute),
    ("request-errors", Metric::RequestErrorsPermille),
    ("request-latency", Metric::RequestLatencyMs),
];

/// What can be limited of the host.
pub(super) const OF_HOST: &[Key] = &[
    ("cpu", Metric::CpuPermille),
    ("load", Metric::LoadMilli),
    ("memory", Metric::MemoryPermille),
    ("swap", Metric::SwapPermille),
    ("disk", Metric::DiskPermille),
    ("inodes", Metric::InodesPermille),
    ("processes", Metric::Processes),
    ("zombies", Metric::Zombies),
    ("file-handles", Metric::FileHandlesPermille),
    ("cpu-pressure", Metric::PressureCpuPermille),
    ("memory-pressure", Metric::PressureMemoryPermille),
    ("io-pressure", Metric::PressureIoPermille),
    ("temperature", Metric::TemperatureCelsius),
    ("failed-units", Metric::FailedUnits),
    ("interface-errors", Metric::InterfaceErrors),
    ("link", Metric::LinkDown),
    ("clock", Metric::ClockUnsynchronized),
    ("smart", Metric::DiskFailing),
    ("gpu", Metric::GpuPermille),
    ("gpu-memory", Metric::GpuMemoryPermille),
    ("gpu-temperature", Metric::GpuTemperatureCelsius),
    ("gpu-ecc-errors", Metric::GpuEccErrors),
    ("gpu-xid-errors", Metric::GpuXidErrors),
];

/// A message takes a moment to be read.
const SOONEST: Duration = Duration::from_secs(60);

/// What comes later than this cannot be told from the hours that are looked at.
const FARTHEST: Duration = Duration::from_secs(24 * 3_600);

/// Shares above a whole, of several processors.
const MOST_PERMILLE: u64 = 1_000_000;

/// Reads those of a section's keys that are there, over what `limits` holds.
pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    keys: &[Key],
    limits: &mut MetricLimits,
) {
    for &(key, metric) in keys {
        let Some(value) = section.table.get(key) else {
            continue;
        };
        if value.get_ref().as_str() == Some("off") {
            limits.set(metric, None);
            continue;
        }
        let Some(table) = value.get_ref().as_table() else {
            reader.error_help(
                value.span(),
                format!("`{key}` must be a table of limits, or \"off\""),
                format!("for example: {key} = {}", example(metric)),
            );
            continue;
        };
        let section = Section { table, name: key };
        reader.only(section, keys_of(metric));
        if let Some(limit) = limit(reader, section, value.span(), metric, limits.get(metric)) {
            limits.set(metric, Some(limit));
        }
    }
}

fn example(metric: Metric) -> &'static str {
    match metric.quantity() {
        Quantity::Permille => "{ degraded = \"90%\", critical = \"95%\", for = \"5m\" }",
        Quantity::Bytes | Quantity::BytesPerSecond => "{ degraded = \"1GiB\", for = \"5m\" }",
        Quantity::Milliseconds => "{ degraded = \"1s\", for = \"5m\" }",
        Quantity::Flag => "{ for = \"1h\" }",
        _ => "{ degraded = 100, for = \"5m\" }",
    }
}

/// The keys of a limit.
pub(super) fn keys_of(metric: Metric) -> &'static [&'static str] {
    if metric.quantity() == Quantity::Flag {
        &["for"]
    } else if metric.used_up_at().is_some() {
        &["degraded", "critical", "clear", "for", "forecast"]
    } else {
        &["degraded", "critical", "clear", "for"]
    }
}

/// A limit, over `default`. Which keys there may be is looked at elsewhere.
pub(super) fn limit(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: Range<usize>,
    metric: Metric,
    default: Option<&MetricLimit>,
) -> Option<MetricLimit> {
    let degraded = if metric.quantity() == Quantity::Flag {
        Some(1)
    } else {
        threshold(reader, section, "degraded", metric)
    };
    let mut limit = match (degraded, default) {
        (Some(degraded), default) => MetricLimit {
            degraded,
            critical: default
                .and_then(|default| default.critical)
                .filter(|critical| *critical >= degraded),
            // Where nothing else is said.
            clear: degraded * 9 / 10,
            hold: default.map_or(Duration::from_secs(60), |default| default.hold),
            forecast: default.and_then(|default| default.forecast),
        },
        (None, Some(default)) => *default,
        (None, None) => {
            if !section.table.contains_key("degraded") {
                reader.error_help(
                    at,
                    format!(
                        "`{}` has no limit yet, so it needs `degraded`",
                        section.name
                    ),
                    format!("for example: {} = {}", section.name, example(metric)),
                );
            }
            return None;
        }
    };
    if let Some(critical) = threshold(reader, section, "critical", metric) {
        limit.critical = Some(critical);
    }
    if let Some(clear) = threshold(reader, section, "clear", metric) {
        limit.clear = clear;
    }
    if let Some(hold) = reader.duration(section, "for", Duration::ZERO) {
        limit.hold = hold;
    }
    read_forecast(reader, section, &mut limit);
    let place = |keys: [&str; 2]| {
        keys.iter()
            .find_map(|key| section.table.get(*key))
            .map_or(at.clone(), |value| value.span())
    };
    if limit.clear >= limit.degraded {
        reader.error_help(
            place(["clear", "degraded"]),
            format!(
                "`clear` must be below `degraded`, and {} is not below {}",
                metric.shown(limit.clear),
                metric.shown(limit.degraded)
            ),
            "what lies between them changes nothing, so that nothing flaps at the line",
        );
        return None;
    }
    if let Some(critical) = limit.critical.filter(|it| *it < limit.degraded) {
        reader.error(
            place(["critical", "degraded"]),
            format!(
                "`critical` must not be below `degraded`, and {} is below {}",
                metric.shown(critical),
                metric.shown(limit.degraded)
            ),
        );
        return None;
    }
    Some(limit)
}

/// How long before it is used up people are told.
fn read_forecast(reader: &mut Reader<'_>, section: Section<'_>, limit: &mut MetricLimit) {
    let Some(value) = section.table.get("forecast") else {
        return;
    };
    if value.get_ref().as_str() == Some("off") {
        limit.forecast = None;
    } else if let Some(forecast) = reader.duration_of(value, "forecast", SOONEST) {
        if forecast > FARTHEST {
            reader.error_help(
                value.span(),
                format!("`forecast` must be at most {}", written(FARTHEST)),
                "what comes later cannot be told: write a duration from \"1m\" to \"1d\", or \"off\"",
            );
        } else {
            limit.forecast = Some(forecast);
        }
    }
}

/// A value of a metric, as an operator writes it.
fn threshold(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    key: &str,
    metric: Metric,
) -> Option<u64> {
    match metric.quantity() {
        Quantity::Permille => share(reader, section, key),
        Quantity::Bytes | Quantity::BytesPerSecond => reader.size(section, key),
        Quantity::Milli => {
            let number = reader.number_in(section.table.get(key)?, key, 0..=1_000_000)?;
            Some(u64::from(number) * 1_000)
        }
        Quantity::Hours => {
            let span = reader.duration(section, key, Duration::ZERO)?;
            Some(span.as_secs() / 3_600)
        }
        Quantity::Milliseconds => {
            let span = reader.duration(section, key, Duration::ZERO)?;
            u64::try_from(span.as_millis()).ok()
        }
        Quantity::Count | Quantity::PerMinute | Quantity::Celsius | Quantity::Flag => {
            let number = reader.number_in(section.table.get(key)?, key, 0..=u32::MAX)?;
            Some(u64::from(number))
        }
    }
}

/// A share in percent, above 100 % too, in parts of a thousand.
fn share(reader: &mut Reader<'_>, section: Section<'_>, key: &str) -> Option<u64> {
    let value = section.table.get(key)?;
    let text = match value.get_ref() {
        DeValue::String(text) => text.as_ref(),
        _ => "",
    };
    let found = value::many_permille(text).filter(|share| *share <= MOST_PERMILLE);
    if found.is_none() {
        reader.error_help(
            value.span(),
            format!("`{}` is not a share", one_line(text, 40)),
            format!(
                "write a number with at most one digit behind the point, and %: {key} = \"90%\""
            ),
        );
    }
    found
}
