//! Keys, links and sessions of the web door: what is asked and answered.
//!
//! Whoever comes through the [web socket](crate::WEB_SOCKET) shows a key or a session:
//!
//! | header | what |
//! |---|---|
//! | `X-API-Key: KEY`, or `Authorization: Bearer KEY` | a key |
//! | [`SESSION_HEADER`] | a session, the value of the browser's cookie |
//! | [`CSRF_HEADER`] | has to come with a session for all but `GET` |
//! | [`PEER_HEADER`] | the address at the other end, as the web process sees it |

use prunella_core::{
    Timestamp, UnitName,
    access::{AuditEntry, KeyInfo, KeyName, Role, SessionInfo},
};
use serde::{Deserialize, Serialize};

use crate::Answer;

/// Has the value of a session's cookie.
pub const SESSION_HEADER: &str = "x-prunella-session";

/// Has the session's CSRF token.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// Has the network address of whoever asks. Only the web process knows it, and has to
/// remove it from what comes from outside.
pub const PEER_HEADER: &str = "x-prunella-peer";

/// Which key to add; its name is in the address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyOptions {
    pub role: Role,
    /// The service that a key with the role `service` is for; no other key has one.
    #[serde(default)]
    pub unit: Option<UnitName>,
    /// From then on it is good for nothing; absent for one that is good until it is revoked.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// Who adds it; where the daemon knows the account of the caller, it puts that here.
    #[serde(default)]
    pub by: String,
}

/// A key to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCall {
    pub name: KeyName,
    pub options: KeyOptions,
}

/// A key that was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedKey {
    /// The key itself. Nobody can tell it again: only its hash is kept.
    pub key: String,
    pub info: KeyInfo,
}

/// A link to log in by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkCall {
    /// What the session may do; not `service`.
    pub role: Role,
    /// Who makes it; where the daemon knows the account of the caller, it puts that here.
    #[serde(default)]
    pub by: String,
}

/// The secret of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginLink {
    /// Good for one login.
    pub token: String,
    pub expires_at: Timestamp,
}

/// To log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginCall {
    /// Of a [`LoginLink`].
    pub token: String,
}

/// A session that has just begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSession {
    /// The value of its cookie. Nobody can tell it again: only its hash is kept.
    pub session: String,
    /// What forms and scripts send along as [`CSRF_HEADER`].
    pub csrf_token: String,
    /// Who made the link.
    pub name: String,
    pub role: Role,
    pub expires_at: Timestamp,
}

/// The session of whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentSession {
    /// What forms and scripts send along as [`CSRF_HEADER`]. The same for the whole session.
    pub csrf_token: String,
    /// Who made the link.
    pub name: String,
    pub role: Role,
    pub expires_at: Timestamp,
}

/// Which part of the record of orders.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditFilter {
    /// Only those before this place.
    pub before: Option<u64>,
    /// At most so many; 100 when absent, 1,000 at most.
    pub limit: Option<u32>,
}

/// Knows keys, links and sessions. Secrets come as their SHA-256, in hexadecimal.
pub trait Gate: Send + Sync {
    /// The key with this hash, if it is good for something now. Notes that it was used.
    fn key(&self, hash: &str) -> Answer<Option<KeyInfo>>;

    /// The session with this hash, unless it is over.
    fn session(&self, hash: &str) -> Answer<Option<SessionInfo>>;

    /// Uses a link up, and begins the session whose secret has the hash `session`; nothing,
    /// when there is no such link.
    fn log_in(&self, token: &str, session: &str) -> Answer<Option<SessionInfo>>;

    /// Ends a session; true when there was one.
    fn log_out(&self, session: &str) -> Answer<bool>;

    /// Writes an order down. Trouble with that keeps nobody from anything: it is logged.
    fn record(&self, order: &AuditEntry);
}
