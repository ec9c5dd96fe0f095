//! `prunella:act/process-control`: ending processes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Act, ActsOn, Budget, Consequence, Described, Description, Durability, OversightRule, Process,
    Reply, StopsAlong, Subject, number_of_process,
};

/// Ends one: SIGTERM, SIGKILL after the grace, and waits until it is gone.
#[derive(Debug, Clone, Serialize)]
pub struct Terminate {
    #[serde(serialize_with = "number_of_process")]
    pub process: Process,
    #[serde(serialize_with = "crate::span::in_millis::serialize")]
    pub grace: Duration,
}

pub(super) static TERMINATE: Consequence = Consequence {
    name: "process-control.terminate",
    asks_systemd: false,
    means: "may end processes",
    on: ActsOn::Process,
    stops_along: StopsAlong::Nothing,
    ends_processes: true,
    budget: Budget::Free,
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::WhenListedOrNotItsOwn,
    result: |reply| match reply {
        Reply::ProcessTerminate(ended) => Some(ended.shown().to_owned()),
        _ => None,
    },
};

impl Described for Terminate {
    fn description(&self) -> Description {
        Description::Act(Act::Terminate)
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject::Process(&self.process.info)
    }
}

/// How a process came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Termination {
    /// It had ended already.
    WasGone,
    /// It ended when asked to (SIGTERM).
    Asked,
    /// It had to be killed (SIGKILL).
    Killed,
}

impl Termination {
    pub fn shown(self) -> &'static str {
        match self {
            Self::WasGone => "it had ended already",
            Self::Asked => "it ended when asked to",
            Self::Killed => "it had to be killed",
        }
    }
}
