//! Reads `[metrics]`: how often services and host are measured, and what is kept of it.

use std::time::Duration;

use prunella_core::duration::written;

use super::reader::{Reader, Section};

/// How services and host are measured: `[metrics]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsSettings {
    /// How often; never, when absent (`"off"`).
    pub interval: Option<Duration>,
    /// What is kept of it takes no more than this, in bytes.
    pub max_size: u64,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self {
            interval: Some(Duration::from_secs(10)),
            max_size: 256 << 20,
        }
    }
}

/// Measuring more often would be work of its own.
const LEAST: Duration = Duration::from_secs(1);

/// What is kept has a value a minute at least.
const MOST: Duration = Duration::from_secs(60);

/// A day of a few services.
const LEAST_SIZE: u64 = 1 << 20;

pub(super) fn section(reader: &mut Reader<'_>, top: Section<'_>) -> MetricsSettings {
    let mut settings = MetricsSettings::default();
    let Some(section) = reader.section(top, "metrics", "[metrics]") else {
        return settings;
    };
    reader.only(section, &["interval", "max-size"]);
    if let Some(value) = section.table.get("interval") {
        if value.get_ref().as_str() == Some("off") {
            settings.interval = None;
        } else if let Some(interval) = reader.duration_of(value, "interval", LEAST) {
            if interval > MOST {
                reader.error_help(
                    value.span(),
                    format!("`interval` must be at most {}", written(MOST)),
                    "write a duration from \"1s\" to \"1m\", or \"off\"",
                );
            } else {
                settings.interval = Some(interval);
            }
        }
    }
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
