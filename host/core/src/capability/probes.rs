//! `prunella:observe/probes`: declared probes, which change nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Described, Description, Look, Subject};

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
}
