//! The journal. Anybody who can log can write anything there: evidence, never
//! a command, and never alone the reason to act.

use std::time::SystemTime;

use crate::{Result, contract::observe::logs as raw, time::moment};

/// What to read of a unit's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    unit: String,
    invocation: Option<String>,
    priority: Option<u8>,
}

/// The journal of a unit. The incident's own unit and what it needs may be
/// asked about, and nothing else without a grant.
pub fn of(unit: impl Into<String>) -> Query {
    Query {
        unit: unit.into(),
        invocation: None,
        priority: None,
    }
}

impl Query {
    /// Only of this run.
    #[must_use]
    pub fn invocation(mut self, invocation: impl Into<String>) -> Self {
        self.invocation = Some(invocation.into());
        self
    }

    /// No less urgent than this: 0 (emergency) to 7 (debug).
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = Some(priority);
        self
    }

    /// At most the last `lines`, oldest first.
    ///
    /// # Errors
    /// `denied` when the unit may not be asked about, `quota` when the run has
    /// read as much as it may.
    pub fn tail(&self, lines: u32) -> Result<Vec<Entry>> {
        let entries = raw::tail(&self.unit, self.invocation.as_deref(), self.priority, lines)?;
        Ok(entries
            .into_iter()
            .map(|entry| Entry {
                at: moment(entry.at),
                priority: entry.priority,
                message: entry.message,
            })
            .collect())
    }
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was written.
    pub at: SystemTime,
    /// 0 (emergency) to 7 (debug).
    pub priority: u8,
    /// Redacted, and cut when long.
    pub message: String,
}
