//! When what a metric measures is used up, where that is certain.

use prunella_core::health::{Metric, Point};
use prunella_report::length;
use prunella_store::samples::trend_of;

/// When nothing is left, if it goes on as the points do; nothing, where that is not certain.
pub(super) fn outlook(metric: Metric, points: &[Point]) -> Option<String> {
    let used_up_at = metric.used_up_at()?;
    let trend = trend_of(points)?;
    let forecast = trend.reaches(used_up_at as f64)?;
    // The conversion saturates.
    let an_hour = (trend.slope.abs() * 3_600.0).round() as u64;
    Some(format!(
        "At this rate, {} an hour, {} in {} ({} to {}).",
        metric.shown(an_hour),
        match used_up_at {
            0 => "it is used up".to_owned(),
            limit => format!("it reaches {}", metric.shown(limit)),
        },
        length(forecast.expected),
        length(forecast.earliest),
        length(forecast.latest),
    ))
}

#[cfg(test)]
mod tests {
    use prunella_core::Timestamp;

    use super::*;

    fn hour(value: impl Fn(u64) -> u64) -> Vec<Point> {
        (0..60)
            .map(|minute| Point {
                at: Timestamp::from_millis(1_795_270_000_000 + minute * 60_000),
                mean: value(minute),
                min: value(minute),
                max: value(minute),
            })
            .collect()
    }

    #[test]
    fn what_grows_is_told_with_its_range() {
        let said = outlook(Metric::DiskPermille, &hour(|minute| 700 + minute)).unwrap();
        assert!(
            said.starts_with("At this rate, 6 % an hour, it reaches 100 % in 4 h"),
            "{said}"
        );
        let free = hour(|minute| (200 - minute) << 20);
        let said = outlook(Metric::DiskFreeBytes, &free).unwrap();
        assert!(
            said.starts_with("At this rate, 60 MiB an hour, it is used up in 2 h"),
            "{said}"
        );
    }

    #[test]
    fn what_stays_or_has_no_end_is_not() {
        assert_eq!(outlook(Metric::DiskPermille, &hour(|_| 900)), None);
        assert_eq!(outlook(Metric::Processes, &hour(|minute| minute)), None);
    }
}
