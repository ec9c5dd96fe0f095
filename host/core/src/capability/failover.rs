//! `prunella:act/failover`: having a standby take the place of the service.

pub use super::remedies::Apply;
use super::{Consequence, Durability, OversightRule, remedies::REMEDY};

pub(super) static SWITCH: Consequence = Consequence {
    name: "failover.switch",
    means: "may stop the service for good and have a declared standby take its place",
    ends_processes: true,
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::UnlessAllowed,
    ..REMEDY
};
