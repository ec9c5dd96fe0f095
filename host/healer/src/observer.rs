//! Who watches incidents as they go.

use prunella_core::{incident::Incident, trail::Entry};

/// Whoever watches incidents as they go: a terminal, a connected client.
pub trait Observer: Send + Sync {
    /// A step was taken.
    fn step(&self, incident: &Incident, entry: &Entry);

    /// A step of a dry run was taken, in which nothing is carried out.
    fn dry_step(&self, incident: &Incident, entry: &Entry) {
        self.step(incident, entry);
    }
}

impl Observer for () {
    fn step(&self, _: &Incident, _: &Entry) {}
}
