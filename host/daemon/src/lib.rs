//! What the daemon does, and what hook, sweep and `prunella heal` do without it.
//!
//! Modules use only those above them:
//!
//! | module | purpose |
//! |---|---|
//! | `clock`, `error`, [`paths`], [`files`], [`drop_ins`], `memory` | what everything below needs |
//! | [`plugins`] | a plugin's files, its versions, and what its bytes may do |
//! | [`host_check`] | what of the configuration does not fit this host |
//! | `health`, `sampler`, `measured`, `observed` | how services and host are, what is measured of them, and who may ask |
//! | [`configuration`], `loading`, [`assembly`] | the configuration, strategies, and a healer with all that it needs |
//! | `access`, `incidents`, `pauses`, `expected`, `approvals`, `keys`, [`reports`] | what is looked up and written in the store |
//! | `detection`, `restart_loops`, `probes`, `disks`, [`notifier`], `retention`, `overview` | one task each |
//! | `alerts`, [`backtest`], `exposition` | what was told; what limits would have made of what was recorded; what monitoring reads |
//! | [`hook`], [`sweep`], [`heal`] | healing in a process of its own |
//! | `queries`, `orders` | what anybody may ask for, answered here |
//! | `shared`, `kill_switch`, `reload`, `gate`, `handler`, `run` | the daemon: its state, its threads, its answers, its loop |
//!
//! Nothing here prints: a front end asks, and shows what is answered.

mod access;
mod alerts;
mod approvals;
pub mod assembly;
pub mod backtest;
mod clock;
pub mod configuration;
mod detection;
mod disks;
pub mod drop_ins;
mod error;
mod expected;
mod exposition;
pub mod files;
mod gate;
mod handler;
pub mod heal;
mod health;
pub mod hook;
pub mod host_check;
mod incidents;
mod keys;
mod kill_switch;
mod loading;
mod measured;
mod memory;
pub mod notifier;
mod observed;
mod orders;
mod overview;
pub mod paths;
mod pauses;
pub mod plugins;
mod probes;
mod queries;
mod reload;
pub mod reports;
mod restart_loops;
mod retention;
mod run;
mod sampler;
mod shared;
pub mod sweep;
mod undo;

pub use access::open_store;
pub use error::{ConfigMistakes, DaemonError, explained};
pub use orders::LocalOrders;
pub use paths::Paths;
pub use queries::LocalQueries;
pub use run::run;
