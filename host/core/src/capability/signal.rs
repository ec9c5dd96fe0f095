//! `prunella:act/signal`: sending a declared signal to the service's main process.

pub use super::remedies::Apply;
use super::{Consequence, Durability, OversightRule, remedies::REMEDY};

pub(super) static SEND: Consequence = Consequence {
    name: "signal.send",
    means: "may send declared signals to the service",
    durability: Durability::OnDiskMeanwhile,
    oversight: OversightRule::WhenListed,
    ..REMEDY
};
