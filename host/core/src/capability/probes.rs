//! `prunella:observe/probes`: declared probes, which change nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Described, Description, Look, Subject};
use crate::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ask {
    pub name: String,
}

static ASK: Look = Look::new("probes.ask");

impl Described for Ask {
    fn description(&self) -> Description {
        Description::Look(&ASK)
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject::Probe(&self.name)
    }
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeAnswer {
    /// Whether it answered as it should.
    pub healthy: bool,
    /// What it said, or why not.
    pub detail: String,
    /// How long it took.
    pub took: Duration,
    /// The certificate that it showed, whatever it said. No strategy sees it: nothing that
    /// a strategy may do renews one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
}

/// What a server's TLS certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// For whom it is, fit to show: the name that was asked for, or the first that it
    /// names. Absent where neither is a name.
    pub name: Option<String>,
    /// From when it is valid.
    pub begins: Timestamp,
    /// Until when it is valid.
    pub ends: Timestamp,
}
