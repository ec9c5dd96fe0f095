//! Earlier incidents.

use prunella_core::capability::{PastIncident, history::Recent};

use crate::world::World;

impl World {
    pub(super) fn recent(&self, recent: Recent) -> Vec<PastIncident> {
        let newest = self.history.iter().take(recent.limit as usize);
        newest.cloned().collect()
    }
}
