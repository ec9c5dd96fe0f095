//! `prunella:act/unit-limits`: moving limits of declared units, within declared bounds.

pub use super::remedies::Apply;
use super::{Consequence, Durability, OversightRule, remedies::REMEDY};

pub(super) static RAISE: Consequence = Consequence {
    name: "unit-limits.raise",
    means: "may raise declared limits of units, for a time",
    durability: Durability::Committed,
    oversight: OversightRule::WhenListed,
    ..REMEDY
};

pub(super) static LOWER: Consequence = Consequence {
    name: "unit-limits.lower",
    means: "may lower declared limits of units, for a time",
    durability: Durability::Committed,
    oversight: OversightRule::WhenListed,
    ..REMEDY
};
