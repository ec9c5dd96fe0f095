//! `[[failover]]`: standbys, one of which takes the place of the service when that cannot be
//! healed. Of a group no two serve at once: the service is fenced, and proven down, before its
//! standby takes over.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::DeclaredRemedy;
use crate::UnitName;

/// What may take the place of a service, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failover {
    /// The first that is able takes over.
    pub standbys: Vec<UnitName>,
    pub standby_is: StandbyIs,
    /// The declared check that proves a unit able to serve.
    pub able: Option<String>,
    /// The declared check that has to pass once the service is down, and before its standby
    /// takes over.
    pub fenced: Option<String>,
    /// The declared check that makes the standby serve, after it was started.
    pub promote: Option<String>,
    /// The declared check that takes that back, once the standby is down.
    pub demote: Option<String>,
    /// Probes of the service that its standby answers as well.
    pub probes: Vec<String>,
    /// After so long the service takes its place again, once it is able to.
    #[serde(
        default,
        rename = "fail_back_after_milliseconds",
        with = "crate::span::in_millis"
    )]
    pub fail_back_after: Option<Duration>,
}

/// How a standby is while the service serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StandbyIs {
    /// Two that run are a split.
    Stopped,
    /// It runs, and serves once it is promoted: a replica, say.
    Running,
}

/// A failover that was, or is about to be, made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedOver {
    /// The operator's name for the group.
    pub name: String,
    /// By its canonical name.
    pub primary: UnitName,
    /// By its canonical name.
    pub standby: UnitName,
    pub standby_is: StandbyIs,
    /// Whether the primary ran, and was stopped.
    pub was_up: bool,
    /// As [`Failover::able`].
    pub able: Option<String>,
    /// As [`Failover::promote`].
    pub promote: Option<String>,
    /// As [`Failover::demote`].
    pub demote: Option<String>,
    /// As [`Failover::probes`].
    pub probes: Vec<String>,
}

impl FailedOver {
    /// The code of undoing one that was cut off when it had been done: nothing was undone.
    pub const COMPLETE: &str = "failover-complete";
    /// The code of a failure to fail back that is not tried again by itself.
    pub const DID_NOT_FAIL_BACK: &str = "did-not-fail-back";
}

impl DeclaredRemedy for Failover {
    fn checks(&self) -> Vec<&str> {
        let looks = self.able.iter().chain(&self.fenced);
        let acts = self.promote.iter().chain(&self.demote);
        looks.chain(acts).map(String::as_str).collect()
    }

    fn stops_itself(&self) -> bool {
        true
    }

    fn units(&self) -> Vec<&UnitName> {
        self.standbys.iter().collect()
    }
}
