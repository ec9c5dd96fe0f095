//! Reads `[store]`: how long incidents are kept.

use std::time::Duration;

use super::reader::{Reader, Section};

/// How long incidents are kept: `[store]`. The newest of each service, and
/// those that have not come to an end, are kept in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// So long after they ended; for ever, when absent (`"forever"`).
    pub keep_for: Option<Duration>,
    /// The oldest are forgotten while all of them take more than this, in bytes;
    /// whatever they take, when absent (`"unlimited"`).
    pub keep_at_most: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            // Long enough to compare with the year before.
            keep_for: Some(Duration::from_secs(400 * 86_400)),
            // Some hundred thousand incidents.
            keep_at_most: Some(1 << 30),
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
    reader.only(section, &["keep-for", "keep-at-most"]);
    let is = |key: &str, word: &str| {
        section
            .table
            .get(key)
            .is_some_and(|value| value.get_ref().as_str() == Some(word))
    };
    if is("keep-for", "forever") {
        retention.keep_for = None;
    } else if let Some(keep_for) = reader.duration(section, "keep-for", LEAST) {
        retention.keep_for = Some(keep_for);
    }
    if is("keep-at-most", "unlimited") {
        retention.keep_at_most = None;
    } else if let Some(size) = reader.size(section, "keep-at-most") {
        if size >= LEAST_SIZE {
            retention.keep_at_most = Some(size);
        } else if let Some(value) = section.table.get("keep-at-most") {
            reader.error_help(
                value.span(),
                "`keep-at-most` must be at least 1MiB",
                "write a size such as \"1GiB\", or \"unlimited\"",
            );
        }
    }
    retention
}
