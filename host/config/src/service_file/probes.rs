//! Reads `[[probe]]`: the questions a service declares.

mod dns;
mod http;
mod kind;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use prunella_core::{
    duration::written,
    service::{DeclaredProbe, ProbeKind, Service},
};

use super::{LEAST, first_of};
use crate::reader::{Reader, Section};

/// How often a probe is asked, unless it says otherwise …
const INTERVAL: Duration = Duration::from_secs(10);

/// … and one of a critical service.
const CRITICAL_INTERVAL: Duration = Duration::from_secs(5);

/// Keys of every probe.
const COMMON_KEYS: [&str; 5] = ["name", "timeout", "unit", "interval", "failure-threshold"];

pub(super) fn read_probes(reader: &mut Reader<'_>, top: Section<'_>, service: &mut Service) {
    let known: Vec<&str> = COMMON_KEYS
        .into_iter()
        .chain(ProbeKind::WORDS)
        .chain(kind::OWN_KEYS.iter().map(|own| own.key))
        .collect();
    let mut seen = BTreeMap::new();
    for (section, at) in reader.sections(top, "probe", "[[probe]]") {
        reader.only(section, &known);
        let name = reader.name(section, &at);
        let kind = kind::read(reader, section, &at, service);
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
        let interval = read_interval(reader, section)
            .unwrap_or_else(|| default_interval(kind.as_ref(), unit.is_some(), service.critical));
        if section.table.contains_key("failure-threshold") && interval.is_none() {
            reader.warn(
                at.clone(),
                "`failure-threshold` has no effect without `interval`",
                "add `interval`, such as `interval = \"30s\"`, to have the service watched by this probe",
            );
        }
        let timeout = reader
            .duration(section, "timeout", LEAST)
            .unwrap_or(Duration::from_secs(5));
        if let Some(interval) = interval
            && timeout > interval
            && let Some(value) = ["timeout", "interval"]
                .iter()
                .find_map(|key| section.table.get(*key))
        {
            reader.warn(
                value.span(),
                format!(
                    "`timeout` ({}) is longer than `interval` ({}): a question without an answer \
                     delays the next",
                    written(timeout),
                    written(interval)
                ),
                "write a shorter `timeout`, or a longer `interval`",
            );
        }
        let probe = kind.map(|kind| DeclaredProbe {
            kind,
            timeout,
            unit,
            interval,
            failure_threshold: reader
                .number(section, "failure-threshold", 1_000)
                .unwrap_or(3),
        });
        if let Some(name) = name
            && first_of(reader, &mut seen, "probe", &name, &at)
            && let Some(probe) = probe
        {
            service.probes.insert(name, probe);
        }
    }
}

/// A limit for slow answers that no probe's answer can reach: it is given up before.
pub(super) fn check_limits(reader: &mut Reader<'_>, top: Section<'_>, service: &Service) {
    let own = || {
        let health = top.table.get("health")?.get_ref().as_table()?;
        let latency = health.get("latency")?.get_ref().as_table()?;
        latency.get("degraded").map(|value| value.span())
    };
    let Some(span) = own() else {
        return;
    };
    let limit = service.health.latency.degraded;
    let asked = service
        .own_probes()
        .filter(|(_, probe)| probe.interval.is_some())
        .map(|(name, probe)| (name, probe.timeout));
    let Some((name, longest)) = asked.max_by_key(|(_, timeout)| *timeout) else {
        return;
    };
    if limit >= longest {
        reader.warn(
            span,
            format!(
                "no answer can be as slow as {}: the probe `{name}` gives up after {}",
                written(limit),
                written(longest)
            ),
            "write a shorter `degraded`, or a longer `timeout` in the [[probe]]",
        );
    }
}

/// What `interval` says, where it is there.
fn read_interval(reader: &mut Reader<'_>, section: Section<'_>) -> Option<Option<Duration>> {
    let value = section.table.get("interval")?;
    if value.get_ref().as_str() == Some("never") {
        return Some(None);
    }
    reader
        .duration_of(value, "interval", Duration::from_secs(1))
        .map(Some)
}

/// How often a probe is asked that says nothing about it.
fn default_interval(
    kind: Option<&ProbeKind>,
    is_of_another: bool,
    is_critical: bool,
) -> Option<Duration> {
    // Another unit is whoever declares it to watch; and an integrity check reads the whole
    // file.
    if is_of_another || matches!(kind, Some(ProbeKind::Sqlite { .. })) {
        return None;
    }
    Some(if is_critical {
        CRITICAL_INTERVAL
    } else {
        INTERVAL
    })
}
