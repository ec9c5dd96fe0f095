//! `prunella:act/call`: making a declared HTTP request.

pub use super::remedies::Apply;
use super::{ActsOn, Budget, Consequence, Durability, OversightRule, StopsAlong, applied};

pub(super) static SEND: Consequence = Consequence {
    name: "call.send",
    asks_systemd: true,
    means: "may make declared HTTP requests",
    on: ActsOn::Declared,
    stops_along: StopsAlong::Nothing,
    budget: Budget::Free,
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::WhenListed,
    result: applied,
};
