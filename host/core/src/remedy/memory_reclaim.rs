//! `[[memory]]`: memory that the kernel may be asked to take back from a unit.

use serde::{Deserialize, Serialize};

use crate::UnitName;

/// Memory that may be reclaimed: caches of files, and what can be swapped out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryReclaim {
    /// Whose; the service's own, where it is absent.
    pub unit: Option<UnitName>,
    /// In bytes, for each act.
    pub at_most: u64,
}
