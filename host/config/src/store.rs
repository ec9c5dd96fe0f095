//! Reads `[store]`: how long incidents are kept.

use std::time::Duration;

use super::reader::{Reader, Section};

/// How long incidents are kept: `[store]`. The newest of each service, and
/// those that have not come to an end, are kept in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// So long after they ended; for ever, when absent (`"forever"`).
    pub max_age: Option<Duration>,
    /// The oldest are forgotten while all of them take more than this, in bytes;
    /// whatever they take, when absent (`"unlimited"`).
    pub max_size: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            // Long enough to compare with the year before.
            max_age: Some(Duration::from_secs(400 * 86_400)),
            // Some hundred thousand incidents.
            max_size: Some(1 << 30),
        }
    }
}

/// What is forgotten sooner would be gone before anybody has read about it.
const LEAST: Duration = Duration::from_secs(3_600);

/// A smaller store could not hold the incidents of one bad night.
const LEAST_SIZE: u64 = 1 << 20;

pub(super) fn section(reader: &mut Reader<'_>, top: Section<'_>) -> Retention {
    let mut retention = Retention::default();
    let Some(section) = reader.section(top, "store", "[store]") else {
        return retention;
    };
    reader.only(section, &["retention", "max-size"]);
    let is = |key: &str, word: &str| {
        section
            .table
            .get(key)
            .is_some_and(|value| value.get_ref().as_str() == Some(word))
    };
    if is("retention", "forever") {
        retention.max_age = None;
    } else if let Some(max_age) = reader.duration(section, "retention", LEAST) {
        retention.max_age = Some(max_age);
    }
    if is("max-size", "unlimited") {
        retention.max_size = None;
    } else if let Some(size) = reader.size(section, "max-size") {
        if size >= LEAST_SIZE {
            retention.max_size = Some(size);
        } else if let Some(value) = section.table.get("max-size") {
            reader.error_help(
                value.span(),
                "`max-size` must be at least 1MiB",
                "write a size such as \"1GiB\", or \"unlimited\"",
            );
        }
    }
    retention
}
