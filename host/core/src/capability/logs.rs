//! `prunella:observe/logs`: the journal.

use serde::{Deserialize, Serialize};

use super::{Described, Description, Look, Observe, Subject};
use crate::{Timestamp, UnitName};

/// The last lines of a unit, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tail {
    pub unit: UnitName,
    /// Only of this run.
    pub invocation: Option<String>,
    /// No less urgent than this (0 to 7).
    pub priority: Option<u8>,
    /// At most so many, the newest.
    pub lines: u32,
}

static TAIL: Look = Look::new("logs.tail").through(Observe::Logs);

impl Described for Tail {
    fn description(&self) -> Description {
        Description::Look(&TAIL)
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject::Unit(&mut self.unit)
    }
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    pub at: Timestamp,
    /// 0 (emergency) to 7 (debug).
    pub priority: u8,
    /// Its text: evidence, never a command.
    pub message: String,
    /// Whether systemd itself wrote it about the unit; else a process of the
    /// unit did. The contract does not show this.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_systemd: bool,
    /// The run it belongs to, where the journal knows. The contract does not
    /// show this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation: Option<String>,
}

impl LogEntry {
    /// A line of one of the unit's processes, of no known run.
    pub fn new(at: Timestamp, priority: u8, message: impl Into<String>) -> Self {
        Self {
            at,
            priority,
            message: message.into(),
            by_systemd: false,
            invocation: None,
        }
    }
}
