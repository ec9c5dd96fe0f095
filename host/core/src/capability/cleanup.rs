//! `prunella:act/cleanup`: deleting files that were declared as expendable.

pub use super::remedies::Apply;
use super::{ActsOn, Budget, Consequence, Durability, OversightRule, StopsAlong, applied};

pub(super) static RUN: Consequence = Consequence {
    name: "cleanup.run",
    asks_systemd: true,
    means: "may delete files that are declared as expendable",
    on: ActsOn::Declared,
    stops_along: StopsAlong::Nothing,
    budget: Budget::Free,
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::UnlessAllowed,
    result: applied,
};
