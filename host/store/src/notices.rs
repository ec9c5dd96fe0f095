//! What people were told that is no incident, such as a mistake in the configuration:
//! so that it is told once, and once that it is over.

use std::collections::BTreeSet;

use prunella_core::{ChannelName, Timestamp, alert::Message};
use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, columns::json, outbox::dispatches::insert_dispatch};

/// What was told of one matter, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What is the matter: another text is news.
    pub text: String,
    /// [`Message::alert_group`] of all that is told of it.
    pub alert_group: String,
    /// They are told of its end, too.
    pub channels: BTreeSet<ChannelName>,
}

/// A change of what is told of a matter.
#[derive(Debug)]
pub struct NoticeChange<'a> {
    /// The matter's name.
    pub key: &'a str,
    /// What was told when this was decided.
    pub before: Option<&'a Notice>,
    /// What is told now; absent when it is over.
    pub now: Option<&'a Notice>,
    pub dispatches: &'a [(ChannelName, Message)],
    /// When it was decided.
    pub at: Timestamp,
}

impl Store {
    /// What was told last of the matter `key`, if it is not over.
    pub fn notice(&self, key: &str) -> Result<Option<Notice>, StoreError> {
        self.read("reading what was told", |connection| {
            connection
                .query_row("SELECT notice FROM notices WHERE key = ?1", [key], |row| {
                    json(0, &row.get::<_, String>(0)?)
                })
                .optional()
        })
    }

    /// The names of the matters that were told and are not over: `name`, and those that begin
    /// with it and a space.
    pub fn notices_of(&self, name: &str) -> Result<Vec<String>, StoreError> {
        self.read("reading what was told", |connection| {
            connection
                .prepare_cached(
                    "SELECT key FROM notices
                     WHERE key = ?1 OR substr(key, 1, length(?1) + 1) = ?1 || ' ' ORDER BY key",
                )?
                .query_map([name], |row| row.get(0))?
                .collect()
        })
    }

    /// Writes down what is told now, with its messages: all or nothing. False, and
    /// nothing is written, when another process has told of the matter meanwhile.
    pub fn change_notice(&self, change: &NoticeChange<'_>) -> Result<bool, StoreError> {
        let doing = "writing a notice";
        let text =
            |notice: Option<&Notice>| notice.map(|notice| self.to_json(doing, notice)).transpose();
        let (before, now) = (text(change.before)?, text(change.now)?);
        let dispatches = change
            .dispatches
            .iter()
            .map(|(channel, message)| Ok((channel, message, self.to_json(doing, message)?)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        self.write(doing, |transaction| {
            if known(transaction, change.key)? != before {
                return Ok(false);
            }
            match &now {
                Some(now) => transaction.execute(
                    "INSERT OR REPLACE INTO notices (key, notice) VALUES (?1, ?2)",
                    params![change.key, now],
                )?,
                None => transaction.execute("DELETE FROM notices WHERE key = ?1", [change.key])?,
            };
            for (channel, message, text) in &dispatches {
                insert_dispatch(transaction, channel, message, text, change.at)?;
            }
            Ok(true)
        })
    }
}

fn known(transaction: &Transaction<'_>, key: &str) -> rusqlite::Result<Option<String>> {
    transaction
        .query_row("SELECT notice FROM notices WHERE key = ?1", [key], |row| {
            row.get(0)
        })
        .optional()
}
