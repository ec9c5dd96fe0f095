//! What one metric was over a span.

use std::collections::BTreeMap;

use prunella_core::{
    Timestamp,
    health::{Metric, Point, Series, Subject},
};
use prunella_metrics::reduce::{Reduced, decode_reduced, reduce, reduce_each};
use rusqlite::{Connection, OptionalExtension as _};

use super::{
    HOURS_IN_DAY, MINUTE_MS, MINUTES_IN_HOUR, SampleStore,
    condense::{IN_DAY, IN_HOUR, QUARTER, each_recent},
    shown,
};
use crate::StoreError;

/// What a series was over a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesHistory {
    pub series: Series,
    /// Oldest first; where nothing was measured there is none.
    pub points: Vec<Point>,
}

/// From which tier values come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tier {
    Recent,
    Minutes,
    Quarters,
}

pub(super) const HOUR_MS: u64 = MINUTES_IN_HOUR as u64 * MINUTE_MS;
const DAY_MS: u64 = HOURS_IN_DAY as u64 * HOUR_MS;

/// The numbers of the pieces of time that a span touches.
pub(super) fn each(since: u64, until: u64, length: u64) -> std::ops::RangeInclusive<u32> {
    let number = |at: u64| u32::try_from(at / length).unwrap_or(u32::MAX);
    number(since)..=number(until)
}

/// The values of a span by their time, in milliseconds since 1970.
pub(super) type Values = BTreeMap<u64, Reduced>;

impl SampleStore {
    /// What a metric was from `since` until `until`, each of its instances apart: as it was
    /// measured within an hour, by minutes within 7 days, else by quarters of an hour.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn history(
        &self,
        subject: &Subject,
        metric: Metric,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<SeriesHistory>, StoreError> {
        let (since, until) = (since.as_millis(), until.as_millis());
        let tier = match until.saturating_sub(since) {
            0..=HOUR_MS => Tier::Recent,
            span if span <= 7 * DAY_MS => Tier::Minutes,
            _ => Tier::Quarters,
        };
        self.read("reading what was measured", |connection| {
            let numbers: Vec<(u32, String)> = connection
                .prepare_cached(
                    "SELECT number, instance FROM series WHERE subject = ?1 AND metric = ?2
                     ORDER BY instance",
                )?
                .query_map([subject.as_str(), metric.as_str()], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
                .collect::<rusqlite::Result<_>>()?;
            let mut found = Vec::new();
            for (number, instance) in numbers {
                let mut values = Values::new();
                match tier {
                    Tier::Recent => of_recent(connection, number, since, until, &mut values)?,
                    Tier::Minutes => of_minutes(connection, number, since, until, &mut values)?,
                    Tier::Quarters => of_quarters(connection, number, since, until, &mut values)?,
                }
                let points = values
                    .range(since..=until)
                    .map(|(&at, value)| Point {
                        at: Timestamp::from_millis(at),
                        mean: shown(metric, value.mean),
                        min: shown(metric, value.min),
                        max: shown(metric, value.max),
                    })
                    .collect();
                let series = Series {
                    subject: subject.clone(),
                    metric,
                    instance: (!instance.is_empty()).then_some(instance),
                };
                found.push(SeriesHistory { series, points });
            }
            Ok(found)
        })
    }
}

fn of_recent(
    connection: &Connection,
    number: u32,
    since: u64,
    until: u64,
    values: &mut Values,
) -> rusqlite::Result<()> {
    for hour in each(since, until, HOUR_MS) {
        each_recent(connection, hour, |_, recent| {
            let found = recent.values_of(number).into_iter().flatten();
            for (slot, value) in found.enumerate() {
                if let Some(value) = value {
                    values.insert(recent.at(slot).as_millis(), Reduced::from(value));
                }
            }
        })?;
    }
    Ok(())
}

/// Of an hour that has no row yet, the minutes as they were measured.
pub(super) fn of_minutes(
    connection: &Connection,
    number: u32,
    since: u64,
    until: u64,
    values: &mut Values,
) -> rusqlite::Result<()> {
    let row = "SELECT data FROM minutes WHERE hour = ?1 AND series = ?2";
    for hour in each(since, until, HOUR_MS) {
        let begin = u64::from(hour) * HOUR_MS;
        if let Some(minutes) = condensed(connection, row, hour, number, IN_HOUR)? {
            put(values, begin, MINUTE_MS, minutes);
            continue;
        }
        each_recent(connection, hour, |place, recent| {
            let found = recent.values_of(number).into_iter().flatten().flatten();
            if let Some(found) = reduce(found.map(Reduced::from)) {
                values.insert(begin + place as u64 * MINUTE_MS, found);
            }
        })?;
    }
    Ok(())
}

/// Of a day that has no row yet, its minutes.
pub(super) fn of_quarters(
    connection: &Connection,
    number: u32,
    since: u64,
    until: u64,
    values: &mut Values,
) -> rusqlite::Result<()> {
    const QUARTER_MS: u64 = QUARTER as u64 * MINUTE_MS;
    let row = "SELECT data FROM quarters WHERE day = ?1 AND series = ?2";
    for day in each(since, until, DAY_MS) {
        let begin = u64::from(day) * DAY_MS;
        if let Some(quarters) = condensed(connection, row, day, number, IN_DAY)? {
            put(values, begin, QUARTER_MS, quarters);
            continue;
        }
        let mut minutes = Values::new();
        of_minutes(connection, number, begin, begin + DAY_MS - 1, &mut minutes)?;
        let mut all = vec![None; (DAY_MS / MINUTE_MS) as usize];
        for (at, value) in minutes {
            let place = usize::try_from((at - begin) / MINUTE_MS).unwrap_or(usize::MAX);
            if let Some(slot) = all.get_mut(place) {
                *slot = Some(value);
            }
        }
        put(values, begin, QUARTER_MS, reduce_each(&all, QUARTER));
    }
    Ok(())
}

/// The values of a series in an hour or a day that has a row; `sql` asks for that. A row that
/// is damaged is one that is missing.
fn condensed(
    connection: &Connection,
    sql: &str,
    at: u32,
    number: u32,
    count: usize,
) -> rusqlite::Result<Option<Vec<Option<Reduced>>>> {
    let data: Option<Vec<u8>> = connection
        .prepare_cached(sql)?
        .query_row([at, number], |row| row.get(0))
        .optional()?;
    Ok(data.and_then(|data| decode_reduced(&data, count)))
}

fn put(values: &mut Values, begin: u64, step: u64, row: Vec<Option<Reduced>>) {
    for (place, value) in row.into_iter().enumerate() {
        if let Some(value) = value {
            values.insert(begin + place as u64 * step, value);
        }
    }
}
