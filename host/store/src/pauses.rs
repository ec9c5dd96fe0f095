//! Pauses: what `prunella pause` told Prunella to leave alone.

use prunella_core::{Timestamp, UnitName};
use rusqlite::params;
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError,
    columns::{from_ms, to_ms, unit_name},
};

/// A pause of one unit or of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The unit; all, when absent.
    pub unit: Option<UnitName>,
    pub since: Timestamp,
    /// Until when; until `resume`, when absent.
    pub until: Option<Timestamp>,
    /// Why, in the operator's words.
    pub reason: String,
    /// Who said so.
    pub by: String,
}

impl Pause {
    /// Whether it is in force at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether it is about `unit`.
    pub fn covers(&self, unit: &UnitName) -> bool {
        self.unit.as_ref().is_none_or(|paused| paused == unit)
    }
}

impl Store {
    /// Pauses a unit or all; takes the place of an earlier pause of the same.
    pub fn pause(&self, pause: &Pause) -> Result<(), StoreError> {
        let unit = pause.unit.as_ref().map_or("", UnitName::as_str);
        self.write("writing a pause", |transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO pauses (unit, since_ms, until_ms, reason, by_whom)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    unit,
                    to_ms(pause.since),
                    pause.until.map(to_ms),
                    pause.reason,
                    pause.by
                ],
            )?;
            Ok(())
        })
    }

    /// Ends the pause of a unit, or the one of all (`None`); true when there
    /// was one. Pauses of single units outlive the end of the one of all.
    pub fn resume(&self, unit: Option<&UnitName>) -> Result<bool, StoreError> {
        let unit = unit.map_or("", UnitName::as_str);
        self.write("ending a pause", |transaction| {
            Ok(transaction.execute("DELETE FROM pauses WHERE unit = ?1", [unit])? > 0)
        })
    }

    /// All pauses, also those whose time is over; see [`Pause::holds`].
    pub fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.read("reading the pauses", |connection| {
            connection
                .prepare_cached(
                    "SELECT unit, since_ms, until_ms, reason, by_whom FROM pauses ORDER BY unit",
                )?
                .query_map([], |row| {
                    let unit: String = row.get(0)?;
                    Ok(Pause {
                        unit: if unit.is_empty() {
                            None
                        } else {
                            Some(unit_name(0, unit)?)
                        },
                        since: from_ms(row.get(1)?),
                        until: row.get::<_, Option<i64>>(2)?.map(from_ms),
                        reason: row.get(3)?,
                        by: row.get(4)?,
                    })
                })?
                .collect()
        })
    }

    /// The pause that holds for `unit` at `now`, if one does.
    pub fn paused(&self, unit: &UnitName, now: Timestamp) -> Result<Option<Pause>, StoreError> {
        Ok(self
            .pauses()?
            .into_iter()
            .find(|pause| pause.covers(unit) && pause.holds(now)))
    }
}
