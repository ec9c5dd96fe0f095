//! What has happened, in its order, for whoever follows it live and comes back.
//!
//! Triggers write the order down (`schema.rs`), so that it has what other processes did
//! too, and is one with what it tells of. A row names what happened; what is told is read
//! when it is asked for.

use prunella_core::{
    UnitName,
    alert::Alert,
    event::{AlertEvent, Event, EventKind, Events, PauseEvent, StepEvent},
    incident::IncidentId,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    Store, StoreError,
    approvals::approval_by_id,
    cached::Cached as _,
    columns::{from_integer, json, to_integer, unit_name},
    health::transition_at,
    incidents::{entry, summary_of},
};

/// A row of the order.
struct Place {
    seq: i64,
    kind: String,
    subject: String,
    number: Option<i64>,
}

fn place(row: &Row<'_>) -> rusqlite::Result<Place> {
    Ok(Place {
        seq: row.get(0)?,
        kind: row.get(1)?,
        subject: row.get(2)?,
        number: row.get(3)?,
    })
}

impl Store {
    /// The place of what happened last.
    pub fn latest_event(&self) -> Result<u64, StoreError> {
        self.read("reading what happened last", |connection| {
            let latest: Option<i64> =
                connection.query_row_cached("SELECT max(seq) FROM events", [], |row| row.get(0))?;
            Ok(from_integer(latest.unwrap_or_default()))
        })
    }

    /// What happened after the place `after`, oldest first; `limit` of it at most are looked
    /// at. The latest 10,000 are known. What is told of that is gone since is left out.
    pub fn events(&self, after: u64, limit: u32) -> Result<Events, StoreError> {
        self.read("reading what happened", |connection| {
            // One snapshot for all queries.
            let snapshot = connection.unchecked_transaction()?;
            let (oldest, latest): (Option<i64>, Option<i64>) = snapshot.query_row_cached(
                "SELECT (SELECT min(seq) FROM events), (SELECT max(seq) FROM events)",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            let (oldest, latest) = (oldest.unwrap_or_default(), latest.unwrap_or_default());
            let from = to_integer(after);
            // A place that was never given is of a store that is gone.
            if from > latest || from.saturating_add(1) < oldest {
                return Ok(Events {
                    events: Vec::new(),
                    upto: from_integer(latest),
                    more: false,
                    missed: true,
                });
            }
            let places: Vec<Place> = snapshot
                .prepare_cached(
                    "SELECT seq, kind, subject, number FROM events
                     WHERE seq > ?1 ORDER BY seq LIMIT ?2",
                )?
                .query_map(params![from, limit], place)?
                .collect::<rusqlite::Result<_>>()?;
            let upto = places.last().map_or(from, |place| place.seq);
            let mut events = Vec::with_capacity(places.len());
            for place in &places {
                if let Some(what) = told(&snapshot, place)? {
                    events.push(Event {
                        id: from_integer(place.seq),
                        what,
                    });
                }
            }
            Ok(Events {
                events,
                upto: from_integer(upto),
                more: upto < latest,
                missed: false,
            })
        })
    }
}

/// What a row of the order is about; none where that is gone, or of a newer version.
fn told(connection: &Connection, place: &Place) -> rusqlite::Result<Option<EventKind>> {
    let subject = place.subject.as_str();
    let number = place.number.unwrap_or_default();
    Ok(match place.kind.as_str() {
        "incident" => summary_of(connection, subject)?.map(|one| EventKind::Incident(one.into())),
        "step" => step(connection, subject, number)?.map(|one| EventKind::Step(one.into())),
        "health" => transition_at(connection, number)?.map(|one| EventKind::Health(one.into())),
        "alert" => alert(connection, number)?.map(EventKind::Alert),
        "approval" => {
            approval_by_id(connection, subject)?.map(|one| EventKind::Approval(one.into()))
        }
        "pause" => Some(EventKind::Pause(PauseEvent {
            unit: if subject.is_empty() {
                None
            } else {
                Some(unit_name(2, subject.to_owned())?)
            },
            paused: number != 0,
        })),
        _ => None,
    })
}

fn step(connection: &Connection, id: &str, number: i64) -> rusqlite::Result<Option<StepEvent>> {
    let unit: Option<String> = connection
        .query_row_cached("SELECT unit FROM incidents WHERE id = ?1", [id], |row| {
            row.get(0)
        })
        .optional()?;
    let id = IncidentId::from_text(id);
    let entry = entry(connection, &id, number)?;
    Ok(match (unit, entry) {
        (Some(unit), Some(entry)) => Some(StepEvent {
            incident: id,
            unit: unit_name(0, unit)?,
            entry,
        }),
        _ => None,
    })
}

fn alert(connection: &Connection, seq: i64) -> rusqlite::Result<Option<AlertEvent>> {
    connection
        .query_row_cached("SELECT alert FROM alerts WHERE seq = ?1", [seq], |row| {
            let alert: Alert = json(0, &row.get::<_, String>(0)?)?;
            let unit: UnitName = alert.unit;
            Ok(AlertEvent {
                seq: from_integer(seq),
                incident: alert.incident,
                unit,
                at: alert.at,
                kind: alert.kind,
                headline: alert.headline,
            })
        })
        .optional()
}
