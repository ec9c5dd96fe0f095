//! The contract on the author's own machine: the same functions and types as in
//! a component, answered by the simulated host of the run that goes on.
//!
//! What the engine decides at the seam is decided here too, by the same
//! functions of `prunella-core`: whether it is the time for acting, and whether
//! a name means anything. Grants are the business of the host below.

pub mod act;
pub mod base;
pub mod observe;
mod words;

/// Getters of a resource: each reads what the handle holds.
macro_rules! getters {
    ($($name:ident -> $type:ty: $get:expr;)*) => {
        $(pub fn $name(&self) -> $type {
            let get: fn(&Self) -> $type = $get;
            get(self)
        })*
    };
}
pub(crate) use getters;
