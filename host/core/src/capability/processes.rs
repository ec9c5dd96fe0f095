//! `prunella:observe/processes`: processes, as handles that never come to mean another.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Described, Description, Look, Observe, Subject, Token, number_of_process};
use crate::{Timestamp, UnitName};

/// The processes in a unit's control group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OfUnit {
    pub unit: UnitName,
}

/// What is lost with the processes of these units, and this one, when they are ended: a sentence
/// for each of a few. No strategy can ask for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastFacts {
    pub units: Vec<UnitName>,
    pub pid: Option<u32>,
}

/// Whether a process still runs.
#[derive(Debug, Clone, Serialize)]
pub struct Alive {
    #[serde(serialize_with = "number_of_process")]
    pub process: Process,
}

static OF_UNIT: Look = Look::new("processes.of-unit").through(Observe::Processes);
static LAST_FACTS: Look = Look::new("processes.last-facts");
static ALIVE: Look = Look::new("process.alive");

impl Described for OfUnit {
    fn description(&self) -> Description {
        Description::Look(&OF_UNIT)
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject::Unit(&mut self.unit)
    }
}

impl Described for LastFacts {
    fn description(&self) -> Description {
        Description::Look(&LAST_FACTS)
    }
}

impl Described for Alive {
    fn description(&self) -> Description {
        Description::Look(&ALIVE)
    }
}

/// A handle to one process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Process {
    /// Its number in a recording; 0 where nothing is recorded.
    #[serde(rename = "handle")]
    pub number: u32,
    /// What was known when the handle was made.
    #[serde(flatten)]
    pub info: ProcessInfo,
    /// What the host knows it by.
    #[serde(skip)]
    pub token: Token,
}

impl Process {
    pub fn new(info: ProcessInfo, token: Token) -> Self {
        Self {
            number: 0,
            info,
            token,
        }
    }
}

/// How a process stands to the service of the incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ownership {
    /// In the control group of the service's unit.
    Own,
    /// Proven to be left over from an earlier run of the service.
    Leftover,
    /// Anybody else's, or not proven.
    Foreign,
}

/// What is known about a process. Never its command line or environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessInfo {
    pub pid: u32,
    pub executable: Option<String>,
    /// Its owner's name, or number.
    pub user: String,
    /// The unit it belongs to.
    pub unit: Option<UnitName>,
    /// How it stands to the service.
    pub ownership: Ownership,
    /// The evidence for the ownership.
    pub evidence: String,
    /// When it started, as near as the clock tells, which may be set.
    pub started_at: Timestamp,
    /// When it started, since boot: with its number, this names one process of this
    /// boot. The contract does not show it.
    #[serde(skip)]
    pub since_boot: Duration,
}

impl ProcessInfo {
    /// For people: `process 4242 (/usr/sbin/nginx, user www-data)`.
    pub fn shown(&self) -> String {
        format!(
            "process {} ({}, user {})",
            self.pid,
            self.executable.as_deref().unwrap_or("unknown program"),
            self.user
        )
    }
}
