//! `prunella:act/zombies`: telling parents that their children have ended.

pub use super::remedies::Apply;
use super::{Consequence, Durability, OversightRule, remedies::REMEDY};

pub(super) static REAP: Consequence = Consequence {
    name: "zombies.reap",
    means: "may tell the service's processes that their children have ended",
    durability: Durability::Committed,
    oversight: OversightRule::WhenListed,
    ..REMEDY
};
