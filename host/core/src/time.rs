//! The two kinds of time that are stored and compared: by the wall clock, and since
//! boot.
//!
//! Both are plain numbers where they are serialised. Nothing here reads a clock:
//! whoever has one makes a [`Timestamp`] of a [`SystemTime`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A time of the wall clock, in milliseconds since 1970 (UTC). The clock may step.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The last there is: beyond every calendar.
    pub const MAX: Self = Self(u64::MAX);

    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// From microseconds since 1970, as systemd and the journal count.
    pub const fn from_micros(microseconds: u64) -> Self {
        Self(microseconds / 1000)
    }

    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// So much later, to the millisecond.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(whole(span.as_millis())))
    }

    /// So much earlier, to the millisecond; not before 1970.
    #[must_use]
    pub fn saturating_sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(whole(span.as_millis())))
    }

    /// How long after `earlier` this is; nothing when it is before it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// For the calendar; absent beyond the year 9999.
    pub fn to_jiff(self) -> Option<jiff::Timestamp> {
        jiff::Timestamp::from_millisecond(i64::try_from(self.0).ok()?).ok()
    }

    /// Its day in UTC, as `2026-12-05`; absent beyond the year 9999.
    pub fn day(self) -> Option<String> {
        Some(self.to_jiff()?.strftime("%Y-%m-%d").to_string())
    }

    /// From the calendar; absent before 1970.
    pub fn from_jiff(at: jiff::Timestamp) -> Option<Self> {
        u64::try_from(at.as_millisecond()).ok().map(Self)
    }
}

/// A clock that stands before 1970 gives 1970.
impl From<SystemTime> for Timestamp {
    fn from(at: SystemTime) -> Self {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(whole(since.as_millis()))
    }
}

/// A time of CLOCK_MONOTONIC, in microseconds since boot, as systemd's `…Monotonic`
/// properties. Never steps, and means nothing in another boot.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Monotonic(u64);

impl Monotonic {
    pub const fn from_micros(microseconds: u64) -> Self {
        Self(microseconds)
    }

    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// So much later, to the microsecond.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(whole(span.as_micros())))
    }

    /// So much earlier, to the microsecond; not before boot.
    #[must_use]
    pub fn saturating_sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(whole(span.as_micros())))
    }

    /// How long after `earlier` this is; nothing when it is before it.
    pub fn since(self, earlier: Self) -> Duration {
        self.checked_since(earlier).unwrap_or_default()
    }

    /// How long after `earlier` this is; absent when it is before it.
    pub fn checked_since(self, earlier: Self) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_micros)
    }
}

fn whole(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_stops_at_both_ends() {
        let at = Timestamp::from_millis(1_000);
        assert_eq!(
            at.saturating_add(Duration::from_micros(2_999)),
            Timestamp::from_millis(1_002)
        );
        assert_eq!(at.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(at.saturating_sub(Duration::MAX), Timestamp::default());
        assert_eq!(at.since(Timestamp::default()), Duration::from_secs(1));
        assert_eq!(at.since(Timestamp::MAX), Duration::ZERO);

        let at = Monotonic::from_micros(5);
        assert_eq!(at.saturating_sub(Duration::MAX), Monotonic::default());
        assert_eq!(
            at.saturating_add(Duration::from_nanos(1_999)).since(at),
            Duration::from_micros(1)
        );
    }

    #[test]
    fn they_are_written_as_plain_numbers() {
        assert_eq!(
            serde_json::to_string(&(Timestamp::from_millis(7), Monotonic::from_micros(8))).unwrap(),
            "[7,8]"
        );
        assert_eq!(
            serde_json::from_str::<Timestamp>("7").unwrap(),
            Timestamp::from_millis(7)
        );
    }

    #[test]
    fn a_clock_before_1970_gives_1970() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Timestamp::from(before), Timestamp::default());
        assert_eq!(Timestamp::from_jiff(jiff::Timestamp::MIN), None);
        assert_eq!(Timestamp::MAX.to_jiff(), None);
    }
}
