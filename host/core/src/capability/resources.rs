//! `prunella:observe/resources`: memory, load and pressure of the host.

use serde::{Deserialize, Serialize};

use super::{Described, Description, Look};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MemoryUse {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LoadAverage {}

/// Pressure; `unavailable` where the kernel does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PressureShare {
    pub of: PressureOf,
}

static MEMORY: Look = Look::new("resources.memory");
static LOAD: Look = Look::new("resources.load");
static PRESSURE: Look = Look::new("resources.pressure");

impl Described for MemoryUse {
    fn description(&self) -> Description {
        Description::Look(&MEMORY)
    }
}

impl Described for LoadAverage {
    fn description(&self) -> Description {
        Description::Look(&LOAD)
    }
}

impl Described for PressureShare {
    fn description(&self) -> Description {
        Description::Look(&PRESSURE)
    }
}

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// All there is.
    pub total: u64,
    /// What programs can still get without swapping.
    pub available: u64,
    pub swap_total: u64,
    pub swap_free: u64,
}

/// A file system, in bytes and numbers of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// All there is.
    pub total: u64,
    /// What an unprivileged program can still write.
    pub available: u64,
    /// All inodes; 0 where the file system has no fixed number.
    pub files_total: u64,
    /// Free inodes.
    pub files_available: u64,
    pub read_only: bool,
}

/// Load averages (proc_loadavg(5)).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Over one minute.
    pub one: f64,
    /// Over five.
    pub five: f64,
    /// Over fifteen.
    pub fifteen: f64,
    /// How many processors there are.
    pub processors: u32,
}

/// Pressure stall information over ten seconds, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pressure {
    /// Some tasks waited.
    pub some: f64,
    /// All tasks waited.
    pub full: f64,
}

/// What [`PressureShare`] can tell about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PressureOf {
    Cpu,
    Memory,
    /// Input and output.
    Io,
}
