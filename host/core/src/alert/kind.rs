//! What alerts can tell.

use serde::{Deserialize, Serialize};

/// What an alert tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertKind {
    /// A service failed and is well again; nobody has to do anything.
    Recovery,
    /// A person has to do something.
    Escalation,
    /// A service is down, and Prunella is still healing it.
    Outage,
    /// A service serves worse than it should, and Prunella does not act on it by itself.
    Degradation,
    /// Worth knowing, such as why a failed service was rightly left alone.
    Information,
}

impl AlertKind {
    /// All there are.
    pub const ALL: [Self; 5] = [
        Self::Recovery,
        Self::Escalation,
        Self::Outage,
        Self::Degradation,
        Self::Information,
    ];

    /// Its stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recovery => "recovery",
            Self::Escalation => "escalation",
            Self::Outage => "outage",
            Self::Degradation => "degradation",
            Self::Information => "information",
        }
    }

    /// Whether something is wrong for as long as nothing says otherwise.
    pub fn stays_open(self) -> bool {
        matches!(self, Self::Escalation | Self::Outage | Self::Degradation)
    }
}
