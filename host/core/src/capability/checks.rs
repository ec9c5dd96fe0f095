//! `prunella:act/checks`: running declared checks.

use serde::{Deserialize, Serialize};

use super::{
    Act, ActsOn, Budget, Consequence, Described, Description, Durability, OversightRule, Reply,
    StopsAlong, Subject,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    pub name: String,
}

pub(super) static RUN: Consequence = Consequence {
    name: "checks.run",
    asks_systemd: false,
    means: "may run declared checks",
    on: ActsOn::Declared,
    stops_along: StopsAlong::Nothing,
    ends_processes: false,
    budget: Budget::Free,
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::WhenListed,
    result: |reply| match reply {
        Reply::CheckRun(report) => Some(report.shown()),
        _ => None,
    },
};

impl Described for Run {
    fn description(&self) -> Description {
        Description::Act(Act::RunCheck)
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject::Check(&self.name)
    }
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Exit code 0.
    pub passed: bool,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<String>,
    /// The end of what it wrote.
    pub output: String,
}

impl CheckReport {
    /// For people, in a few words.
    pub fn shown(&self) -> String {
        match self {
            Self { passed: true, .. } => "passed".to_owned(),
            Self {
                exit_code: Some(code),
                ..
            } => format!("did not pass: exit code {code}"),
            Self {
                signal: Some(signal),
                ..
            } => format!("did not pass: ended by {signal}"),
            _ => "did not pass".to_owned(),
        }
    }
}
