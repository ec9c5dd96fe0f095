//! Loads strategies, limits them, and links only what they were granted.
//!
//! A strategy is a WebAssembly component. [`Engine::load`] reads its imports
//! and compares them with its grants before anything of it runs; then
//! [`Strategy::describe`], [`Strategy::assess`] and [`Strategy::heal`] each run
//! it in a fresh instance, on the caller's thread, within [`Limits`].
//!
//! The engine knows wasmtime and the contract; it knows nothing of Linux. It
//! reaches the host through the traits of [`prunella_core::capability`] and
//! holds no policy: whether a call is allowed, on which unit and how often, is
//! the business of whoever implements those traits. What it does hold is what
//! no implementation should have to think of: quotas, deadlines, and that
//! assessing never acts.
//!
//! | what | where |
//! |---|---|
//! | the one wasmtime configuration | `config` |
//! | reading a component without running it | `inspect` |
//! | loading, linking, the compiled cache | `engine`, `inner`, `link`, `cache` |
//! | one run: store, limits, errors | `strategy`, `meter`, `ticker`, `run_error` |
//! | what a strategy's calls come to | `host_state` |
//! | the contract's types from and to core's | `bindings` |
//!
//! [`Limits`]: prunella_core::policy::Limits

mod bindings;
mod cache;
mod config;
mod engine;
mod error;
mod host_state;
mod inner;
mod inspect;
mod link;
mod meter;
mod run;
mod run_error;
mod strategy;
mod ticker;

pub use config::precompile;
pub use engine::{Engine, EngineSettings};
pub use error::{EngineError, LoadError};
pub use inspect::{CONTRACT_VERSIONS, Import, Inspection, Package};
pub use run::{Level, Lines, NoLines, Run, RunContext, Usage};
pub use run_error::{Call, Cause, RunError};
pub use strategy::{Origin, Strategy};
