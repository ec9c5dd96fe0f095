//! What was measured: by the daemon that measures, and from the file where none does.

use prunella_api::{
    Answer, InstanceHistory, LatestValue, MetricHistory, MetricsReport, Refusal, RefusalKind,
};
use prunella_core::{
    Timestamp,
    health::{Metric, Point, Subject},
};
use prunella_metrics::reduce::{Reduced, reduce};
use prunella_store::{
    StoreError,
    samples::{Latest, SampleStore, SeriesHistory},
};

use crate::{Paths, clock, sampler::Sampler};

/// Points of an answer: more than anybody draws.
const MOST_POINTS: usize = 720;

/// The latest value of each metric, of one subject or of all.
pub(crate) fn report(
    paths: &Paths,
    sampler: Option<&Sampler>,
    subject: Option<&Subject>,
) -> Answer<MetricsReport> {
    let latest = match sampler {
        Some(sampler) => sampler.latest(subject),
        None => from_file(paths, SampleStore::latest)?,
    };
    let is_asked_for = |latest: &Latest| subject.is_none_or(|it| *it == latest.series.subject);
    let mut metrics: Vec<LatestValue> = latest
        .into_iter()
        .filter(is_asked_for)
        .map(|latest| LatestValue {
            series: latest.series,
            at: latest.at,
            value: latest.value,
        })
        .collect();
    metrics.sort_by(|a, b| a.series.cmp(&b.series));
    Ok(MetricsReport {
        at: clock::now(),
        interval: sampler.and_then(Sampler::interval),
        metrics,
    })
}

/// What a metric was since then, until now.
pub(crate) fn history(
    paths: &Paths,
    sampler: Option<&Sampler>,
    subject: &Subject,
    metric: Metric,
    since: Timestamp,
) -> Answer<MetricHistory> {
    let until = clock::now();
    let found = match sampler {
        Some(sampler) => sampler
            .history(subject, metric, since, until)
            .map_err(refused)?,
        None => from_file(paths, |store| store.history(subject, metric, since, until))?,
    };
    let series = found
        .into_iter()
        .map(|SeriesHistory { series, points }| InstanceHistory {
            instance: series.instance,
            points: fewer(points),
        })
        .filter(|history| !history.points.is_empty())
        .collect();
    Ok(MetricHistory {
        subject: subject.clone(),
        metric,
        since,
        until,
        series,
    })
}

/// What the file says that earlier daemons have written; nothing, where there is none.
fn from_file<T>(
    paths: &Paths,
    ask: impl FnOnce(&SampleStore) -> Result<Vec<T>, StoreError>,
) -> Result<Vec<T>, Refusal> {
    match SampleStore::open_read_only(&paths.metrics()) {
        Ok(store) => ask(&store).map_err(refused),
        Err(StoreError::Missing { .. }) => Ok(Vec::new()),
        Err(error) => Err(refused(error)),
    }
}

fn refused(error: StoreError) -> Refusal {
    Refusal::new(RefusalKind::Failed, crate::explained(&error))
}

/// No more points than anybody draws: each of several.
fn fewer(points: Vec<Point>) -> Vec<Point> {
    let size = points.len().div_ceil(MOST_POINTS).max(1);
    if size == 1 {
        return points;
    }
    points
        .chunks(size)
        .filter_map(|chunk| {
            let all = chunk.iter().map(|point| Reduced {
                mean: point.mean,
                min: point.min,
                max: point.max,
            });
            let Reduced { mean, min, max } = reduce(all)?;
            let at = chunk.first()?.at;
            Some(Point { at, mean, min, max })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_points_become_few_and_keep_their_extremes() {
        let points: Vec<Point> = (0..10_080)
            .map(|number| Point {
                at: Timestamp::from_millis(number * 60_000),
                mean: 10,
                min: 10,
                max: if number == 5_000 { 99 } else { 10 },
            })
            .collect();
        let few = fewer(points.clone());
        assert!(few.len() <= MOST_POINTS && few.len() > MOST_POINTS / 2);
        assert_eq!(few[0].at, points[0].at);
        assert_eq!(few.iter().filter(|point| point.max == 99).count(), 1);
        assert!(few.iter().all(|point| point.mean == 10));
        assert_eq!(fewer(points[..700].to_vec()), points[..700]);
    }
}
