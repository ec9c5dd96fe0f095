//! How host, services and Prunella stand: what `prunella status` shows.

use std::time::Duration;

use prunella_core::{
    Timestamp, UnitName,
    capability::{ActiveState, Load, Memory},
    health::{ExpectedWork, Health},
    incident::{EndingKind, IncidentId},
    service::Port,
};
use serde::{Deserialize, Serialize};

/// The whole overview. What could not be found out is absent, never guessed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    /// When it was put together.
    pub at: Timestamp,
    pub version: String,
    /// The daemon that answered; absent when the command looked for itself.
    pub daemon: Option<DaemonInfo>,
    pub host: HostOverview,
    /// Every service in Prunella's care, by name.
    pub services: Vec<ServiceStatus>,
    /// The last 24 hours.
    pub day: DayCount,
    /// What is paused.
    pub pauses: Vec<PauseStatus>,
    /// The work that is expected of services.
    #[serde(default)]
    pub expected_work: Vec<ExpectedWork>,
    /// Incidents that people have to see to, newest first.
    pub needs_people: Vec<NeedsPeople>,
    /// Strategies that may observe only, for want of a grant.
    pub awaiting_grant: Vec<AwaitingGrant>,
    /// What keeps Prunella from healing, one sentence each: a switch, a mistake in the
    /// configuration.
    pub alarms: Vec<String>,
    /// What else an operator should know, one sentence each.
    pub notices: Vec<String>,
}

/// A running daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonInfo {
    pub pid: u32,
    /// Since when it runs.
    pub since: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostOverview {
    pub name: String,
    /// Seconds since boot, suspend included.
    pub uptime_s: u64,
    /// systemd's own state: `running`, `degraded`, …
    pub system_state: Option<String>,
    pub load: Option<Load>,
    /// Memory, in bytes.
    pub memory: Option<Memory>,
    pub disks: Vec<DiskStatus>,
    /// How it is, by what is measured of it; absent where no daemon watches.
    pub health: Option<Health>,
}

/// A file system, as df(1) has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskStatus {
    /// Where it is mounted.
    pub place: String,
    /// Whether it is in memory (tmpfs), and empty after a boot.
    pub in_memory: bool,
    /// Its space, in bytes.
    pub bytes: Usage,
    pub inodes: Usage,
    /// Whether nothing can be written.
    pub read_only: bool,
}

/// What is used of something, and what of it is left for others than root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// So much is used.
    pub used: u64,
    /// So much is available.
    pub available: u64,
}

impl Usage {
    /// The share that is used, in percent, rounded up as df(1) does; `None` of
    /// nothing.
    pub fn percent(self) -> Option<u64> {
        let used = u128::from(self.used);
        let all = used + u128::from(self.available);
        if all == 0 {
            return None;
        }
        u64::try_from((used * 100).div_ceil(all)).ok()
    }
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
    /// How it is, by its probes, its unit and its incidents; absent where no daemon
    /// watches.
    pub health: Option<Health>,
    /// In this state since.
    pub since: Option<Timestamp>,
    pub ports: Vec<PortStatus>,
    /// When it is left alone.
    pub paused: bool,
    /// The incident that is being seen to now.
    pub open_incident: Option<IncidentId>,
    /// What its healing waits for, while nothing is done.
    pub waits: Option<Waiting>,
    /// The unit that serves in its place, to which it was failed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_over_to: Option<UnitName>,
    /// The last one that was healed.
    pub last_healing: Option<LastHealing>,
}

/// What the healing of a service waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// What it waits for, in a few words.
    pub reason: String,
    /// Until when at the latest, where that is known.
    pub until: Option<Timestamp>,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortStatus {
    pub port: Port,
    /// Whether anybody listens on it; absent when that is not known.
    pub held: Option<bool>,
    /// Who listens on it, where that is neither the service nor its socket: a process, its
    /// id, and its unit.
    pub stranger: Option<String>,
}

impl PortStatus {
    /// Whether the service does not serve it, as far as is known.
    pub fn is_amiss(&self) -> bool {
        self.held == Some(false) || self.stranger.is_some()
    }
}

/// A healing that has been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastHealing {
    pub incident: IncidentId,
    /// When it was up again, as far as that is known; else when the failure was detected.
    pub at: Timestamp,
    /// Who healed it.
    pub strategy: Option<String>,
    /// From the failure to the moment of recovery.
    #[serde(
        default,
        rename = "recovered_after_us",
        with = "prunella_core::span::in_micros"
    )]
    pub recovered_after: Option<Duration>,
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
    pub interrupted: u32,
    /// Still going on.
    pub open: u32,
}

impl DayCount {
    /// Counts incidents that ended so.
    pub fn count(&mut self, ended: Option<EndingKind>, incidents: u64) {
        let which = match ended {
            Some(EndingKind::Healed) => &mut self.healed,
            Some(EndingKind::Recovered) => &mut self.recovered,
            Some(EndingKind::LeftAlone) => &mut self.left_alone,
            Some(EndingKind::Escalated) => &mut self.escalated,
            Some(EndingKind::Interrupted) => &mut self.interrupted,
            // A dry run is nobody's incident.
            // Nor are two what goes on as another.
            Some(EndingKind::DryRun | EndingKind::Continued) => return,
            Some(EndingKind::Blocked) | None => &mut self.open,
        };
        let incidents = u32::try_from(incidents).unwrap_or(u32::MAX);
        *which = which.saturating_add(incidents);
    }
}

/// A pause that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseStatus {
    /// The unit; everything, when absent.
    pub unit: Option<UnitName>,
    pub reason: String,
    /// Who asked for it.
    pub by: String,
    pub since: Timestamp,
    /// Until when; until it is resumed, when absent.
    pub until: Option<Timestamp>,
}

/// An incident that people have to see to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeedsPeople {
    pub incident: IncidentId,
    pub unit: UnitName,
    /// When it was detected.
    pub at: Timestamp,
    /// Why Prunella could not, or would not.
    pub reason: String,
    /// When Prunella tries it again by itself, or asks again; absent when it does not, or is
    /// at it.
    #[serde(default)]
    pub retry_at: Option<Timestamp>,
    /// The approval that it waits for.
    #[serde(default)]
    pub approval: Option<String>,
}

/// A strategy without the rights to act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitingGrant {
    pub strategy: String,
    /// What to know about it.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_up_and_leave_out_what_is_roots() {
        let percent = |used, available| Usage { used, available }.percent();
        // 5 % of a file system are root's: df says 17 %, not 21 %.
        assert_eq!(percent(16, 79), Some(17));
        assert_eq!(percent(1, 1_000_000), Some(1));
        assert_eq!(percent(0, 5), Some(0));
        assert_eq!(percent(5, 0), Some(100));
        assert_eq!(percent(u64::MAX, u64::MAX), Some(50));
        // btrfs has no number of inodes.
        assert_eq!(percent(0, 0), None);
    }

    #[test]
    fn a_dry_run_is_not_counted() {
        let mut day = DayCount::default();
        for ended in [
            Some(EndingKind::Healed),
            Some(EndingKind::DryRun),
            None,
            Some(EndingKind::Escalated),
        ] {
            day.count(ended, 1);
        }
        assert_eq!((day.healed, day.open, day.escalated), (1, 1, 1));
    }
}
