//! What was done and can be undone.

use serde::{Deserialize, Serialize};

use super::{FailedOver, Lease, LeaseEnds, Undo};
use crate::{Failure, Timestamp, UnitName, incident::IncidentId};

/// An act that can be undone, as it is kept from before it is done until nothing is left of
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    pub incident: IncidentId,
    /// Which number the act has within the incident.
    pub action: u32,
    /// The incident's service.
    pub unit: UnitName,
    /// Such as `set-aside.run`.
    pub act: String,
    /// The operator's name for what it acted on.
    pub name: String,
    pub at: Timestamp,
    pub undo: Undo,
    pub lease: Option<Lease>,
    pub state: AppliedState,
    /// When it is undone, as long as the service stays well: before its lease is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early: Option<Timestamp>,
    /// Why it could not be undone when that was tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl Applied {
    /// When its lease is over.
    pub fn until(&self) -> Option<Timestamp> {
        Some(self.at.saturating_add(self.lease?.lasts))
    }

    /// The failover that it is, where it was made and not taken back.
    pub fn failed_over(&self) -> Option<&FailedOver> {
        match &self.undo {
            Undo::FailBack(over) if self.state == AppliedState::Applied => Some(&**over),
            _ => None,
        }
    }

    /// Whether it has changed who gets requests.
    pub fn is_of_traffic(&self) -> bool {
        matches!(self.undo, Undo::RestoreTraffic(_))
    }

    /// Whether it is undone when its lease is over, and has not been yet.
    pub fn is_lent(&self) -> bool {
        self.state != AppliedState::Undone
            && self
                .lease
                .is_some_and(|lease| lease.ends == LeaseEnds::Undone)
    }
}

/// How an act stands that can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AppliedState {
    /// It was intended; whether it was done is not known.
    Intended,
    /// It was done.
    Applied,
    /// It was undone. What it has left behind is kept until its lease is over.
    Undone,
}

impl AppliedState {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Intended, Self::Applied, Self::Undone];

    /// Its stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Applied => "applied",
            Self::Undone => "undone",
        }
    }
}

/// What became of the wish to undo an act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoOutcome {
    /// Such as `set-aside.run`.
    pub act: String,
    /// What it acted on.
    pub name: String,
    /// What was done, or would be; why it was not, or cannot be.
    pub result: Result<String, Failure>,
}
