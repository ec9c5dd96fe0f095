//! Reads `[health]`: from when on a service is degraded or failed.
//!
//! ```toml
//! [health]
//! latency = { degraded = "1s", clear = "800ms", for = "30s" }
//! certificate = { degraded = "21d", critical = "7d" }
//! cpu = { degraded = "90%", for = "5m" }
//! flapping = { changes = 6, within = "30m" }
//! error-rate = { degraded = "5%", failed = "10%", clear = "2%", for = "30s", window = "5m" }
//! logs.deadlock = { pattern = "deadlock detected", degraded = 1 }
//! ```

use std::{ops::Range, time::Duration};

use prunella_core::{
    duration::written,
    health::{
        CertificateSettings, ErrorRateSettings, FlappingSettings, HealthSettings,
        HostHealthSettings, LatencySettings, Metric, UnusualSettings,
    },
    text::one_line,
};

use super::{
    limits::{self, Key},
    logs,
    reader::{Reader, Section},
    value,
};

/// Shorter than this nothing is slow: latencies are measured in whole milliseconds.
const LEAST: Duration = Duration::from_millis(2);

/// A certificate's time is counted in hours.
const HOUR: Duration = Duration::from_secs(3_600);

/// Ill and well again once is no flapping …
const LEAST_CHANGES: u32 = 3;

/// … and each change is remembered.
const MOST_CHANGES: u32 = 1_000;

const SHORTEST_FLAPPING: Duration = Duration::from_secs(60);

const LONGEST_FLAPPING: Duration = Duration::from_secs(24 * 3_600);

/// Of a probe that is asked every second, this many questions have to be kept.
const LONGEST_WINDOW: Duration = Duration::from_secs(3_600);

/// The keys of `[health]` that limit no metric.
const OF_SERVICES: &[&str] = &[
    "latency",
    "error-rate",
    "certificate",
    "flapping",
    "logs",
    "unusual",
];

/// The keys of `[health.host]` that limit no metric.
const OF_HOST: &[&str] = &["flapping"];

/// `[health]`, over `default`.
pub(super) fn section(
    reader: &mut Reader<'_>,
    top: Section<'_>,
    default: &HealthSettings,
) -> HealthSettings {
    let mut health = default.clone();
    if let Some(section) = reader.section(top, "health", "[health]") {
        reader.only(section, &keys(OF_SERVICES, limits::OF_SERVICES));
        read(reader, section, &mut health);
    }
    health
}

/// The host's `[health]`, over `default`, and its `[health.host]`, over what `host` holds.
pub(super) fn host_section(
    reader: &mut Reader<'_>,
    top: Section<'_>,
    default: &HealthSettings,
    host: &mut HostHealthSettings,
) -> HealthSettings {
    let mut health = default.clone();
    let Some(section) = reader.section(top, "health", "[health]") else {
        return health;
    };
    let known = keys(OF_SERVICES, limits::OF_SERVICES);
    reader.only(section, &[&known[..], &["host"]].concat());
    read(reader, section, &mut health);
    if let Some(section) = reader.section(section, "host", "[health.host]") {
        reader.only(section, &keys(OF_HOST, limits::OF_HOST));
        if let Some(section) = reader.section(section, "flapping", "[health.host.flapping]") {
            read_flapping(reader, section, &mut host.flapping);
        }
        limits::read(reader, section, limits::OF_HOST, &mut host.limits);
    }
    health
}

fn keys(first: &[&'static str], limits: &[Key]) -> Vec<&'static str> {
    let limits = limits.iter().map(|(key, _)| *key);
    first.iter().copied().chain(limits).collect()
}

fn read(reader: &mut Reader<'_>, section: Section<'_>, health: &mut HealthSettings) {
    if let Some(latency) = reader.section(section, "latency", "[health.latency]") {
        read_latency(reader, latency, &mut health.latency);
    }
    if let Some(rate) = reader.section(section, "error-rate", "[health.error-rate]") {
        read_error_rate(reader, rate, &mut health.error_rate);
    }
    if let Some(section) = reader.section(section, "certificate", "[health.certificate]") {
        read_certificate(reader, section, &mut health.certificate);
    }
    if let Some(section) = reader.section(section, "flapping", "[health.flapping]") {
        read_flapping(reader, section, &mut health.flapping);
    }
    if let Some((word, span)) = reader.text(section, "unusual", "mark") {
        match word {
            "off" => health.unusual = UnusualSettings::Off,
            "mark" => health.unusual = UnusualSettings::Mark,
            "incident" => health.unusual = UnusualSettings::Incident,
            other => reader.error_help(
                span,
                format!("`{}` is not what `unusual` can be", one_line(other, 40)),
                "write \"mark\" (it is shown), \"incident\" (it begins an incident) or \"off\"",
            ),
        }
    }
    limits::read(reader, section, limits::OF_SERVICES, &mut health.limits);
    logs::read(reader, section, health);
}

fn read_flapping(reader: &mut Reader<'_>, section: Section<'_>, flapping: &mut FlappingSettings) {
    reader.only(section, &["changes", "within"]);
    if let Some(value) = section.table.get("changes")
        && let Some(changes) = reader.number_in(value, "changes", LEAST_CHANGES..=MOST_CHANGES)
    {
        flapping.changes = changes;
    }
    if let Some(within) = reader.duration(section, "within", SHORTEST_FLAPPING) {
        flapping.within = within;
        if within > LONGEST_FLAPPING {
            reader.error_help(
                place(section, &["within"]),
                format!("`within` must be at most {}", written(LONGEST_FLAPPING)),
                "for example: flapping = { changes = 6, within = \"30m\" }",
            );
        }
    }
}

fn read_certificate(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    certificate: &mut CertificateSettings,
) {
    reader.only(section, &["degraded", "critical"]);
    if let Some(degraded) = reader.duration(section, "degraded", HOUR) {
        *certificate = CertificateSettings {
            degraded: Some(degraded),
            // Where nothing else is said: a third of it.
            critical: None,
        };
    }
    if let Some(critical) = reader.duration(section, "critical", HOUR) {
        certificate.critical = Some(critical);
    }
    if let (Some(degraded), Some(critical)) = (certificate.degraded, certificate.critical)
        && critical > degraded
    {
        reader.error_help(
            place(section, &["critical", "degraded"]),
            format!(
                "`critical` must not be longer than `degraded`, and {} is longer than {}",
                written(critical),
                written(degraded)
            ),
            "for example: degraded = \"21d\", critical = \"7d\"",
        );
    }
}

fn read_latency(reader: &mut Reader<'_>, section: Section<'_>, latency: &mut LatencySettings) {
    reader.only(section, &["degraded", "clear", "for"]);
    if let Some(degraded) = reader.duration(section, "degraded", LEAST) {
        latency.degraded = degraded;
        // Where nothing else is said: four fifths of it.
        latency.clear = degraded * 4 / 5;
    }
    if let Some(clear) = reader.duration(section, "clear", Duration::ZERO) {
        latency.clear = clear;
    }
    if let Some(hold) = reader.duration(section, "for", Duration::ZERO) {
        latency.hold = hold;
    }
    if latency.clear.as_millis() >= latency.degraded.as_millis() {
        let (degraded, clear) = (written(latency.degraded), written(latency.clear));
        reader.error_help(
            place(section, &["clear", "degraded"]),
            format!(
                "`clear` must be shorter than `degraded`, and {clear} is not shorter than {degraded}"
            ),
            "what lies between them changes nothing, so that nothing flaps at the line: for \
             example `degraded = \"1s\", clear = \"800ms\"`",
        );
    }
}

fn read_error_rate(reader: &mut Reader<'_>, section: Section<'_>, rate: &mut ErrorRateSettings) {
    reader.only(section, &["degraded", "failed", "clear", "for", "window"]);
    if let Some(degraded) = percent(reader, section, "degraded") {
        rate.degraded = degraded;
        // Where nothing else is said.
        rate.failed = rate.failed.max((degraded * 2).min(1_000));
        rate.clear = degraded * 2 / 5;
    }
    if let Some(failed) = percent(reader, section, "failed") {
        rate.failed = failed;
    }
    if let Some(clear) = percent(reader, section, "clear") {
        rate.clear = clear;
    }
    if let Some(hold) = reader.duration(section, "for", Duration::ZERO) {
        rate.hold = hold;
    }
    if let Some(window) = reader.duration(section, "window", Duration::from_secs(1)) {
        if window > LONGEST_WINDOW {
            reader.error_help(
                place(section, &["window"]),
                format!(
                    "`window` must be at most {}, and {} is longer",
                    written(LONGEST_WINDOW),
                    written(window)
                ),
                "for example: window = \"5m\"",
            );
        } else {
            rate.window = window;
        }
    }
    let shown = |value: u32| Metric::ErrorsPermille.shown(value.into());
    if rate.clear >= rate.degraded {
        reader.error_help(
            place(section, &["clear", "degraded"]),
            format!(
                "`clear` must be below `degraded`, and {} is not below {}",
                shown(rate.clear),
                shown(rate.degraded)
            ),
            "what lies between them changes nothing, so that nothing flaps at the line: for \
             example `degraded = \"5%\", clear = \"2%\"`",
        );
    }
    if rate.failed < rate.degraded {
        reader.error_help(
            place(section, &["failed", "degraded"]),
            format!(
                "`failed` must not be below `degraded`, and {} is below {}",
                shown(rate.failed),
                shown(rate.degraded)
            ),
            "for example: degraded = \"5%\", failed = \"10%\"",
        );
    }
}

/// Where the first of these keys that is there has its value.
fn place(section: Section<'_>, keys: &[&str]) -> Range<usize> {
    keys.iter()
        .find_map(|key| section.table.get(*key))
        .map_or(0..0, |value| value.span())
}

/// A share, such as `"5%"`, in parts of a thousand.
fn percent(reader: &mut Reader<'_>, section: Section<'_>, key: &str) -> Option<u32> {
    let (text, span) = reader.text(section, key, "5%")?;
    let share = value::permille(text);
    if share.is_none() {
        reader.error_help(
            span,
            format!("`{}` is not a share", one_line(text, 40)),
            format!(
                "write a number from 0 to 100 with at most one digit behind the point, and %: \
                 {key} = \"5%\""
            ),
        );
    }
    share
}
