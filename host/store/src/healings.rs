//! The store's part of the healing ledger: plain rows. What they mean is the
//! [`Ledger`](crate::Ledger)'s business.

use prunella_core::{UnitName, budget::Moment};
use rusqlite::{OptionalExtension, Row, params};

use crate::{
    Store, StoreError,
    cached::Cached as _,
    columns::{moment, to_boot_ms, to_ms, unit_name},
};

/// Rows kept for each unit. No budget looks further back than this.
const KEPT_PER_UNIT: i64 = 1_000;

/// One healing as it was noted down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Healing {
    pub(crate) unit: UnitName,
    pub(crate) moment: Moment,
    pub(crate) forgiven: bool,
}

impl Store {
    /// Notes down a healing, and forgets those far in the past. It is on the
    /// disk with the intention of the act that it is spent for.
    pub(crate) fn insert_healing(
        &self,
        unit: &UnitName,
        moment: &Moment,
    ) -> Result<(), StoreError> {
        self.write_ahead("writing a healing", |transaction| {
            transaction.execute_cached(
                "INSERT INTO healings (unit, boot_id, since_boot_ms, at_ms)
                 VALUES (?1, ?2, ?3, ?4)",
                params![
                    unit.as_str(),
                    moment.boot_id,
                    to_boot_ms(moment.since_boot),
                    to_ms(moment.at)
                ],
            )?;
            transaction.execute_cached(
                "DELETE FROM healings WHERE unit = ?1 AND seq <=
                   (SELECT seq FROM healings WHERE unit = ?1
                    ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
                params![unit.as_str(), KEPT_PER_UNIT],
            )?;
            Ok(())
        })
    }

    /// The healings of a unit, or of all, newest first, at most `limit`.
    pub(crate) fn healings(
        &self,
        unit: Option<&UnitName>,
        limit: u32,
    ) -> Result<Vec<Healing>, StoreError> {
        self.read("reading the healings", |connection| {
            let map = |row: &Row<'_>| {
                Ok(Healing {
                    unit: unit_name(0, row.get(0)?)?,
                    moment: moment(row, 1)?,
                    forgiven: row.get(4)?,
                })
            };
            match unit {
                Some(unit) => connection
                    .prepare_cached(
                        "SELECT unit, boot_id, since_boot_ms, at_ms, forgiven FROM healings
                         WHERE unit = ?1 ORDER BY seq DESC LIMIT ?2",
                    )?
                    .query_map(params![unit.as_str(), limit], map)?
                    .collect(),
                None => connection
                    .prepare_cached(
                        "SELECT unit, boot_id, since_boot_ms, at_ms, forgiven FROM healings
                         ORDER BY seq DESC LIMIT ?1",
                    )?
                    .query_map([limit], map)?
                    .collect(),
            }
        })
    }

    /// Gives a unit a new budget: its healings so far count no more for it.
    pub(crate) fn forgive_healings(&self, unit: &UnitName) -> Result<(), StoreError> {
        self.write("resetting a budget", |transaction| {
            transaction.execute(
                "UPDATE healings SET forgiven = 1 WHERE unit = ?1 AND forgiven = 0",
                [unit.as_str()],
            )?;
            Ok(())
        })
    }

    /// The first moment of `now`'s boot that was noted down; `now` itself, and
    /// noted down, when there is none yet.
    pub(crate) fn first_seen(&self, now: &Moment) -> Result<Moment, StoreError> {
        let query = "SELECT boot_id, since_boot_ms, at_ms FROM boots WHERE boot_id = ?1";
        let known = self.read("reading the boots", |connection| {
            connection
                .query_row_cached(query, [&now.boot_id], |row| moment(row, 0))
                .optional()
        })?;
        if let Some(known) = known {
            return Ok(known);
        }
        self.write_ahead("noting a boot", |transaction| {
            transaction.execute(
                "INSERT OR IGNORE INTO boots (boot_id, since_boot_ms, at_ms) VALUES (?1, ?2, ?3)",
                params![now.boot_id, to_boot_ms(now.since_boot), to_ms(now.at)],
            )?;
            Ok(transaction.query_row_cached(query, [&now.boot_id], |row| moment(row, 0))?)
        })
    }
}
