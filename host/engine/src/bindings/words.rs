//! Words of the contract from and to those of core. What comes from a guest is
//! made fit to show: one line, capped.

use prunella_core::{
    Failure, FailureKind,
    capability::{
        ActiveState, CheckReport, Disk, EnvKey, Goal, Kinship, Load, LogEntry, Memory,
        PastIncident, Pressure, ProbeAnswer, Termination,
    },
    incident::{Assessment, Description, Outcome, SettingSpec},
    text::one_line,
};

use super::prunella::{
    act::{checks, process_control},
    base::{log, types},
    observe::{files, history, logs, probes, processes, resources, units},
    strategy::types as strategy,
};
use crate::{Level, seam::TEXT};

/// The longest word or name that a guest may give, in characters.
const WORD: usize = 200;

/// The most settings a strategy may describe.
const SETTINGS: usize = 100;

impl From<FailureKind> for types::FailureKind {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Denied => Self::Denied,
            FailureKind::NotFound => Self::NotFound,
            FailureKind::Invalid => Self::Invalid,
            FailureKind::TimedOut => Self::TimedOut,
            FailureKind::Quota => Self::Quota,
            FailureKind::Unavailable => Self::Unavailable,
            FailureKind::Failed => Self::Failed,
        }
    }
}

impl From<types::FailureKind> for FailureKind {
    fn from(kind: types::FailureKind) -> Self {
        match kind {
            types::FailureKind::Denied => Self::Denied,
            types::FailureKind::NotFound => Self::NotFound,
            types::FailureKind::Invalid => Self::Invalid,
            types::FailureKind::TimedOut => Self::TimedOut,
            types::FailureKind::Quota => Self::Quota,
            types::FailureKind::Unavailable => Self::Unavailable,
            types::FailureKind::Failed => Self::Failed,
        }
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        Self {
            kind: failure.kind.into(),
            code: failure.code,
            message: failure.message,
        }
    }
}

impl From<types::Failure> for Failure {
    fn from(failure: types::Failure) -> Self {
        Self {
            kind: failure.kind.into(),
            code: failure.code.map(|code| one_line(&code, WORD)),
            message: one_line(&failure.message, TEXT),
        }
    }
}

impl From<log::Level> for Level {
    fn from(level: log::Level) -> Self {
        match level {
            log::Level::Debug => Self::Debug,
            log::Level::Info => Self::Info,
            log::Level::Warn => Self::Warn,
            log::Level::Error => Self::Error,
        }
    }
}

impl From<ActiveState> for units::ActiveState {
    fn from(state: ActiveState) -> Self {
        match state {
            ActiveState::Active => Self::Active,
            ActiveState::Reloading => Self::Reloading,
            ActiveState::Inactive => Self::Inactive,
            ActiveState::Failed => Self::Failed,
            ActiveState::Activating => Self::Activating,
            ActiveState::Deactivating => Self::Deactivating,
            ActiveState::Maintenance => Self::Maintenance,
            ActiveState::Refreshing => Self::Refreshing,
            ActiveState::Other => Self::Other,
        }
    }
}

impl From<units::Goal> for Goal {
    fn from(goal: units::Goal) -> Self {
        match goal {
            units::Goal::Up => Self::Up,
            units::Goal::Down => Self::Down,
            units::Goal::Settled => Self::Settled,
        }
    }
}

impl From<Kinship> for processes::Kinship {
    fn from(kinship: Kinship) -> Self {
        match kinship {
            Kinship::Own => Self::Own,
            Kinship::Leftover => Self::Leftover,
            Kinship::Foreign => Self::Foreign,
        }
    }
}

impl From<EnvKey> for files::EnvKey {
    fn from(key: EnvKey) -> Self {
        Self {
            name: key.name,
            empty: key.empty,
        }
    }
}

impl From<LogEntry> for logs::Entry {
    fn from(entry: LogEntry) -> Self {
        Self {
            at: entry.at,
            priority: entry.priority,
            message: entry.message,
        }
    }
}

impl From<Memory> for resources::MemoryUse {
    fn from(memory: Memory) -> Self {
        Self {
            total: memory.total,
            available: memory.available,
            swap_total: memory.swap_total,
            swap_free: memory.swap_free,
        }
    }
}

impl From<Disk> for resources::DiskUse {
    fn from(disk: Disk) -> Self {
        Self {
            total: disk.total,
            available: disk.available,
            files_total: disk.files_total,
            files_available: disk.files_available,
            read_only: disk.read_only,
        }
    }
}

impl From<Load> for resources::LoadAverage {
    fn from(load: Load) -> Self {
        Self {
            one: load.one,
            five: load.five,
            fifteen: load.fifteen,
            processors: load.processors,
        }
    }
}

impl From<Pressure> for resources::PressureShare {
    fn from(pressure: Pressure) -> Self {
        Self {
            some: pressure.some,
            full: pressure.full,
        }
    }
}

impl From<ProbeAnswer> for probes::Answer {
    fn from(answer: ProbeAnswer) -> Self {
        Self {
            answering: answer.answering,
            detail: answer.detail,
            microseconds: u64::try_from(answer.took.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

impl From<PastIncident> for history::PastIncident {
    fn from(past: PastIncident) -> Self {
        Self {
            id: past.id,
            at: past.at,
            cause: past.cause,
            ended: past.ended,
            strategy: past.strategy,
        }
    }
}

impl From<Termination> for process_control::Ending {
    fn from(ending: Termination) -> Self {
        match ending {
            Termination::WasGone => Self::WasGone,
            Termination::Asked => Self::Asked,
            Termination::Killed => Self::Killed,
        }
    }
}

impl From<CheckReport> for checks::Report {
    fn from(report: CheckReport) -> Self {
        Self {
            passed: report.passed,
            exit_code: report.exit_code,
            signal: report.signal,
            output: report.output,
        }
    }
}

impl From<strategy::Description> for Description {
    fn from(said: strategy::Description) -> Self {
        Self {
            name: one_line(&said.name, WORD),
            version: one_line(&said.version, WORD),
            author: one_line(&said.author, WORD),
            summary: one_line(&said.summary, TEXT),
            settings: said
                .settings
                .into_iter()
                .take(SETTINGS)
                .map(SettingSpec::from)
                .collect(),
        }
    }
}

impl From<strategy::Setting> for SettingSpec {
    fn from(said: strategy::Setting) -> Self {
        Self {
            name: one_line(&said.name, WORD),
            kind: one_line(&said.kind, WORD),
            required: said.required,
            default: said.default.map(|text| one_line(&text, TEXT)),
            help: one_line(&said.help, TEXT),
        }
    }
}

impl From<strategy::Assessment> for Assessment {
    fn from(said: strategy::Assessment) -> Self {
        match said {
            strategy::Assessment::Applies(said) => Self::Applies {
                confidence: said.confidence.min(100),
                reason: one_line(&said.reason, TEXT),
            },
            strategy::Assessment::NotMine(reason) => Self::NotMine {
                reason: one_line(&reason, TEXT),
            },
            strategy::Assessment::BlockedBy(said) => Self::BlockedBy {
                unit: one_line(&said.unit, WORD),
                reason: one_line(&said.reason, TEXT),
            },
            strategy::Assessment::MustNot(reason) => Self::MustNot {
                reason: one_line(&reason, TEXT),
            },
        }
    }
}

impl From<strategy::Outcome> for Outcome {
    fn from(said: strategy::Outcome) -> Self {
        match said {
            strategy::Outcome::Healed(summary) => Self::Healed {
                summary: one_line(&summary, TEXT),
            },
            strategy::Outcome::NotMine(reason) => Self::NotMine {
                reason: one_line(&reason, TEXT),
            },
            strategy::Outcome::Failed(reason) => Self::Failed {
                reason: one_line(&reason, TEXT),
            },
            strategy::Outcome::BlockedBy(said) => Self::BlockedBy {
                unit: one_line(&said.unit, WORD),
                reason: one_line(&said.reason, TEXT),
            },
        }
    }
}
