//! `prunella:act/set-aside`: moving something aside that the service makes anew.

pub use super::remedies::Apply;
use super::{Consequence, Durability, OversightRule, remedies::REMEDY};

pub(super) static RUN: Consequence = Consequence {
    name: "set-aside.run",
    means: "may move declared caches and folders aside",
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::WhenListed,
    ..REMEDY
};
