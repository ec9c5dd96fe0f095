//! `prunella:act/zombies`: telling parents that their children have ended.

pub use super::remedies::Apply;
use super::{ActsOn, Budget, Consequence, Durability, OversightRule, StopsAlong, applied};

pub(super) static REAP: Consequence = Consequence {
    name: "zombies.reap",
    asks_systemd: true,
    means: "may tell the service's processes that their children have ended",
    on: ActsOn::Declared,
    stops_along: StopsAlong::Nothing,
    budget: Budget::Free,
    durability: Durability::Committed,
    oversight: OversightRule::WhenListed,
    result: applied,
};
