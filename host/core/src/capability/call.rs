//! `prunella:act/call`: making a declared HTTP request.

pub use super::remedies::Apply;
use super::{Consequence, Durability, OversightRule, remedies::REMEDY};

pub(super) static SEND: Consequence = Consequence {
    name: "call.send",
    means: "may make declared HTTP requests",
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::WhenListed,
    ..REMEDY
};
