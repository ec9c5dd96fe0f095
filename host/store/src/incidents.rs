//! Incidents and their steps.

use std::collections::BTreeMap;

use prunella_core::{
    UnitName,
    capability::PastIncident,
    incident::{Detection, Ending, EndingKind, Incident, IncidentId, LeftAlone},
    summary::{Filter, OutcomeFilter, Summary},
    text::one_line,
    trail::{Entry, Record},
};
use rusqlite::{
    Connection, OptionalExtension, Row, Transaction,
    types::{Type, Value},
};
use serde::de::DeserializeOwned;

use crate::{Durable, Store, StoreError, WriteError, approvals, cached::Cached as _};

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

/// What [`Store::find`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    None,
    One(IncidentId),
    /// Several begin or end so; the newest ten.
    Many(Vec<IncidentId>),
}

/// Milliseconds as SQLite keeps them. The year 292278994 is the end.
pub(crate) fn to_ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

pub(crate) fn from_ms(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or_default()
}

pub(crate) fn unit_name(column: usize, name: String) -> rusqlite::Result<UnitName> {
    UnitName::new(name).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

pub(crate) fn json<T: DeserializeOwned>(column: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

/// So much of why an incident ended as it did stands in a list.
const WHY: usize = 300;

/// Records in one answer of [`Store::records`].
const PART: u32 = 200;

/// An answer of [`Store::records`] is full when its steps are so long, in
/// bytes.
const PART_BYTES: usize = 4 << 20;

/// The columns that [`incident`] reads.
const INCIDENT: &str = "id, key, detection, attempt, boot_id, parent";

fn incident(row: &Row<'_>) -> rusqlite::Result<Incident> {
    let detection: String = row.get(2)?;
    Ok(Incident {
        id: IncidentId::from_text(row.get::<_, String>(0)?),
        key: row.get(1)?,
        detection: json::<Detection>(2, &detection)?,
        attempt: row.get(3)?,
        boot_id: row.get(4)?,
        parent: row.get::<_, Option<String>>(5)?.map(IncidentId::from_text),
    })
}

/// The columns that [`summary`] reads.
const SUMMARY: &str = "id, unit, at_ms, cause, ended, ended_at_ms, strategy, recovered_after, \
                       attempt, why, left_alone";

fn summary(row: &Row<'_>) -> rusqlite::Result<Summary> {
    Ok(Summary {
        id: IncidentId::from_text(row.get::<_, String>(0)?),
        unit: unit_name(1, row.get(1)?)?,
        at: from_ms(row.get(2)?),
        cause: row.get(3)?,
        ended: ended(row, 4)?,
        ended_at: row.get::<_, Option<i64>>(5)?.map(from_ms),
        strategy: row.get(6)?,
        recovered_after_us: row.get::<_, Option<i64>>(7)?.map(from_ms),
        attempt: row.get(8)?,
        why: row.get(9)?,
        left_alone: row
            .get::<_, Option<String>>(10)?
            .and_then(|word| LeftAlone::from_word(&word)),
    })
}

/// A word that this version does not know counts as trouble with the row.
fn ended(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<EndingKind>> {
    let Some(word) = row.get::<_, Option<String>>(column)? else {
        return Ok(None);
    };
    EndingKind::from_word(&word).map(Some).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            format!("no incident ends as `{word}`").into(),
        )
    })
}

fn with_ending(row: &Row<'_>) -> rusqlite::Result<(Incident, Option<Ending>)> {
    let ending: Option<String> = row.get(6)?;
    let ending = ending
        .map(|ending| json::<Ending>(6, &ending))
        .transpose()?;
    Ok((incident(row)?, ending))
}

/// The steps of an incident, and how many bytes they are.
fn steps(connection: &Connection, id: &IncidentId) -> rusqlite::Result<(Vec<Entry>, usize)> {
    let mut bytes = 0;
    let steps = connection
        .prepare_cached(
            "SELECT number, at_ms, monotonic, attempt, step FROM steps
             WHERE incident = ?1 ORDER BY number",
        )?
        .query_map([id.as_str()], |row| {
            let step: String = row.get(4)?;
            bytes += step.len();
            Ok(Entry {
                incident: id.clone(),
                number: row.get(0)?,
                at: from_ms(row.get(1)?),
                monotonic: from_ms(row.get(2)?),
                attempt: row.get(3)?,
                step: json(4, &step)?,
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok((steps, bytes))
}

/// A filter as SQL, without its limit.
fn conditions(filter: &Filter) -> (String, Vec<Value>) {
    let mut conditions: Vec<&str> = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    if let Some(unit) = &filter.unit {
        conditions.push("unit = ?");
        values.push(unit.as_str().to_owned().into());
    }
    if let Some(since) = filter.since {
        conditions.push("at_ms >= ?");
        values.push(to_ms(since).into());
    }
    if let Some(until) = filter.until {
        conditions.push("at_ms < ?");
        values.push(to_ms(until).into());
    }
    match filter.outcome {
        None => {}
        Some(OutcomeFilter::Open) => conditions.push("ended IS NULL"),
        Some(OutcomeFilter::Ended(kind)) => {
            conditions.push("ended = ?");
            values.push(kind.as_str().to_owned().into());
        }
    }
    let condition = if conditions.is_empty() {
        "TRUE".to_owned()
    } else {
        conditions.join(" AND ")
    };
    (condition, values)
}

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
    transaction.execute_cached(
        "INSERT INTO incidents
           (id, key, unit, at_ms, cause, attempt, boot_id, parent, detection, ended)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
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
            ended
        ],
    )
}

/// How many rows it changed: none when there is no such incident.
pub(crate) fn set_ending(
    transaction: &Transaction<'_>,
    id: &IncidentId,
    at_ms: u64,
    ending: &Ending,
    text: &str,
) -> rusqlite::Result<usize> {
    let (strategy, recovered_after, retry_at) = match ending {
        Ending::Healed {
            strategy,
            recovered_after,
        } => (Some(strategy.as_str()), *recovered_after, None),
        Ending::Escalated { retry_at, .. } => (None, None, *retry_at),
        _ => (None, None, None),
    };
    let left_alone = match ending {
        Ending::LeftAlone { why, .. } => Some(why.as_str()),
        _ => None,
    };
    approvals::withdraw(transaction, id, ending)?;
    transaction.execute_cached(
        "UPDATE incidents SET ended_at_ms = ?2, ended = ?3, ending = ?4, strategy = ?5,
           recovered_after = ?6, retry_at_ms = ?7, why = ?8, left_alone = ?9
         WHERE id = ?1",
        rusqlite::params![
            id.as_str(),
            to_ms(at_ms),
            ending.as_str(),
            text,
            strategy,
            recovered_after.map(to_ms),
            retry_at.map(to_ms),
            // A list shows a line of it; the whole of it is in the ending.
            ending.why().map(|why| one_line(&why, WHY)),
            left_alone
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
            to_ms(entry.monotonic),
            entry.attempt,
            step
        ],
    )?;
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
    pub fn end(&self, id: &IncidentId, at_ms: u64, ending: &Ending) -> Result<(), StoreError> {
        let doing = "writing an ending";
        let text = self.to_json(doing, ending)?;
        self.write(doing, |transaction| {
            one_row(set_ending(transaction, id, at_ms, ending, &text)?, id)
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
                       retry_at_ms = NULL, why = NULL, left_alone = NULL
                     WHERE id = ?1",
                    rusqlite::params![id.as_str(), attempt],
                )?,
                id,
            )
        })
    }

    /// An incident with all its steps.
    pub fn record(&self, id: &IncidentId) -> Result<Option<Record>, StoreError> {
        self.read("reading an incident", |connection| {
            // One snapshot for both queries.
            let snapshot = connection.unchecked_transaction()?;
            let found = snapshot
                .query_row_cached(
                    &format!("SELECT {INCIDENT}, ending FROM incidents WHERE id = ?1"),
                    [id.as_str()],
                    with_ending,
                )
                .optional()?;
            let Some((incident, ending)) = found else {
                return Ok(None);
            };
            let (steps, _) = steps(&snapshot, id)?;
            Ok(Some(Record {
                incident,
                steps,
                ending,
            }))
        })
    }

    /// Whole records, oldest first, after the place `after`: as many as are
    /// handed over well at once, and the place where the next part begins, if
    /// there is one. What is opened meanwhile comes at the end.
    pub fn records(
        &self,
        filter: &Filter,
        after: Option<u64>,
    ) -> Result<(Vec<Record>, Option<u64>), StoreError> {
        let (condition, mut values) = conditions(filter);
        let limit = filter.limit.map_or(PART, |limit| limit.min(PART));
        values.push(after.map_or(-1, to_ms).into());
        // One more than is given tells whether there is more.
        values.push((i64::from(limit) + 1).into());
        let query = format!(
            "SELECT {INCIDENT}, ending, seq FROM incidents
             WHERE {condition} AND seq > ? ORDER BY seq LIMIT ?"
        );
        self.read("reading the records", |connection| {
            let snapshot = connection.unchecked_transaction()?;
            let mut statement = snapshot.prepare(&query)?;
            let mut rows = statement.query(rusqlite::params_from_iter(&values))?;
            let mut records: Vec<Record> = Vec::new();
            let (mut bytes, mut last) = (0, None);
            while let Some(row) = rows.next()? {
                if bytes >= PART_BYTES || records.len() >= limit as usize {
                    return Ok((records, last));
                }
                let (incident, ending) = with_ending(row)?;
                let (steps, length) = steps(&snapshot, &incident.id)?;
                bytes += length;
                last = Some(from_ms(row.get(7)?));
                records.push(Record {
                    incident,
                    steps,
                    ending,
                });
            }
            Ok((records, None))
        })
    }

    /// The incident that `text` is the id of, or the beginning or end of the id
    /// of, such as `7f3a`.
    pub fn find(&self, text: &str) -> Result<Found, StoreError> {
        // Ids are digits, letters and `-`; anything else would be a pattern.
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Ok(Found::None);
        }
        let found: Vec<IncidentId> = self.read("looking for an incident", |connection| {
            let exact: Option<String> = connection
                .query_row("SELECT id FROM incidents WHERE id = ?1", [text], |row| {
                    row.get(0)
                })
                .optional()?;
            if let Some(id) = exact {
                return Ok(vec![IncidentId::from_text(id)]);
            }
            connection
                .prepare(
                    // Ids sort by time, and their index alone answers this.
                    "SELECT id FROM incidents WHERE id GLOB ?1 || '*' OR id GLOB '*' || ?1
                     ORDER BY id DESC LIMIT 10",
                )?
                .query_map([text], |row| {
                    row.get::<_, String>(0).map(IncidentId::from_text)
                })?
                .collect()
        })?;
        Ok(match found.as_slice() {
            [] => Found::None,
            [one] => Found::One(one.clone()),
            _ => Found::Many(found),
        })
    }

    /// A list of incidents, newest first. Uses an index for every filter: the
    /// last 50 of a million take well under 10 ms.
    pub fn incidents(&self, filter: &Filter) -> Result<Vec<Summary>, StoreError> {
        let (condition, mut values) = conditions(filter);
        values.push(filter.limit.map_or(-1, i64::from).into());
        let query = format!(
            "SELECT {SUMMARY} FROM incidents WHERE {condition}
             ORDER BY at_ms DESC, seq DESC LIMIT ?"
        );
        self.read("reading the incidents", |connection| {
            connection
                .prepare(&query)?
                .query_map(rusqlite::params_from_iter(&values), summary)?
                .collect()
        })
    }

    /// The incidents with no final ending (open, or blocked), oldest first.
    pub fn unfinished(&self) -> Result<Vec<Incident>, StoreError> {
        self.read("reading the open incidents", |connection| {
            connection
                .prepare(&format!(
                    "SELECT {INCIDENT} FROM incidents
                     WHERE ended IS NULL OR ended = 'blocked' ORDER BY seq"
                ))?
                .query_map([], incident)?
                .collect()
        })
    }

    /// The escalated incidents whose time for another try has come, oldest
    /// first, without those that a newer incident of the same unit has
    /// superseded. A dry run supersedes nothing.
    pub fn due(&self, now_ms: u64) -> Result<Vec<Incident>, StoreError> {
        self.read("reading the incidents due", |connection| {
            connection
                .prepare(&format!(
                    "SELECT {INCIDENT} FROM incidents AS this
                     WHERE retry_at_ms IS NOT NULL AND retry_at_ms <= ?1 AND ended = 'escalated'
                       AND NOT EXISTS (
                         SELECT 1 FROM incidents AS newer
                         WHERE newer.unit = this.unit AND newer.seq > this.seq
                           AND newer.ended IS NOT 'dry-run')
                     ORDER BY retry_at_ms, seq"
                ))?
                .query_map([to_ms(now_ms)], incident)?
                .collect()
        })
    }

    /// The finished incidents of a unit, newest first, without dry runs: what
    /// a strategy may know of the past.
    pub fn recent(&self, unit: &UnitName, limit: u32) -> Result<Vec<PastIncident>, StoreError> {
        self.read("reading a unit's past", |connection| {
            connection
                .prepare_cached(
                    "SELECT id, at_ms, cause, ended, strategy FROM incidents
                     WHERE unit = ?1 AND ended IS NOT NULL
                       AND ended NOT IN ('blocked', 'dry-run')
                     ORDER BY at_ms DESC, seq DESC LIMIT ?2",
                )?
                .query_map(rusqlite::params![unit.as_str(), limit], |row| {
                    Ok(PastIncident {
                        id: row.get(0)?,
                        at: from_ms(row.get(1)?),
                        cause: row.get(2)?,
                        ended: row.get(3)?,
                        strategy: row.get(4)?,
                    })
                })?
                .collect()
        })
    }

    /// How many incidents were detected since `ms`, by how they ended, and under
    /// `None` those that have not.
    pub fn counts_since(&self, ms: u64) -> Result<BTreeMap<Option<EndingKind>, u64>, StoreError> {
        self.read("counting the incidents", |connection| {
            connection
                .prepare_cached(
                    "SELECT ended, count(*) FROM incidents
                     WHERE at_ms >= ?1 GROUP BY 1",
                )?
                .query_map([to_ms(ms)], |row| {
                    Ok((ended(row, 0)?, from_ms(row.get::<_, i64>(1)?)))
                })?
                .collect()
        })
    }

    /// The last incident of a unit that was healed.
    pub fn last_healed(&self, unit: &UnitName) -> Result<Option<Summary>, StoreError> {
        self.read("reading a unit's past", |connection| {
            connection
                .query_row_cached(
                    &format!(
                        "SELECT {SUMMARY} FROM incidents WHERE unit = ?1 AND ended = 'healed'
                         ORDER BY ended_at_ms DESC LIMIT 1"
                    ),
                    [unit.as_str()],
                    summary,
                )
                .optional()
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
