//! From nothing to a component: what the author of a strategy uses.
//!
//! [`create`] writes a project that builds and whose test passes; [`build`]
//! makes a component of a project, whatever its language. Neither runs anything
//! of a strategy.

mod build;
mod create;
mod embedded;
mod error;
mod language;
mod tool;

pub use build::{Built, build};
pub use create::{Created, Project, create};
pub use error::{BuildError, CreateError};
pub use language::Language;
