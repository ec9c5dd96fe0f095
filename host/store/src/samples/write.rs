//! The one write of a minute.

use std::collections::{HashMap, HashSet};

use prunella_core::health::Metric;
use prunella_metrics::block::{self, Block};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{
    HOURS_IN_DAY, KEPT_DAYS, KEPT_HOURS, MINUTES_IN_HOUR, Measured, Minute, Numbers,
    RECENT_MINUTES, kept, recent,
};

fn number_of(transaction: &Transaction<'_>, series: &Measured<'_>) -> rusqlite::Result<u32> {
    let instance = series.instance.unwrap_or_default();
    let key = params![series.subject.as_str(), series.metric.as_str(), instance];
    let known = transaction
        .prepare_cached(
            "SELECT number FROM series WHERE subject = ?1 AND metric = ?2 AND instance = ?3",
        )?
        .query_row(key, |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    transaction
        .prepare_cached(
            "INSERT INTO series (subject, metric, instance) VALUES (?1, ?2, ?3)
             RETURNING number",
        )?
        .query_row(key, |row| row.get(0))
}

/// What is written of a series: its metric, where its values are not written yet as they are
/// kept.
struct Row<'a> {
    number: u32,
    metric: Option<Metric>,
    values: &'a [Option<u64>],
}

/// Writes a minute: all its series as one block.
pub(super) fn write(
    transaction: &Transaction<'_>,
    numbers: &mut Numbers,
    minute: &Minute<'_>,
) -> rusqlite::Result<()> {
    let mut rows: Vec<Row<'_>> = Vec::with_capacity(minute.values.len());
    for series in &minute.values {
        let number = match numbers.get(series) {
            Some(known) => known,
            None => {
                let number = number_of(transaction, series)?;
                numbers.set(series, number);
                number
            }
        };
        rows.push(Row {
            number,
            metric: Some(series.metric),
            values: series.values,
        });
    }
    let interval_ms = u32::try_from(minute.interval.as_millis()).unwrap_or(u32::MAX);
    // What an earlier daemon, or a clock that was put back, has of the same minute.
    let before = transaction
        .query_row(
            "SELECT minute, interval_ms, slots, data FROM recent WHERE minute = ?1",
            [minute.number],
            recent,
        )
        .optional()?
        .filter(|before| before.interval_ms == interval_ms && before.slots == minute.slots);
    let earlier: HashMap<u32, Vec<Option<u64>>> = before
        .iter()
        .flat_map(|before| Block::new(&before.data, before.slots))
        .collect();
    let written: HashSet<u32> = if earlier.is_empty() {
        HashSet::new()
    } else {
        rows.iter().map(|row| row.number).collect()
    };
    let only_earlier = earlier
        .iter()
        .filter(|(number, _)| !written.contains(number));
    rows.extend(only_earlier.map(|(number, values)| Row {
        number: *number,
        metric: None,
        values,
    }));
    rows.sort_unstable_by_key(|row| row.number);
    let mut data = Vec::with_capacity(rows.len() * 8);
    let mut values = Vec::with_capacity(minute.slots);
    let mut last = 0;
    for row in &rows {
        values.clear();
        values.extend(row.values.iter().map(|value| match row.metric {
            Some(metric) => value.map(|value| kept(metric, value)),
            None => *value,
        }));
        if let Some(earlier) = earlier.get(&row.number) {
            for (value, earlier) in values.iter_mut().zip(earlier) {
                *value = value.or(*earlier);
            }
        }
        block::append(last, row.number, &values, &mut data);
        last = row.number;
    }
    transaction.execute(
        "INSERT OR REPLACE INTO recent (minute, interval_ms, slots, data)
         VALUES (?1, ?2, ?3, ?4)",
        params![minute.number, interval_ms, minute.slots as u32, data],
    )?;
    Ok(())
}

/// Forgets what is too old, and the oldest of what is too much.
pub(super) fn forget(
    transaction: &Transaction<'_>,
    minute: u32,
    max_size: u64,
) -> rusqlite::Result<()> {
    let hour = minute / MINUTES_IN_HOUR;
    let day = hour / HOURS_IN_DAY;
    let of_tier = [
        (
            "DELETE FROM recent WHERE minute < ?1",
            minute.saturating_sub(RECENT_MINUTES),
        ),
        (
            "DELETE FROM minutes WHERE hour < ?1",
            hour.saturating_sub(KEPT_HOURS),
        ),
        (
            "DELETE FROM quarters WHERE day < ?1",
            day.saturating_sub(KEPT_DAYS),
        ),
        // What lies far in the future was written while the clock was wrong.
        (
            "DELETE FROM recent WHERE minute > ?1",
            minute.saturating_add(RECENT_MINUTES),
        ),
        (
            "DELETE FROM minutes WHERE hour > ?1",
            hour.saturating_add(HOURS_IN_DAY),
        ),
        ("DELETE FROM quarters WHERE day > ?1", day.saturating_add(1)),
    ];
    for (sql, bound) in of_tier {
        transaction.prepare_cached(sql)?.execute([bound])?;
    }
    let pragma = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let used = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
    if u64::from(used) * u64::from(pragma("page_size")?) > max_size {
        // The oldest of what there is most of: an hour of minutes, or else a day of quarters.
        let gone = transaction.execute(
            "DELETE FROM minutes WHERE hour <= (SELECT min(hour) FROM minutes)",
            [],
        )?;
        if gone == 0 {
            transaction.execute(
                "DELETE FROM quarters WHERE day <= (SELECT min(day) FROM quarters)",
                [],
            )?;
        }
    }
    Ok(())
}
