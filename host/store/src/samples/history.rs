//! What one metric was over a span.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use prunella_core::{
    Timestamp,
    health::{Metric, Point, Series, Subject},
};
use prunella_metrics::{
    block::Block,
    reduce::{Reduced, decode_reduced, reduce, reduce_each},
    trend::{self, Trend},
};
use rusqlite::{Connection, OptionalExtension as _};

use super::{
    HOURS_IN_DAY, MINUTE_MS, MINUTES_IN_HOUR, SampleStore,
    condense::{IN_DAY, IN_HOUR, QUARTER, each_recent},
    series_by_number, shown,
};
use crate::StoreError;

/// What a series was over a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesHistory {
    pub series: Series,
    /// Oldest first; where nothing was measured there is none.
    pub points: Vec<Point>,
}

/// Where the means of some points, the oldest first, are going; nothing, where they are too few
/// to tell.
pub fn trend_of(points: &[Point]) -> Option<Trend> {
    let samples: Vec<trend::Point> = points
        .iter()
        .map(|point| trend::Point {
            at: point.at.as_millis() as f64 / 1e3,
            value: point.mean as f64,
        })
        .collect();
    Trend::of(&samples)
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
const QUARTER_MS: u64 = QUARTER as u64 * MINUTE_MS;

/// The quarters of a series in a day.
const QUARTERS_OF: &str = "SELECT data FROM quarters WHERE day = ?1 AND series = ?2";

/// The numbers of the pieces of time that a span touches.
pub(super) fn each(since: u64, until: u64, length: u64) -> std::ops::RangeInclusive<u32> {
    let number = |at: u64| u32::try_from(at / length).unwrap_or(u32::MAX);
    number(since)..=number(until)
}

/// The values of a span by their time, in milliseconds since 1970.
pub(super) type Values = BTreeMap<u64, Reduced>;

impl SampleStore {
    /// What a metric was from `since` until `until`, each of its instances apart: of an hour at
    /// most as it was measured, of 7 days at most by minutes, else by quarters of an hour. What
    /// is not kept so finely any more is as it is kept.
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
        let finest = match until.saturating_sub(since) {
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
            let wanted = numbers.iter().map(|(number, _)| *number).collect();
            let mut recent = RecentMinutes::of(&wanted);
            let mut found = Vec::new();
            for (number, instance) in numbers {
                let mut values = Values::new();
                if finest == Tier::Quarters {
                    of_quarters(connection, number, since, until, &mut recent, &mut values)?;
                } else {
                    for hour in each(since, until, HOUR_MS) {
                        of_hour(connection, number, hour, finest, &mut recent, &mut values)?;
                    }
                }
                let series = Series {
                    subject: subject.clone(),
                    metric,
                    instance: (!instance.is_empty()).then_some(instance),
                };
                found.push(SeriesHistory::of(series, &values, since, until));
            }
            Ok(found)
        })
    }

    /// Tells `hear` what a metric was of every subject that is `wanted`, by minutes, from
    /// `since` until `until`. It takes far less than to ask for each: what many have in
    /// common is read once.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn each_by_minute(
        &self,
        metric: Metric,
        since: Timestamp,
        until: Timestamp,
        wanted: impl Fn(&Subject) -> bool,
        mut hear: impl FnMut(SeriesHistory),
    ) -> Result<(), StoreError> {
        let (since, until) = (since.as_millis(), until.as_millis());
        self.read("reading what was measured", |connection| {
            let mut all = series_by_number(connection)?;
            all.retain(|_, series| series.metric == metric && wanted(&series.subject));
            let numbers = all.keys().copied().collect();
            let mut recent = RecentMinutes::of(&numbers);
            for (number, series) in all {
                let mut values = Values::new();
                of_minutes(connection, number, since, until, &mut recent, &mut values)?;
                hear(SeriesHistory::of(series, &values, since, until));
            }
            Ok(())
        })
    }
}

impl SeriesHistory {
    fn of(series: Series, values: &Values, since: u64, until: u64) -> Self {
        let points = values.range(since..=until);
        let points = points.map(|(&at, value)| point(series.metric, at, value));
        Self {
            points: points.collect(),
            series,
        }
    }
}

/// A value as it is shown, at a time in milliseconds since 1970.
pub(super) fn point(metric: Metric, at: u64, value: &Reduced) -> Point {
    Point {
        at: Timestamp::from_millis(at),
        mean: shown(metric, value.mean),
        min: shown(metric, value.min),
        max: shown(metric, value.max),
    }
}

/// The minutes of hours that have no rows yet, of some series: a block has all series, and is
/// read once for all of these.
pub(super) struct RecentMinutes<'n> {
    numbers: &'n BTreeSet<u32>,
    /// By the hour and the series' number, with their places in the hour.
    hours: BTreeMap<u32, BTreeMap<u32, Vec<(usize, Reduced)>>>,
}

impl<'n> RecentMinutes<'n> {
    /// Of the series with these numbers.
    pub(super) fn of(numbers: &'n BTreeSet<u32>) -> Self {
        Self {
            numbers,
            hours: BTreeMap::new(),
        }
    }

    /// Those of one of the series in an hour.
    fn get(
        &mut self,
        connection: &Connection,
        hour: u32,
        number: u32,
    ) -> rusqlite::Result<&[(usize, Reduced)]> {
        let minutes = match self.hours.entry(hour) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let mut minutes: BTreeMap<u32, Vec<(usize, Reduced)>> = BTreeMap::new();
                let last = self.numbers.last().copied().unwrap_or(0);
                each_recent(connection, hour, |place, recent| {
                    let all = Block::new(&recent.data, recent.slots);
                    for (number, values) in all.take_while(|(number, _)| *number <= last) {
                        if self.numbers.contains(&number)
                            && let Some(minute) =
                                reduce(values.into_iter().flatten().map(Reduced::from))
                        {
                            minutes.entry(number).or_default().push((place, minute));
                        }
                    }
                })?;
                unknown.insert(minutes)
            }
        };
        Ok(minutes.get(&number).map_or(&[], Vec::as_slice))
    }
}

/// What is kept of an hour, of the finest tier that has anything of it and is no finer than this.
fn of_hour(
    connection: &Connection,
    number: u32,
    hour: u32,
    finest: Tier,
    recent: &mut RecentMinutes<'_>,
    values: &mut Values,
) -> rusqlite::Result<()> {
    let begin = u64::from(hour) * HOUR_MS;
    let end = begin + HOUR_MS - 1;
    let mut found = Values::new();
    if finest == Tier::Recent {
        of_recent(connection, number, begin, end, &mut found)?;
    }
    if found.is_empty() {
        of_minutes(connection, number, begin, end, recent, &mut found)?;
    }
    if found.is_empty() {
        let day = u32::try_from(begin / DAY_MS).unwrap_or(u32::MAX);
        if let Some(quarters) = condensed(connection, QUARTERS_OF, day, number, IN_DAY)? {
            put(&mut found, u64::from(day) * DAY_MS, QUARTER_MS, quarters);
        }
    }
    values.extend(found.range(begin..=end).map(|(&at, &value)| (at, value)));
    Ok(())
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
    recent: &mut RecentMinutes<'_>,
    values: &mut Values,
) -> rusqlite::Result<()> {
    let row = "SELECT data FROM minutes WHERE hour = ?1 AND series = ?2";
    for hour in each(since, until, HOUR_MS) {
        let begin = u64::from(hour) * HOUR_MS;
        if let Some(minutes) = condensed(connection, row, hour, number, IN_HOUR)? {
            put(values, begin, MINUTE_MS, minutes);
            continue;
        }
        let minutes = recent.get(connection, hour, number)?.iter();
        values.extend(minutes.map(|(place, minute)| (begin + *place as u64 * MINUTE_MS, *minute)));
    }
    Ok(())
}

/// Of a day that has no row yet, its minutes.
pub(super) fn of_quarters(
    connection: &Connection,
    number: u32,
    since: u64,
    until: u64,
    recent: &mut RecentMinutes<'_>,
    values: &mut Values,
) -> rusqlite::Result<()> {
    for day in each(since, until, DAY_MS) {
        let begin = u64::from(day) * DAY_MS;
        if let Some(quarters) = condensed(connection, QUARTERS_OF, day, number, IN_DAY)? {
            put(values, begin, QUARTER_MS, quarters);
            continue;
        }
        let mut minutes = Values::new();
        let end = begin + DAY_MS - 1;
        of_minutes(connection, number, begin, end, recent, &mut minutes)?;
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
