//! Which run of a unit was kept from a port by somebody who held it.

use prunella_core::UnitName;
use rusqlite::{OptionalExtension as _, params};

use crate::{Store, StoreError};

impl Store {
    /// The last run (its invocation) of a unit that failed while somebody else held its
    /// port.
    pub fn run_kept_from_port(&self, unit: &UnitName) -> Result<Option<String>, StoreError> {
        self.read("reading who was kept from a port", |connection| {
            connection
                .query_row(
                    "SELECT invocation FROM kept_from_port WHERE unit = ?1",
                    [unit.as_str()],
                    |row| row.get(0),
                )
                .optional()
        })
    }

    /// Writes down that a run failed while somebody else held its port. A killed process
    /// does not lose it; onto the disk it comes with the next durable write.
    pub fn set_run_kept_from_port(
        &self,
        unit: &UnitName,
        invocation: &str,
    ) -> Result<(), StoreError> {
        if self.run_kept_from_port(unit)?.as_deref() == Some(invocation) {
            return Ok(());
        }
        self.write_ahead("writing who was kept from a port", |transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO kept_from_port (unit, invocation) VALUES (?1, ?2)",
                params![unit.as_str(), invocation],
            )?;
            Ok(())
        })
    }
}
