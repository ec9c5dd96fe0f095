//! Messages on their way through one channel each.

use std::collections::BTreeMap;

use prunella_core::{
    ChannelName, Timestamp,
    alert::{Dispatch, DispatchFilter, DispatchState, Message},
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, types::Value};

use crate::{
    Store, StoreError,
    columns::{from_ms, json, to_ms},
    totals,
};

/// What became of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// The far side has it.
    Delivered,
    /// It is tried again then.
    Again(Timestamp),
    /// The far side does not take it.
    Refused,
    /// It is not tried any more.
    GivenUp,
    /// What it tells is not true any more.
    Withdrawn,
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

impl Store {
    /// The dispatches whose time has come, in their order.
    pub fn due_dispatches(&self, now: Timestamp) -> Result<Vec<Dispatch>, StoreError> {
        self.read("reading the messages due", |connection| {
            connection
                .prepare(&format!(
                    "SELECT {DISPATCH} FROM dispatches AS this
                     WHERE next_at_ms <= ?1 AND state = 'waiting' AND {FIRST} ORDER BY seq"
                ))?
                .query_map([to_ms(now)], dispatch)?
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
    pub fn next_dispatches(&self) -> Result<BTreeMap<ChannelName, Timestamp>, StoreError> {
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
    pub fn begin_dispatch(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.write("writing that a message is sent", |transaction| {
            Ok(transaction.execute(
                "UPDATE dispatches SET state = 'sending', tries = tries + 1, tried_at_ms = ?2
                 WHERE id = ?1 AND state = 'waiting'",
                params![id, to_ms(now)],
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
            Tried::Withdrawn => (DispatchState::Withdrawn, None),
        };
        self.write("writing what became of a message", |transaction| {
            let channel = transaction
                .query_row(
                    "UPDATE dispatches SET state = ?2, next_at_ms = ?3, detail = ?4 WHERE id = ?1
                     RETURNING channel",
                    params![id, state.as_str(), next.map(to_ms), detail],
                    channel,
                )
                .optional()?;
            if let Some(channel) = channel {
                totals::told(transaction, &channel, tried)?;
            }
            Ok(())
        })
    }

    /// Puts off what a channel has waiting, without a try: it was just seen not
    /// to work.
    pub fn put_off(&self, channel: &ChannelName, until: Timestamp) -> Result<(), StoreError> {
        self.write("putting messages off", |transaction| {
            transaction.execute(
                "UPDATE dispatches SET next_at_ms = ?2
                 WHERE channel = ?1 AND state = 'waiting' AND next_at_ms < ?2",
                params![channel.as_str(), to_ms(until)],
            )?;
            Ok(())
        })
    }

    /// Puts one dispatch off, without a try: what it tells may not be true any more.
    pub fn hold_dispatch(&self, id: &str, until: Timestamp) -> Result<(), StoreError> {
        self.write("putting a message off", |transaction| {
            transaction.execute(
                "UPDATE dispatches SET next_at_ms = ?2 WHERE id = ?1 AND state = 'waiting'",
                params![id, to_ms(until)],
            )?;
            Ok(())
        })
    }

    /// Dispatches that were cut off while they were sent are to be sent again.
    /// Only for whoever holds the sender's lock, before it sends anything.
    pub fn take_back_dispatches(&self, now: Timestamp) -> Result<usize, StoreError> {
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
                [to_ms(now)],
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
    pub fn retry_dispatches(&self, id: Option<&str>, now: Timestamp) -> Result<usize, StoreError> {
        self.write("writing that messages are tried again", |transaction| {
            Ok(transaction.execute(
                "UPDATE dispatches SET state = 'waiting', next_at_ms = ?2, since_ms = ?2
                 WHERE (?1 IS NULL OR id = ?1) AND state IN ('waiting', 'refused', 'failed')",
                params![id, to_ms(now)],
            )?)
        })
    }

    /// Since when a dispatch is being tried.
    pub fn dispatch_since(&self, id: &str) -> Result<Option<Timestamp>, StoreError> {
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
}

pub(crate) fn insert_dispatch(
    transaction: &Transaction<'_>,
    channel: &ChannelName,
    message: &Message,
    text: &str,
    at: Timestamp,
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
