//! All that was measured of a subject, each time as finely as it is kept.

use std::time::Duration;

use prunella_core::{
    Timestamp,
    health::{Metric, Point, Series, Subject},
};
use prunella_metrics::reduce::Reduced;
use rusqlite::Connection;

use super::{
    MINUTE_MS, SampleStore,
    condense::{QUARTER, each_recent},
    history::{HOUR_MS, RecentMinutes, Values, each, of_minutes, of_quarters, point},
};
use crate::StoreError;

const QUARTER_MS: u64 = QUARTER as u64 * MINUTE_MS;

/// What a series was, step by step; the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesSteps {
    pub series: Series,
    pub steps: Vec<Step>,
}

/// What it was from a time on, for a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub point: Point,
    pub span: Duration,
}

/// From when on each tier has values, in milliseconds since 1970.
struct Tiers {
    minutes: u64,
    recent: u64,
}

impl Tiers {
    fn of(connection: &Connection, until: u64) -> rusqlite::Result<Self> {
        let first = |sql, each: u64| -> rusqlite::Result<Option<u64>> {
            let number: Option<u32> = connection.query_row(sql, [], |row| row.get(0))?;
            Ok(number.map(|number| u64::from(number) * each))
        };
        let recent = first("SELECT min(minute) FROM recent", MINUTE_MS)?.unwrap_or(until);
        let minutes = first("SELECT min(hour) FROM minutes", HOUR_MS)?.unwrap_or(recent);
        Ok(Self {
            minutes: minutes.min(recent),
            recent,
        })
    }
}

impl SampleStore {
    /// What every metric of a subject was from `since` until `until`: as it was measured where
    /// that is still there, else by minutes, else by quarters of an hour.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn steps(
        &self,
        subject: &Subject,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<SeriesSteps>, StoreError> {
        let (since, until) = (since.as_millis(), until.as_millis());
        self.read("reading what was measured", |connection| {
            let tiers = Tiers::of(connection, until)?;
            let all: Vec<(u32, String, String)> = connection
                .prepare(
                    "SELECT number, metric, instance FROM series WHERE subject = ?1
                     ORDER BY metric, instance",
                )?
                .query_map([subject.as_str()], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })?
                .collect::<rusqlite::Result<_>>()?;
            let numbers = all.iter().map(|(number, ..)| *number).collect();
            let mut recent = RecentMinutes::of(&numbers);
            let mut found = Vec::new();
            for (number, metric, instance) in all {
                // What another version has measured is not known to this one.
                let Some(metric) = Metric::from_word(&metric) else {
                    continue;
                };
                let steps = of_series(
                    connection,
                    number,
                    metric,
                    &tiers,
                    since,
                    until,
                    &mut recent,
                )?;
                if steps.is_empty() {
                    continue;
                }
                let series = Series {
                    subject: subject.clone(),
                    metric,
                    instance: (!instance.is_empty()).then_some(instance),
                };
                found.push(SeriesSteps { series, steps });
            }
            Ok(found)
        })
    }
}

fn of_series(
    connection: &Connection,
    number: u32,
    metric: Metric,
    tiers: &Tiers,
    since: u64,
    until: u64,
    recent: &mut RecentMinutes<'_>,
) -> rusqlite::Result<Vec<Step>> {
    let step = |at: u64, value: &Reduced, span: u64| Step {
        point: point(metric, at, value),
        span: Duration::from_millis(span),
    };
    let mut steps = Vec::new();
    let end = tiers.minutes.min(until);
    if since < end {
        let mut values = Values::new();
        of_quarters(connection, number, since, end - 1, recent, &mut values)?;
        let values = values.range(since..end);
        steps.extend(values.map(|(&at, value)| step(at, value, QUARTER_MS)));
    }
    let (begin, end) = (tiers.minutes.max(since), tiers.recent.min(until));
    if begin < end {
        let mut values = Values::new();
        of_minutes(connection, number, begin, end - 1, recent, &mut values)?;
        let values = values.range(begin..end);
        steps.extend(values.map(|(&at, value)| step(at, value, MINUTE_MS)));
    }
    let begin = tiers.recent.max(since);
    if begin <= until {
        for hour in each(begin, until, HOUR_MS) {
            each_recent(connection, hour, |_, recent| {
                let values = recent.values_of(number).into_iter().flatten().enumerate();
                steps.extend(values.filter_map(|(slot, value)| {
                    let at = recent.at(slot).as_millis();
                    let value = value.filter(|_| at >= begin && at <= until)?;
                    Some(step(at, &Reduced::from(value), recent.interval_ms.into()))
                }));
            })?;
        }
    }
    Ok(steps)
}
