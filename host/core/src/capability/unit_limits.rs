//! `prunella:act/unit-limits`: moving limits of declared units, within declared bounds.

pub use super::remedies::Apply;
use super::{ActsOn, Budget, Consequence, Durability, OversightRule, StopsAlong, applied};

pub(super) static RAISE: Consequence = Consequence {
    name: "unit-limits.raise",
    asks_systemd: true,
    means: "may raise declared limits of units, for a time",
    on: ActsOn::Declared,
    stops_along: StopsAlong::Nothing,
    budget: Budget::Free,
    durability: Durability::Committed,
    oversight: OversightRule::WhenListed,
    result: applied,
};

pub(super) static LOWER: Consequence = Consequence {
    name: "unit-limits.lower",
    asks_systemd: true,
    means: "may lower declared limits of units, for a time",
    on: ActsOn::Declared,
    stops_along: StopsAlong::Nothing,
    budget: Budget::Free,
    durability: Durability::Committed,
    oversight: OversightRule::WhenListed,
    result: applied,
};
