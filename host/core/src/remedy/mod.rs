//! Remedies: what an operator declared that may be done for a service, beyond starting and
//! stopping it.
//!
//! Each is declared by a name, in a table of the service's file, and belongs to the interface
//! of the contract that is called as the table: `[[set-aside]]` declares what `set-aside` acts
//! on. All of them go one way:
//!
//! 1. *planned* ([`Plan`]): what would be done, how much of it, and how it is undone;
//! 2. *done*, as it was planned, and measured ([`Receipt`]);
//! 3. *undone* ([`Undo`]), where that is possible: because it did not help, because its time
//!    is over ([`Lease`]), or because a person wants it ([`Applied`] is what is kept for that).
//!
//! **Undoing what was not done changes nothing.** So an act that was cut off is undone like
//! one that was not, and leaves either the old state or the new one.

mod applied;
mod cleanup;
mod instances;
mod memory_reclaim;
mod mode;
mod offender;
mod plan;
mod set_aside;
mod unit_limits;
mod zombies;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::UnitName;

pub use self::{
    applied::{Applied, AppliedState, UndoOutcome},
    cleanup::{Cleanup, CleanupFolder, CleanupOf, CleanupPreset},
    instances::{Instances, StartedInstance},
    memory_reclaim::MemoryReclaim,
    mode::{EnteredMode, Mode},
    offender::Offender,
    plan::{Amount, AmountOf, Lease, LeaseEnds, Plan, Receipt, Undo, UndoReason},
    set_aside::{MovedAside, SetAside},
    unit_limits::{
        Bounds, LimitMove, LimitNow, Move, MovedLimits, NO_LIMIT, UnitLimits, UnitProperty,
    },
    zombies::Zombies,
};

/// Hands the table to the macro `$then`: for each kind of remedy what is declared of it, and
/// the name that its table and its interface have.
macro_rules! remedies {
    ($($kind:ident $name:literal;)*) => {
        /// Something that the operator declared may be done.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "kebab-case")]
        pub enum Remedy {
            $($kind($kind),)*
        }

        /// The names of the tables, and of the interfaces, of all kinds of remedies.
        pub const REMEDY_KINDS: &[&str] = &[$($name),*];

        impl Remedy {
            /// The name of the table that declares it, and of the interface that acts on it.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $name,)*
                }
            }
        }
    };
}

remedies! {
    Cleanup "cleanup";
    Instances "instances";
    MemoryReclaim "memory";
    Mode "mode";
    Offender "offenders";
    SetAside "set-aside";
    UnitLimits "unit-limits";
    Zombies "zombies";
}

impl Remedy {
    /// Where it is, for people.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Cleanup(declared) => match &declared.of {
                CleanupOf::Folder(folder) => Some(&folder.path),
                CleanupOf::Preset(_) => None,
            },
            Self::SetAside(declared) => Some(&declared.path),
            Self::Instances(_)
            | Self::MemoryReclaim(_)
            | Self::Mode(_)
            | Self::Offender(_)
            | Self::UnitLimits(_)
            | Self::Zombies(_) => None,
        }
    }

    /// The folders whose file systems it makes room on.
    pub fn makes_room_in(&self) -> Vec<&Path> {
        match self {
            Self::Cleanup(declared) => declared.folders(),
            _ => Vec::new(),
        }
    }

    /// Among those of its kind, the one that does the least harm has the least.
    pub fn harm(&self) -> usize {
        match self {
            Self::Cleanup(declared) => declared.harm(),
            _ => 0,
        }
    }

    /// The declared checks that it runs.
    pub fn checks(&self) -> Vec<&str> {
        match self {
            Self::Mode(mode) => mode.enter.iter().chain(&mode.leave).map(|c| &**c).collect(),
            Self::Instances(declared) => declared.drain.iter().map(|check| &**check).collect(),
            Self::Cleanup(_)
            | Self::MemoryReclaim(_)
            | Self::Offender(_)
            | Self::SetAside(_)
            | Self::UnitLimits(_)
            | Self::Zombies(_) => Vec::new(),
        }
    }

    /// The units that it stops, beside the service's own.
    pub fn stops(&self) -> &[UnitName] {
        match self {
            Self::Mode(mode) => &mode.stop,
            Self::Cleanup(_)
            | Self::Instances(_)
            | Self::MemoryReclaim(_)
            | Self::Offender(_)
            | Self::SetAside(_)
            | Self::UnitLimits(_)
            | Self::Zombies(_) => &[],
        }
    }

    /// The units that it acts on, beside the service's own.
    pub fn units(&self) -> Vec<&UnitName> {
        match self {
            Self::MemoryReclaim(MemoryReclaim { unit, .. })
            | Self::UnitLimits(UnitLimits { unit, .. }) => unit.iter().collect(),
            Self::Instances(declared) => vec![&declared.template],
            Self::Offender(declared) => vec![&declared.unit],
            Self::Mode(mode) => mode.stop.iter().chain(&mode.start).collect(),
            Self::Cleanup(_) | Self::SetAside(_) | Self::Zombies(_) => Vec::new(),
        }
    }

    /// What it is about, where one kind can be about several things: the limits that it moves,
    /// the acts that it allows.
    pub fn about(&self) -> Vec<&'static str> {
        match self {
            Self::UnitLimits(declared) => {
                declared.bounds.keys().map(|limit| limit.as_str()).collect()
            }
            Self::Offender(declared) => {
                let throttle = (!declared.throttle.is_empty()).then_some("throttle");
                let freeze = declared.freeze.then_some("freeze");
                throttle.into_iter().chain(freeze).collect()
            }
            Self::Cleanup(_)
            | Self::Instances(_)
            | Self::MemoryReclaim(_)
            | Self::Mode(_)
            | Self::SetAside(_)
            | Self::Zombies(_) => Vec::new(),
        }
    }
}
