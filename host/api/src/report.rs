//! How host, services and Prunella stand: what `prunella status` shows.

use prunella_core::{
    UnitName,
    capability::{ActiveState, Disk, Load, Memory},
    incident::IncidentId,
    service::Port,
};
use serde::{Deserialize, Serialize};

/// The whole overview. What could not be found out is absent, never guessed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    /// When it was put together: milliseconds since 1970.
    pub at: u64,
    /// Prunella's version.
    pub version: String,
    /// The daemon that answered; absent when the command looked for itself.
    pub daemon: Option<DaemonInfo>,
    /// The host.
    pub host: HostOverview,
    /// Every service in Prunella's care, by name.
    pub services: Vec<ServiceStatus>,
    /// The last 24 hours.
    pub day: DayCount,
    /// What is paused.
    pub pauses: Vec<PauseStatus>,
    /// Incidents that people have to see to, newest first.
    pub needs_people: Vec<NeedsPeople>,
    /// Strategies that may observe only, for want of a grant.
    pub awaiting_grant: Vec<AwaitingGrant>,
    /// What else an operator should know, one sentence each.
    pub notices: Vec<String>,
}

/// A running daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonInfo {
    /// Its process.
    pub pid: u32,
    /// Since when it runs: milliseconds since 1970.
    pub since: u64,
}

/// The host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostOverview {
    /// Its name.
    pub name: String,
    /// Seconds since boot, suspend included.
    pub uptime_s: u64,
    /// systemd's own state: `running`, `degraded`, …
    pub system_state: Option<String>,
    /// Load averages.
    pub load: Option<Load>,
    /// Memory, in bytes.
    pub memory: Option<Memory>,
    /// File systems.
    pub disks: Vec<DiskStatus>,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskStatus {
    /// A place on it.
    pub place: String,
    /// How full it is.
    #[serde(flatten)]
    pub disk: Disk,
}

/// One service in Prunella's care.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// The unit, by its canonical name.
    pub unit: UnitName,
    /// What it is for.
    pub domain: Option<String>,
    /// Whether people are hurt when it is down.
    pub critical: bool,
    /// systemd's ActiveState; absent when systemd could not be asked.
    pub state: Option<ActiveState>,
    /// systemd's SubState.
    pub sub_state: Option<String>,
    /// Whether it is up, by its kind: a oneshot that is done is.
    pub up: Option<bool>,
    /// In this state since: milliseconds since 1970.
    pub since: Option<u64>,
    /// Its ports.
    pub ports: Vec<PortStatus>,
    /// When it is left alone.
    pub paused: bool,
    /// The incident that is being seen to now.
    pub open_incident: Option<IncidentId>,
    /// The last one that was healed.
    pub last_healing: Option<LastHealing>,
}

/// A port of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortStatus {
    /// Which.
    pub port: Port,
    /// Whether anybody listens on it; absent when that is not known.
    pub held: Option<bool>,
}

/// A healing that has been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastHealing {
    /// Its incident.
    pub incident: IncidentId,
    /// When the failure was detected: milliseconds since 1970.
    pub at: u64,
    /// Who healed it.
    pub strategy: Option<String>,
    /// Microseconds from the failure to the moment of recovery.
    pub recovered_after_us: Option<u64>,
}

/// How the incidents of 24 hours ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCount {
    /// By a strategy, with proof.
    pub healed: u32,
    /// By themselves or others.
    pub recovered: u32,
    /// Rightly not touched.
    pub left_alone: u32,
    /// Handed to people.
    pub escalated: u32,
    /// Broken off.
    pub interrupted: u32,
    /// Still going on.
    pub open: u32,
}

impl DayCount {
    /// Counts one more that ended so.
    pub fn count(&mut self, ended: Option<&str>) {
        let which = match ended {
            Some("healed") => &mut self.healed,
            Some("recovered") => &mut self.recovered,
            Some("left-alone") => &mut self.left_alone,
            Some("escalated") => &mut self.escalated,
            Some("interrupted") => &mut self.interrupted,
            // A rehearsal is nobody's incident.
            Some("rehearsed") => return,
            _ => &mut self.open,
        };
        *which = which.saturating_add(1);
    }
}

/// A pause that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseStatus {
    /// The unit; everything, when absent.
    pub unit: Option<UnitName>,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub by: String,
    /// Since when: milliseconds since 1970.
    pub since: u64,
    /// Until when; until it is resumed, when absent.
    pub until: Option<u64>,
}

/// An incident that people have to see to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeedsPeople {
    /// Which.
    pub incident: IncidentId,
    /// Whose.
    pub unit: UnitName,
    /// When it was detected: milliseconds since 1970.
    pub at: u64,
    /// Why Prunella could not, or would not.
    pub reason: String,
}

/// A strategy without the rights to act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitingGrant {
    /// Which.
    pub strategy: String,
    /// What to know about it.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_is_not_counted() {
        let mut day = DayCount::default();
        for ended in [Some("healed"), Some("rehearsed"), None, Some("escalated")] {
            day.count(ended);
        }
        assert_eq!((day.healed, day.open, day.escalated), (1, 1, 1));
    }
}
