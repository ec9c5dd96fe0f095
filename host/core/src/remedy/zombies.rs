//! `[[zombies]]`: processes of the service that have ended, and that their parent has not
//! asked about.

use serde::{Deserialize, Serialize};

/// From how many on their parents are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zombies {
    pub at_least: u32,
}
