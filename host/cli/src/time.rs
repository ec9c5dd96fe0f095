//! Times and spans, as people write and read them.

use std::time::{Duration, SystemTime};

use jiff::{
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};
use prunella_core::{Timestamp, duration};

pub(crate) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// A span as it is typed: more than nothing, and at most ten years.
pub(crate) fn parse_span(text: &str) -> Result<Duration, String> {
    let span = duration::parse(text).map_err(|error| format!("{error}: {}", error.help()))?;
    if span.is_zero() || span > Duration::from_secs(10 * 366 * 86_400) {
        return Err("a span is more than nothing and at most ten years".to_owned());
    }
    Ok(span)
}

/// A moment as it is typed: so long ago (`2h`), `today` or `yesterday`, a date (`2026-11-21`, which
/// begins at midnight), a time of day (`17:30`: the last time that it was), or both
/// (`2026-11-21 14:30`), in the host's own time zone, or an RFC 3339 timestamp.
pub(crate) fn parse_when(text: &str) -> Result<Timestamp, String> {
    when(text, now(), &TimeZone::system())
}

fn when(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let text = text.trim();
    let text = text.strip_suffix(" ago").unwrap_or(text);
    if let Ok(span) = parse_span(text) {
        return Ok(now.saturating_sub(span));
    }
    let days_ago = match text {
        "today" => Some(0),
        "yesterday" => Some(1),
        _ => None,
    };
    if let Some(days) = days_ago {
        return midnight(days, now, zone).ok_or_else(|| "there is no such day".to_owned());
    }
    let is_clock = text.contains(':') && text.bytes().all(|b| b.is_ascii_digit() || b == b':');
    if is_clock && let Ok(time) = text.parse::<Time>() {
        return time_of_day(time, now, zone).ok_or_else(|| "there is no such time".to_owned());
    }
    let at = text.parse::<jiff::Timestamp>().or_else(|_| {
        text.parse::<DateTime>()
            .and_then(|time| time.to_zoned(zone.clone()))
            .map(|zoned| zoned.timestamp())
    });
    at.ok().and_then(Timestamp::from_jiff).ok_or_else(|| {
        "write how long ago, such as 30m, 2h or 7d, `today` or `yesterday`, or a date or time, \
             such as 17:30, 2026-11-21 or \"2026-11-21 14:30\""
            .to_owned()
    })
}

/// The beginning of the day so many days ago, in that zone.
fn midnight(days_ago: i64, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let day = now.to_jiff()?.to_zoned(zone.clone()).date();
    let day = day.checked_sub(jiff::Span::new().days(days_ago)).ok()?;
    let begin = day.to_zoned(zone.clone()).ok()?;
    Timestamp::from_jiff(begin.timestamp())
}

/// When it was that time of day last, in that zone.
fn time_of_day(time: Time, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let today = now.to_jiff()?.to_zoned(zone.clone()).date();
    let on = |day: Date| {
        let at = day.to_datetime(time).to_zoned(zone.clone()).ok()?;
        Timestamp::from_jiff(at.timestamp())
    };
    match on(today) {
        Some(at) if at <= now => Some(at),
        _ => on(today.yesterday().ok()?),
    }
}

/// A span in one or two units: `45 s`, `1 min 34 s`, `12 min`, `3 h 5 min`, `9 d 4 h`. Of
/// ten minutes and more the seconds do not matter.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes @ 0..10) if !seconds.is_multiple_of(60) => {
            format!("{minutes} min {} s", seconds % 60)
        }
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// How long ago: to the second within ten minutes, to the minute within a day, and to the
/// hour before: `12 s ago`, `3 min 5 s ago`, `3 h 20 min ago`.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("{} ago", span(now.since(then)))
}

/// How long something took: `812 µs`, `43 ms`, `1.3 s`, `2 min 5 s`.
pub(crate) fn took(time: Duration) -> String {
    let microseconds = time.as_micros();
    match microseconds {
        0..1000 => format!("{microseconds} µs"),
        1000..1_000_000 => format!("{} ms", microseconds / 1000),
        1_000_000..60_000_000 => format!(
            "{}.{} s",
            microseconds / 1_000_000,
            microseconds / 100_000 % 10
        ),
        _ => span(time),
    }
}

/// Date and time in the host's own time zone, to the second.
pub(crate) fn local(then: Timestamp) -> String {
    at(then, &TimeZone::system(), "%Y-%m-%d %H:%M:%S")
}

/// The time alone when it is of the same day as `now`, else the date too; in
/// the host's own time zone, to the minute.
pub(crate) fn short(then: Timestamp, now: Timestamp) -> String {
    within_day(then, now, "%H:%M")
}

/// Like [`short`], to the second.
pub(crate) fn clock(then: Timestamp, now: Timestamp) -> String {
    within_day(then, now, "%H:%M:%S")
}

/// A moment to come, and how long it is until then: `22:10:43, in 40 s`.
pub(crate) fn upcoming(then: Timestamp, now: Timestamp) -> String {
    match then.since(now) {
        left if left.as_secs() == 0 => clock(then, now),
        left => format!("{}, in {}", clock(then, now), span(left)),
    }
}

fn within_day(then: Timestamp, now: Timestamp, format: &str) -> String {
    let zone = TimeZone::system();
    let day = |time| at(time, &zone, "%Y-%m-%d");
    let time = at(then, &zone, format);
    if day(then) == day(now) {
        time
    } else {
        format!("{} {time}", day(then))
    }
}

fn at(time: Timestamp, zone: &TimeZone, format: &str) -> String {
    time.to_jiff().map_or_else(
        || "?".to_owned(),
        |at| at.to_zoned(zone.clone()).strftime(format).to_string(),
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("90s", 90)]
    #[case("30m", 1800)]
    #[case("2h", 7200)]
    #[case("1h30m", 5400)]
    #[case("7d", 604_800)]
    #[case("1w", 604_800)]
    #[case("2 hours", 7200)]
    fn a_span_is_understood(#[case] text: &str, #[case] seconds: u64) {
        assert_eq!(parse_span(text).unwrap(), Duration::from_secs(seconds));
    }

    #[rstest]
    #[case("")]
    #[case("2")]
    #[case("h")]
    #[case("0s")]
    #[case("-1h")]
    #[case("1h30")]
    #[case("99999999999999999999999h")]
    #[case("9999999999w")]
    fn not_a_span(#[case] text: &str) {
        assert!(parse_span(text).is_err());
    }

    #[rstest]
    #[case("2h", 1_795_263_781_000)]
    #[case("2 hours ago", 1_795_263_781_000)]
    #[case("2026-11-21", 1_795_219_200_000)]
    #[case("today", 1_795_219_200_000)]
    #[case("yesterday", 1_795_132_800_000)]
    #[case("2026-11-21 14:23", 1_795_270_980_000)]
    #[case("2026-11-21T14:23:01", 1_795_270_981_000)]
    #[case("2026-11-21T15:23:01+01:00", 1_795_270_981_000)]
    fn a_moment_is_understood(#[case] text: &str, #[case] ms: u64) {
        let now = Timestamp::from_millis(1_795_270_981_000);
        let expected = Timestamp::from_millis(ms);
        assert_eq!(when(text, now, &TimeZone::UTC), Ok(expected));
    }

    /// It is 14:23:01 now.
    #[rstest]
    #[case("14:20", 1_795_270_800_000)]
    #[case("14:30", 1_795_270_981_000 + 419_000 - 86_400_000)]
    #[case("00:00", 1_795_219_200_000)]
    fn a_time_of_day_is_the_last_one(#[case] text: &str, #[case] ms: u64) {
        let now = Timestamp::from_millis(1_795_270_981_000);
        let expected = Timestamp::from_millis(ms);
        assert_eq!(when(text, now, &TimeZone::UTC), Ok(expected));
    }

    #[rstest]
    #[case("")]
    #[case("2026-13-01")]
    #[case("noon")]
    #[case("1969-01-01")]
    #[case("2026")]
    #[case("14")]
    fn not_a_moment(#[case] text: &str) {
        assert!(when(text, Timestamp::default(), &TimeZone::UTC).is_err());
    }

    #[rstest]
    #[case(45, "45 s")]
    #[case(94, "1 min 34 s")]
    #[case(120, "2 min")]
    #[case(599, "9 min 59 s")]
    #[case(725, "12 min")]
    #[case(3600, "1 h")]
    #[case(11_100, "3 h 5 min")]
    #[case(86_400, "1 d")]
    #[case(792_000, "9 d 4 h")]
    fn spans_read_well(#[case] seconds: u64, #[case] text: &str) {
        assert_eq!(span(Duration::from_secs(seconds)), text);
    }

    #[rstest]
    #[case(812, "812 µs")]
    #[case(43_210, "43 ms")]
    #[case(1_340_000, "1.3 s")]
    #[case(130_000_000, "2 min 10 s")]
    fn short_times_read_well(#[case] microseconds: u64, #[case] text: &str) {
        assert_eq!(took(Duration::from_micros(microseconds)), text);
    }

    #[test]
    fn the_past_reads_well_even_when_the_clock_stepped_back() {
        let ago = |then, now| ago(Timestamp::from_millis(then), Timestamp::from_millis(now));
        assert_eq!(ago(1000, 13_000), "12 s ago");
        assert_eq!(ago(0, 60_000), "1 min ago");
        assert_eq!(ago(0, 200_000), "3 min 20 s ago");
        assert_eq!(ago(0, 7_300_000), "2 h 1 min ago");
        assert_eq!(ago(5000, 1000), "0 s ago");
    }

    #[test]
    fn times_are_written_in_a_zone() {
        let text = at(
            Timestamp::from_millis(1_795_270_981_000),
            &TimeZone::UTC,
            "%Y-%m-%d %H:%M:%S",
        );
        assert_eq!(text, "2026-11-21 14:23:01");
        assert_eq!(at(Timestamp::MAX, &TimeZone::UTC, "%Y"), "?");
    }
}
