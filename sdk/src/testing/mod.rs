//! Testing a strategy on any machine, without a host: plain `cargo test`.
//!
//! ```toml
//! [dev-dependencies]
//! prunella-sdk = { path = "…", features = ["testing"] }
//! ```
//!
//! A test puts a simulated host together, has the strategy assess and heal there,
//! and looks at what it said and did. Time is virtual: a strategy that waits for
//! two minutes is tested in none.
//!
//! ```
//! use prunella_sdk::prelude::*;
//! use prunella_sdk::testing::*;
//! use std::time::Duration;
//!
//! /// Waits for the cache, and starts the service.
//! struct CacheWarmer;
//!
//! impl Strategy for CacheWarmer {
//!     fn describe() -> Description {
//!         description!("Starts the service again when its cache file is there.")
//!     }
//!
//!     fn assess(_: &Incident) -> Result<Assessment> {
//!         Ok(match files::stat("cache")?.exists() {
//!             true => Assessment::not_applicable("the cache is there"),
//!             false => Assessment::applies(70, "the cache has not been built yet"),
//!         })
//!     }
//!
//!     fn heal(incident: &Incident) -> Result<Outcome> {
//!         while !files::stat("cache")?.exists() {
//!             clock::sleep(Duration::from_secs(1))?;
//!         }
//!         info!("the cache is there");
//!         recovery::bring_up(incident)
//!     }
//! }
//!
//! let host = Host::new("web.service")
//!     .failed("exit-code")
//!     .file("cache", File::plain().appears_after(Duration::from_secs(30)));
//! let run = host.run::<CacheWarmer>();
//!
//! assert_eq!(run.applied(), "the cache has not been built yet");
//! assert_eq!(run.healed(), "started web.service: active (running)");
//! assert_eq!(run.acts(), ["start web.service"]);
//! assert_eq!(run.log(), ["info: the cache is there"]);
//! assert!(run.took() >= Duration::from_secs(30));
//! ```
//!
//! What a host would refuse is refused: acting while assessing, other units' logs,
//! a stranger's process, a protected unit. [`Host::granting`] narrows what the
//! strategy was granted; without it, every act is granted on the service and on
//! what it needs.
//!
//! ```
//! # use prunella_sdk::{prelude::*, testing::*};
//! # struct Restart;
//! # impl Strategy for Restart {
//! #     fn describe() -> Description { description!("Restarts it.") }
//! #     fn assess(_: &Incident) -> Result<Assessment> { Ok(Assessment::applies(50, "")) }
//! #     fn heal(incident: &Incident) -> Result<Outcome> { recovery::bring_up(incident) }
//! # }
//! let host = Host::new("web.service").failed("signal").granting("checks.run");
//! let run = host.heal::<Restart>();
//! assert!(run.failure().is("not-granted"));
//! assert_eq!(run.acts(), [""; 0]);
//! assert_eq!(run.denied(), ["unit-control.start of web.service: not-granted"]);
//! ```
//!
//! A process that ignores SIGTERM, a port that somebody else holds, a dependency
//! that comes back later, a check that fails:
//!
//! ```
//! use prunella_sdk::testing::*;
//! use std::time::Duration;
//!
//! let host = Host::new("web.service")
//!     .failed("exit-code")
//!     .port("tcp/80")
//!     .taken("tcp/80", Process::leftover("/usr/bin/web").ignoring_term())
//!     .needs(Unit::new("db.service").failed("signal").comes_up_after(Duration::from_secs(5)))
//!     .check("config", Check::fails(1, "web.conf:3: no such word").validating())
//!     .starts_when("cannot reach the database", |host| host.is_up("db.service"));
//! # drop(host);
//! ```
//!
//! What is measured, steady or growing by so much an hour:
//!
//! ```
//! use prunella_sdk::testing::*;
//!
//! let host = Host::new("web.service")
//!     .measured("host", "cpu-permille", 310)
//!     .measured_growing("web.service", "memory-bytes", 900 << 20, 50e6);
//! # drop(host);
//! ```
//!
//! A declared remedy, what it would do, and what it changes:
//!
//! ```
//! use prunella_sdk::testing::*;
//!
//! let host = Host::new("web.service")
//!     .failed("exit-code")
//!     .remedy("cache", Remedy::of("set-aside", "move the cache aside").undoable())
//!     .starts_when("damaged cache", |host| host.was_applied("cache"));
//! # drop(host);
//! ```
//!
//! A strategy that panics makes the test panic, with its message, file and line.

#![allow(
    clippy::panic,
    reason = "for tests: an expectation that does not hold is a panic"
)]

#[doc(hidden)]
#[allow(missing_docs, reason = "the contract's own documentation is in wit/")]
pub mod contract;
pub(crate) mod current;
mod run;

pub use prunella_core::{
    Timestamp,
    capability::PastIncident,
    remedy::AmountOf,
    service::{FileRole, ProbeKind},
};
#[doc(inline)]
pub use prunella_simulation::{Check, File, Process, Remedy, Sim as Host, Unit, View};

pub use self::run::{Run, Test};
