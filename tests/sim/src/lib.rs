//! A simulated host: every capability as a small model in memory.
//!
//! Time is virtual: a sleep or a wait returns at once and moves the clock.
//! Whatever acts is written down in order, to be compared with what should have
//! been done.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use prunella_core::capability::{Goal, UnitAct};
//! use prunella_sim::{Process, Sim};
//!
//! let sim = Sim::new("web.service")
//!     .failed("exit-code")
//!     .port("tcp/80")
//!     .taken("tcp/80", Process::leftover("/usr/bin/web").ignoring_term());
//! let host = sim.host();
//! let soon = Instant::now() + Duration::from_secs(60);
//!
//! // The port is taken: it does not start.
//! let job = host.unit_control.submit(soon, &sim.unit(), UnitAct::Start).unwrap();
//! assert_eq!(job.wait(soon, Duration::from_secs(5)).unwrap(), "failed");
//!
//! // Without the leftover it does.
//! let holder = host.ports.holders(soon, sim.ports()[0].protocol, 80).unwrap();
//! let leftover = holder[0].process.clone().unwrap();
//! host.process_control.terminate(soon, &leftover, Duration::from_secs(2)).unwrap();
//! host.unit_control.submit(soon, &sim.unit(), UnitAct::Start).unwrap();
//! assert!(host.units.wait(soon, &sim.unit(), Goal::Up, Duration::from_secs(5)).is_ok());
//!
//! assert_eq!(
//!     sim.acts(),
//!     ["start web.service", "terminate /usr/bin/web", "start web.service"],
//! );
//! ```

#![allow(
    clippy::panic,
    reason = "a builder for tests: a name that is none is a mistake in the test"
)]

mod act;
mod build;
mod files;
mod guard;
mod observe;
pub mod scenario;
mod sim;
mod situation;
mod state;
mod world;

pub use build::{Check, File, Process, Unit};
pub use sim::Sim;
pub use world::View;
