//! The tables.

use rusqlite::Connection;

/// Of another version there is nothing that would be worth a migration: it is begun anew.
const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE series (
        number   INTEGER PRIMARY KEY,
        -- A unit, or `host`.
        subject  TEXT NOT NULL,
        metric   TEXT NOT NULL,
        -- Empty where the subject has one value.
        instance TEXT NOT NULL,
        UNIQUE (subject, metric, instance)
    ) STRICT;

    -- Each minute as it was measured: all series in one block.
    CREATE TABLE recent (
        minute      INTEGER PRIMARY KEY,
        interval_ms INTEGER NOT NULL,
        slots       INTEGER NOT NULL,
        data        BLOB NOT NULL
    ) STRICT;

    -- Sixty values of an hour; by the hour first, so that what is written together lies
    -- together.
    CREATE TABLE minutes (
        hour   INTEGER NOT NULL,
        series INTEGER NOT NULL,
        data   BLOB NOT NULL,
        PRIMARY KEY (hour, series)
    ) STRICT, WITHOUT ROWID;

    -- Ninety-six values of a day.
    CREATE TABLE quarters (
        day    INTEGER NOT NULL,
        series INTEGER NOT NULL,
        data   BLOB NOT NULL,
        PRIMARY KEY (day, series)
    ) STRICT, WITHOUT ROWID;
";

/// Makes the tables where they are missing.
pub(super) fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    // Without an fsync for each write: a power cut costs the last minutes, and no more.
    connection.execute_batch(
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
         PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 1048576;",
    )?;
    if is_there(connection)? {
        return Ok(());
    }
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE;
         DROP TABLE IF EXISTS series; DROP TABLE IF EXISTS recent;
         DROP TABLE IF EXISTS minutes; DROP TABLE IF EXISTS quarters;
         {TABLES}
         PRAGMA user_version = {VERSION};
         COMMIT;"
    ))
}

/// Whether the tables are there, of this version.
pub(super) fn is_there(connection: &Connection) -> rusqlite::Result<bool> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(version == VERSION)
}
