//! A simulated host: every capability as a small model in memory.
//!
//! Time is virtual: a sleep or a wait returns at once and moves the clock.
//! Whatever acts is written down in order, to be compared with what should have
//! been done.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use prunella_core::capability::{
//!     UnitAct, ports, process_control,
//!     unit_control::{Submit, WaitForJob},
//! };
//! use prunella_simulation::{Process, Sim};
//!
//! let sim = Sim::new("web.service")
//!     .failed("exit-code")
//!     .port("tcp/80")
//!     .taken("tcp/80", Process::leftover("/usr/bin/web").ignoring_term());
//! let host = sim.host();
//! let soon = Instant::now() + Duration::from_secs(60);
//! let start = || {
//!     let submit = Submit { unit: sim.unit(), action: UnitAct::Start };
//!     let job = host.ask(soon, submit)?;
//!     host.ask(soon, WaitForJob { job, timeout: Duration::from_secs(5) })
//! };
//!
//! // The port is taken: it does not start.
//! assert_eq!(start().unwrap(), "failed");
//!
//! // Without the leftover it does.
//! let protocol = sim.ports()[0].protocol;
//! let holders = host.ask(soon, ports::Holders { protocol, number: 80 }).unwrap();
//! let process = holders[0].process.clone().unwrap();
//! let grace = Duration::from_secs(2);
//! host.ask(soon, process_control::Terminate { process, grace }).unwrap();
//! assert_eq!(start().unwrap(), "done");
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

mod build;
mod capability;
mod condition;
mod disk;
mod file_model;
mod guard;
mod names;
pub mod scenario;
mod sim;
mod situation;
mod world;

pub use build::{Check, File, Process, Remedy, Unit};
pub use condition::View;
pub use sim::Sim;
