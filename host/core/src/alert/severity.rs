//! How urgent alerts can be.

use serde::{Deserialize, Serialize};

use crate::service::Service;

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
    /// Of a service that is down; it is absent when the unit is no longer in
    /// care.
    pub fn of_outage(service: Option<&Service>) -> Self {
        if service.is_some_and(|service| service.critical) {
            Self::Critical
        } else {
            Self::Warning
        }
    }

    /// Of a service that is well again; it is absent when the unit is no longer in care.
    pub fn of_recovery(service: Option<&Service>) -> Self {
        if service.is_some_and(|service| service.critical) {
            Self::Warning
        } else {
            Self::Info
        }
    }

    /// All there are, the least urgent first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// Its stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}
