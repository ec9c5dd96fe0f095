//! Acts that can be undone, from before they are done until nothing is left of them.

use prunella_core::{incident::IncidentId, remedy::Applied};
use rusqlite::{Row, params};

use crate::{
    Store, StoreError,
    columns::{json, to_ms},
};

impl Store {
    /// Keeps an act that can be undone, instead of what was kept of it before. It is on the
    /// disk when this returns.
    pub fn keep_applied(&self, applied: &Applied) -> Result<(), StoreError> {
        let doing = "writing how an act is undone";
        let text = self.to_json(doing, applied)?;
        self.write(doing, |transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO applied_remedies (incident, action, until_ms, applied)
                 VALUES (?1, ?2, ?3, ?4)",
                params![
                    applied.incident.as_str(),
                    applied.action,
                    applied.until().map(to_ms),
                    text
                ],
            )?;
            Ok(())
        })
    }

    /// Nothing is left to undo of an act.
    pub fn forget_applied(&self, incident: &IncidentId, action: u32) -> Result<(), StoreError> {
        self.write("forgetting how an act is undone", |transaction| {
            transaction.execute(
                "DELETE FROM applied_remedies WHERE incident = ?1 AND action = ?2",
                params![incident.as_str(), action],
            )?;
            Ok(())
        })
    }

    /// The acts of an incident that can be undone, the last one first.
    pub fn applied_in(&self, incident: &IncidentId) -> Result<Vec<Applied>, StoreError> {
        self.read("reading what can be undone", |connection| {
            connection
                .prepare_cached(
                    "SELECT applied FROM applied_remedies WHERE incident = ?1
                     ORDER BY action DESC",
                )?
                .query_map([incident.as_str()], applied)?
                .collect()
        })
    }

    /// Every act that can be undone, of all incidents, the last one first.
    pub fn applied(&self) -> Result<Vec<Applied>, StoreError> {
        self.read("reading what can be undone", |connection| {
            connection
                .prepare_cached(
                    "SELECT applied FROM applied_remedies ORDER BY incident DESC, action DESC",
                )?
                .query_map([], applied)?
                .collect()
        })
    }

    /// Every act that goes back by itself, the next one first.
    pub fn leases(&self) -> Result<Vec<Applied>, StoreError> {
        self.read("reading what goes back by itself", |connection| {
            connection
                .prepare_cached(
                    "SELECT applied FROM applied_remedies WHERE until_ms IS NOT NULL
                     ORDER BY until_ms, incident, action",
                )?
                .query_map([], applied)?
                .collect()
        })
    }
}

fn applied(row: &Row<'_>) -> rusqlite::Result<Applied> {
    json(0, &row.get::<_, String>(0)?)
}
