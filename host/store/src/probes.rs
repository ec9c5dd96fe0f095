//! What is known of declared probes: whether one was ever answered, since it was
//! declared as it is. One that never was proves nothing.

use std::collections::BTreeMap;

use prunella_core::{UnitName, service::DeclaredProbe};
use rusqlite::{OptionalExtension as _, Row, params};

use crate::{Store, StoreError, columns::unit_name};

/// What came of asking a probe so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeHistory {
    /// What it asked: [`DeclaredProbe::question`].
    pub question: String,
    /// Whether it was answered at least once. If not, people were told that it was
    /// asked in vain.
    pub answered: bool,
}

impl ProbeHistory {
    /// Whether it is of the probe as it is declared now.
    pub fn is_of(&self, probe: &DeclaredProbe) -> bool {
        self.question == probe.question()
    }
}

impl Store {
    /// What is known of a unit's probe; nothing, while it was neither answered nor told
    /// of.
    pub fn probe_history(
        &self,
        unit: &UnitName,
        probe: &str,
    ) -> Result<Option<ProbeHistory>, StoreError> {
        self.read("reading what probes came to", |connection| {
            connection
                .query_row(
                    "SELECT question, answered FROM probes WHERE unit = ?1 AND probe = ?2",
                    params![unit.as_str(), probe],
                    |row| history(row, 0),
                )
                .optional()
        })
    }

    /// What is known of all probes, by unit and name.
    pub fn probe_histories(
        &self,
    ) -> Result<BTreeMap<(UnitName, String), ProbeHistory>, StoreError> {
        self.read("reading what probes came to", |connection| {
            connection
                .prepare("SELECT unit, probe, question, answered FROM probes")?
                .query_map([], |row| {
                    Ok(((unit_name(0, row.get(0)?)?, row.get(1)?), history(row, 2)?))
                })?
                .collect()
        })
    }

    /// Writes down what is known of a probe from now on. A killed process does not lose
    /// it; onto the disk it comes with the next durable write.
    pub fn set_probe_history(
        &self,
        unit: &UnitName,
        probe: &str,
        history: &ProbeHistory,
    ) -> Result<(), StoreError> {
        self.write_ahead("writing what a probe came to", |transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO probes (unit, probe, question, answered)
                 VALUES (?1, ?2, ?3, ?4)",
                params![unit.as_str(), probe, history.question, history.answered],
            )?;
            Ok(())
        })
    }
}

fn history(row: &Row<'_>, first: usize) -> rusqlite::Result<ProbeHistory> {
    Ok(ProbeHistory {
        question: row.get(first)?,
        answered: row.get(first + 1)?,
    })
}
