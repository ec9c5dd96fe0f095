//! `prunella:act/instances`: running more or fewer instances of a declared template.

pub use super::remedies::Apply;
use super::{ActsOn, Budget, Consequence, Durability, OversightRule, StopsAlong, applied};

pub(super) static UP: Consequence = Consequence {
    name: "instances.up",
    asks_systemd: true,
    means: "may start one more instance of declared templates",
    on: ActsOn::Declared,
    stops_along: StopsAlong::Nothing,
    budget: Budget::Free,
    durability: Durability::OnDiskMeanwhile,
    oversight: OversightRule::WhenListed,
    result: applied,
};

pub(super) static DOWN: Consequence = Consequence {
    name: "instances.down",
    asks_systemd: true,
    means: "may drain and stop an instance of declared templates",
    on: ActsOn::Declared,
    stops_along: StopsAlong::Nothing,
    budget: Budget::Free,
    durability: Durability::OnDiskMeanwhile,
    oversight: OversightRule::WhenListed,
    result: applied,
};
