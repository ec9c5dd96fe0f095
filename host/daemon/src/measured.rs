//! What was measured: by the daemon that measures, and from the file where none does.

use std::path::Path;

use prunella_api::{
    Answer as Told, InstanceHistory, LatestValue, MetricHistory, MetricsReport, Refusal,
    RefusalKind,
};
use prunella_core::{
    Failure, Timestamp,
    capability::{
        Answer,
        metrics::{
            Latest as AskLatest, MOST_INSTANCES, Measurement, Over, Slope, SpanSummary,
            not_measured,
        },
    },
    health::{Metric, Point, Subject},
};
use prunella_metrics::reduce::{Reduced, reduce};
use prunella_store::{
    StoreError,
    samples::{Latest, SampleStore, SeriesHistory, trend_of},
};

use crate::{Paths, clock, sampler::Sampler};

/// Points of an answer: more than anybody draws.
const MOST_POINTS: usize = 720;

/// The latest value of each metric, of one subject or of all.
pub(crate) fn report(
    paths: &Paths,
    sampler: Option<&Sampler>,
    subject: Option<&Subject>,
) -> Told<MetricsReport> {
    let latest = match sampler {
        Some(sampler) => sampler.latest(subject),
        None => from_file(&paths.metrics(), SampleStore::latest).map_err(refused)?,
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

/// What a metric was since then, until then.
pub(crate) fn history(
    paths: &Paths,
    sampler: Option<&Sampler>,
    subject: &Subject,
    metric: Metric,
    since: Timestamp,
    until: Timestamp,
) -> Told<MetricHistory> {
    let found = points(&paths.metrics(), sampler, subject, metric, since, until);
    let found = found.map_err(refused)?;
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

/// The latest value of each instance, for a strategy. One that this daemon has not measured
/// yet is the one before: it says when it was measured.
pub(crate) fn latest(
    file: &Path,
    sampler: Option<&Sampler>,
    asked: &AskLatest,
) -> Answer<Vec<Measurement>> {
    let of_asked = |latest: Vec<Latest>| -> Vec<Measurement> {
        let mut found: Vec<Measurement> = latest
            .into_iter()
            .filter(|one| one.series.subject == asked.of && one.series.metric == asked.metric)
            .map(|one| Measurement {
                instance: one.series.instance,
                at: one.at,
                value: one.value,
            })
            .collect();
        found.sort_by(|a, b| a.instance.cmp(&b.instance));
        found.truncate(MOST_INSTANCES);
        found
    };
    let mut found = sampler.map_or_else(Vec::new, |sampler| {
        of_asked(sampler.latest(Some(&asked.of)))
    });
    if found.is_empty() {
        found = of_asked(from_file(file, SampleStore::latest).map_err(unavailable)?);
    }
    if found.is_empty() {
        return Err(not_measured(&asked.of, asked.metric));
    }
    Ok(found)
}

/// What each instance was over a span until now, for a strategy.
pub(crate) fn over(
    file: &Path,
    sampler: Option<&Sampler>,
    asked: &Over,
) -> Answer<Vec<SpanSummary>> {
    let until = clock::now();
    let since = until.saturating_sub(asked.span);
    let found = points(file, sampler, &asked.of, asked.metric, since, until);
    let summaries: Vec<SpanSummary> = found
        .map_err(unavailable)?
        .into_iter()
        .take(MOST_INSTANCES)
        .filter_map(|SeriesHistory { series, points }| summary(series.instance, &points))
        .collect();
    if summaries.is_empty() {
        return Err(not_measured(&asked.of, asked.metric));
    }
    Ok(summaries)
}

/// None of no points.
fn summary(instance: Option<String>, points: &[Point]) -> Option<SpanSummary> {
    let (first, last) = (points.first()?, points.last()?);
    let Reduced { mean, min, max } = reduce(points.iter().map(reduced))?;
    let an_hour = |a_second: f64| a_second * 3_600.0;
    Some(SpanSummary {
        instance,
        first_at: first.at,
        last_at: last.at,
        points: u32::try_from(points.len()).unwrap_or(u32::MAX),
        mean,
        min,
        max,
        slope: trend_of(points).map(|trend| Slope {
            an_hour: an_hour(trend.slope),
            low: an_hour(trend.slope_low),
            high: an_hour(trend.slope_high),
        }),
    })
}

/// What a metric was over a span, each of its instances apart.
pub(crate) fn points(
    file: &Path,
    sampler: Option<&Sampler>,
    subject: &Subject,
    metric: Metric,
    since: Timestamp,
    until: Timestamp,
) -> Result<Vec<SeriesHistory>, StoreError> {
    match sampler {
        Some(sampler) => sampler.history(subject, metric, since, until),
        None => from_file(file, |store| store.history(subject, metric, since, until)),
    }
}

/// What the file says that earlier daemons have written; nothing, where there is none.
fn from_file<T>(
    file: &Path,
    ask: impl FnOnce(&SampleStore) -> Result<Vec<T>, StoreError>,
) -> Result<Vec<T>, StoreError> {
    match SampleStore::open_read_only(file) {
        Ok(store) => ask(&store),
        Err(StoreError::Missing { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn unavailable(error: StoreError) -> Failure {
    Failure::unavailable("no-metrics", crate::explained(&error))
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
            let Reduced { mean, min, max } = reduce(chunk.iter().map(reduced))?;
            let at = chunk.first()?.at;
            Some(Point { at, mean, min, max })
        })
        .collect()
}

fn reduced(point: &Point) -> Reduced {
    Reduced {
        mean: point.mean,
        min: point.min,
        max: point.max,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prunella_core::{FailureKind, health::Series};
    use prunella_store::samples::{Measured, Minute};

    use super::*;

    /// Without a daemon: from the file, or an answer that says that there is nothing.
    #[test]
    fn without_a_daemon_a_strategy_gets_what_was_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("metrics.db");
        let web = Subject::try_from("web.service".to_owned()).unwrap();
        let asked = AskLatest {
            of: web.clone(),
            metric: Metric::MemoryBytes,
        };
        let failure = latest(&file, None, &asked).unwrap_err();
        assert_eq!(failure.kind, FailureKind::NotFound);
        assert!(failure.is("not-measured"), "{failure}");

        let series = Series {
            subject: web.clone(),
            metric: Metric::MemoryBytes,
            instance: None,
        };
        let now = clock::now().as_millis() / 60_000;
        let mut store = SampleStore::open(&file).unwrap();
        for ago in (1..=20).rev() {
            // A MiB more each minute.
            let values = [Some((100 - ago) << 20)];
            let minute = Minute {
                number: u32::try_from(now - ago).unwrap(),
                interval: Duration::from_secs(60),
                slots: 1,
                values: vec![Measured::of(&series, &values)],
            };
            store.write(&minute, 64 << 20).unwrap();
        }
        let found = latest(&file, None, &asked).unwrap();
        assert_eq!(found[0].value, 99 << 20);
        assert_eq!(found[0].at.as_millis(), (now - 1) * 60_000);

        let mut asked = Over {
            of: web,
            metric: Metric::MemoryBytes,
            span: Duration::from_secs(30 * 60),
        };
        let summary = over(&file, None, &asked).unwrap().remove(0);
        assert_eq!((summary.min, summary.max), (80 << 20, 99 << 20));
        assert_eq!(summary.points, 20);
        let slope = summary.slope.unwrap();
        assert!((slope.an_hour / f64::from(60 << 20) - 1.0).abs() < 0.01);
        asked.metric = Metric::Tasks;
        assert!(over(&file, None, &asked).unwrap_err().is("not-measured"));
    }

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
