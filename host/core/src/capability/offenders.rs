//! `prunella:act/offenders`: having declared units make way for the service.

pub use super::remedies::Apply;
use super::{Consequence, Durability, OversightRule, remedies::REMEDY};

pub(super) static THROTTLE: Consequence = Consequence {
    name: "offenders.throttle",
    means: "may throttle declared units, for a time",
    durability: Durability::Committed,
    oversight: OversightRule::WhenListed,
    ..REMEDY
};

pub(super) static FREEZE: Consequence = Consequence {
    name: "offenders.freeze",
    means: "may freeze declared units, for a time",
    durability: Durability::Committed,
    oversight: OversightRule::UnlessAllowed,
    ..REMEDY
};

pub(super) static THAW: Consequence = Consequence {
    name: "offenders.thaw",
    means: "may thaw declared units",
    durability: Durability::Committed,
    oversight: OversightRule::WhenListed,
    ..REMEDY
};
