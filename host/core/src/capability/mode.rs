//! `prunella:act/mode`: entering a degraded mode.

pub use super::remedies::Apply;
use super::{ActsOn, Budget, Consequence, Durability, OversightRule, StopsAlong, applied};

pub(super) static ENTER: Consequence = Consequence {
    name: "mode.enter",
    asks_systemd: true,
    means: "may enter declared degraded modes, which start and stop units",
    on: ActsOn::Declared,
    // Which units stop is declared; what would stop with them is judged with that.
    stops_along: StopsAlong::Nothing,
    budget: Budget::Free,
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::WhenListed,
    result: applied,
};
