//! Who watches incidents as they go.

use prunella_core::{incident::Incident, trail::Entry};

/// Whoever watches incidents as they go: a terminal, a connected client.
pub trait Observer: Send + Sync {
    /// A step was taken.
    fn step(&self, incident: &Incident, entry: &Entry);
}

impl Observer for () {
    fn step(&self, _: &Incident, _: &Entry) {}
}
