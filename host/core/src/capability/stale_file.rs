//! `prunella:act/stale-file`: removing what a killed service left behind.

pub use super::remedies::Apply;
use super::{ActsOn, Budget, Consequence, Durability, OversightRule, StopsAlong, applied};

pub(super) static REMOVE: Consequence = Consequence {
    name: "stale-file.remove",
    asks_systemd: true,
    means: "may remove declared pid files, locks and sockets that are proven stale",
    on: ActsOn::Declared,
    stops_along: StopsAlong::Nothing,
    budget: Budget::Free,
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::WhenListed,
    result: applied,
};
