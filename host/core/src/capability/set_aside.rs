//! `prunella:act/set-aside`: moving something aside that the service makes anew.

pub use super::remedies::Apply;
use super::{ActsOn, Budget, Consequence, Durability, OversightRule, StopsAlong, applied};

pub(super) static RUN: Consequence = Consequence {
    name: "set-aside.run",
    asks_systemd: true,
    means: "may move declared caches and folders aside",
    on: ActsOn::Declared,
    stops_along: StopsAlong::Nothing,
    budget: Budget::Free,
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::WhenListed,
    result: applied,
};
