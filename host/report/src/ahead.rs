//! What will be used up, in words.

use std::time::Duration;

use prunella_core::{
    Timestamp,
    health::{Forecast, Metric, Subject},
};

use crate::length;

/// A sentence without its full stop, as of `now`: what of whom will be used up, and when.
pub fn forecast_in_words(subject: &Subject, forecast: &Forecast, now: Timestamp) -> String {
    let passed = now.since(forecast.at);
    let left = |span: Duration| span.saturating_sub(passed);
    let expected = rounded(left(forecast.expected));
    let what = what(subject, forecast);
    if expected.is_zero() {
        return format!("{what} at any moment");
    }
    format!(
        "{what} in {} ({} to {}) at {} an hour",
        length(expected),
        length(rounded(left(forecast.earliest))),
        length(rounded(left(forecast.latest))),
        forecast.rate_metric.shown(forecast.rate)
    )
}

/// Minutes of what is hours away, and seconds of what is near, say more than anybody knows.
fn rounded(span: Duration) -> Duration {
    let step = match span.as_secs() {
        0..600 => 10,
        600..3_600 => 60,
        3_600..36_000 => 600,
        _ => 3_600,
    };
    Duration::from_secs((span.as_secs() + step / 2) / step * step)
}

fn what(subject: &Subject, forecast: &Forecast) -> String {
    let instance = forecast.instance.as_deref().unwrap_or_default();
    match (subject, forecast.metric) {
        (_, Metric::DiskPermille) => format!("{instance} is full"),
        (_, Metric::InodesPermille) => format!("the inodes of {instance} are used up"),
        (Subject::Host, Metric::MemoryPermille) => "the memory is used up".to_owned(),
        (Subject::Host, Metric::SwapPermille) => "the swap is used up".to_owned(),
        (_, Metric::FileHandlesPermille) => "the file handles are used up".to_owned(),
        (Subject::Unit(unit), Metric::MemoryPermille) => match forecast.whole {
            Some(limit) => format!(
                "{unit} reaches its memory limit of {}",
                Metric::MemoryBytes.shown(limit)
            ),
            None => format!("{unit} uses up the host's memory"),
        },
        (Subject::Unit(unit), Metric::TasksPermille) => {
            format!("{unit} has all the tasks it may have")
        }
        (Subject::Unit(unit), Metric::DescriptorsPermille) => {
            format!("{unit} has all the files open that it may open")
        }
        (subject, metric) => format!("{} of {subject} is used up", metric.title()),
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::UnitName;

    use super::*;

    fn forecast(metric: Metric, expected: u64) -> Forecast {
        Forecast {
            metric,
            instance: Some("/var".to_owned()),
            whole: None,
            since: Timestamp::from_millis(0),
            at: Timestamp::from_millis(60_000),
            expected: Duration::from_secs(expected),
            earliest: Duration::from_secs(expected * 4 / 5),
            latest: Duration::from_secs(expected * 5 / 4),
            rate: 1_288_490_189,
            rate_metric: Metric::DiskFreeBytes,
        }
    }

    #[test]
    fn a_disk_is_full_in_a_time_that_is_no_more_exact_than_it_is_known() {
        let at = |seconds: u64| Timestamp::from_millis(60_000 + seconds * 1_000);
        let said = |expected, after| {
            forecast_in_words(
                &Subject::Host,
                &forecast(Metric::DiskPermille, expected),
                at(after),
            )
        };
        assert_eq!(
            said(11_430, 0),
            "/var is full in 3 h 10 min (2 h 30 min to 4 h) at 1.2 GiB an hour"
        );
        assert_eq!(
            said(11_430, 7_200),
            "/var is full in 1 h 10 min (32 min to 2 h) at 1.2 GiB an hour"
        );
        assert_eq!(said(100, 200), "/var is full at any moment");
    }

    #[test]
    fn a_leak_names_its_limit() {
        let unit = Subject::from(UnitName::new("web.service").unwrap());
        let leak = Forecast {
            instance: None,
            whole: Some(512 << 20),
            rate: 100 << 20,
            rate_metric: Metric::MemoryBytes,
            ..forecast(Metric::MemoryPermille, 3_000)
        };
        assert_eq!(
            forecast_in_words(&unit, &leak, leak.at),
            "web.service reaches its memory limit of 512 MiB in 50 min (40 min to 1 h) at \
             100 MiB an hour"
        );
    }
}
