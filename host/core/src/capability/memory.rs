//! `prunella:act/memory`: having the kernel take memory back from a declared unit.

pub use super::remedies::Apply;
use super::{ActsOn, Budget, Consequence, Durability, OversightRule, StopsAlong, applied};

pub(super) static RECLAIM: Consequence = Consequence {
    name: "memory.reclaim",
    asks_systemd: true,
    means: "may reclaim memory of declared units",
    on: ActsOn::Declared,
    stops_along: StopsAlong::Nothing,
    budget: Budget::Free,
    durability: Durability::Committed,
    oversight: OversightRule::WhenListed,
    result: applied,
};
