//! What was made of the evidence: findings of the rules, and a model's opinion.
//!
//! Neither acts. A finding names the line or the fact that it rests on, so that
//! a person can judge it; an opinion is shown as what it is, with the name of
//! the model.

use serde::{Deserialize, Serialize};

use crate::{StrategyName, UnitName};

/// A classic cause of a service's failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The kernel, or systemd-oomd, killed it for its memory.
    OomKill,
    /// It accessed memory that is not its own.
    Segfault,
    /// Another process holds the address it listens on.
    AddressInUse,
    /// It was not allowed to do what it tried.
    PermissionDenied,
    /// A file or folder that it needs is not there.
    MissingFile,
    /// Its own configuration is wrong.
    BadConfig,
    /// A file system, or a quota of one, is full.
    DiskFull,
    /// It could not get memory.
    NoMemory,
    /// It has as many files open as it may (LimitNOFILE=).
    TooManyFiles,
    /// Something that it needs refused it, or did not answer.
    DependencyRefused,
    /// It took longer to start or stop than systemd allows.
    Timeout,
    /// It gave no sign of life (WatchdogSec=).
    Watchdog,
    /// It was started too often (StartLimitBurst=).
    StartLimit,
    /// Its program is not there, or cannot be executed.
    MissingExecutable,
    /// A shared library that its program needs was not found.
    LibraryNotFound,
    /// A certificate has expired.
    CertificateExpired,
    /// Somebody had systemd send it a signal that ended it (`systemctl kill`).
    KillRequested,
    /// A signal stopped its main process (SIGSTOP), or a debugger holds it.
    ProcessStopped,
    /// Its main process waits in the kernel, where no signal reaches it.
    ProcessBlocked,
    /// The host has more to do than it can.
    HostBusy,
    /// Nothing that is known, but something was changed shortly before.
    RecentChange,
}

impl Cause {
    /// Its stable word, such as `address-in-use`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OomKill => "oom-kill",
            Self::Segfault => "segfault",
            Self::AddressInUse => "address-in-use",
            Self::PermissionDenied => "permission-denied",
            Self::MissingFile => "missing-file",
            Self::BadConfig => "bad-config",
            Self::DiskFull => "disk-full",
            Self::NoMemory => "no-memory",
            Self::TooManyFiles => "too-many-files",
            Self::DependencyRefused => "dependency-refused",
            Self::Timeout => "timeout",
            Self::Watchdog => "watchdog",
            Self::StartLimit => "start-limit",
            Self::MissingExecutable => "missing-executable",
            Self::LibraryNotFound => "library-not-found",
            Self::CertificateExpired => "certificate-expired",
            Self::KillRequested => "kill-requested",
            Self::ProcessStopped => "process-stopped",
            Self::ProcessBlocked => "process-blocked",
            Self::HostBusy => "host-busy",
            Self::RecentChange => "recent-change",
        }
    }
}

/// What a rule recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub cause: Cause,
    /// The same in a sentence that names what is concerned.
    pub sentence: String,
    /// What made the rule think so: the log line, redacted, or the fact.
    pub because: String,
    /// Where that comes from.
    pub from: Source,
    /// What a person can do about it.
    pub advice: Option<String>,
    /// The acts that would do it, where they are known; a report makes commands of
    /// them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manual_steps: Vec<ManualStep>,
}

/// An act of a person's that removes a cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum ManualStep {
    /// Stop a unit that is in the way.
    StopUnit { unit: UnitName },
    /// End a process that is in the way and belongs to no unit that could be stopped.
    EndProcess {
        pid: u32,
        /// Its program's name.
        name: String,
    },
    /// Let a unit start again that somebody has masked.
    UnmaskUnit { unit: UnitName },
    /// Start a unit that is needed.
    StartUnit { unit: UnitName },
    /// Have systemd read its unit files.
    ReadUnitFiles,
}

/// Where a finding's evidence comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A line that the failed run logged. Any process can log anything.
    Log,
    /// What systemd knows of the unit.
    Unit,
    /// The state of a process, by the kernel.
    Process,
    /// Memory, disks, load.
    Resources,
    /// Something that changed lately: a file, a package.
    Change,
}

/// A language model's opinion: checked against a schema, and never more than an
/// opinion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opinion {
    pub model: String,
    /// What it thinks the root cause is, in a sentence.
    pub cause: String,
    /// Why it thinks so.
    pub explanation: String,
    /// 0 to 100, by its own word.
    pub confidence: Option<u8>,
    /// What it would have a person do.
    pub suggestions: Vec<String>,
    /// In which order it would try the strategies; only those that the
    /// operator has allowed for the service.
    pub order: Vec<StrategyName>,
}

/// What a language model says of one act that was proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondOpinion {
    pub model: String,
    /// What it says.
    pub verdict: SecondOpinionVerdict,
    pub reason: String,
}

/// What a language model says of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecondOpinionVerdict {
    /// It sees nothing against it.
    Allow,
    /// It should not be done.
    Veto,
}

impl SecondOpinionVerdict {
    /// Its stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Veto => "veto",
        }
    }
}
