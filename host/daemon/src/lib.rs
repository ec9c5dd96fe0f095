//! What the daemon does, and what hook, sweep and `prunella heal` do without it.
//!
//! Modules use only those above them:
//!
//! | module | purpose |
//! |---|---|
//! | `clock`, `error`, [`paths`], [`files`], [`drop_ins`], `memory` | what everything below needs |
//! | [`plugins`] | a plugin's files, its versions, and what its bytes may do |
//! | [`host_check`] | what of the configuration does not fit this host |
//! | `health` | how services and host are |
//! | [`configuration`], `loading`, [`assembly`] | the configuration, strategies, and a healer with all that it needs |
//! | `access`, `incidents`, `pauses`, `approvals` | what is looked up and written in the store |
//! | `detection`, `restart_loops`, `probes`, `disks`, `sampler`, [`notifier`], `retention`, `overview` | one task each |
//! | `measured`, `alerts` | what was measured, and what was told |
//! | [`hook`], [`sweep`], [`heal`] | healing in a process of its own |
//! | `queries`, `orders` | what anybody may ask for, answered here |
//! | `shared`, `kill_switch`, `reload`, `handler`, `run` | the daemon: its state, its threads, its answers, its loop |
//!
//! Nothing here prints: a front end asks, and shows what is answered.

mod access;
mod alerts;
mod approvals;
pub mod assembly;
mod clock;
pub mod configuration;
mod detection;
mod disks;
pub mod drop_ins;
mod error;
pub mod files;
mod handler;
pub mod heal;
mod health;
pub mod hook;
pub mod host_check;
mod incidents;
mod kill_switch;
mod loading;
mod measured;
mod memory;
pub mod notifier;
mod orders;
mod overview;
pub mod paths;
mod pauses;
pub mod plugins;
mod probes;
mod queries;
mod reload;
mod restart_loops;
mod retention;
mod run;
mod sampler;
mod shared;
pub mod sweep;

pub use access::open_store;
pub use error::{ConfigMistakes, DaemonError, explained};
pub use orders::LocalOrders;
pub use paths::Paths;
pub use queries::LocalQueries;
pub use run::run;
