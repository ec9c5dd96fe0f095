//! The words of Prunella as types, and nothing that touches the world.
//!
//! Everything here can be used without a host: names ([`name`]), the seam
//! between strategies and a host ([`capability`], [`argument`]), what a strategy may do
//! ([`policy`], [`authority`], [`protected`]), what an operator declared ([`service`], [`config`]), what
//! happened ([`incident`], [`trail`], [`report`]), what was made of it
//! ([`diagnosis`], [`analyst`]), how much healing a service gets ([`budget`]), how
//! much a strategy may keep ([`state`]) and what bytes are known by ([`hash`]).
//!
//! Other crates of the host depend on this one; it depends on none of them, and
//! it performs no I/O except reading configuration files in [`config`].

pub mod achievement;
pub mod alert;
pub mod analyst;
pub mod argument;
pub mod authority;
pub mod budget;
pub mod capability;
pub mod config;
pub mod diagnosis;
pub mod failure;
mod glob;
pub mod hash;
pub mod incident;
pub mod name;
pub mod oversight;
pub mod policy;
pub mod protected;
pub mod report;
pub mod secret;
pub mod service;
pub mod situation;
pub mod state;
pub mod summary;
pub mod text;
pub mod trail;
pub mod trust;

pub use failure::{Failure, FailureKind};
pub use name::{ChannelName, StrategyName, UnitName};
