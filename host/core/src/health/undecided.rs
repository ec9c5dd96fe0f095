//! What a probe does not tell yet.

use std::time::Duration;

/// A probe that does not tell yet how its service has been since some moment: it was not asked
/// since, or the answers that speak for a symptom are too few.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecided {
    /// The probe's name.
    pub probe: String,
    /// How long from now its next answer is due.
    pub next: Duration,
    /// How long from now it is waited for at most.
    pub up_to: Duration,
}
