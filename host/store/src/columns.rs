//! What SQLite's columns have, and what it means.

use std::time::Duration;

use prunella_core::{Timestamp, UnitName, budget::Moment};
use rusqlite::{Row, types::Type};
use serde::de::DeserializeOwned;

/// A time as SQLite keeps it. The year 292278994 is the end.
pub(crate) fn to_ms(at: Timestamp) -> i64 {
    to_integer(at.as_millis())
}

pub(crate) fn from_ms(ms: i64) -> Timestamp {
    Timestamp::from_millis(from_integer(ms))
}

pub(crate) fn to_us(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// SQLite's integers have a sign.
pub(crate) fn to_integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn from_integer(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

pub(crate) fn unit_name(column: usize, name: String) -> rusqlite::Result<UnitName> {
    UnitName::new(name).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

pub(crate) fn json<T: DeserializeOwned>(column: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

/// A time since boot as SQLite keeps it, in milliseconds.
pub(crate) fn to_boot_ms(since_boot: Duration) -> i64 {
    i64::try_from(since_boot.as_millis()).unwrap_or(i64::MAX)
}

/// A moment in three columns, of which this is the first.
pub(crate) fn moment(row: &Row<'_>, first: usize) -> rusqlite::Result<Moment> {
    Ok(Moment {
        boot_id: row.get(first)?,
        since_boot: Duration::from_millis(from_integer(row.get(first + 1)?)),
        at: from_ms(row.get(first + 2)?),
    })
}
