//! `prunella:act/memory`: having the kernel take memory back from a declared unit.

pub use super::remedies::Apply;
use super::{Consequence, Durability, OversightRule, remedies::REMEDY};

pub(super) static RECLAIM: Consequence = Consequence {
    name: "memory.reclaim",
    means: "may reclaim memory of declared units",
    durability: Durability::Committed,
    oversight: OversightRule::WhenListed,
    ..REMEDY
};
