//! Time as the contract writes it, and as Rust does.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Whole milliseconds; what does not fit is for ever.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A moment, from milliseconds since 1970. Moments beyond Rust's reckoning
/// become 1970.
pub(crate) fn moment(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH
        .checked_add(Duration::from_millis(milliseconds))
        .unwrap_or(UNIX_EPOCH)
}

/// A duration as the host hands it over: `500ms`, `5s`, `2m`, `1h`, `1d`, or
/// several of them (`1m30s`). The host reads what operators write.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let end = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(end)?;
        let in_milliseconds: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let part = number.parse::<u64>().ok()?.checked_mul(in_milliseconds)?;
        total = total.checked_add(Duration::from_millis(part))?;
        rest = tail.trim_start();
    }
    (!text.is_empty()).then_some(total)
}

/// A duration in the words of a report: `350 ms`, `5 s`, `2 min`, `1.5 min`.
pub(crate) fn in_words(duration: Duration) -> String {
    let milliseconds = milliseconds(duration);
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..120_000 => one_decimal(milliseconds, 1_000, "s"),
        120_000..7_200_000 => one_decimal(milliseconds, 60_000, "min"),
        _ => one_decimal(milliseconds, 3_600_000, "h"),
    }
}

fn one_decimal(milliseconds: u64, unit: u64, name: &str) -> String {
    let tenths = milliseconds / (unit / 10);
    match tenths % 10 {
        0 => format!("{} {name}", tenths / 10),
        decimal => format!("{}.{decimal} {name}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("5s", 5_000),
            ("2m", 120_000),
            ("2min", 120_000),
            ("1m30s", 90_000),
            ("1h 5m", 3_900_000),
            (" 1d ", 86_400_000),
        ] {
            let read = parse_duration(text);
            assert_eq!(read, Some(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn an_invalid_duration_is_refused() {
        for text in [
            "",
            " ",
            "s",
            "5",
            "5 parsecs",
            "5s5",
            "-1s",
            "1.5s",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn durations_read_well() {
        for (milliseconds, words) in [
            (0, "0 ms"),
            (350, "350 ms"),
            (5_000, "5 s"),
            (90_000, "90 s"),
            (1_500, "1.5 s"),
            (150_000, "2.5 min"),
            (7_200_000, "2 h"),
        ] {
            assert_eq!(in_words(Duration::from_millis(milliseconds)), words);
        }
    }
}
