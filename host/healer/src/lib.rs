//! The way of an incident, and the safety kernel that every act passes.
//!
//! ```text
//! Detection ─► Scheduler ─► Attempt: decide ─► assess ─► heal ─► prove ─► Ending
//!                 │                    │          │        │        │
//!                 │                    │          └─ Kernel┘        └ the real host
//!                 └ one lock for each service, slots, timers, blocked incidents
//! ```
//!
//! The daemon, the hook, the sweep and `prunella heal` all go this way: they
//! differ in where detections come from and in when they stop waiting.
//!
//! This crate knows nothing of D-Bus, netlink or files: it sees the host
//! through `core::capability` and `core::situation` only.

mod answered_probes;
mod assess;
mod attempt;
mod cached_probes;
mod circuits;
mod clock;
mod contents;
mod decide;
mod dry_run;
mod error;
pub mod evidence;
mod failover_groups;
mod healer;
mod held_ports;
mod kernel;
mod leases;
mod lock;
mod observer;
mod obstacles;
mod opinions;
mod oversight;
mod parallel;
mod proof;
mod releases;
mod scheduler;
mod snapshot;
mod start_rules;
mod start_time;
mod stored;
mod strategies;
mod trail;
mod undo;

pub use answered_probes::NEVER_ANSWERED;
pub use decide::Decision;
pub use error::HealerError;
pub use failover_groups::{failed_over, serves_in_its_place};
pub use healer::{Healer, HealerSettings, Hosts};
pub use leases::LeaseKeeper;
pub use observer::Observer;
pub use obstacles::{HealerSituation, obstacles};
pub use prunella_core::protected::Protected;
pub use releases::ReleaseKeeper;
pub use scheduler::{OpenOutcome, Scheduler};
pub use strategies::{
    Component, FileError, InForce, Loading, Refused, RefusedBecause, StrategySet,
};
pub use trail::StateFile;
