//! Processes, as handles: a handle never comes to mean another process.

use std::{fmt, time::SystemTime};

use crate::{Result, contract::observe::processes as raw, time::moment};

pub use raw::Ownership;

/// The processes in a unit's control group.
///
/// # Errors
/// `not-found` when there is no such unit, `denied` when it may not be asked
/// about.
pub fn of_unit(unit: &str) -> Result<Vec<Process>> {
    Ok(raw::of_unit(unit)?.into_iter().map(Process).collect())
}

/// One process. Shown as `/usr/sbin/nginx (pid 4242, user www-data, unit
/// nginx.service)`.
pub struct Process(pub(crate) raw::Process);

impl Process {
    /// Its number, for people: nothing can be done to a number.
    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// The executable's path.
    pub fn executable(&self) -> Option<String> {
        self.0.executable()
    }

    /// The owner's name, or number when it has none.
    pub fn user(&self) -> String {
        self.0.user()
    }

    /// The unit it belongs to.
    pub fn unit(&self) -> Option<String> {
        self.0.unit()
    }

    /// How it stands to the incident's service.
    pub fn ownership(&self) -> Ownership {
        self.0.ownership()
    }

    /// The evidence for the ownership, in one sentence.
    pub fn evidence(&self) -> String {
        self.0.evidence()
    }

    /// Whether it still runs, now.
    pub fn alive(&self) -> bool {
        self.0.alive()
    }

    /// When it was started.
    pub fn started_at(&self) -> SystemTime {
        moment(self.0.started_at())
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let executable = self.executable();
        let executable = executable.as_deref().unwrap_or("a process");
        write!(f, "{executable} (pid {}, user {}", self.pid(), self.user())?;
        match self.unit() {
            Some(unit) => write!(f, ", unit {unit})"),
            None => f.write_str(", of no unit)"),
        }
    }
}
