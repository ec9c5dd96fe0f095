//! What went wrong with a unit.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::capability::{ActiveState, UnitStatus};

/// What went wrong: systemd's Result of the failed run, or what Prunella noticed
/// that systemd has no word for. Everywhere but here it is shown by
/// [`as_str`](Self::as_str).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Cause {
    /// The main process exited with a code that is no success.
    ExitCode,
    /// A signal ended the main process.
    Signal,
    /// A signal ended it, and it left a core dump.
    CoreDump,
    /// It gave no sign of life (WatchdogSec=).
    Watchdog,
    /// A start, a stop or the run took longer than systemd allows.
    Timeout,
    /// The kernel, or systemd-oomd, killed it for its memory.
    OomKill,
    /// systemd could not give it what it needs.
    Resources,
    /// It did not do what its Type= promises.
    Protocol,
    /// It was started too often.
    StartLimitHit,
    /// A unit that it requires failed.
    Dependency,
    /// systemd restarts it again and again.
    RestartLoop,
    /// It is up, and does not answer.
    NotAnswering,
    /// It is up, and serves worse than it should.
    Degraded,
    /// It was stopped, and `heal-on-stop` says that this is a failure.
    Stopped,
    /// It ended with success and nobody asked for that, and `run-policy` says
    /// that this is a failure.
    Ended,
    /// Nothing has failed: a person wants it restarted.
    RestartRequested,
    /// Nothing has failed: somebody asks about it as it stands.
    State(ActiveState),
    /// A Result that this version does not know.
    Other(String),
}

impl Cause {
    /// Of a unit as it stands: systemd's Result, where it is down by failure.
    pub fn of(status: &UnitStatus) -> Self {
        if status.is_up() {
            Self::NotAnswering
        } else if status.result == "success" {
            Self::State(status.active_state)
        } else {
            Self::from(status.result.as_str())
        }
    }

    /// Whether no run had failed: a person wanted something of a service that was up, or had
    /// been stopped.
    pub fn is_no_failure(&self) -> bool {
        matches!(self, Self::RestartRequested | Self::State(_))
    }

    /// Whether it is that of an order about a service that was up.
    pub fn is_of_what_is_up(&self) -> bool {
        matches!(
            self,
            Self::RestartRequested
                | Self::State(
                    ActiveState::Active | ActiveState::Reloading | ActiveState::Refreshing
                )
        )
    }

    /// The stable word of logs, of the store, of the contract and of `--json`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::ExitCode => "exit-code",
            Self::Signal => "signal",
            Self::CoreDump => "core-dump",
            Self::Watchdog => "watchdog",
            Self::Timeout => "timeout",
            Self::OomKill => "oom-kill",
            Self::Resources => "resources",
            Self::Protocol => "protocol",
            Self::StartLimitHit => "start-limit-hit",
            Self::Dependency => "dependency",
            Self::RestartLoop => "restart-loop",
            Self::NotAnswering => "not-answering",
            Self::Degraded => "degraded",
            Self::Stopped => "stopped",
            Self::Ended => "ended",
            Self::RestartRequested => "restart-requested",
            Self::State(state) => state.as_str(),
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for Cause {
    fn from(word: &str) -> Self {
        match word {
            "exit-code" => Self::ExitCode,
            "signal" => Self::Signal,
            "core-dump" => Self::CoreDump,
            "watchdog" => Self::Watchdog,
            "timeout" => Self::Timeout,
            "oom-kill" => Self::OomKill,
            "resources" => Self::Resources,
            "protocol" => Self::Protocol,
            "start-limit-hit" => Self::StartLimitHit,
            "dependency" => Self::Dependency,
            "restart-loop" => Self::RestartLoop,
            "not-answering" => Self::NotAnswering,
            "degraded" => Self::Degraded,
            "stopped" => Self::Stopped,
            "ended" => Self::Ended,
            "restart-requested" => Self::RestartRequested,
            other => match ActiveState::parse(other) {
                ActiveState::Other => Self::Other(other.to_owned()),
                state => Self::State(state),
            },
        }
    }
}

impl From<String> for Cause {
    fn from(word: String) -> Self {
        Self::from(word.as_str())
    }
}

impl From<Cause> for String {
    fn from(cause: Cause) -> Self {
        cause.as_str().to_owned()
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_back_as_it_was() {
        for word in [
            "exit-code",
            "signal",
            "core-dump",
            "watchdog",
            "timeout",
            "oom-kill",
            "resources",
            "protocol",
            "start-limit-hit",
            "dependency",
            "restart-loop",
            "not-answering",
            "degraded",
            "stopped",
            "ended",
            "restart-requested",
            "inactive",
            "active",
            "exec-condition",
        ] {
            assert_eq!(Cause::from(word).as_str(), word);
        }
        assert_eq!(
            Cause::from("exec-condition"),
            Cause::Other("exec-condition".to_owned())
        );
        assert_eq!(Cause::from("inactive"), Cause::State(ActiveState::Inactive));
    }
}
