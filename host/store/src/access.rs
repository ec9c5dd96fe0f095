//! Keys and sessions of the web door, by hashes, and the record of orders.

use prunella_core::{
    Timestamp, UnitName,
    access::{AuditEntry, KeyInfo, KeyName, Role, SessionInfo, Via},
};
use rusqlite::{OptionalExtension, Row, params, types::Type};

use crate::{
    Store, StoreError,
    cached::Cached as _,
    columns::{from_integer, from_ms, to_integer, to_ms, unit_name},
};

/// Sessions at once; of more, those that end first go.
const SESSIONS: u32 = 1_000;

/// Orders that are kept: of more, the oldest go.
const AUDITED: i64 = 10_000;

const KEY: &str = "name, role, unit, created_ms, created_by, expires_ms, used_ms";

fn key(row: &Row<'_>) -> rusqlite::Result<KeyInfo> {
    let name = KeyName::new(row.get::<_, String>(0)?).map_err(|error| not_known(0, error))?;
    Ok(KeyInfo {
        name,
        role: role(1, &row.get::<_, String>(1)?)?,
        unit: row
            .get::<_, Option<String>>(2)?
            .map(|name| unit_name(2, name))
            .transpose()?,
        created_at: from_ms(row.get(3)?),
        created_by: row.get(4)?,
        expires_at: row.get::<_, Option<i64>>(5)?.map(from_ms),
        last_used_at: row.get::<_, Option<i64>>(6)?.map(from_ms),
    })
}

/// A word that this version does not know gives no right.
fn role(column: usize, word: &str) -> rusqlite::Result<Role> {
    Role::from_word(word).ok_or_else(|| not_known(column, format!("`{word}` is no role")))
}

fn not_known(
    column: usize,
    why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, why.into())
}

impl Store {
    /// Adds a key, of which only the hash is kept; false when one has that name already.
    pub fn add_key(&self, key: &KeyInfo, hash: &str) -> Result<bool, StoreError> {
        self.write("adding a key", |transaction| {
            let added = transaction.execute(
                &format!(
                    "INSERT INTO api_keys ({KEY}, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                     ON CONFLICT (name) DO NOTHING"
                ),
                params![
                    key.name.as_str(),
                    key.role.as_str(),
                    key.unit.as_ref().map(UnitName::as_str),
                    to_ms(key.created_at),
                    key.created_by,
                    key.expires_at.map(to_ms),
                    key.last_used_at.map(to_ms),
                    hash
                ],
            )?;
            Ok(added > 0)
        })
    }

    /// All keys by name, also those whose time is over.
    pub fn keys(&self) -> Result<Vec<KeyInfo>, StoreError> {
        self.read("reading the keys", |connection| {
            connection
                .prepare_cached(&format!("SELECT {KEY} FROM api_keys ORDER BY name"))?
                .query_map([], key)?
                .collect()
        })
    }

    /// The key with this hash; see [`KeyInfo::holds`].
    pub fn key_of(&self, hash: &str) -> Result<Option<KeyInfo>, StoreError> {
        self.read("looking a key up", |connection| {
            connection
                .query_row_cached(
                    &format!("SELECT {KEY} FROM api_keys WHERE hash = ?1"),
                    [hash],
                    key,
                )
                .optional()
        })
    }

    /// Removes a key; true when there was one.
    pub fn revoke_key(&self, name: &KeyName) -> Result<bool, StoreError> {
        self.write("revoking a key", |transaction| {
            let gone =
                transaction.execute("DELETE FROM api_keys WHERE name = ?1", [name.as_str()])?;
            Ok(gone > 0)
        })
    }

    /// Writes down that a key was used. Nothing depends on when this is on the disk.
    pub fn key_used(&self, name: &KeyName, at: Timestamp) -> Result<(), StoreError> {
        self.write_ahead("writing when a key was used", |transaction| {
            transaction.execute(
                "UPDATE api_keys SET used_ms = ?2 WHERE name = ?1",
                params![name.as_str(), to_ms(at)],
            )?;
            Ok(())
        })
    }

    /// Adds a session, of which only the hash of its secret is kept, and forgets those that
    /// are over.
    pub fn add_session(&self, session: &SessionInfo, hash: &str) -> Result<(), StoreError> {
        self.write("adding a session", |transaction| {
            transaction.execute(
                "DELETE FROM api_sessions WHERE expires_ms <= ?1",
                [to_ms(session.created_at)],
            )?;
            transaction.execute(
                "DELETE FROM api_sessions WHERE hash NOT IN
                   (SELECT hash FROM api_sessions ORDER BY expires_ms DESC LIMIT ?1)",
                [SESSIONS - 1],
            )?;
            transaction.execute(
                "INSERT INTO api_sessions (hash, name, role, created_ms, expires_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    hash,
                    session.name,
                    session.role.as_str(),
                    to_ms(session.created_at),
                    to_ms(session.expires_at)
                ],
            )?;
            Ok(())
        })
    }

    /// The session whose secret has this hash, unless it is over at `now`.
    pub fn session_of(
        &self,
        hash: &str,
        now: Timestamp,
    ) -> Result<Option<SessionInfo>, StoreError> {
        self.read("looking a session up", |connection| {
            connection
                .query_row_cached(
                    "SELECT name, role, created_ms, expires_ms FROM api_sessions
                     WHERE hash = ?1 AND expires_ms > ?2",
                    params![hash, to_ms(now)],
                    |row| {
                        Ok(SessionInfo {
                            name: row.get(0)?,
                            role: role(1, &row.get::<_, String>(1)?)?,
                            created_at: from_ms(row.get(2)?),
                            expires_at: from_ms(row.get(3)?),
                        })
                    },
                )
                .optional()
        })
    }

    /// Ends a session; true when there was one.
    pub fn end_session(&self, hash: &str) -> Result<bool, StoreError> {
        self.write("ending a session", |transaction| {
            let gone = transaction.execute("DELETE FROM api_sessions WHERE hash = ?1", [hash])?;
            Ok(gone > 0)
        })
    }

    /// Writes an order down, with what became of it; its `seq` is given here.
    pub fn audited(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.write_ahead("writing an order down", |transaction| {
            transaction.execute(
                "INSERT INTO audit (at_ms, by_whom, via, method, address, status, peer, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    to_ms(entry.at),
                    entry.by,
                    entry.via.as_str(),
                    entry.method,
                    entry.address,
                    entry.status,
                    entry.peer,
                    entry.order
                ],
            )?;
            let seq = transaction.last_insert_rowid();
            transaction.execute("DELETE FROM audit WHERE seq <= ?1", [seq - AUDITED])?;
            Ok(())
        })
    }

    /// Orders, newest first, those before the place `before`, `limit` at most.
    pub fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.read("reading which orders were given", |connection| {
            connection
                .prepare_cached(
                    "SELECT seq, at_ms, by_whom, via, method, address, status, peer, body
                     FROM audit
                     WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
                )?
                .query_map(params![before.map_or(i64::MAX, to_integer), limit], |row| {
                    let via: String = row.get(3)?;
                    Ok(AuditEntry {
                        seq: from_integer(row.get(0)?),
                        at: from_ms(row.get(1)?),
                        by: row.get(2)?,
                        via: Via::from_word(&via)
                            .ok_or_else(|| not_known(3, format!("`{via}` is no way in")))?,
                        method: row.get(4)?,
                        address: row.get(5)?,
                        status: row.get(6)?,
                        peer: row.get(7)?,
                        order: row.get(8)?,
                    })
                })?
                .collect()
        })
    }
}
