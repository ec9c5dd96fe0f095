//! `prunella:act/config-update`: giving a declared configuration value its next one.

pub use super::remedies::Apply;
use super::{Consequence, Durability, OversightRule, remedies::REMEDY};

pub(super) static RUN: Consequence = Consequence {
    name: "config-update.run",
    means: "may change declared values in configuration files",
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::UnlessAllowed,
    ..REMEDY
};
