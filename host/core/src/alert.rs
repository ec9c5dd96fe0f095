//! Who should hear of an incident, and how urgently.

use serde::{Deserialize, Serialize};

/// What an alert tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertKind {
    /// A service failed and is well again; nobody has to do anything.
    Recovery,
    /// A person has to do something.
    Escalation,
    /// Worth knowing, such as why a failed service was rightly left alone.
    Information,
}

impl AlertKind {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Recovery, Self::Escalation, Self::Information];

    /// Its stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Recovery => "recovery",
            Self::Escalation => "escalation",
            Self::Information => "information",
        }
    }
}

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It can wait until somebody reads it.
    Info,
    /// Somebody should look at it today.
    Warning,
    /// Somebody should look at it now: a critical service is down.
    Critical,
}

impl Severity {
    /// All there are, the least urgent first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// Its stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}
