//! `prunella:act/file-restore`: bringing a declared file's content back.

pub use super::remedies::Apply;
use super::{Consequence, Durability, OversightRule, remedies::REMEDY};

pub(super) static RUN: Consequence = Consequence {
    name: "file-restore.run",
    means: "may bring the content of declared files back",
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::WhenListed,
    ..REMEDY
};
