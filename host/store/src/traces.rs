//! Which incidents are still to be sent as traces.

use prunella_core::{Timestamp, incident::IncidentId};
use rusqlite::params;

use crate::{Store, StoreError, columns::to_ms};

impl Store {
    /// Incidents that ended since then, will not be tried again, and were not sent as traces:
    /// the latest `limit` of them, oldest first.
    pub fn untraced(&self, since: Timestamp, limit: u32) -> Result<Vec<IncidentId>, StoreError> {
        self.read("reading which incidents are to be sent", |connection| {
            let mut found: Vec<IncidentId> = connection
                .prepare_cached(
                    "SELECT id FROM incidents
                     WHERE traced_ms IS NULL AND ended_at_ms >= ?1
                       AND ended NOT IN ('blocked', 'dry-run') AND retry_at_ms IS NULL
                     ORDER BY ended_at_ms DESC LIMIT ?2",
                )?
                .query_map(params![to_ms(since), limit], |row| {
                    Ok(IncidentId::from_text(row.get::<_, String>(0)?))
                })?
                .collect::<rusqlite::Result<_>>()?;
            found.reverse();
            Ok(found)
        })
    }

    /// Notes down that an incident was sent as a trace, or cannot be. One that is opened again
    /// is sent again at its next end.
    pub fn note_traced(&self, id: &IncidentId, at: Timestamp) -> Result<(), StoreError> {
        self.write_ahead("writing that an incident was sent", |transaction| {
            transaction.execute(
                "UPDATE incidents SET traced_ms = ?2 WHERE id = ?1 AND ended_at_ms IS NOT NULL",
                params![id.as_str(), to_ms(at)],
            )?;
            Ok(())
        })
    }
}
