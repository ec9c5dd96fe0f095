//! `prunella:act/circuit`: isolating a service that fails again and again, and trying it.

pub use super::remedies::Apply;
use super::{Consequence, Durability, OversightRule, remedies::REMEDY};

pub(super) static OPEN: Consequence = Consequence {
    name: "circuit.open",
    means: "may stop the service and keep it down for a while, as declared",
    ends_processes: true,
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::WhenListed,
    ..REMEDY
};

pub(super) static HALF_OPEN: Consequence = Consequence {
    name: "circuit.half-open",
    means: "may start the service once its circuit was open for long enough",
    durability: Durability::OnDiskMeanwhile,
    oversight: OversightRule::WhenListed,
    ..REMEDY
};
