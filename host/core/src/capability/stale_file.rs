//! `prunella:act/stale-file`: removing what a killed service left behind.

pub use super::remedies::Apply;
use super::{Consequence, Durability, OversightRule, remedies::REMEDY};

pub(super) static REMOVE: Consequence = Consequence {
    name: "stale-file.remove",
    means: "may remove declared pid files, locks and sockets that are proven stale",
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::WhenListed,
    ..REMEDY
};
