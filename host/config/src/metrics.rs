//! Reads `[metrics]`: how often services and host are measured, and what is kept of it.

use std::{ops::RangeInclusive, time::Duration};

use prunella_core::duration::written;

use super::reader::{Reader, Section};

/// How services and host are measured: `[metrics]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsSettings {
    /// How often; never, when absent (`"off"`).
    pub interval: Option<Duration>,
    /// What is kept of it takes no more than this, in bytes.
    pub max_size: u64,
    /// How often disks are asked how they are, where `smartctl` is installed; never, when
    /// absent.
    pub smart: Option<Duration>,
    /// How often GPUs are asked, where `nvidia-smi` is installed; never, when absent.
    pub gpus: Option<Duration>,
    /// Whether monitoring is told what other agents are told by as well, such as
    /// `agent_incidents_total`.
    pub agent_names: bool,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self {
            interval: Some(Duration::from_secs(10)),
            max_size: 256 << 20,
            smart: Some(Duration::from_secs(3_600)),
            gpus: Some(Duration::from_secs(60)),
            agent_names: false,
        }
    }
}

/// Measuring more often would be work of its own.
const LEAST: Duration = Duration::from_secs(1);

/// What is kept has a value a minute at least.
const MOST: Duration = Duration::from_secs(60);

/// Each time a program is run: not more often than this, …
const LEAST_RUN: Duration = Duration::from_secs(10);

/// … nor more seldom.
const MOST_RUN: Duration = Duration::from_secs(24 * 3_600);

/// A day of a few services.
const LEAST_SIZE: u64 = 1 << 20;

pub(super) fn section(reader: &mut Reader<'_>, top: Section<'_>) -> MetricsSettings {
    let mut settings = MetricsSettings::default();
    let Some(section) = reader.section(top, "metrics", "[metrics]") else {
        return settings;
    };
    reader.only(
        section,
        &["interval", "max-size", "smart", "gpus", "agent-names"],
    );
    if let Some(agent_names) = reader.flag(section, "agent-names") {
        settings.agent_names = agent_names;
    }
    let often = &mut settings.interval;
    interval(reader, section, "interval", LEAST..=MOST, often);
    let run = LEAST_RUN..=MOST_RUN;
    interval(reader, section, "smart", run.clone(), &mut settings.smart);
    interval(reader, section, "gpus", run, &mut settings.gpus);
    if let Some(size) = reader.size(section, "max-size") {
        if size >= LEAST_SIZE {
            settings.max_size = size;
        } else if let Some(value) = section.table.get("max-size") {
            reader.error_help(
                value.span(),
                "`max-size` must be at least 1MiB",
                "write a size such as \"256MiB\"",
            );
        }
    }
    settings
}

/// How often something is done, or `"off"`.
fn interval(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    key: &'static str,
    range: RangeInclusive<Duration>,
    into: &mut Option<Duration>,
) {
    let Some(value) = section.table.get(key) else {
        return;
    };
    if value.get_ref().as_str() == Some("off") {
        *into = None;
        return;
    }
    let (least, most) = (*range.start(), *range.end());
    let Some(interval) = reader.duration_of(value, key, least) else {
        return;
    };
    if interval > most {
        let (least, most) = (written(least), written(most));
        reader.error_help(
            value.span(),
            format!("`{key}` must be at most {most}"),
            format!("write a duration from \"{least}\" to \"{most}\", or \"off\""),
        );
        return;
    }
    *into = Some(interval);
}
