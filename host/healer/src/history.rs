//! A service's earlier incidents, out of the store.

use std::sync::Arc;

use prunella_core::{
    Failure, UnitName,
    capability::{Answer, History, PastIncident},
};
use prunella_store::Store;

pub(crate) struct StoreHistory {
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) unit: UnitName,
}

/// So many are enough for a strategy to see a pattern.
const MAX_RECENT: u32 = 100;

impl History for StoreHistory {
    fn recent(&self, limit: u32) -> Answer<Vec<PastIncident>> {
        let Some(store) = &self.store else {
            return Err(Failure::unavailable(
                "no-store",
                "the incident store cannot be read",
            ));
        };
        store
            .recent(&self.unit, limit.min(MAX_RECENT))
            .map_err(|error| Failure::unavailable("no-store", error.to_string()))
    }
}
