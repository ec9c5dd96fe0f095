//! `prunella:act/instances`: running more or fewer instances of a declared template.

pub use super::remedies::Apply;
use super::{Consequence, Durability, OversightRule, remedies::REMEDY};

pub(super) static UP: Consequence = Consequence {
    name: "instances.up",
    means: "may start one more instance of declared templates",
    durability: Durability::OnDiskMeanwhile,
    oversight: OversightRule::WhenListed,
    ..REMEDY
};

pub(super) static DOWN: Consequence = Consequence {
    name: "instances.down",
    means: "may drain and stop an instance of declared templates",
    ends_processes: true,
    durability: Durability::OnDiskMeanwhile,
    oversight: OversightRule::WhenListed,
    ..REMEDY
};
