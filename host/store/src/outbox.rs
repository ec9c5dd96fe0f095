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

use std::collections::BTreeMap;

use prunella_core::{
    ChannelName, UnitName,
    alert::{Alert, AlertGroup, AlertKind, Dispatch, DispatchFilter, DispatchState, Message},
    incident::{Ending, IncidentId},
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, types::Value};

use crate::{
    Store, StoreError,
    incidents::{from_ms, json, to_ms, unit_name},
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
    /// When it was detected, in milliseconds since 1970.
    pub detected: u64,
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
    pub digests: Vec<(Option<UnitName>, u64)>,
    /// Messages and the channels they go to.
    pub dispatches: Vec<(ChannelName, Message)>,
    /// When that was, in milliseconds since 1970.
    pub at: u64,
}

/// What became of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// The far side has it.
    Delivered,
    /// It is tried again then (milliseconds since 1970).
    Again(u64),
    /// The far side does not take it.
    Refused,
    /// It is not tried any more.
    GivenUp,
}

/// What [`Store::find_dispatch`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundDispatch {
    None,
    One(Box<Dispatch>),
    /// Several begin or end so; the ids of the newest ten.
    Many(Vec<String>),
}

const DISPATCH: &str = "channel, state, created_at_ms, tries, tried_at_ms, next_at_ms, detail, \
                        message";

/// A dispatch that is not held up: what is told of one alert group by one channel
/// arrives in its order.
const FIRST: &str = "next_at_ms IS NOT NULL AND NOT EXISTS (
      SELECT 1 FROM dispatches AS earlier
      WHERE earlier.next_at_ms IS NOT NULL AND earlier.seq < this.seq
        AND earlier.channel = this.channel AND earlier.alert_group = this.alert_group)";

fn dispatch(row: &Row<'_>) -> rusqlite::Result<Dispatch> {
    let state: String = row.get(1)?;
    let message: String = row.get(7)?;
    Ok(Dispatch {
        channel: channel(row)?,
        state: DispatchState::from_word(&state).ok_or_else(|| {
            rusqlite::Error::FromSqlConversionFailure(
                1,
                rusqlite::types::Type::Text,
                format!("there is no state `{state}`").into(),
            )
        })?,
        created: from_ms(row.get(2)?),
        tries: row.get(3)?,
        tried: row.get::<_, Option<i64>>(4)?.map(from_ms),
        next: row.get::<_, Option<i64>>(5)?.map(from_ms),
        detail: row.get(6)?,
        message: json(7, &message)?,
    })
}

fn channel(row: &Row<'_>) -> rusqlite::Result<ChannelName> {
    ChannelName::new(row.get::<_, String>(0)?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    })
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

    /// How often each unit's recovery was worth an alert since `ms`.
    pub fn recoveries_since(&self, ms: u64) -> Result<BTreeMap<UnitName, u32>, StoreError> {
        self.read("counting the recoveries", |connection| {
            connection
                .prepare(
                    "SELECT DISTINCT unit, (SELECT count(*) FROM alerts AS past
                         WHERE past.unit = alerts.unit AND past.kind = ?2 AND past.at_ms >= ?1)
                     FROM alerts WHERE decision IS NULL",
                )?
                .query_map(params![to_ms(ms), AlertKind::Recovery.as_str()], |row| {
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
    pub fn digests(&self) -> Result<BTreeMap<Option<UnitName>, u64>, StoreError> {
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
                    "SELECT id, unit, ending, at_ms FROM incidents
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
    /// (milliseconds since 1970) and eight random digits.
    pub fn new_name(&self, at: u64) -> Result<String, StoreError> {
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

    /// The dispatches whose time has come, in their order.
    pub fn due_dispatches(&self, now_ms: u64) -> Result<Vec<Dispatch>, StoreError> {
        self.read("reading the messages due", |connection| {
            connection
                .prepare(&format!(
                    "SELECT {DISPATCH} FROM dispatches AS this
                     WHERE next_at_ms <= ?1 AND state = 'waiting' AND {FIRST} ORDER BY seq"
                ))?
                .query_map([to_ms(now_ms)], dispatch)?
                .collect()
        })
    }

    /// Whether anything is still to be sent.
    pub fn has_open_dispatches(&self) -> Result<bool, StoreError> {
        self.read("reading the messages due", |connection| {
            connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM dispatches WHERE next_at_ms IS NOT NULL)",
                [],
                |row| row.get(0),
            )
        })
    }

    /// When the next dispatch of each channel is due.
    pub fn next_dispatches(&self) -> Result<BTreeMap<ChannelName, u64>, StoreError> {
        self.read("reading the messages due", |connection| {
            connection
                .prepare(&format!(
                    "SELECT channel, min(next_at_ms) FROM dispatches AS this
                     WHERE state = 'waiting' AND {FIRST} GROUP BY channel"
                ))?
                .query_map([], |row| Ok((channel(row)?, from_ms(row.get(1)?))))?
                .collect()
        })
    }

    /// Notes down that a dispatch is about to be sent; false when it is not
    /// waiting any more.
    pub fn begin_dispatch(&self, id: &str, now_ms: u64) -> Result<bool, StoreError> {
        self.write("writing that a message is sent", |transaction| {
            Ok(transaction.execute(
                "UPDATE dispatches SET state = 'sending', tries = tries + 1, tried_at_ms = ?2
                 WHERE id = ?1 AND state = 'waiting'",
                params![id, to_ms(now_ms)],
            )? > 0)
        })
    }

    /// Notes down what became of a try, and why.
    pub fn end_dispatch(&self, id: &str, tried: &Tried, detail: &str) -> Result<(), StoreError> {
        let (state, next) = match tried {
            Tried::Delivered => (DispatchState::Delivered, None),
            Tried::Again(at) => (DispatchState::Waiting, Some(*at)),
            Tried::Refused => (DispatchState::Refused, None),
            Tried::GivenUp => (DispatchState::Failed, None),
        };
        self.write("writing what became of a message", |transaction| {
            transaction.execute(
                "UPDATE dispatches SET state = ?2, next_at_ms = ?3, detail = ?4 WHERE id = ?1",
                params![id, state.as_str(), next.map(to_ms), detail],
            )?;
            Ok(())
        })
    }

    /// Puts off what a channel has waiting, without a try: it was just seen not
    /// to work.
    pub fn put_off(&self, channel: &ChannelName, until_ms: u64) -> Result<(), StoreError> {
        self.write("putting messages off", |transaction| {
            transaction.execute(
                "UPDATE dispatches SET next_at_ms = ?2
                 WHERE channel = ?1 AND state = 'waiting' AND next_at_ms < ?2",
                params![channel.as_str(), to_ms(until_ms)],
            )?;
            Ok(())
        })
    }

    /// Dispatches that were cut off while they were sent are to be sent again.
    /// Only for whoever holds the sender's lock, before it sends anything.
    pub fn take_back_dispatches(&self, now_ms: u64) -> Result<usize, StoreError> {
        let cut_off = |connection: &Connection| {
            connection.query_row(
                "SELECT count(*) FROM dispatches WHERE state = 'sending'",
                [],
                |row| row.get::<_, i64>(0),
            )
        };
        if self.read("reading the messages", cut_off)? == 0 {
            return Ok(0);
        }
        self.write("taking messages up again", |transaction| {
            Ok(transaction.execute(
                "UPDATE dispatches SET state = 'waiting', next_at_ms = ?1,
                   detail = 'Prunella was interrupted while it was sent: it may have arrived, \
                             and is sent again under the same id'
                 WHERE state = 'sending'",
                [to_ms(now_ms)],
            )?)
        })
    }

    /// A list of dispatches, newest first.
    pub fn dispatches(&self, filter: &DispatchFilter) -> Result<Vec<Dispatch>, StoreError> {
        let mut conditions: Vec<String> = Vec::new();
        let mut values: Vec<Value> = Vec::new();
        if !filter.states.is_empty() {
            let marks = vec!["?"; filter.states.len()].join(", ");
            conditions.push(format!("state IN ({marks})"));
            values.extend(
                filter
                    .states
                    .iter()
                    .map(|s| Value::from(s.as_str().to_owned())),
            );
        }
        if let Some(channel) = &filter.channel {
            conditions.push("channel = ?".to_owned());
            values.push(channel.as_str().to_owned().into());
        }
        if let Some(incident) = &filter.incident {
            conditions.push(
                "id IN (SELECT dispatch FROM dispatch_incidents WHERE incident = ?)".to_owned(),
            );
            values.push(incident.as_str().to_owned().into());
        }
        let condition = if conditions.is_empty() {
            "TRUE".to_owned()
        } else {
            conditions.join(" AND ")
        };
        values.push(filter.limit.map_or(-1, i64::from).into());
        let query = format!(
            "SELECT {DISPATCH} FROM dispatches WHERE {condition} ORDER BY seq DESC LIMIT ?"
        );
        self.read("reading the messages", |connection| {
            connection
                .prepare(&query)?
                .query_map(rusqlite::params_from_iter(&values), dispatch)?
                .collect()
        })
    }

    /// The dispatch that `text` is the id of, or the beginning or end of it.
    pub fn find_dispatch(&self, text: &str) -> Result<FoundDispatch, StoreError> {
        // Anything but letters, digits and `-` would be a pattern.
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Ok(FoundDispatch::None);
        }
        self.read("looking for a message", |connection| {
            let by = |condition: &str| {
                connection
                    .prepare(&format!(
                        "SELECT {DISPATCH} FROM dispatches WHERE {condition}
                         ORDER BY seq DESC LIMIT 10"
                    ))?
                    .query_map([text], dispatch)?
                    .collect::<rusqlite::Result<Vec<_>>>()
            };
            let mut found = by("id = ?1")?;
            if found.is_empty() {
                found = by("id GLOB ?1 || '*' OR id GLOB '*' || ?1")?;
            }
            Ok(match (found.len(), found.pop()) {
                (1, Some(one)) => FoundDispatch::One(Box::new(one)),
                (_, None) => FoundDispatch::None,
                (_, Some(last)) => FoundDispatch::Many(
                    found
                        .into_iter()
                        .chain([last])
                        .map(|dispatch| dispatch.message.id)
                        .collect(),
                ),
            })
        })
    }

    /// Has a dispatch tried again now, whatever became of it, as if it were
    /// new; with none, all that were refused or given up, and all that wait for
    /// their next try. Answers with how many there are. One that was delivered
    /// is left alone.
    pub fn retry_dispatches(&self, id: Option<&str>, now_ms: u64) -> Result<usize, StoreError> {
        self.write("writing that messages are tried again", |transaction| {
            Ok(transaction.execute(
                "UPDATE dispatches SET state = 'waiting', next_at_ms = ?2, since_ms = ?2
                 WHERE (?1 IS NULL OR id = ?1) AND state IN ('waiting', 'refused', 'failed')",
                params![id, to_ms(now_ms)],
            )?)
        })
    }

    /// Since when a dispatch is being tried, in milliseconds since 1970.
    pub fn dispatch_since(&self, id: &str) -> Result<Option<u64>, StoreError> {
        self.read("reading a message", |connection| {
            Ok(connection
                .query_row(
                    "SELECT since_ms FROM dispatches WHERE id = ?1",
                    [id],
                    |row| row.get(0),
                )
                .optional()?
                .map(from_ms))
        })
    }

    /// Forgets what was over before `ms`: messages that are not tried any more,
    /// alerts and alert groups. Answers with how many messages that were.
    pub fn forget_dispatches(&self, before_ms: u64) -> Result<usize, StoreError> {
        self.write("forgetting old messages", |transaction| {
            transaction.execute(
                "DELETE FROM alerts WHERE decision IS NOT NULL AND at_ms < ?1",
                [to_ms(before_ms)],
            )?;
            transaction.execute(
                "DELETE FROM alert_groups WHERE closed_at_ms < ?1",
                [to_ms(before_ms)],
            )?;
            transaction.execute("DELETE FROM digests WHERE at_ms < ?1", [to_ms(before_ms)])?;
            Ok(transaction.execute(
                "DELETE FROM dispatches WHERE next_at_ms IS NULL AND created_at_ms < ?1",
                [to_ms(before_ms)],
            )?)
        })
    }
}

pub(crate) fn insert_dispatch(
    transaction: &Transaction<'_>,
    channel: &ChannelName,
    message: &Message,
    text: &str,
    at: u64,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO dispatches
           (id, channel, alert_group, state, created_at_ms, since_ms, next_at_ms, message)
         VALUES (?1, ?2, ?3, 'waiting', ?4, ?4, ?4, ?5)",
        params![
            message.id,
            channel.as_str(),
            message.alert_group,
            to_ms(at),
            text
        ],
    )?;
    for incident in &message.incidents {
        transaction.execute(
            "INSERT OR IGNORE INTO dispatch_incidents (dispatch, incident) VALUES (?1, ?2)",
            params![message.id, incident.as_str()],
        )?;
    }
    Ok(())
}
