//! Everything the author of a strategy needs.
//!
//! A strategy is a WebAssembly component that knows one way of healing a failed
//! service. It can touch only what the operator granted it, and this crate
//! gives each of those things a friendly Rust face: durations are
//! [`Duration`](std::time::Duration)s, failures go through `?`, log lines are
//! macros.
//!
//! ```
//! use prunella_sdk::prelude::*;
//!
//! struct CacheWarmer;
//!
//! impl Strategy for CacheWarmer {
//!     fn describe() -> Description {
//!         description!("Starts the service again when its cache file is there.")
//!     }
//!
//!     fn assess(incident: &Incident) -> Result<Assessment> {
//!         let cache = files::stat("cache")?;
//!         if !cache.exists() {
//!             return Ok(Assessment::veto("the cache has not been built yet"));
//!         }
//!         Ok(Assessment::applies(70, format!("{} has its cache", incident.unit())))
//!     }
//!
//!     fn heal(incident: &Incident) -> Result<Outcome> {
//!         info!("bringing {} up", incident.unit());
//!         recovery::bring_up(incident)
//!     }
//! }
//!
//! prunella_sdk::export!(CacheWarmer);
//! ```
//!
//! Build it as a `cdylib` for `wasm32-unknown-unknown` and turn it into a
//! component with `wasm-tools component new`. What a strategy does not use is
//! not imported: its import list is the list of what it could do.
//!
//! It compiles for the author's own machine too, and with the feature `testing`
//! of this crate `cargo test` runs it there, on a simulated host: see `testing`.
//!
//! | module | grant | |
//! |---|---|---|
//! | [`clock`], [`log`], [`settings`], [`state`] | none | time, lines for the operator, the operator's settings, what is kept between incidents |
//! | [`units`], [`processes`], [`ports`], [`files`], [`filesystems`], [`logs`], [`resources`], [`probes`], [`history`], [`health`], [`metrics`], [`remedies`] | none for the service and its needs | looking |
//! | [`unit_control`], [`process_control`], [`file_repair`], [`checks`] | one for each function | acting |
//! | [`call`], [`circuit`], [`cleanup`], [`config_update`], [`failover`], [`file_restore`], [`instances`], [`memory`], [`mode`], [`offenders`], [`release`], [`set_aside`], [`signal`], [`stale_file`], [`traffic`], [`unit_limits`], [`zombies`] | one for each function | acting on what the operator declared for it |
//! | [`recovery`] | `unit-control` | bringing the service up, in one call |
//! | [`relief`] | those of its steps | remedies for a symptom, the mildest first, each measured |

#![warn(missing_docs)]

/// The examples of the book, which compile.
#[cfg(doctest)]
#[doc = include_str!("../../docs/strategies.md")]
pub struct Book;

mod adapter;
#[doc(hidden)]
pub mod bindings;

pub mod call;
pub mod checks;
pub mod circuit;
pub mod cleanup;
pub mod clock;
pub mod config_update;
mod contract;
mod failure;
pub mod file_repair;
pub mod file_restore;
pub mod files;
/// File systems: those that the service's declared files lie on, and the host's own.
pub mod filesystems {
    use crate::{Result, contract::observe::filesystems as raw};

    pub use raw::FileSystem;

    /// Those of the declared files and cleanups, and of `/`, `/var`, `/tmp` and `/run`, each once.
    ///
    /// # Errors
    /// Whatever kept the host from knowing.
    pub fn list() -> Result<Vec<FileSystem>> {
        Ok(raw::list()?)
    }

    /// The one below a declared file or cleanup, or `/`, `/var`, `/tmp`, `/run`; below a cleanup
    /// in several folders the fullest.
    ///
    /// # Errors
    /// `not-found` when the place is none of these.
    pub fn below(place: &str) -> Result<FileSystem> {
        Ok(raw::below(place)?)
    }
}

pub mod failover;
pub mod health;
pub mod history;
mod incident;
pub mod instances;
pub mod log;
pub mod logs;
pub mod memory;
pub mod metrics;
pub mod mode;
pub mod offenders;
pub mod ports;
pub mod probes;
pub mod process_control;
pub mod processes;
pub mod recovery;
pub mod release;
pub mod relief;
pub mod remedies;
pub mod resources;
pub mod set_aside;
pub mod settings;
pub mod signal;
pub mod stale_file;
pub mod state;
mod strategy;
#[cfg(all(feature = "testing", not(target_family = "wasm")))]
pub mod testing;
mod time;
pub mod traffic;
pub mod unit_control;
pub mod unit_limits;
pub mod units;
pub mod zombies;

#[doc(hidden)]
pub use adapter::Adapter;
pub use failure::{Failure, FailureKind, Result};
pub use incident::{Incident, IncidentKind, Port, Symptom};
pub use strategy::{Assessment, Description, Outcome, Setting, Strategy};

/// Everything at once: `use prunella_sdk::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Assessment, Description, Failure, FailureKind, Incident, IncidentKind, Outcome, Port,
        Result, Setting, Strategy, Symptom, call, checks, circuit, cleanup, clock, config_update,
        debug, description, error, failover, file_repair, file_restore, files, health, history,
        info, instances, logs, memory, metrics, mode, offenders, ports, probes, process_control,
        processes, recovery, release, relief, remedies, resources, set_aside, settings, signal,
        stale_file, state, traffic, unit_control, unit_limits, units, warn, zombies,
    };
}

/// Makes a type that implements [`Strategy`] the component's strategy. Once in
/// a crate.
#[macro_export]
macro_rules! export {
    ($strategy:ty) => {
        const _: () = {
            type Exported = $crate::Adapter<$strategy>;

            #[cfg(target_family = "wasm")]
    $crate::bindings::export_recovery!(Exported with_types_in $crate::bindings);

            // The contract's names of functions mean nothing to a native
            // linker; there the strategy only has to be one.
            #[cfg(not(target_family = "wasm"))]
            const fn is_a_strategy<S: $crate::Strategy>(
                _: ::core::marker::PhantomData<$crate::Adapter<S>>,
            ) {
            }
            #[cfg(not(target_family = "wasm"))]
            is_a_strategy(::core::marker::PhantomData::<Exported>);
        };
    };
}
