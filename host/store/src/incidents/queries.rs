//! What is asked about incidents: one, lists of them, and what is due.

use std::{collections::BTreeMap, time::Duration};

use prunella_core::{
    Monotonic, Timestamp, UnitName,
    capability::PastIncident,
    cause::Cause,
    incident::{
        DetectedBy, Detection, Ending, EndingKind, Incident, IncidentId, IncidentKind, LeftAlone,
    },
    summary::{Filter, Summary},
    trail::{Entry, Record},
};
use rusqlite::{Connection, OptionalExtension, Row, types::Value};

use crate::{
    Store, StoreError,
    cached::Cached as _,
    columns::{from_integer, from_ms, json, to_integer, to_ms, unit_name},
};

/// What [`Store::find`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    None,
    One(IncidentId),
    /// Several begin or end so; the newest ten.
    Many(Vec<IncidentId>),
}

/// An escalated incident that is to be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub incident: Incident,
    pub retry_at: Timestamp,
}

/// The end of the incident that a unit had last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatestEnd {
    pub id: IncidentId,
    pub ending: Ending,
    /// When it ended, by the wall clock.
    pub at: Timestamp,
    /// The boot in which the incident was opened.
    pub boot_id: String,
    /// The moment of its last step, in the boot in which it ended.
    pub monotonic: Option<Monotonic>,
}

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
                       attempt, why, left_alone, kind, people_asked";

fn summary(row: &Row<'_>) -> rusqlite::Result<Summary> {
    Ok(Summary {
        id: IncidentId::from_text(row.get::<_, String>(0)?),
        unit: unit_name(1, row.get(1)?)?,
        at: from_ms(row.get(2)?),
        cause: row.get(3)?,
        ended: ended(row, 4)?,
        ended_at: row.get::<_, Option<i64>>(5)?.map(from_ms),
        strategy: row.get(6)?,
        recovered_after: row
            .get::<_, Option<i64>>(7)?
            .map(|us| Duration::from_micros(from_integer(us))),
        attempt: row.get(8)?,
        why: row.get(9)?,
        left_alone: row
            .get::<_, Option<String>>(10)?
            .and_then(|word| LeftAlone::from_word(&word)),
        kind: kind(row, 11)?,
        people_asked: row.get(12)?,
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

/// What an incident is about.
pub(crate) fn kind(row: &Row<'_>, column: usize) -> rusqlite::Result<IncidentKind> {
    let word: String = row.get(column)?;
    IncidentKind::from_word(&word).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            format!("no incident is a `{word}`").into(),
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
            bytes += row.get_ref(4)?.as_str()?.len();
            step(row, id)
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok((steps, bytes))
}

fn step(row: &Row<'_>, id: &IncidentId) -> rusqlite::Result<Entry> {
    let step: String = row.get(4)?;
    Ok(Entry {
        incident: id.clone(),
        number: row.get(0)?,
        at: from_ms(row.get(1)?),
        monotonic: Monotonic::from_micros(from_integer(row.get(2)?)),
        attempt: row.get(3)?,
        step: json(4, &step)?,
    })
}

/// One step of an incident.
pub(crate) fn entry(
    connection: &Connection,
    id: &IncidentId,
    number: i64,
) -> rusqlite::Result<Option<Entry>> {
    connection
        .prepare_cached(
            "SELECT number, at_ms, monotonic, attempt, step FROM steps
             WHERE incident = ?1 AND number = ?2",
        )?
        .query_row(rusqlite::params![id.as_str(), number], |row| step(row, id))
        .optional()
}

/// One incident in a line.
pub(crate) fn summary_of(connection: &Connection, id: &str) -> rusqlite::Result<Option<Summary>> {
    connection
        .prepare_cached(&format!("SELECT {SUMMARY} FROM incidents WHERE id = ?1"))?
        .query_row([id], summary)
        .optional()
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
    if let Some(before) = &filter.before {
        conditions.push("(at_ms, seq) < (SELECT at_ms, seq FROM incidents WHERE id = ?)");
        values.push(before.as_str().to_owned().into());
    }
    if let Some(outcome) = filter.outcome {
        conditions.push("outcome = ?");
        values.push(String::from(outcome).into());
    }
    if let Some(kind) = filter.kind {
        conditions.push("kind = ?");
        values.push(kind.as_str().to_owned().into());
    }
    let condition = if conditions.is_empty() {
        "TRUE".to_owned()
    } else {
        conditions.join(" AND ")
    };
    (condition, values)
}

impl Store {
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
        values.push(after.map_or(-1, to_integer).into());
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
                last = Some(from_integer(row.get(7)?));
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

    /// The open incident of a unit: the first, where it has several.
    pub fn unfinished_of(&self, unit: &UnitName) -> Result<Option<Incident>, StoreError> {
        let open = self.unfinished()?;
        let mut of_it = open.into_iter().filter(|one| one.detection.unit == *unit);
        Ok(of_it.next())
    }

    /// The escalated incidents whose time for another try has come, oldest
    /// first, without those that a newer incident of the same unit has
    /// superseded. A dry run supersedes nothing.
    pub fn due(&self, now: Timestamp) -> Result<Vec<Due>, StoreError> {
        self.read("reading the incidents due", |connection| {
            connection
                .prepare(&format!(
                    "SELECT {INCIDENT}, retry_at_ms FROM incidents AS this
                     WHERE retry_at_ms IS NOT NULL AND retry_at_ms <= ?1 AND ended = 'escalated'
                       AND NOT EXISTS (
                         SELECT 1 FROM incidents AS newer
                         WHERE newer.unit = this.unit AND newer.seq > this.seq
                           AND newer.ended IS NOT 'dry-run')
                     ORDER BY retry_at_ms, seq"
                ))?
                .query_map([to_ms(now)], |row| {
                    Ok(Due {
                        incident: incident(row)?,
                        retry_at: from_ms(row.get(6)?),
                    })
                })?
                .collect()
        })
    }

    /// How the incident that a unit had last came to its end; none while it is open, or when
    /// there was none. A dry run is no incident.
    pub fn latest_end(&self, unit: &UnitName) -> Result<Option<LatestEnd>, StoreError> {
        self.read("reading a unit's past", |connection| {
            let latest: Option<Option<LatestEnd>> = connection
                .query_row_cached(
                    "SELECT id, ending, ended_at_ms, boot_id,
                       (SELECT monotonic FROM steps WHERE incident = this.id
                        ORDER BY number DESC LIMIT 1)
                     FROM incidents AS this
                     WHERE unit = ?1 AND ended IS NOT 'dry-run'
                     ORDER BY seq DESC LIMIT 1",
                    [unit.as_str()],
                    |row| {
                        let ending: Option<String> = row.get(1)?;
                        let at: Option<i64> = row.get(2)?;
                        let Some((ending, at)) = ending.zip(at) else {
                            return Ok(None);
                        };
                        let monotonic: Option<i64> = row.get(4)?;
                        Ok(Some(LatestEnd {
                            id: IncidentId::from_text(row.get::<_, String>(0)?),
                            ending: json(1, &ending)?,
                            at: from_ms(at),
                            boot_id: row.get(3)?,
                            monotonic: monotonic.map(|at| Monotonic::from_micros(from_integer(at))),
                        }))
                    },
                )
                .optional()?;
            Ok(latest.flatten())
        })
    }

    /// The record of the incident that a unit had last, whatever became of it.
    pub fn latest_record(&self, unit: &UnitName) -> Result<Option<Record>, StoreError> {
        let latest = self.incidents(&Filter {
            unit: Some(unit.clone()),
            limit: Some(1),
            ..Filter::default()
        })?;
        match latest.first() {
            Some(summary) => self.record(&summary.id),
            None => Ok(None),
        }
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

    /// How many incidents were detected at `since` or after it, by how they ended, and under
    /// `None` those that have not, and that people are not asked to see to. What a person
    /// ordered of a service of which nothing had failed is not among them, unless it went wrong.
    pub fn counts_since(
        &self,
        since: Timestamp,
    ) -> Result<BTreeMap<Option<EndingKind>, u64>, StoreError> {
        self.read("counting the incidents", |connection| {
            connection
                .prepare_cached(
                    "SELECT nullif(outcome, 'open'), count(*), cause, detection ->> 'by'
                     FROM incidents WHERE at_ms >= ?1 GROUP BY 1, 3, 4",
                )?
                .query_map([to_ms(since)], |row| {
                    let kind = ended(row, 0)?;
                    let cause = Cause::from(row.get::<_, String>(2)?);
                    let by: Option<String> = row.get(3)?;
                    let is_ordered = by.as_deref() == Some(DetectedBy::Operator.as_str())
                        && cause.is_no_failure();
                    let is_well = matches!(
                        kind,
                        Some(EndingKind::Healed | EndingKind::Recovered | EndingKind::LeftAlone)
                    );
                    let count = from_integer(row.get::<_, i64>(1)?);
                    Ok((!(is_ordered && is_well)).then_some((kind, count)))
                })?
                .try_fold(BTreeMap::new(), |mut counts, row| {
                    if let Some((kind, count)) = row? {
                        *counts.entry(kind).or_default() += count;
                    }
                    Ok(counts)
                })
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
