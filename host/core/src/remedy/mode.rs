//! `[[mode]]`: another way of running the service, for a while: without what strains it, or with
//! something else in the place of what fails.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::UnitName;

/// What changes in a degraded mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mode {
    /// Units that are stopped, in this order, before any is started.
    pub stop: Vec<UnitName>,
    /// Units that are started.
    pub start: Vec<UnitName>,
    /// The declared check that is run when the mode is entered.
    pub enter: Option<String>,
    /// The declared check that is run when the mode is left.
    pub leave: Option<String>,
    /// For how long it lasts at most.
    #[serde(rename = "lease_milliseconds", with = "crate::span::in_millis")]
    pub lease: Duration,
    /// For how long the service is well before the mode is left.
    #[serde(rename = "calm_milliseconds", with = "crate::span::in_millis")]
    pub calm: Duration,
}

/// What is different in a mode that was, or is about to be, entered: units that stood
/// otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnteredMode {
    /// The operator's name for it.
    pub name: String,
    pub stopped: Vec<UnitName>,
    pub started: Vec<UnitName>,
    /// The declared check that is run when the mode is left.
    pub leave: Option<String>,
}
