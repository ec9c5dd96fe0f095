//! Alerts, and messages on their way: the outbox.
//!
//! ```text
//! attempt ends ─► alert ──decided──► dispatches, one for each channel
//!  (one write with                   waiting ─► sending ─► delivered
//!   the last step)                      ▲          │     ─► refused
//!                                       └──────────┴─────► failed
//! ```
//!
//! Every arrow is one write that is on the disk before anything follows from
//! it, so a process can be killed between any two. A dispatch that is found
//! `sending` by whoever holds the sender's lock was cut off there: it may have
//! arrived or not, and is sent again under the same id.

pub(crate) mod dispatches;

use std::collections::BTreeMap;

use prunella_core::{
    ChannelName, Timestamp, UnitName,
    alert::{Alert, AlertGroup, AlertKind, Message},
    incident::{Ending, IncidentId, IncidentKind},
};
use rusqlite::{Transaction, params};

use self::dispatches::insert_dispatch;
pub use self::dispatches::{FoundDispatch, Tried};
use crate::{
    Store, StoreError,
    columns::{from_ms, json, to_ms, unit_name},
    incidents::kind,
};

/// An alert of which nobody has decided yet who hears of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAlert {
    /// Its place in the order in which they were written.
    pub seq: i64,
    /// What it says.
    pub alert: Alert,
}

/// What was decided about an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertDecision {
    /// It is part of a message.
    Notified,
    /// It belongs to an alert group, and is told with the end of that.
    Grouped,
    /// The same was told before.
    Repeated,
    /// It goes nowhere, by the configuration.
    Unrouted,
}

impl AlertDecision {
    fn as_str(self) -> &'static str {
        match self {
            Self::Notified => "notified",
            Self::Grouped => "grouped",
            Self::Repeated => "repeated",
            Self::Unrouted => "unrouted",
        }
    }
}

/// An incident that has not come to an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    pub incident: IncidentId,
    pub unit: UnitName,
    /// When it was detected.
    pub detected: Timestamp,
    /// What it is about.
    pub kind: IncidentKind,
    /// The unit it waits for, and why.
    pub waits_for: Option<(UnitName, String)>,
}

/// What is written down together when it has been decided who hears of what.
#[derive(Debug, Clone, Default)]
pub struct Decided {
    /// The alerts that were decided about.
    pub decisions: Vec<(i64, AlertDecision)>,
    /// Alert groups as they are now.
    pub alert_groups: Vec<AlertGroup>,
    /// Digests that were sent: of a unit, or of the host, and when.
    pub digests: Vec<(Option<UnitName>, Timestamp)>,
    /// Messages and the channels they go to.
    pub dispatches: Vec<(ChannelName, Message)>,
    /// When that was.
    pub at: Timestamp,
}

pub(crate) fn insert_alert(
    transaction: &Transaction<'_>,
    alert: &Alert,
    text: &str,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO alerts (incident, unit, at_ms, kind, alert) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            alert.incident.as_str(),
            alert.unit.as_str(),
            to_ms(alert.at),
            alert.kind.as_str(),
            text
        ],
    )?;
    Ok(())
}

impl Store {
    /// The alerts that nobody has decided about yet, in their order.
    pub fn new_alerts(&self) -> Result<Vec<NewAlert>, StoreError> {
        self.read("reading the alerts", |connection| {
            connection
                .prepare("SELECT seq, alert FROM alerts WHERE decision IS NULL ORDER BY seq")?
                .query_map([], |row| {
                    let alert: String = row.get(1)?;
                    Ok(NewAlert {
                        seq: row.get(0)?,
                        alert: json(1, &alert)?,
                    })
                })?
                .collect()
        })
    }

    /// How often each unit's recovery was worth an alert since `since`.
    pub fn recoveries_since(
        &self,
        since: Timestamp,
    ) -> Result<BTreeMap<UnitName, u32>, StoreError> {
        self.read("counting the recoveries", |connection| {
            connection
                .prepare(
                    "SELECT DISTINCT unit, (SELECT count(*) FROM alerts AS past
                         WHERE past.unit = alerts.unit AND past.kind = ?2 AND past.at_ms >= ?1)
                     FROM alerts WHERE decision IS NULL",
                )?
                .query_map(params![to_ms(since), AlertKind::Recovery.as_str()], |row| {
                    Ok((unit_name(0, row.get(0)?)?, row.get(1)?))
                })?
                .collect()
        })
    }

    /// The alert groups that go on, the oldest first.
    pub fn open_alert_groups(&self) -> Result<Vec<AlertGroup>, StoreError> {
        self.read("reading the alert groups", |connection| {
            connection
                .prepare(
                    "SELECT alert_group FROM alert_groups WHERE closed_at_ms IS NULL
                     ORDER BY opened_at_ms, key",
                )?
                .query_map([], |row| {
                    let alert_group: String = row.get(0)?;
                    json(0, &alert_group)
                })?
                .collect()
        })
    }

    /// When a digest was sent last, of each unit; of the host under `None`.
    pub fn digests(&self) -> Result<BTreeMap<Option<UnitName>, Timestamp>, StoreError> {
        self.read("reading the digests", |connection| {
            connection
                .prepare("SELECT unit, at_ms FROM digests")?
                .query_map([], |row| {
                    let unit: String = row.get(0)?;
                    let unit = if unit.is_empty() {
                        None
                    } else {
                        Some(unit_name(0, unit)?)
                    };
                    Ok((unit, from_ms(row.get(1)?)))
                })?
                .collect()
        })
    }

    /// The incidents that have not come to an end, the oldest first.
    pub fn unfinished_units(&self) -> Result<Vec<Unfinished>, StoreError> {
        self.read("reading the open incidents", |connection| {
            connection
                .prepare(
                    "SELECT id, unit, ending, at_ms, kind FROM incidents
                     WHERE ended IS NULL OR ended = 'blocked' ORDER BY seq",
                )?
                .query_map([], |row| {
                    let ending: Option<String> = row.get(2)?;
                    let ending = ending
                        .map(|ending| json::<Ending>(2, &ending))
                        .transpose()?;
                    Ok(Unfinished {
                        incident: IncidentId::from_text(row.get::<_, String>(0)?),
                        unit: unit_name(1, row.get(1)?)?,
                        detected: from_ms(row.get(3)?),
                        kind: kind(row, 4)?,
                        waits_for: match ending {
                            Some(Ending::Blocked { on, reason }) => Some((on, reason)),
                            _ => None,
                        },
                    })
                })?
                .collect()
        })
    }

    /// A name for a message or an alert group that no other has: the second `at`
    /// and eight random digits.
    pub fn new_name(&self, at: Timestamp) -> Result<String, StoreError> {
        let random: String = self.read("drawing a number", |connection| {
            connection.query_row("SELECT lower(hex(randomblob(4)))", [], |row| row.get(0))
        })?;
        // The same first part as an incident's, which sorts by time.
        let stamp = IncidentId::new(at, 0);
        let stamp = stamp
            .as_str()
            .rsplit_once('-')
            .map_or("", |(stamp, _)| stamp);
        Ok(format!("{stamp}-{random}"))
    }

    /// Writes down what was decided, all or nothing: the messages are in the
    /// outbox and the alerts are done with at the same moment. False, and
    /// nothing is written, when another process has decided about one of the
    /// alerts meanwhile.
    pub fn decide(&self, decided: &Decided) -> Result<bool, StoreError> {
        let doing = "writing messages";
        let alert_groups = decided
            .alert_groups
            .iter()
            .map(|alert_group| Ok((alert_group, self.to_json(doing, alert_group)?)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        let dispatches = decided
            .dispatches
            .iter()
            .map(|(channel, message)| Ok((channel, message, self.to_json(doing, message)?)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        self.write(doing, |transaction| {
            for (seq, _) in &decided.decisions {
                let new: bool = transaction.query_row(
                    "SELECT EXISTS (SELECT 1 FROM alerts WHERE seq = ?1 AND decision IS NULL)",
                    [seq],
                    |row| row.get(0),
                )?;
                if !new {
                    return Ok(false);
                }
            }
            for (seq, decision) in &decided.decisions {
                transaction.execute(
                    "UPDATE alerts SET decision = ?2 WHERE seq = ?1",
                    params![seq, decision.as_str()],
                )?;
            }
            for (alert_group, text) in &alert_groups {
                transaction.execute(
                    "INSERT OR REPLACE INTO alert_groups (key, opened_at_ms, closed_at_ms, alert_group)
                     VALUES (?1, ?2, ?3, ?4)",
                    params![
                        alert_group.key,
                        to_ms(alert_group.opened),
                        alert_group.closed.map(to_ms),
                        text
                    ],
                )?;
            }
            for (unit, at) in &decided.digests {
                transaction.execute(
                    "INSERT OR REPLACE INTO digests (unit, at_ms) VALUES (?1, ?2)",
                    params![unit.as_ref().map_or("", UnitName::as_str), to_ms(*at)],
                )?;
            }
            for (channel, message, text) in &dispatches {
                insert_dispatch(transaction, channel, message, text, decided.at)?;
            }
            Ok(true)
        })
    }

    /// Forgets what was over before then: messages that are not tried any more,
    /// alerts and alert groups. Answers with how many messages that were.
    pub fn forget_dispatches(&self, before: Timestamp) -> Result<usize, StoreError> {
        self.write("forgetting old messages", |transaction| {
            transaction.execute(
                "DELETE FROM alerts WHERE decision IS NOT NULL AND at_ms < ?1",
                [to_ms(before)],
            )?;
            transaction.execute(
                "DELETE FROM alert_groups WHERE closed_at_ms < ?1",
                [to_ms(before)],
            )?;
            transaction.execute("DELETE FROM digests WHERE at_ms < ?1", [to_ms(before)])?;
            Ok(transaction.execute(
                "DELETE FROM dispatches WHERE next_at_ms IS NULL AND created_at_ms < ?1",
                [to_ms(before)],
            )?)
        })
    }
}
