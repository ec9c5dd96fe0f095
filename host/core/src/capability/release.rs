//! `prunella:act/release`: going back to a release with which the service was healthy.

use serde::Serialize;

pub use super::remedies::Apply;
use super::{
    Consequence, Described, Description, Durability, Look, OversightRule, remedies::REMEDY,
};

/// Which release of a declared one is in force now. No strategy can ask for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InForce {
    pub name: String,
    /// Others, the one to go back to first before the rest: the first that can be gone back to
    /// is told, too.
    pub others: Vec<String>,
}

static IN_FORCE: Look = Look::new("release.in-force");

impl Described for InForce {
    fn description(&self) -> Description {
        Description::Look(&IN_FORCE)
    }
}

pub(super) static ROLL_BACK: Consequence = Consequence {
    name: "release.roll-back",
    means: "may take declared releases back to the one before",
    durability: Durability::OnDiskFirst,
    oversight: OversightRule::UnlessAllowed,
    ..REMEDY
};
