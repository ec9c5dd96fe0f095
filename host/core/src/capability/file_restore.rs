//! `prunella:act/file-restore`: bringing a declared file's content back.

pub use super::remedies::Apply;
use super::{ActsOn, Budget, Consequence, Durability, OversightRule, StopsAlong, applied};

pub(super) static RUN: Consequence = Consequence {
    name: "file-restore.run",
    asks_systemd: true,
    means: "may bring the content of declared files back",
    on: ActsOn::Declared,
    stops_along: StopsAlong::Nothing,
    budget: Budget::Free,
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::WhenListed,
    result: applied,
};
