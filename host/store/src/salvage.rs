//! What a new store takes over from a damaged one: as much as can be read of
//! what healing depends on. Past incidents stay in the file that was set aside.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, ToSql, types::Value};

use crate::{connect::open_damaged, error::chain};

/// Tables, and which of their rows; in an order that references allow.
///
/// A lost pause would heal what an operator wanted left alone; lost expected work would
/// tell of what is expected; a lost healing
/// would be one too many; a lost open incident would end without a word, and so
/// would a lost message. Sessions are not taken over: people log in again.
const WANTED: &[(&str, &str)] = &[
    ("pauses", "TRUE"),
    ("api_keys", "TRUE"),
    ("audit", "TRUE"),
    ("expected_work", "TRUE"),
    ("boots", "TRUE"),
    ("healings", "TRUE"),
    (
        "incidents",
        "ended IS NULL OR ended = 'blocked' OR retry_at_ms IS NOT NULL",
    ),
    ("statistics", "TRUE"),
    ("totals", "TRUE"),
    ("state", "TRUE"),
    ("releases", "TRUE"),
    // What people are still to hear.
    ("alerts", "decision IS NULL"),
    ("alert_groups", "closed_at_ms IS NULL"),
    ("digests", "TRUE"),
    ("dispatches", "next_at_ms IS NOT NULL"),
];

/// What belongs to rows that were taken over: table, its column, and the table
/// with those rows. One by one: damage in what belongs to others is no matter.
const BELONGING: &[(&str, &str, &str)] = &[
    ("steps", "incident", "incidents"),
    ("dispatch_incidents", "dispatch", "dispatches"),
];

/// Copies what can be read from the file `aside`. Says what could not.
pub(crate) fn take_over(aside: &Path, new: &mut Connection) {
    let old = match open_damaged(aside) {
        Ok(old) => old,
        Err(error) => {
            tracing::warn!(
                "nothing of the damaged store could be taken over: {}",
                chain(&error)
            );
            return;
        }
    };
    let told = |table: &str, copied: rusqlite::Result<()>| {
        if let Err(error) = copied {
            tracing::warn!(
                "not all of the damaged store's {table} could be taken over: {}",
                chain(&error)
            );
        }
    };
    for (table, which) in WANTED {
        told(table, copy(&old, new, table, which, &[]));
    }
    for (table, column, of) in BELONGING {
        match ids(new, of) {
            Ok(ids) => {
                for id in ids {
                    let which = format!("{column} = ?");
                    told(table, copy(&old, new, table, &which, &[&id]));
                }
            }
            Err(error) => told(table, Err(error)),
        }
    }
}

fn ids(new: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    new.prepare(&format!("SELECT id FROM {table}"))?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Row by row, so that what comes before the damage is kept.
fn copy(
    old: &Connection,
    new: &Connection,
    table: &str,
    which: &str,
    values: &[&dyn ToSql],
) -> rusqlite::Result<()> {
    let columns: Vec<String> = new
        .prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let list = columns.join(", ");
    let places = vec!["?"; columns.len()].join(", ");
    // In one go: each row on its own would wait for the disk. What was copied
    // before an error is kept.
    let transaction = new.unchecked_transaction()?;
    let copied = (|| {
        let insert = format!("INSERT OR IGNORE INTO {table} ({list}) VALUES ({places})");
        let mut insert = transaction.prepare(&insert)?;
        let mut select = old.prepare(&format!("SELECT {list} FROM {table} WHERE {which}"))?;
        let mut rows = select.query(values)?;
        while let Some(row) = rows.next()? {
            let values = (0..columns.len())
                .map(|column| row.get::<_, Value>(column))
                .collect::<rusqlite::Result<Vec<_>>>()?;
            match insert.execute(rusqlite::params_from_iter(values)) {
                // A step whose incident was lost.
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                }
                other => drop(other?),
            }
        }
        Ok(())
    })();
    transaction.commit()?;
    copied
}
