//! The contract on the author's own machine: the same functions and types as in
//! a component, answered by the simulated host of the run that goes on.
//!
//! What the engine decides is decided here too, by the same
//! functions of `prunella-core`: whether it is the time for acting, and whether
//! a name means anything. Grants are the business of the host below.

pub mod act;
pub mod base;
pub mod observe;

prunella_core::contract_conversions!(crate::bindings::prunella);

/// Getters of a resource: each reads what the handle holds.
macro_rules! getters {
    ([] $behind:ty; $($name:ident -> $type:ty: $get:expr;)*) => {
        $(pub fn $name(&self) -> $type {
            let get: fn(&$behind) -> $type = $get;
            get(&self.0)
        })*
    };
}
pub(crate) use getters;

/// The interfaces whose functions are calls as they are.
macro_rules! plain {
    ($($package:ident $interface:ident { $(
        $function:ident($($argument:ident: $type:ident),*)
            -> $answer:ident $(<$item:ident>)?: $call:expr;
    )* })*) => {
        $(pub mod $interface {
            use prunella_core::capability::$interface as calls;

            use crate::testing::{contract::{borrowed, converted}, current::Current};

            #[allow(unused_imports, reason = "not every interface has types of its own")]
            pub use crate::bindings::prunella::$package::$interface::*;

            $(pub fn $function(
                $($argument: borrowed!($type)),*
            ) -> Result<$answer $(<$item>)?, $crate::bindings::prunella::base::types::Failure> {
                $(let $argument: $type = $argument.into();)*
                let answer = Current::ask(|_| Ok($call))?;
                Ok(converted!(answer $($item)?))
            })*
        })*
    };
}
pub(crate) use plain;

/// An argument as wit-bindgen has it: text is borrowed.
macro_rules! borrowed {
    (String) => {
        &str
    };
    ($type:ident) => {
        $type
    };
}
pub(crate) use borrowed;

/// An answer in the contract's type.
macro_rules! converted {
    ($answer:ident) => {
        $answer.into()
    };
    ($answer:ident $item:ident) => {
        $answer.into_iter().map($item::from).collect()
    };
}
pub(crate) use converted;
