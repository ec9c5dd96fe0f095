//! Hours and days that are over: one row for each series.

use std::collections::BTreeMap;

use prunella_metrics::{
    block::Block,
    reduce::{Reduced, decode_reduced, encode_reduced, reduce, reduce_each},
};
use rusqlite::{Connection, Transaction, params};

use super::{HOURS_IN_DAY, KEPT_HOURS, MINUTES_IN_HOUR, Recent, recent};

/// Minutes in a value of the coarsest tier.
pub(super) const QUARTER: usize = 15;

/// Values in a row of minutes.
pub(super) const IN_HOUR: usize = 60;

/// Values in a row of quarters.
pub(super) const IN_DAY: usize = 96;

/// So many series are worked on at once: what they need of memory is bounded.
const AT_ONCE: u32 = 1_000;

/// Makes rows of each hour and day that is over at this minute and has none yet.
pub(super) fn condense(transaction: &Transaction<'_>, minute: u32) -> rusqlite::Result<()> {
    let hour = minute / MINUTES_IN_HOUR;
    let oldest: Option<u32> = transaction
        .prepare_cached("SELECT min(minute) FROM recent")?
        .query_row([], |row| row.get(0))?;
    let begin = (oldest.unwrap_or(minute) / MINUTES_IN_HOUR).max(hour.saturating_sub(KEPT_HOURS));
    let wants_row = "SELECT EXISTS (SELECT 1 FROM recent WHERE minute >= ?1 AND minute < ?2)
                            AND NOT EXISTS (SELECT 1 FROM minutes WHERE hour = ?3)";
    for over in begin..hour {
        if is_so(transaction, wants_row, over, MINUTES_IN_HOUR)? {
            of_hour(transaction, over)?;
        }
    }
    let day = hour / HOURS_IN_DAY;
    let begin = day.saturating_sub(KEPT_HOURS / HOURS_IN_DAY + 1);
    let wants_row = "SELECT EXISTS (SELECT 1 FROM minutes WHERE hour >= ?1 AND hour < ?2)
                            AND NOT EXISTS (SELECT 1 FROM quarters WHERE day = ?3)";
    for over in begin..day {
        if is_so(transaction, wants_row, over, HOURS_IN_DAY)? {
            of_day(transaction, over)?;
        }
    }
    Ok(())
}

/// Asks `sql` of a piece of time, by its first part, the first behind it, and its own number.
fn is_so(
    transaction: &Transaction<'_>,
    sql: &str,
    number: u32,
    parts: u32,
) -> rusqlite::Result<bool> {
    let first = number * parts;
    transaction
        .prepare_cached(sql)?
        .query_row([first, first + parts, number], |row| row.get(0))
}

/// The numbers of series, in pieces that are worked on at once.
fn pieces(connection: &Connection) -> rusqlite::Result<impl Iterator<Item = (u32, u32)> + use<>> {
    let last: u32 =
        connection.query_row("SELECT coalesce(max(number), 0) FROM series", [], |row| {
            row.get(0)
        })?;
    let starts = (0..=last / AT_ONCE).map(|piece| piece * AT_ONCE);
    Ok(starts.map(|first| (first, first + AT_ONCE)))
}

fn of_hour(transaction: &Transaction<'_>, hour: u32) -> rusqlite::Result<()> {
    for (first, end) in pieces(transaction)? {
        let mut rows: BTreeMap<u32, Vec<Option<Reduced>>> = BTreeMap::new();
        each_recent(transaction, hour, |place, recent| {
            for (series, values) in Block::new(&recent.data, recent.slots) {
                if (first..end).contains(&series) {
                    let row = rows.entry(series).or_insert_with(|| vec![None; IN_HOUR]);
                    let values = values.into_iter().flatten().map(Reduced::from);
                    if let Some(value) = row.get_mut(place) {
                        *value = reduce(values);
                    }
                }
            }
        })?;
        put(
            transaction,
            "INSERT INTO minutes VALUES (?1, ?2, ?3)",
            hour,
            rows,
        )?;
    }
    Ok(())
}

/// Each minute of an hour as it was measured, with its place in the hour.
pub(super) fn each_recent(
    connection: &Connection,
    hour: u32,
    mut of: impl FnMut(usize, &Recent),
) -> rusqlite::Result<()> {
    let begin = hour * MINUTES_IN_HOUR;
    let mut statement = connection.prepare_cached(
        "SELECT minute, interval_ms, slots, data FROM recent WHERE minute >= ?1 AND minute < ?2",
    )?;
    let mut rows = statement.query([begin, begin + MINUTES_IN_HOUR])?;
    while let Some(row) = rows.next()? {
        let recent = recent(row)?;
        let place = (recent.minute - begin) as usize;
        of(place, &recent);
    }
    Ok(())
}

fn of_day(transaction: &Transaction<'_>, day: u32) -> rusqlite::Result<()> {
    const IN_ONE: usize = IN_HOUR / QUARTER;
    for (first, end) in pieces(transaction)? {
        let mut rows: BTreeMap<u32, Vec<Option<Reduced>>> = BTreeMap::new();
        let mut statement = transaction.prepare_cached(
            "SELECT hour, series, data FROM minutes
             WHERE hour >= ?1 AND hour < ?2 AND series >= ?3 AND series < ?4",
        )?;
        let begin = day * HOURS_IN_DAY;
        let mut found = statement.query([begin, begin + HOURS_IN_DAY, first, end])?;
        while let Some(row) = found.next()? {
            let hour = row.get::<_, u32>(0)? - begin;
            let data = row.get_ref(2)?.as_blob()?;
            // A row that is damaged is one that is missing.
            let Some(minutes) = decode_reduced(data, IN_HOUR) else {
                continue;
            };
            let place = hour as usize * IN_ONE;
            let quarters = reduce_each(&minutes, QUARTER);
            let all = rows
                .entry(row.get(1)?)
                .or_insert_with(|| vec![None; IN_DAY]);
            for (value, quarter) in all.iter_mut().skip(place).zip(quarters) {
                *value = quarter;
            }
        }
        put(
            transaction,
            "INSERT INTO quarters VALUES (?1, ?2, ?3)",
            day,
            rows,
        )?;
    }
    Ok(())
}

fn put(
    transaction: &Transaction<'_>,
    sql: &str,
    at: u32,
    rows: BTreeMap<u32, Vec<Option<Reduced>>>,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(sql)?;
    let mut data = Vec::new();
    for (series, values) in rows {
        data.clear();
        encode_reduced(&values, &mut data);
        statement.execute(params![at, series, data])?;
    }
    Ok(())
}
