//! Keeps units loaded while their fate is still of interest.
//!
//! systemd unloads a unit as soon as it is inactive and nothing refers to it,
//! and with it forgets how the last run ended. A oneshot that has done its work
//! is such a unit: without a reference its success could never be seen.

use std::sync::{Arc, Mutex, PoisonError};

use prunella_core::UnitName;

use crate::runtime::Shared;

/// References to units, given back when this is dropped. systemd takes them
/// back by itself when the connection ends.
pub(crate) struct UnitRefs {
    shared: Arc<Shared>,
    units: Mutex<Vec<UnitName>>,
}

impl UnitRefs {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            units: Mutex::default(),
        }
    }

    /// Has systemd keep `unit` loaded. That it does not is no reason not to
    /// act: then only less is known afterwards.
    pub(crate) async fn hold(&self, unit: &UnitName) {
        {
            let mut units = self.units.lock().unwrap_or_else(PoisonError::into_inner);
            if units.contains(unit) {
                return;
            }
            units.push(unit.clone());
        }
        if let Err(error) = self.shared.bus().manager("RefUnit", &unit.as_str()).await {
            tracing::debug!(%unit, %error, "systemd does not keep the unit loaded");
        }
    }
}

impl Drop for UnitRefs {
    fn drop(&mut self) {
        let units = std::mem::take(self.units.get_mut().unwrap_or_else(PoisonError::into_inner));
        if units.is_empty() {
            return;
        }
        // A weak one: the last owner must not be a task on its own event loop.
        let shared = Arc::downgrade(&self.shared);
        self.shared.handle().spawn(async move {
            for unit in units {
                let Some(shared) = shared.upgrade() else {
                    return;
                };
                if let Err(error) = shared.bus().manager("UnrefUnit", &unit.as_str()).await {
                    tracing::debug!(%unit, %error, "the reference to the unit was gone already");
                }
            }
        });
    }
}
