//! Durations as operators write them, everywhere in the same way: `500ms`,
//! `30s`, `1m30s`, `2h`, `7d`, `1w`.
//!
//! The grammar is jiff's "friendly" one, so `1h 30m` and `2 hours` are durations
//! too. A number without a unit is not, since it could mean anything; nor are
//! months and years, which have no fixed length.

use std::time::Duration;

use jiff::{SpanRelativeTo, fmt::friendly::SpanParser};

use crate::text::one_line;

/// Whoever writes more than this means "never".
const MAX: Duration = Duration::from_secs(100 * 366 * 86_400);

/// A text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It cannot be read.
    #[error("`{0}` is not a duration")]
    NotADuration(String),
    /// It has months or years.
    #[error("`{0}` has no fixed length: months and years differ")]
    NoFixedLength(String),
    /// It is negative.
    #[error("`{0}` is negative")]
    Negative(String),
    /// It is more than a hundred years.
    #[error("`{0}` is more than a hundred years")]
    TooLong(String),
}

impl DurationError {
    /// What to write instead.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NoFixedLength(_) => "write it in days or weeks, such as \"90d\"",
            _ => {
                "write a number and ms, s, m, h, d or w, such as \"500ms\", \"30s\", \"1m30s\", \"2h\" or \"7d\""
            }
        }
    }
}

/// Reads a duration.
///
/// # Errors
/// When it is not one, or not between zero and a hundred years.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let shown = || one_line(text, 40);
    // jiff reads `14:30:00` as a length; people mean a time of day.
    if text.contains(':') {
        return Err(DurationError::NotADuration(shown()));
    }
    let span = SpanParser::new()
        .parse_span(text.trim())
        .map_err(|_| DurationError::NotADuration(shown()))?;
    if span.get_months() != 0 || span.get_years() != 0 {
        return Err(DurationError::NoFixedLength(shown()));
    }
    let duration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| DurationError::TooLong(shown()))?;
    let duration = Duration::try_from(duration).map_err(|_| DurationError::Negative(shown()))?;
    if duration > MAX {
        return Err(DurationError::TooLong(shown()));
    }
    Ok(duration)
}

/// Writes a duration so that [`parse`] reads it: `1m30s`, `500ms`, `0s`. What is
/// below a millisecond is left out.
pub fn written(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, milliseconds) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ] {
        if rest >= milliseconds {
            text.push_str(&format!("{}{unit}", rest / milliseconds));
            rest %= milliseconds;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("500ms", 500)]
    #[case("30s", 30_000)]
    #[case("0s", 0)]
    #[case("5m", 300_000)]
    #[case("2min", 120_000)]
    #[case("2h", 7_200_000)]
    #[case("1d", 86_400_000)]
    #[case("1w", 604_800_000)]
    #[case("1m30s", 90_000)]
    #[case("1h 5m", 3_900_000)]
    #[case("2.5s", 2_500)]
    #[case(" 3 days ", 259_200_000)]
    fn durations_are_read(#[case] text: &str, #[case] milliseconds: u64) {
        let expected = Duration::from_millis(milliseconds);
        assert_eq!(parse(text), Ok(expected));
        assert_eq!(parse(&written(expected)), Ok(expected));
    }

    #[rstest]
    #[case::empty("")]
    #[case::spaces("  ")]
    #[case::no_unit("5")]
    #[case::no_number("s")]
    #[case::time_of_day("14:30:00")]
    #[case::unknown_unit("5 parsecs")]
    #[case::second_without_unit("5s5")]
    #[case::too_many_digits("99999999999999999999s")]
    fn other_text_is_refused(#[case] text: &str) {
        let error = parse(text).unwrap_err();
        assert!(matches!(error, DurationError::NotADuration(_)), "{error}");
        assert!(error.help().contains("30s"));
    }

    #[rstest]
    #[case::months("2mo", "no fixed length")]
    #[case::years("1y", "no fixed length")]
    #[case::negative("-5s", "is negative")]
    #[case::ago("5s ago", "is negative")]
    #[case::centuries("200000w", "more than a hundred years")]
    fn durations_out_of_bounds_are_refused(#[case] text: &str, #[case] why: &str) {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[rstest]
    #[case(90_000, "1m30s")]
    #[case(1, "1ms")]
    #[case(60_000, "1m")]
    #[case(90_061_001, "1d1h1m1s1ms")]
    fn a_duration_is_written(#[case] milliseconds: u64, #[case] text: &str) {
        assert_eq!(written(Duration::from_millis(milliseconds)), text);
    }
}
