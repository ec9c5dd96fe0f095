//! `prunella:act/mode`: entering a degraded mode.

pub use super::remedies::Apply;
use super::{Consequence, Durability, OversightRule, remedies::REMEDY};

pub(super) static ENTER: Consequence = Consequence {
    name: "mode.enter",
    means: "may enter declared degraded modes, which start and stop units",
    ends_processes: true,
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::WhenListed,
    ..REMEDY
};
