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
mod call;
mod circuit;
mod cleanup;
mod config_update;
mod failover;
mod file_restore;
mod instances;
mod memory_reclaim;
mod mode;
mod offender;
mod plan;
mod release;
mod set_aside;
mod signal;
mod stale_file;
mod traffic;
mod unit_limits;
mod zombies;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::UnitName;

pub use self::{
    applied::{Applied, AppliedState, UndoOutcome},
    call::{Call, CallMethod, CallSecret, SecretUse},
    circuit::{Circuit, OpenedCircuit},
    cleanup::{Cleanup, CleanupFolder, CleanupOf, CleanupPreset},
    config_update::{ConfigFormat, ConfigUpdate, ConfigValues, NoNextValue},
    failover::{FailedOver, Failover, StandbyIs},
    file_restore::{FileRestore, ReplacedContent},
    instances::{InstanceServer, Instances, StartedInstance},
    memory_reclaim::MemoryReclaim,
    mode::{EnteredMode, Mode},
    offender::Offender,
    plan::{Amount, AmountOf, Lease, LeaseEnds, Plan, Receipt, Undo, UndoReason},
    release::{
        KnownRelease, LinkChange, PackageChange, PackageVersion, Release, ReleaseInForce, ReleaseOf,
    },
    set_aside::{MovedAside, SetAside},
    signal::{Signal, SignalName},
    stale_file::{StaleFile, TraceKind},
    traffic::{
        ChangedTraffic, HaproxyServer, ServerState, TrackFile, Traffic, TrafficChange,
        TrafficChecks, TrafficWay,
    },
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
            fn declared(&self) -> &dyn DeclaredRemedy {
                match self {
                    $(Self::$kind(declared) => declared,)*
                }
            }

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
    Call "call";
    Circuit "circuit";
    Cleanup "cleanup";
    ConfigUpdate "config-update";
    Failover "failover";
    FileRestore "file-restore";
    Instances "instances";
    MemoryReclaim "memory";
    Mode "mode";
    Offender "offenders";
    Release "release";
    SetAside "set-aside";
    Signal "signal";
    StaleFile "stale-file";
    Traffic "traffic";
    UnitLimits "unit-limits";
    Zombies "zombies";
}

/// What the layers above need to know of something that is declared. Each kind says what is so
/// of it.
pub trait DeclaredRemedy {
    /// Where it is, for people.
    fn path(&self) -> Option<&Path> {
        None
    }

    /// The folders whose file systems it makes room on.
    fn makes_room_in(&self) -> Vec<&Path> {
        Vec::new()
    }

    /// Among those of its kind, the one that does the least harm has the least.
    fn harm(&self) -> usize {
        0
    }

    /// The declared checks that it runs.
    fn checks(&self) -> Vec<&str> {
        Vec::new()
    }

    /// The units that it stops, beside the service's own.
    fn stops(&self) -> &[UnitName] {
        &[]
    }

    /// Whether it stops the service itself.
    fn stops_itself(&self) -> bool {
        false
    }

    /// The units that it acts on, beside the service's own.
    fn units(&self) -> Vec<&UnitName> {
        Vec::new()
    }

    /// What it is about, where one kind can be about several things: the limits that it moves,
    /// the acts that it allows.
    fn about(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

impl Remedy {
    /// As [`DeclaredRemedy::path`].
    pub fn path(&self) -> Option<&Path> {
        self.declared().path()
    }

    /// As [`DeclaredRemedy::makes_room_in`].
    pub fn makes_room_in(&self) -> Vec<&Path> {
        self.declared().makes_room_in()
    }

    /// As [`DeclaredRemedy::harm`].
    pub fn harm(&self) -> usize {
        self.declared().harm()
    }

    /// As [`DeclaredRemedy::checks`].
    pub fn checks(&self) -> Vec<&str> {
        self.declared().checks()
    }

    /// As [`DeclaredRemedy::stops`].
    pub fn stops(&self) -> &[UnitName] {
        self.declared().stops()
    }

    /// As [`DeclaredRemedy::stops_itself`].
    pub fn stops_itself(&self) -> bool {
        self.declared().stops_itself()
    }

    /// As [`DeclaredRemedy::units`].
    pub fn units(&self) -> Vec<&UnitName> {
        self.declared().units()
    }

    /// As [`DeclaredRemedy::about`].
    pub fn about(&self) -> Vec<&'static str> {
        self.declared().about()
    }
}
