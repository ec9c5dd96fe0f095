//! `prunella:act/unit-control`: acting on units, by jobs that never replace another.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Act, ActsOn, Budget, Consequence, Described, Description, Durability, Look, OversightRule,
    StopsAlong, Subject, Token, number_of_job,
};
use crate::UnitName;

/// Queues a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Submit {
    pub unit: UnitName,
    #[serde(skip)]
    pub action: UnitAct,
}

/// Clears `failed` and the start limit's count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResetFailed {
    pub unit: UnitName,
}

/// Waits for a job's end: systemd's word (`done`, `failed`, `dependency`, …).
#[derive(Debug, Clone, Serialize)]
pub struct WaitForJob {
    #[serde(serialize_with = "number_of_job")]
    pub job: Job,
    #[serde(serialize_with = "crate::span::in_millis::serialize")]
    pub timeout: Duration,
}

/// The part that all jobs have in common.
const JOB: Consequence = Consequence {
    name: "",
    asks_systemd: false,
    means: "",
    on: ActsOn::Unit,
    stops_along: StopsAlong::Nothing,
    ends_processes: false,
    budget: Budget::Free,
    durability: Durability::OnDiskMeanwhile,
    oversight: OversightRule::WhenListed,
    // The job's end tells, whoever waits for it.
    result: |_| None,
};

pub(super) static START: Consequence = Consequence {
    name: "unit-control.start",
    asks_systemd: true,
    means: "may start units",
    stops_along: StopsAlong::ItsConflicts,
    budget: Budget::Healing,
    ..JOB
};

pub(super) static RESTART: Consequence = Consequence {
    name: "unit-control.restart",
    asks_systemd: true,
    means: "may restart units",
    stops_along: StopsAlong::ItsDependents,
    ends_processes: true,
    budget: Budget::Healing,
    ..JOB
};

pub(super) static STOP: Consequence = Consequence {
    name: "unit-control.stop",
    asks_systemd: true,
    means: "may stop units",
    stops_along: StopsAlong::ItsDependents,
    ends_processes: true,
    ..JOB
};

pub(super) static RELOAD: Consequence = Consequence {
    name: "unit-control.reload",
    asks_systemd: true,
    means: "may make units read their configuration again",
    ..JOB
};

pub(super) static RESET_FAILED: Consequence = Consequence {
    name: "unit-control.reset-failed",
    asks_systemd: true,
    means: "may clear a unit's failure and start limit",
    on: ActsOn::Unit,
    stops_along: StopsAlong::Nothing,
    ends_processes: false,
    budget: Budget::Free,
    durability: Durability::Committed,
    oversight: OversightRule::WhenListed,
    result: |_| Some("cleared".to_owned()),
};

static WAIT_FOR_JOB: Look = Look::new("job.wait").only_when_healing();

impl Described for Submit {
    fn description(&self) -> Description {
        Description::Act(self.action.into())
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject::Unit(&mut self.unit)
    }
}

impl Described for ResetFailed {
    fn description(&self) -> Description {
        Description::Act(Act::ResetFailed)
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject::Unit(&mut self.unit)
    }
}

impl Described for WaitForJob {
    fn description(&self) -> Description {
        Description::Look(&WAIT_FOR_JOB)
    }
}

/// What to do with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitAct {
    /// For what is failed or inactive.
    Start,
    /// For what runs.
    Restart,
    Stop,
    /// Read its configuration again.
    Reload,
}

impl From<UnitAct> for Act {
    fn from(action: UnitAct) -> Self {
        match action {
            UnitAct::Start => Self::Start,
            UnitAct::Restart => Self::Restart,
            UnitAct::Stop => Self::Stop,
            UnitAct::Reload => Self::Reload,
        }
    }
}

/// A job that systemd has accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
pub struct Job {
    /// Its number in a recording; 0 where nothing is recorded.
    pub number: u32,
    /// What the host knows it by.
    pub token: Token,
}

impl Job {
    pub fn new(token: Token) -> Self {
        Self { number: 0, token }
    }
}

impl From<u32> for Job {
    fn from(number: u32) -> Self {
        Self {
            number,
            token: Token::default(),
        }
    }
}

impl From<Job> for u32 {
    fn from(job: Job) -> Self {
        job.number
    }
}
