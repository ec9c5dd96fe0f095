//! One service in detail: what `prunella status UNIT` shows.

use std::{collections::BTreeMap, path::PathBuf};

use prunella_core::{
    StrategyName, Timestamp, UnitName,
    health::ExpectedWork,
    remedy::Applied,
    service::{RunPolicy, StartLimit},
    summary::Summary,
};
use serde::{Deserialize, Serialize};

use crate::{NeedsPeople, PauseStatus, ServiceStatus};

/// All that is known of one service. What could not be found out is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceDetail {
    /// When it was put together.
    pub at: Timestamp,
    pub service: ServiceStatus,
    /// systemd's Description=.
    pub description: Option<String>,
    pub main_pid: Option<u32>,
    /// What the service says of itself (sd_notify's STATUS=), redacted.
    #[serde(default)]
    pub says: Option<String>,
    /// Its watchdog, where it has one and runs.
    #[serde(default)]
    pub watchdog: Option<WatchdogStatus>,
    pub declared: DeclaredStatus,
    /// Each probe, asked just now.
    pub probes: Vec<ProbeStatus>,
    pub budget: BudgetStatus,
    /// The pauses that cover it.
    pub pauses: Vec<PauseStatus>,
    /// The work that is expected of it.
    #[serde(default)]
    pub expected_work: Option<ExpectedWork>,
    /// What was done for it and goes back, or can be undone, for a while.
    #[serde(default)]
    pub applied: Vec<Applied>,
    /// How it failed, while it is down by failure.
    pub failure: Option<FailureStatus>,
    /// Set while a person is needed.
    pub needs_people: Option<NeedsPeople>,
    /// Whether a person's order would meet a denial, which stands.
    #[serde(default)]
    pub denied: bool,
    /// Until when what a person has denied in the incident that needs people stays so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied_until: Option<Timestamp>,
    /// Its latest incidents, newest first.
    pub incidents: Vec<Summary>,
    /// What would keep it from being healed if it failed now, a sentence each.
    pub obstacles: Vec<String>,
}

/// How a service's watchdog stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchdogStatus {
    /// A sign of life is due so often, in milliseconds.
    pub every_ms: u64,
    /// How long ago there was one.
    pub alive_ms_ago: Option<u64>,
}

/// How a service that is down has failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureStatus {
    /// Down since; a start that failed meanwhile counts for nothing. Absent when no
    /// incident tells.
    pub since: Option<Timestamp>,
    /// How its latest run ended, in a sentence without its full stop.
    pub how: String,
    /// What that run's program logged last, redacted.
    pub last_line: Option<String>,
}

/// What the operator declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredStatus {
    /// The file that declares it.
    pub file: Option<PathBuf>,
    /// In the order in which they may heal.
    pub strategies: Vec<StrategyName>,
    pub depends_on: Vec<UnitName>,
    /// Declared files, by name.
    pub files: BTreeMap<String, PathBuf>,
    /// The names of the checks.
    pub checks: Vec<String>,
    /// The kinds of the remedies, by name.
    #[serde(default)]
    pub remedies: BTreeMap<String, String>,
    pub run_policy: RunPolicy,
    pub start_limit: StartLimit,
    /// Whether a stop by an operator is healed too.
    pub heal_on_stop: bool,
}

/// A probe, and what came of asking it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeStatus {
    pub name: String,
    /// Such as `http`.
    pub kind: String,
    /// The unit that it asks, when that is another one.
    pub unit: Option<UnitName>,
    /// How often the daemon asks it, in milliseconds; only after healing, when absent.
    pub interval_ms: Option<u64>,
    /// Whether it was answered; absent when it could not be asked, or the unit is down.
    pub healthy: Option<bool>,
    /// What was answered, or why it was not asked.
    pub detail: String,
    /// Whether the daemon or a sweep never had an answer of it since it was declared as
    /// it is; then it is not used. False for one that asks another unit.
    pub never_answered: bool,
}

/// How much healing is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetStatus {
    /// Healings that are allowed in a window.
    pub healings: u32,
    /// The length of the window, in milliseconds.
    pub window_ms: u64,
    /// Healings in the window until now.
    pub used: u32,
    /// When the next may be. Absent when it may be now, or when no
    /// healing is allowed at all.
    pub next_at: Option<Timestamp>,
}
