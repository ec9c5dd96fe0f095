//! Who may ask and order through the web door: roles, keys and sessions, and the record of
//! what was ordered.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Timestamp, UnitName};

/// What the holder of a key or a session may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Reads everything, and orders nothing.
    Viewer,
    /// Reads, and orders what heals, pauses, decides and undoes.
    Operator,
    /// Is one service: reads how it is itself, and nothing of others.
    Service,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Service];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Service => "service",
        }
    }

    /// The role with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a key: small letters, digits, `-`, `_` and `.`, beginning with a letter or a
/// digit, at most 64 of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName(String);

/// A text that cannot be the name of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no name for a key: use small letters, digits, `-`, `_` and `.`, beginning with a \
     letter or a digit, at most 64"
)]
pub struct KeyNameError(String);

impl KeyName {
    /// The longest name, in characters.
    pub const MAX: usize = 64;

    /// # Errors
    /// When the text cannot be a name.
    pub fn new(text: impl Into<String>) -> Result<Self, KeyNameError> {
        let text = text.into();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let is_name = text.len() <= Self::MAX
            && text.starts_with(plain)
            && text.chars().all(|c| plain(c) || "-_.".contains(c));
        if is_name {
            Ok(Self(text))
        } else {
            Err(KeyNameError(crate::text::one_line(&text, 80)))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for KeyName {
    type Error = KeyNameError;

    fn try_from(text: String) -> Result<Self, KeyNameError> {
        Self::new(text)
    }
}

impl From<KeyName> for String {
    fn from(name: KeyName) -> Self {
        name.0
    }
}

/// What is known of a key. The key itself is known to its holder alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInfo {
    pub name: KeyName,
    pub role: Role,
    /// The service that a key with the role `service` is for.
    pub unit: Option<UnitName>,
    pub created_at: Timestamp,
    /// Who added it.
    pub created_by: String,
    /// From then on it is good for nothing; absent for one that is good until it is revoked.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Timestamp>,
}

impl KeyInfo {
    /// Whether it is good for something at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// A browser's session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Who let it in: whoever made its link.
    pub name: String,
    pub role: Role,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// By what somebody who gave an order was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// As root, on the control socket.
    Root,
    /// By a key.
    Key,
    /// By a browser's session.
    Session,
}

impl Via {
    pub const ALL: [Self; 3] = [Self::Root, Self::Key, Self::Session];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Key => "key",
            Self::Session => "session",
        }
    }

    /// The one with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|via| via.as_str() == word)
    }
}

/// An order, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its place in the order in which they were given.
    pub seq: u64,
    /// When it was answered.
    pub at: Timestamp,
    /// The account, or the name of the key or the session.
    pub by: String,
    pub via: Via,
    /// The method of HTTP, such as `POST`.
    pub method: String,
    /// What was ordered, such as `/api/v1/services/web.service/heal`.
    pub address: String,
    /// The beginning of the order's body, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// HTTP's status of the answer: 200 for one that was carried out, 403 for one that this
    /// caller may not give.
    pub status: u16,
    /// The address at the other end, as the web process tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("grafana", true)]
    #[case::all_signs("1a-b_c.d", true)]
    #[case::empty("", false)]
    #[case::capital("Grafana", false)]
    #[case::begins_with_a_sign("-a", false)]
    #[case::a_line_more("a\nb", false)]
    #[case::path("a/b", false)]
    fn names_of_keys(#[case] text: &str, #[case] is_name: bool) {
        assert_eq!(KeyName::new(text).is_ok(), is_name);
        let long = "a".repeat(KeyName::MAX + 1);
        assert!(KeyName::new(long).is_err());
    }

    #[test]
    fn a_key_holds_until_its_end() {
        let key = |expires_at| KeyInfo {
            name: KeyName::new("a").unwrap(),
            role: Role::Viewer,
            unit: None,
            created_at: Timestamp::from_millis(1),
            created_by: "me".into(),
            expires_at,
            last_used_at: None,
        };
        let at = Timestamp::from_millis(5);
        assert!(key(None).holds(at));
        assert!(key(Some(Timestamp::from_millis(6))).holds(at));
        assert!(!key(Some(at)).holds(at));
    }
}
