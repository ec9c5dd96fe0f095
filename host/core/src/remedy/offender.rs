//! `[[offenders]]`: a unit or slice that may have to make way for the service.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::UnitProperty;
use crate::UnitName;

/// Whoever uses what the service needs, and matters less.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offender {
    pub unit: UnitName,
    /// What it is throttled to; empty where it may not be.
    pub throttle: BTreeMap<UnitProperty, u64>,
    /// Whether it may be frozen.
    pub freeze: bool,
    /// Then it has back what it had.
    #[serde(rename = "lease_milliseconds", with = "crate::span::in_millis")]
    pub lease: Duration,
    /// Before that, once the service was well for so long.
    #[serde(rename = "calm_milliseconds", with = "crate::span::in_millis")]
    pub calm: Duration,
}
