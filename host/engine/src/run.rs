//! What a run is given, and what it gives back.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use prunella_core::{
    Failure, capability::Host, incident::Incident, policy::Limits, service::Service,
};
use serde::{Deserialize, Serialize};

use crate::RunError;

/// How urgent a strategy's line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For the strategy's author.
    Debug,
    /// What it found, what it does.
    Info,
    /// Something is odd.
    Warn,
    /// Something went wrong.
    Error,
}

impl Level {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where the lines go that a strategy logs. Called on the run's own thread,
/// with one line, free of control characters, and capped.
pub trait Lines: Send + Sync {
    /// Takes one line.
    fn line(&self, level: Level, message: &str);
}

/// Drops every line.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLines;

impl Lines for NoLines {
    fn line(&self, _: Level, _: &str) {}
}

/// Everything that one `assess` or `heal` is given.
#[derive(Clone)]
pub struct RunContext {
    /// What the strategy can reach, made for this service; policy sits inside.
    pub host: Host,
    pub incident: Incident,
    /// What failed, as the operator declared it.
    pub service: Arc<Service>,
    /// Whether acts are only recorded; told to the strategy, not acted upon
    /// here.
    pub dry_run: bool,
    /// What the run may use up.
    pub limits: Limits,
    /// `[strategy.NAME.settings]` as text, with the defaults filled in.
    pub settings: BTreeMap<String, String>,
    /// Where its lines go.
    pub lines: Arc<dyn Lines>,
}

/// How a run went.
#[derive(Debug)]
#[must_use]
pub struct Run<T> {
    /// What the strategy said, or the failure it gave up with; or why it could
    /// not say anything.
    pub result: Result<Result<T, Failure>, RunError>,
    /// What it used up.
    pub usage: Usage,
}

/// What a run used up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// From beginning to end, host calls included.
    pub wall: Duration,
    /// Processor time of the run's thread.
    pub cpu: Duration,
    /// The most that its memories and tables came to, in bytes.
    pub memory_peak: usize,
    /// Calls of any capability.
    pub host_calls: u32,
    /// Bytes of lines that it logged.
    pub log_bytes: usize,
    /// Lines that were dropped because `log-bytes` was used up.
    pub lines_dropped: u32,
    /// Bytes of journal lines that it read.
    pub journal_bytes: usize,
    /// Bytes of files hashed for it.
    pub hashed_bytes: u64,
    /// Calls that went to systemd.
    pub bus_calls: u32,
    /// Calls that read what was measured.
    pub metric_reads: u32,
    /// The most handles it held at once.
    pub handles_peak: usize,
}
