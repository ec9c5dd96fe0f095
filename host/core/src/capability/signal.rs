//! `prunella:act/signal`: sending a declared signal to the service's main process.

pub use super::remedies::Apply;
use super::{ActsOn, Budget, Consequence, Durability, OversightRule, StopsAlong, applied};

pub(super) static SEND: Consequence = Consequence {
    name: "signal.send",
    asks_systemd: true,
    means: "may send declared signals to the service",
    on: ActsOn::Declared,
    stops_along: StopsAlong::Nothing,
    budget: Budget::Free,
    durability: Durability::OnDiskMeanwhile,
    oversight: OversightRule::WhenListed,
    result: applied,
};
