//! Times, lengths and counts as the pages show them.

use jiff::tz::TimeZone;
use prunella_core::Timestamp;
use prunella_report::{Moment, ReportContext};

/// A moment, for a machine, in words, and in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    /// For `<time datetime>`.
    pub machine: String,
    /// `2 minutes ago`.
    pub ago: String,
    /// `Sat 2026-11-21 15:23:01 CET`, in the host's time zone.
    pub full: String,
}

impl When {
    /// A moment, as it is seen `now`.
    pub fn new(at: Timestamp, now: Timestamp) -> Self {
        let moment = Moment::new(at, &context(String::new(), now));
        Self {
            machine: at.to_jiff().map(|at| at.to_string()).unwrap_or_default(),
            ago: moment.ago.unwrap_or_default(),
            full: moment.local,
        }
    }
}

/// What a report needs to know here: nothing of the configuration, which is the daemon's.
pub fn context<'a>(hostname: String, now: Timestamp) -> ReportContext<'a> {
    ReportContext {
        hostname,
        service: None,
        boot_id: None,
        past: &[],
        now: Some(now),
        zone: TimeZone::system(),
        sudo: true,
    }
}

/// The time of day, such as `15:23`, in the host's time zone.
pub fn clock(at: Timestamp) -> String {
    format(at, "%H:%M")
}

/// The day and the time of day, such as `21 Nov 15:23`.
pub fn day_and_clock(at: Timestamp) -> String {
    format(at, "%-d %b %H:%M")
}

fn format(at: Timestamp, how: &str) -> String {
    at.to_jiff()
        .map(|at| at.to_zoned(TimeZone::system()).strftime(how).to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_all_its_forms() {
        let when = When::new(Timestamp::from_millis(0), Timestamp::from_millis(120_000));
        assert_eq!(when.ago, "2 minutes ago");
        assert_eq!(when.machine, "1970-01-01T00:00:00Z");
        // Nobody's clock: it is shown as nothing rather than as a lie.
        assert_eq!(clock(Timestamp::MAX), "");
    }
}
