//! Incidents and their steps as they are written.

mod queries;

use prunella_core::{
    Timestamp,
    incident::{Ending, Incident, IncidentId},
    text::one_line,
    trail::{Entry, LatestFailure},
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction};

pub use self::queries::{Due, Found, LatestEnd};
pub(crate) use self::queries::{entry, kind, summary_of};
use crate::{
    Durable, Store, StoreError, WriteError, approvals,
    cached::Cached as _,
    columns::{json, to_integer, to_ms, to_us},
    totals,
};

/// What [`Store::open_incident`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// This failure was not known; the incident is in the store now.
    New,
    /// Somebody has opened an incident for this failure before.
    Known {
        id: IncidentId,
        /// How it ended; absent while it is open.
        ending: Option<Ending>,
    },
}

/// So much of why an incident ended as it did stands in a list.
const WHY: usize = 1_000;

/// The incident that is open for a unit.
fn open_for(transaction: &Transaction<'_>, unit: &str) -> rusqlite::Result<Option<Opened>> {
    transaction
        .query_row_cached(
            "SELECT id, ending FROM incidents
             WHERE unit = ?1 AND (ended IS NULL OR ended = 'blocked')",
            [unit],
            known,
        )
        .optional()
}

/// Reads an id and an ending.
fn known(row: &Row<'_>) -> rusqlite::Result<Opened> {
    let ending: Option<String> = row.get(1)?;
    Ok(Opened::Known {
        id: IncidentId::from_text(row.get::<_, String>(0)?),
        ending: ending.map(|ending| json(1, &ending)).transpose()?,
    })
}

/// How many rows it made: none when its id or key is taken, or when another one
/// is open for its unit and it has not `ended`.
pub(crate) fn insert_incident(
    transaction: &Transaction<'_>,
    incident: &Incident,
    detection: &str,
    ended: Option<&str>,
) -> rusqlite::Result<usize> {
    let inserted = transaction.execute_cached(
        "INSERT INTO incidents
           (id, key, unit, at_ms, cause, attempt, boot_id, parent, detection, ended, kind)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT DO NOTHING",
        rusqlite::params![
            incident.id.as_str(),
            incident.key,
            incident.detection.unit.as_str(),
            to_ms(incident.detection.at),
            incident.detection.cause.as_str(),
            incident.attempt,
            incident.boot_id,
            incident.parent.as_ref().map(IncidentId::as_str),
            detection,
            ended,
            incident.detection.kind().as_str()
        ],
    )?;
    if inserted > 0 {
        totals::opened(transaction, incident, ended)?;
    }
    Ok(inserted)
}

/// How many rows it changed: none when there is no such incident.
pub(crate) fn set_ending(
    transaction: &Transaction<'_>,
    id: &IncidentId,
    at: Timestamp,
    ending: &Ending,
    text: &str,
) -> rusqlite::Result<usize> {
    let (strategy, recovered_after, retry_at) = match ending {
        Ending::Healed {
            strategy,
            recovered_after,
            served_by: _,
        } => (Some(strategy.as_str()), *recovered_after, None),
        Ending::Escalated { retry_at, .. } => (None, None, *retry_at),
        _ => (None, None, None),
    };
    let left_alone = match ending {
        Ending::LeftAlone { why, .. } => Some(why.as_str()),
        _ => None,
    };
    let asked_before: Option<Option<String>> = transaction
        .query_row_cached(
            "SELECT people_asked FROM incidents WHERE id = ?1",
            [id.as_str()],
            |row| row.get(0),
        )
        .optional()?;
    let asked_before = asked_before.flatten();
    approvals::withdraw(transaction, id, ending)?;
    totals::ended(transaction, id, ending)?;
    transaction.execute_cached(
        "UPDATE incidents SET ended_at_ms = ?2, ended = ?3, ending = ?4, strategy = ?5,
           recovered_after = ?6, retry_at_ms = ?7, why = ?8, left_alone = ?9, people_asked = ?10
         WHERE id = ?1",
        rusqlite::params![
            id.as_str(),
            to_ms(at),
            ending.as_str(),
            text,
            strategy,
            recovered_after.map(to_us),
            retry_at.map(to_ms),
            // A list shows a line of it; the whole of it is in the ending.
            ending.why().map(|why| one_line(&why, WHY)),
            left_alone,
            ending
                .people_asked(asked_before.as_deref())
                .map(|why| one_line(why, WHY))
        ],
    )
}

pub(crate) fn insert_step(
    transaction: &Transaction<'_>,
    entry: &Entry,
    step: &str,
) -> rusqlite::Result<()> {
    transaction.execute_cached(
        "INSERT INTO steps (incident, number, at_ms, monotonic, attempt, step)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        rusqlite::params![
            entry.incident.as_str(),
            entry.number,
            to_ms(entry.at),
            to_integer(entry.monotonic.as_micros()),
            entry.attempt,
            step
        ],
    )?;
    totals::stepped(transaction, entry)?;
    // A list tells of the latest failure.
    if let Some(failure) = LatestFailure::told_by(&entry.step) {
        transaction.execute_cached(
            "UPDATE incidents SET cause = ?2 WHERE id = ?1",
            rusqlite::params![entry.incident.as_str(), failure.cause.as_str()],
        )?;
    }
    Ok(())
}

/// What a failed insertion of a step means.
pub(crate) fn step_error(error: rusqlite::Error, entry: &Entry) -> WriteError {
    use rusqlite::ffi::{SQLITE_CONSTRAINT_FOREIGNKEY, SQLITE_CONSTRAINT_PRIMARYKEY};
    match error.sqlite_error().map(|e| e.extended_code) {
        Some(SQLITE_CONSTRAINT_PRIMARYKEY) => WriteError::Store(StoreError::NumberTaken {
            incident: entry.incident.clone(),
            number: entry.number,
        }),
        Some(SQLITE_CONSTRAINT_FOREIGNKEY) => {
            WriteError::Store(StoreError::NoSuchIncident(entry.incident.clone()))
        }
        _ => WriteError::Sqlite(error),
    }
}

impl Store {
    /// Opens an incident, unless one is open for its unit, or one with its key
    /// exists. Among all processes that try at once, exactly one gets
    /// [`Opened::New`].
    ///
    /// [`StoreError::IdTaken`] when another failure's incident drew the same id
    /// in the same second: draw again.
    pub fn open_incident(&self, incident: &Incident) -> Result<Opened, StoreError> {
        self.open_incident_with(incident, &[])
    }

    /// Like [`open_incident`](Self::open_incident), with its first steps in the
    /// same write. They are written only when the incident is new.
    pub fn open_incident_with(
        &self,
        incident: &Incident,
        first: &[Entry],
    ) -> Result<Opened, StoreError> {
        let doing = "opening an incident";
        let detection = self.to_json(doing, &incident.detection)?;
        let steps = self.steps_to_json(doing, first)?;
        self.write_ahead(doing, |transaction| {
            let known = transaction
                .query_row_cached(
                    "SELECT id, ending FROM incidents WHERE key = ?1",
                    [&incident.key],
                    known,
                )
                .optional()?;
            // One at a time for each unit, whoever opens it and whichever run it
            // was that failed.
            let open = open_for(transaction, incident.detection.unit.as_str())?;
            if let Some(known) = open.or(known) {
                return Ok(known);
            }
            let inserted = insert_incident(transaction, incident, &detection, None)?;
            if inserted == 0 {
                return Err(StoreError::IdTaken(incident.id.clone()).into());
            }
            for (entry, step) in first.iter().zip(&steps) {
                insert_step(transaction, entry, step).map_err(|e| step_error(e, entry))?;
            }
            Ok(Opened::New)
        })
    }

    pub(crate) fn steps_to_json(
        &self,
        doing: &'static str,
        entries: &[Entry],
    ) -> Result<Vec<String>, StoreError> {
        entries
            .iter()
            .map(|entry| self.to_json(doing, &entry.step))
            .collect()
    }

    /// Writes one step.
    pub fn append(&self, entry: &Entry) -> Result<(), StoreError> {
        self.append_all(std::slice::from_ref(entry))
    }

    /// Writes several steps at the price of one: all or none.
    pub fn append_all(&self, entries: &[Entry]) -> Result<(), StoreError> {
        self.append_until(Durable::Now, entries)
    }

    /// Writes steps that need not be on the disk before the next
    /// [`append_all`](Self::append_all): every process sees them at once.
    pub fn append_ahead(&self, entries: &[Entry]) -> Result<(), StoreError> {
        self.append_until(Durable::WithTheNext, entries)
    }

    fn append_until(&self, durable: Durable, entries: &[Entry]) -> Result<(), StoreError> {
        let doing = "writing a step";
        let steps = self.steps_to_json(doing, entries)?;
        self.write_until(durable, doing, |transaction| {
            for (entry, step) in entries.iter().zip(&steps) {
                insert_step(transaction, entry, step).map_err(|e| step_error(e, entry))?;
            }
            Ok(())
        })
    }

    /// Writes one step under the next free number, whatever `entry` says, and
    /// answers with that number: for a process that is not the one at work on
    /// the incident.
    pub fn append_next(&self, entry: &Entry) -> Result<u32, StoreError> {
        let doing = "writing a step";
        let step = self.to_json(doing, &entry.step)?;
        self.write(doing, |transaction| {
            let number = next_number(transaction, &entry.incident)?;
            let entry = Entry {
                number,
                ..entry.clone()
            };
            insert_step(transaction, &entry, &step).map_err(|e| step_error(e, &entry))?;
            Ok(number)
        })
    }

    /// The number that an incident's next step should have.
    pub fn next_number(&self, id: &IncidentId) -> Result<u32, StoreError> {
        self.read("reading an incident", |connection| {
            next_number(connection, id)
        })
    }

    /// Notes down how an incident, or the latest attempt at it, ended; takes
    /// the place of an earlier ending.
    pub fn end(&self, id: &IncidentId, at: Timestamp, ending: &Ending) -> Result<(), StoreError> {
        let doing = "writing an ending";
        let text = self.to_json(doing, ending)?;
        self.write(doing, |transaction| {
            one_row(set_ending(transaction, id, at, ending, &text)?, id)
        })
    }

    /// Takes an ending back: the incident goes on with this attempt.
    ///
    /// # Errors
    /// [`StoreError::AnotherIsOpen`] for the same unit.
    pub fn reopen(&self, id: &IncidentId, attempt: u32) -> Result<(), StoreError> {
        self.write("reopening an incident", |transaction| {
            let other: Option<String> = transaction
                .query_row_cached(
                    "SELECT other.id FROM incidents AS this
                       JOIN incidents AS other ON other.unit = this.unit AND other.id != this.id
                     WHERE this.id = ?1 AND (other.ended IS NULL OR other.ended = 'blocked')",
                    [id.as_str()],
                    |row| row.get(0),
                )
                .optional()?;
            if let Some(other) = other {
                return Err(StoreError::AnotherIsOpen(IncidentId::from_text(other)).into());
            }
            one_row(
                transaction.execute(
                    "UPDATE incidents SET attempt = ?2, ended_at_ms = NULL, ended = NULL,
                       ending = NULL, strategy = NULL, recovered_after = NULL,
                       retry_at_ms = NULL, why = NULL, left_alone = NULL,
                       traced_ms = NULL
                     WHERE id = ?1",
                    rusqlite::params![id.as_str(), attempt],
                )?,
                id,
            )
        })
    }
}

pub(crate) fn next_number(connection: &Connection, id: &IncidentId) -> rusqlite::Result<u32> {
    connection.query_row(
        "SELECT coalesce(max(number) + 1, 0) FROM steps WHERE incident = ?1",
        [id.as_str()],
        |row| row.get(0),
    )
}

pub(crate) fn one_row(changed: usize, id: &IncidentId) -> Result<(), WriteError> {
    if changed == 0 {
        return Err(StoreError::NoSuchIncident(id.clone()).into());
    }
    Ok(())
}
