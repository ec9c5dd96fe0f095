//! `[[call]]`: an HTTP request by which a service mends something of its own.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::DeclaredRemedy;
use crate::secret::SecretSource;

/// A request that may be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// `http://host:port/path`, or the same with `https`.
    pub url: String,
    pub method: CallMethod,
    /// Headers, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Option<String>,
    /// The answer has to have one of these codes; 200 to 299 when empty.
    pub expect_status: Vec<u16>,
    pub timeout: Duration,
    pub secret: Option<CallSecret>,
}

/// What proves who calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSecret {
    pub source: SecretSource,
    pub used_as: SecretUse,
}

/// How a call uses its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretUse {
    /// It goes along: `Authorization: Bearer SECRET`.
    Bearer,
    /// It stays: `X-Prunella-Signature: t=TIME,v1=HEX`, with the HMAC of `TIME.BODY`.
    HmacSha256,
}

/// How a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CallMethod {
    Get,
    Post,
    Put,
}

impl CallMethod {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Get, Self::Post, Self::Put];

    /// As the request line spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

impl fmt::Display for CallMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Call {
    /// Whether an answer with this code is what was wanted.
    pub fn expects(&self, status: u16) -> bool {
        if self.expect_status.is_empty() {
            (200..=299).contains(&status)
        } else {
            self.expect_status.contains(&status)
        }
    }

    /// The codes that are wanted, in words: `200 to 299`, `200 or 204`.
    pub fn expected(&self) -> String {
        if self.expect_status.is_empty() {
            return "200 to 299".to_owned();
        }
        let codes: Vec<String> = self.expect_status.iter().map(u16::to_string).collect();
        codes.join(" or ")
    }
}

impl DeclaredRemedy for Call {}
