//! `prunella:observe/units`: how systemd's units stand.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Answer, Described, Description, Host, Look, Observe, Subject};
use crate::{Monotonic, Timestamp, UnitName, start_rules::StartRules};

/// How a unit stands; `not-found` when there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Get {
    pub unit: UnitName,
}

/// Waits until a unit is there. [`Goal::Up`] ends with `failed` when the unit
/// settles in failure instead; the time running out is `timed-out`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wait {
    pub unit: UnitName,
    #[serde(rename = "until")]
    pub goal: Goal,
    #[serde(serialize_with = "crate::span::in_millis::serialize")]
    pub timeout: Duration,
}

static GET: Look = Look::new("units.get")
    .through(Observe::Units)
    .asks_systemd();
static WAIT: Look = Look::new("units.wait")
    .through(Observe::Units)
    .asks_systemd();

impl Described for Get {
    fn description(&self) -> Description {
        Description::Look(&GET)
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject::Unit(&mut self.unit)
    }
}

impl Described for Wait {
    fn description(&self) -> Description {
        Description::Look(&WAIT)
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject::Unit(&mut self.unit)
    }
}

/// systemd's ActiveState.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActiveState {
    Active,
    /// Up, reading its configuration again.
    Reloading,
    /// Down, with success.
    Inactive,
    /// Down, with failure.
    Failed,
    /// On its way up, or waiting for systemd's own restart.
    Activating,
    /// On its way down.
    Deactivating,
    /// Being cleaned or otherwise busy.
    Maintenance,
    /// Up, with its mounts being refreshed (systemd 257 and later).
    Refreshing,
    /// A state this version does not know.
    Other,
}

impl ActiveState {
    /// systemd's word, as D-Bus gives it.
    pub fn parse(word: &str) -> Self {
        match word {
            "active" => Self::Active,
            "reloading" => Self::Reloading,
            "inactive" => Self::Inactive,
            "failed" => Self::Failed,
            "activating" => Self::Activating,
            "deactivating" => Self::Deactivating,
            "maintenance" => Self::Maintenance,
            "refreshing" => Self::Refreshing,
            _ => Self::Other,
        }
    }

    /// systemd's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Reloading => "reloading",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
            Self::Maintenance => "maintenance",
            Self::Refreshing => "refreshing",
            Self::Other => "unknown",
        }
    }
}

/// A job that systemd has queued for a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingJob {
    /// systemd's number for it.
    pub id: u32,
    /// `start`, `stop`, `restart`, `reload`, …
    pub kind: String,
}

/// A unit as it was at one moment, read in one go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitStatus {
    /// The canonical name (systemd's Id).
    pub name: UnitName,
    /// Every name it goes by, the canonical one among them.
    pub names: Vec<UnitName>,
    /// systemd's Description=.
    pub description: String,
    /// systemd's LoadState.
    pub load_state: String,
    /// systemd's ActiveState.
    pub active_state: ActiveState,
    /// systemd's SubState.
    pub sub_state: String,
    /// systemd's Type= (services only).
    pub kind: Option<String>,
    /// systemd's Result; `success` when there is none.
    pub result: String,
    /// The main process's exit code, when it exited by itself.
    pub exit_code: Option<i32>,
    /// The signal that ended the main process, without `SIG`.
    pub signal: Option<String>,
    /// The main process.
    pub main_pid: Option<u32>,
    /// systemd's NRestarts.
    pub restarts: u32,
    /// The current or last run's invocation id.
    pub invocation: Option<String>,
    /// When the active state last changed.
    pub since: Option<Timestamp>,
    /// The same on the monotonic clock.
    pub since_monotonic: Option<Monotonic>,
    /// When it last left `active`.
    pub active_exit_monotonic: Option<Monotonic>,
    /// When it last entered `inactive` or `failed`.
    pub inactive_enter_monotonic: Option<Monotonic>,
    /// When it last left `inactive`.
    pub inactive_exit_monotonic: Option<Monotonic>,
    /// When the main process last ended.
    pub main_exit_monotonic: Option<Monotonic>,
    /// systemd's Restart=.
    pub restart_policy: String,
    /// systemd's RestartSec=.
    #[serde(with = "crate::span::in_micros")]
    pub restart_delay: Duration,
    /// systemd's StartLimitBurst=.
    pub start_limit_burst: u32,
    /// systemd's StartLimitIntervalSec=.
    #[serde(with = "crate::span::in_micros")]
    pub start_limit_interval: Duration,
    /// systemd's StartLimitAction=.
    pub start_limit_action: String,
    /// systemd's FailureAction=.
    pub failure_action: String,
    /// systemd's SuccessAction=.
    pub success_action: String,
    /// RemainAfterExit=.
    pub remain_after_exit: bool,
    /// The pending job.
    pub job: Option<PendingJob>,
    /// Requires=, Requisite= and BindsTo=.
    pub requires: Vec<UnitName>,
    /// RequiredBy=, RequisiteOf=, BoundBy= and ConsistsOf=: what stops with it.
    pub required_by: Vec<UnitName>,
    /// Conflicts= and ConflictedBy=: what a start of it would stop.
    pub conflicts: Vec<UnitName>,
    /// OnFailure=.
    pub on_failure: Vec<UnitName>,
    /// TriggeredBy=: the sockets, timers and paths that start it.
    pub triggered_by: Vec<UnitName>,
    /// Triggers=: what it starts, for a socket or timer.
    pub triggers: Vec<UnitName>,
    /// The control group, such as `/system.slice/nginx.service`.
    pub control_group: Option<String>,
    /// User=, empty for root.
    pub user: String,
    /// Group=, empty for the user's own.
    pub group: String,
    /// The file that defines it.
    pub fragment: Option<String>,
    /// Whether the unit's files changed since systemd read them.
    pub needs_reload: bool,
    /// systemd's CanReload: whether it can read its configuration again while it runs.
    #[serde(default)]
    pub can_reload: bool,
    /// Whether its network is its own (PrivateNetwork=, NetworkNamespacePath=).
    pub private_network: bool,
    /// What its author says of its starts.
    #[serde(default)]
    pub start_rules: StartRules,
    /// What it has told systemd of itself.
    #[serde(default)]
    pub own_word: OwnWord,
}

/// What a service has told systemd of itself (sd_notify(3)). It is evidence, for people:
/// it decides nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnWord {
    /// STATUS=, in one redacted line; what it said last, once it is down.
    pub status: Option<String>,
    /// WatchdogSec=: it has to give a sign of life so often.
    #[serde(default, with = "crate::span::in_micros")]
    pub watchdog: Option<Duration>,
    /// When it gave the last one.
    pub alive_monotonic: Option<Monotonic>,
}

impl UnitStatus {
    /// Whether the unit is up, by its kind: active, or for a oneshot without
    /// RemainAfterExit=, done with success.
    pub fn is_up(&self) -> bool {
        match self.active_state {
            ActiveState::Active | ActiveState::Reloading | ActiveState::Refreshing => true,
            ActiveState::Inactive => {
                self.is_oneshot()
                    && !self.remain_after_exit
                    && self.result == "success"
                    && self.main_exit_monotonic.is_some()
            }
            _ => false,
        }
    }

    /// Whether it is a service of Type=oneshot.
    pub fn is_oneshot(&self) -> bool {
        self.kind.as_deref() == Some("oneshot")
    }

    /// Whether it is down with success, and is of a kind that goes on until it is
    /// stopped: no oneshot, nothing that a socket, timer or path starts when it
    /// is needed.
    pub fn should_have_gone_on(&self) -> bool {
        self.active_state == ActiveState::Inactive
            && self.job.is_none()
            && self.load_state == "loaded"
            && self.result == "success"
            && self.name.kind() == "service"
            && !self.is_oneshot()
            && !self.is_auto_restarting()
            && self.triggered_by.is_empty()
    }

    /// Whether nothing is going on: no job, no transition, and systemd is not about
    /// to start it again.
    pub fn is_settled(&self) -> bool {
        self.job.is_none()
            && !self.is_auto_restarting()
            && matches!(
                self.active_state,
                ActiveState::Active | ActiveState::Inactive | ActiveState::Failed
            )
    }

    /// Whether anything of it runs, or is about to: whether there is anything to stop.
    pub fn is_live(&self) -> bool {
        !matches!(
            self.active_state,
            ActiveState::Inactive | ActiveState::Failed
        )
    }

    /// Whether systemd is about to start it again by itself.
    pub fn is_auto_restarting(&self) -> bool {
        // `auto-restart`; since 254 also `auto-restart-queued`, and for a moment
        // `failed-before-auto-restart` and `dead-before-auto-restart`.
        self.sub_state.contains("auto-restart")
    }

    /// Whether the unit exists.
    pub fn exists(&self) -> bool {
        self.load_state != "not-found"
    }
}

/// What [`Wait`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// Up, by the kind of unit.
    Up,
    /// Inactive or failed, with no job pending.
    Down,
    /// No job pending and in no transition.
    Settled,
}

impl Host {
    /// How a unit stands.
    ///
    /// # Errors
    /// `not-found` when there is none, or whatever kept it from being read.
    pub fn unit(&self, deadline: Instant, unit: &UnitName) -> Answer<UnitStatus> {
        let unit = unit.clone();
        self.ask(deadline, Get { unit })
    }
}
