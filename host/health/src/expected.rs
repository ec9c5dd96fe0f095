//! What was measured while work strained a service, and tells nothing of what is usual.

use std::time::Duration;

use prunella_core::{
    Timestamp,
    health::{ExpectedWork, Metric},
};

/// What each value of the past is the mean of.
const MINUTE: Duration = Duration::from_secs(60);

/// The values of a metric, one a minute, that no work has strained of those that were expected.
pub(crate) fn unstrained(
    metric: Metric,
    values: &[(Timestamp, u64)],
    expected: &[ExpectedWork],
) -> Vec<(Timestamp, u64)> {
    let is_strained = |at: Timestamp| {
        expected
            .iter()
            .any(|work| work.relaxes(metric) && work.overlaps(at, at.saturating_add(MINUTE)))
    };
    let values = values.iter().filter(|(at, _)| !is_strained(*at));
    values.copied().collect()
}

#[cfg(test)]
mod tests {
    use prunella_core::UnitName;

    use super::*;

    #[test]
    fn each_minute_that_work_has_touched_is_left_out_of_what_it_strains() {
        let at = |seconds: u64| Timestamp::from_millis(seconds * 1_000);
        let work = ExpectedWork {
            unit: UnitName::new("db.service").unwrap(),
            since: at(119),
            until: at(181),
            reason: "backup".to_owned(),
            by: "me".to_owned(),
            metrics: vec![Metric::MemoryBytes],
        };
        let values: Vec<(Timestamp, u64)> =
            (0..6).map(|minute| (at(minute * 60), minute)).collect();
        let left = |metric, expected: &[ExpectedWork]| -> Vec<u64> {
            let left = unstrained(metric, &values, expected);
            left.into_iter().map(|(_, value)| value).collect()
        };
        let all = [0, 1, 2, 3, 4, 5];
        assert_eq!(
            left(Metric::MemoryBytes, std::slice::from_ref(&work)),
            [0, 4, 5]
        );
        assert_eq!(left(Metric::Descriptors, std::slice::from_ref(&work)), all);
        assert_eq!(left(Metric::MemoryBytes, &[]), all);
        // One that ended as a minute began has not touched that.
        let until = ExpectedWork {
            since: at(120),
            until: at(180),
            ..work
        };
        assert_eq!(left(Metric::MemoryBytes, &[until]), [0, 1, 3, 4, 5]);
    }
}
