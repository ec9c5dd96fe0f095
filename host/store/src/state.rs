//! What strategies keep of their own between incidents: one small set of keys
//! for each strategy at each service.

use prunella_core::{Failure, StrategyName, UnitName, state::Others};
use rusqlite::{OptionalExtension as _, params};

use crate::{Store, StoreError};

impl Store {
    /// The value of a key, if there is one.
    pub fn state(
        &self,
        strategy: &StrategyName,
        unit: &UnitName,
        key: &str,
    ) -> Result<Option<String>, StoreError> {
        self.read("reading a strategy's state", |connection| {
            connection
                .query_row(
                    "SELECT value FROM state WHERE strategy = ?1 AND unit = ?2 AND key = ?3",
                    params![strategy.as_str(), unit.as_str(), key],
                    |row| row.get(0),
                )
                .optional()
        })
    }

    /// The keys, in alphabetical order.
    pub fn state_keys(
        &self,
        strategy: &StrategyName,
        unit: &UnitName,
    ) -> Result<Vec<String>, StoreError> {
        self.read("reading a strategy's state", |connection| {
            connection
                .prepare("SELECT key FROM state WHERE strategy = ?1 AND unit = ?2 ORDER BY key")?
                .query_map(params![strategy.as_str(), unit.as_str()], |row| row.get(0))?
                .collect()
        })
    }

    /// Keeps a value, if it [fits](Others::have_room_for) beside the others,
    /// which nobody changes meanwhile. Else the failure, and nothing is changed.
    ///
    /// A killed process does not lose it; onto the disk it comes with the next
    /// durable write, which the end of the attempt is.
    pub fn set_state(
        &self,
        strategy: &StrategyName,
        unit: &UnitName,
        key: &str,
        value: &str,
    ) -> Result<Result<(), Failure>, StoreError> {
        self.write_ahead("keeping a strategy's state", |transaction| {
            let others = transaction.query_row(
                "SELECT count(*), coalesce(sum(octet_length(key) + octet_length(value)), 0)
                 FROM state WHERE strategy = ?1 AND unit = ?2 AND key <> ?3",
                params![strategy.as_str(), unit.as_str(), key],
                |row| {
                    Ok(Others {
                        keys: row.get::<_, u32>(0)? as usize,
                        bytes: row.get::<_, u32>(1)? as usize,
                    })
                },
            )?;
            if let Err(failure) = others.have_room_for(key, value) {
                return Ok(Err(failure));
            }
            transaction.execute(
                "INSERT OR REPLACE INTO state (strategy, unit, key, value)
                 VALUES (?1, ?2, ?3, ?4)",
                params![strategy.as_str(), unit.as_str(), key, value],
            )?;
            Ok(Ok(()))
        })
    }

    /// Forgets a key; true when there was one.
    pub fn remove_state(
        &self,
        strategy: &StrategyName,
        unit: &UnitName,
        key: &str,
    ) -> Result<bool, StoreError> {
        self.write_ahead("forgetting a strategy's state", |transaction| {
            let gone = transaction.execute(
                "DELETE FROM state WHERE strategy = ?1 AND unit = ?2 AND key = ?3",
                params![strategy.as_str(), unit.as_str(), key],
            )?;
            Ok(gone > 0)
        })
    }

    /// Forgets all that a strategy keeps, at every service: for when it is
    /// removed. Answers with how many keys that were.
    pub fn forget_state(&self, strategy: &StrategyName) -> Result<u64, StoreError> {
        self.write("forgetting a strategy's state", |transaction| {
            let gone = transaction
                .execute("DELETE FROM state WHERE strategy = ?1", [strategy.as_str()])?;
            Ok(u64::try_from(gone).unwrap_or_default())
        })
    }
}
