//! How a service stands while its incident is open: who is at work on it.

use prunella_core::{
    Timestamp,
    trail::{Awaited, Entry, Step},
};

/// Who is at work on a service whose incident is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nobody has to be: it is up, and is being proven.
    Up,
    /// systemd, which restarts it by itself.
    SystemdRestarts,
    /// Nobody until then: the healing budget wants a pause.
    Waits(Timestamp),
    /// Prunella.
    BeingHealed,
}

impl Standing {
    /// Who that is after these steps of its incident.
    pub(super) fn of(steps: &[Entry]) -> Self {
        if is_up(steps) {
            return Self::Up;
        }
        let Some(last) = steps.last() else {
            return Self::BeingHealed;
        };
        match last.step {
            Step::Waits {
                on: Awaited::SystemdRestart,
                ..
            } => Self::SystemdRestarts,
            Step::Waits {
                on: Awaited::Budget,
                up_to,
                ..
            } if !up_to.is_zero() => Self::Waits(last.at.saturating_add(up_to)),
            _ => Self::BeingHealed,
        }
    }

    /// In a few words, which follow those of what is down.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Up => "being checked",
            Self::SystemdRestarts => "systemd is restarting it",
            Self::Waits(_) => "waiting to be healed",
            Self::BeingHealed => "being healed",
        }
    }
}

/// Whether, after these steps of its incident, a service was seen well and has not failed
/// again since.
pub fn is_up(steps: &[Entry]) -> bool {
    steps
        .iter()
        .rev()
        .find_map(|entry| match entry.step {
            Step::Answering { .. } | Step::Proven { .. } => Some(true),
            Step::NotProven { .. } | Step::Heals { .. } => Some(false),
            _ => None,
        })
        .unwrap_or(false)
}
