//! `prunella:act/cleanup`: deleting files that were declared as expendable.

pub use super::remedies::Apply;
use super::{Consequence, Durability, OversightRule, remedies::REMEDY};

pub(super) static RUN: Consequence = Consequence {
    name: "cleanup.run",
    means: "may delete files that are declared as expendable",
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::UnlessAllowed,
    ..REMEDY
};
