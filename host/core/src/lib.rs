//! The words of Prunella as types, and nothing that touches the world.
//!
//! Everything here can be used without a host: names ([`name`]), the seam
//! between strategies and a host ([`capability`], [`argument`]), what a strategy may do
//! ([`policy`], [`authority`], [`protected`]), what an operator declared ([`service`],
//! [`remedy`]), what
//! happened ([`incident`], [`trail`], [`event`]), who may ask for what ([`access`]), what was made of it
//! ([`diagnosis`], [`analyst`]), how much healing a service gets ([`budget`]), how
//! much a strategy may keep ([`state`]), what bytes are known by ([`hash`]) times
//! ([`time`]) and lengths of time in JSON ([`span`]).
//!
//! Other crates of the host depend on this one; it depends on none of them, and
//! it performs no I/O.

pub mod access;
pub mod alert;
pub mod analyst;
pub mod argument;
pub mod authority;
pub mod budget;
pub mod capability;
pub mod cause;
pub mod contract;
pub mod diagnosis;
pub mod duration;
pub mod event;
pub mod failure;
pub mod glob;
pub mod hash;
pub mod health;
pub mod incident;
pub mod name;
pub mod oversight;
pub mod policy;
pub mod protected;
pub mod remedy;
pub mod secret;
pub mod service;
pub mod situation;
pub mod span;
pub mod start_rules;
pub mod state;
pub mod statistics;
pub mod summary;
pub mod text;
pub mod time;
pub mod trail;
pub mod trust;

pub use failure::{Failure, FailureKind};
pub use name::{ChannelName, StrategyName, UnitName};
pub use time::{Monotonic, Timestamp};
