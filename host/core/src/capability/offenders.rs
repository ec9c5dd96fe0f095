//! `prunella:act/offenders`: having declared units make way for the service.

pub use super::remedies::Apply;
use super::{ActsOn, Budget, Consequence, Durability, OversightRule, StopsAlong, applied};

pub(super) static THROTTLE: Consequence = Consequence {
    name: "offenders.throttle",
    asks_systemd: true,
    means: "may throttle declared units, for a time",
    on: ActsOn::Declared,
    stops_along: StopsAlong::Nothing,
    budget: Budget::Free,
    durability: Durability::Committed,
    oversight: OversightRule::WhenListed,
    result: applied,
};

pub(super) static FREEZE: Consequence = Consequence {
    name: "offenders.freeze",
    asks_systemd: true,
    means: "may freeze declared units, for a time",
    on: ActsOn::Declared,
    stops_along: StopsAlong::Nothing,
    budget: Budget::Free,
    durability: Durability::Committed,
    oversight: OversightRule::UnlessAllowed,
    result: applied,
};

pub(super) static THAW: Consequence = Consequence {
    name: "offenders.thaw",
    asks_systemd: true,
    means: "may thaw declared units",
    on: ActsOn::Declared,
    stops_along: StopsAlong::Nothing,
    budget: Budget::Free,
    durability: Durability::Committed,
    oversight: OversightRule::WhenListed,
    result: applied,
};
