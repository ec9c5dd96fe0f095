//! `prunella:act/traffic`: taking the service out of rotation, and putting it back.

pub use super::remedies::Apply;
use super::{Consequence, Durability, OversightRule, remedies::REMEDY};

pub(super) static DRAIN: Consequence = Consequence {
    name: "traffic.drain",
    means: "may have declared proxies send the service no new requests, for a while",
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::WhenListed,
    ..REMEDY
};

pub(super) static MAINTAIN: Consequence = Consequence {
    name: "traffic.maintain",
    means: "may have declared proxies put the service into maintenance, for a while",
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::WhenListed,
    ..REMEDY
};

pub(super) static RESTORE: Consequence = Consequence {
    name: "traffic.restore",
    means: "may have declared proxies send the service requests again, whoever stopped that",
    durability: Durability::OnDiskFirst,
    // A person may have had a reason.
    oversight: OversightRule::UnlessAllowed,
    ..REMEDY
};
