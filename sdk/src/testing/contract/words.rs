//! The host's own words as the contract's, and back.

use prunella_core::{self as core, FailureKind, capability};

use crate::bindings::prunella::{
    act::{checks, process_control},
    base::types,
    observe::{files, history, logs, probes, processes, resources, units},
};

impl From<core::Failure> for types::Failure {
    fn from(failure: core::Failure) -> Self {
        Self {
            kind: match failure.kind {
                FailureKind::Denied => types::FailureKind::Denied,
                FailureKind::NotFound => types::FailureKind::NotFound,
                FailureKind::Invalid => types::FailureKind::Invalid,
                FailureKind::TimedOut => types::FailureKind::TimedOut,
                FailureKind::Quota => types::FailureKind::Quota,
                FailureKind::Unavailable => types::FailureKind::Unavailable,
                FailureKind::Failed => types::FailureKind::Failed,
            },
            code: failure.code,
            message: failure.message,
        }
    }
}

impl From<capability::ActiveState> for units::ActiveState {
    fn from(state: capability::ActiveState) -> Self {
        match state {
            capability::ActiveState::Active => Self::Active,
            capability::ActiveState::Reloading => Self::Reloading,
            capability::ActiveState::Inactive => Self::Inactive,
            capability::ActiveState::Failed => Self::Failed,
            capability::ActiveState::Activating => Self::Activating,
            capability::ActiveState::Deactivating => Self::Deactivating,
            capability::ActiveState::Maintenance => Self::Maintenance,
            capability::ActiveState::Refreshing => Self::Refreshing,
            capability::ActiveState::Other => Self::Other,
        }
    }
}

impl From<units::Goal> for capability::Goal {
    fn from(goal: units::Goal) -> Self {
        match goal {
            units::Goal::Up => Self::Up,
            units::Goal::Down => Self::Down,
            units::Goal::Settled => Self::Settled,
        }
    }
}

impl From<capability::Kinship> for processes::Kinship {
    fn from(kinship: capability::Kinship) -> Self {
        match kinship {
            capability::Kinship::Own => Self::Own,
            capability::Kinship::Leftover => Self::Leftover,
            capability::Kinship::Foreign => Self::Foreign,
        }
    }
}

impl From<capability::Termination> for process_control::Ending {
    fn from(ending: capability::Termination) -> Self {
        match ending {
            capability::Termination::WasGone => Self::WasGone,
            capability::Termination::Asked => Self::Asked,
            capability::Termination::Killed => Self::Killed,
        }
    }
}

/// A record of the contract that has the same fields as the host's.
macro_rules! same_fields {
    ($($from:ty => $into:ty { $($field:ident),* })*) => {
        $(impl From<$from> for $into {
            fn from(from: $from) -> Self {
                Self { $($field: from.$field),* }
            }
        })*
    };
}

same_fields! {
    capability::EnvKey => files::EnvKey { name, empty }
    capability::LogEntry => logs::Entry { at, priority, message }
    capability::Memory => resources::MemoryUse { total, available, swap_total, swap_free }
    capability::Disk => resources::DiskUse {
        total, available, files_total, files_available, read_only
    }
    capability::Load => resources::LoadAverage { one, five, fifteen, processors }
    capability::Pressure => resources::PressureShare { some, full }
    capability::PastIncident => history::PastIncident { id, at, cause, ended, strategy }
    capability::CheckReport => checks::Report { passed, exit_code, signal, output }
}

impl From<capability::ProbeAnswer> for probes::Answer {
    fn from(answer: capability::ProbeAnswer) -> Self {
        Self {
            answering: answer.answering,
            detail: answer.detail,
            microseconds: u64::try_from(answer.took.as_micros()).unwrap_or(u64::MAX),
        }
    }
}
