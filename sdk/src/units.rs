//! systemd's units: how they stand, and waiting for them.

use std::time::{Duration, SystemTime};

use crate::{
    Result,
    contract::observe::units as raw,
    time::{milliseconds, moment},
};

pub use raw::{ActiveState, Goal};

/// How a unit stands. The incident's own unit and what it needs may be asked
/// about, and nothing else without a grant.
///
/// # Errors
/// `not-found` when there is no such unit, `denied` when it may not be asked
/// about.
pub fn get(name: &str) -> Result<Unit> {
    Ok(Unit(raw::get(name)?))
}

/// Waits until a unit is there. Driven by systemd's signals: it costs nothing
/// while it waits, and returns at once when the time has come.
///
/// # Errors
/// `timed-out` when the time is up; `failed` when waiting for [`Goal::Up`] and
/// the unit has settled in failure.
pub fn wait(name: &str, until: Goal, timeout: Duration) -> Result<Unit> {
    Ok(Unit(raw::wait(name, until, milliseconds(timeout))?))
}

/// Waits until a unit runs, or, for a oneshot, is done with success.
///
/// # Errors
/// `timed-out` when the time is up; `failed` when the unit has settled in
/// failure.
pub fn wait_up(name: &str, timeout: Duration) -> Result<Unit> {
    wait(name, Goal::Up, timeout)
}

/// Waits until a unit neither runs nor is on its way up or down.
///
/// # Errors
/// `timed-out` when the time is up.
pub fn wait_down(name: &str, timeout: Duration) -> Result<Unit> {
    wait(name, Goal::Down, timeout)
}

/// Waits until a unit has no job pending and is in no transition.
///
/// # Errors
/// `timed-out` when the time is up.
pub fn wait_settled(name: &str, timeout: Duration) -> Result<Unit> {
    wait(name, Goal::Settled, timeout)
}

/// A unit as it was at one moment. Asking again is a new [`get`].
pub struct Unit(raw::Unit);

impl Unit {
    /// The canonical name.
    pub fn name(&self) -> String {
        self.0.name()
    }

    /// systemd's ActiveState.
    pub fn active_state(&self) -> ActiveState {
        self.0.active_state()
    }

    /// systemd's SubState, such as `running`, `dead`, `auto-restart`.
    pub fn sub_state(&self) -> String {
        self.0.sub_state()
    }

    /// systemd's LoadState, such as `loaded`, `not-found`, `masked`.
    pub fn load_state(&self) -> String {
        self.0.load_state()
    }

    /// systemd's Type= of a service, such as `simple` or `oneshot`.
    pub fn kind(&self) -> Option<String> {
        self.0.kind()
    }

    /// systemd's Result, such as `success` or `exit-code`.
    pub fn last_result(&self) -> String {
        self.0.last_result()
    }

    /// The exit code of the last main process, when it exited.
    pub fn exit_code(&self) -> Option<i32> {
        self.0.exit_code()
    }

    /// The signal that ended the last main process, such as `KILL`.
    pub fn signal(&self) -> Option<String> {
        self.0.signal()
    }

    /// The main process.
    pub fn main_pid(&self) -> Option<u32> {
        self.0.main_pid()
    }

    /// systemd's NRestarts: automatic restarts only; may go back to 0.
    pub fn restarts(&self) -> u32 {
        self.0.restarts()
    }

    /// The current or last run's invocation id, 32 hexadecimal digits.
    pub fn invocation(&self) -> Option<String> {
        self.0.invocation()
    }

    /// When the active state last changed.
    pub fn since(&self) -> Option<SystemTime> {
        self.0.since().map(moment)
    }

    /// systemd's Restart=, such as `no` or `on-failure`.
    pub fn restart_policy(&self) -> String {
        self.0.restart_policy()
    }

    /// systemd's RestartSec=.
    pub fn restart_delay(&self) -> Duration {
        Duration::from_millis(self.0.restart_delay())
    }

    /// systemd's StartLimitBurst=; 0 when there is no limit.
    pub fn start_limit_burst(&self) -> u32 {
        self.0.start_limit_burst()
    }

    /// systemd's StartLimitIntervalSec=.
    pub fn start_limit_interval(&self) -> Duration {
        Duration::from_millis(self.0.start_limit_interval())
    }

    /// The pending job's type, such as `start`, `stop`, `restart`.
    pub fn pending_job(&self) -> Option<String> {
        self.0.pending_job()
    }

    /// What the unit cannot start without (Requires=, Requisite=, BindsTo=).
    pub fn requires(&self) -> Vec<String> {
        self.0.requires()
    }

    /// What stops when this unit stops (RequiredBy=, BoundBy=, ConsistsOf=).
    pub fn required_by(&self) -> Vec<String> {
        self.0.required_by()
    }

    /// The sockets that start this unit.
    pub fn triggered_by(&self) -> Vec<String> {
        self.0.triggered_by()
    }

    /// Whether it can read its configuration again while it runs (systemd's CanReload).
    pub fn can_reload(&self) -> bool {
        self.0.can_reload()
    }

    /// Whether the unit is up, by the kind of unit it is.
    pub fn is_up(&self) -> bool {
        self.0.is_up()
    }

    /// Whether the unit is down and stays down: failed or inactive. A oneshot
    /// that is done with success is inactive too, and [up](Self::is_up).
    pub fn is_down(&self) -> bool {
        !self.is_up()
            && matches!(
                self.active_state(),
                ActiveState::Failed | ActiveState::Inactive
            )
    }

    /// Whether systemd is about to start it again by itself (Restart=).
    pub fn is_auto_restarting(&self) -> bool {
        self.active_state() == ActiveState::Activating
            && self.sub_state().starts_with("auto-restart")
    }

    /// How it stands, for a report: `active (running)`, or
    /// `failed (exit code 1)`.
    pub fn standing(&self) -> String {
        let state = self.active_state();
        let detail = if state == ActiveState::Failed {
            let result = self.last_result();
            match (result.as_str(), self.exit_code(), self.signal()) {
                ("exit-code", Some(code), _) => format!("exit code {code}"),
                ("signal", _, Some(signal)) => format!("signal {signal}"),
                (_, _, Some(signal)) => format!("{result}, signal {signal}"),
                _ => result,
            }
        } else {
            self.sub_state()
        };
        if detail.is_empty() || detail == state.as_str() {
            state.as_str().to_owned()
        } else {
            format!("{} ({detail})", state.as_str())
        }
    }
}

impl ActiveState {
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
            Self::Other => "in an unknown state",
        }
    }
}
