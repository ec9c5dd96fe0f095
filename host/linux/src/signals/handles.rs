//! What somebody holds who waits for signals; dropping it ends that.

use std::sync::{Arc, Weak};

use tokio::sync::{mpsc, watch};

use super::{BusEvent, Signals, lost};
use crate::error::BusError;

/// A call that queues a job is under way; from before the call until its reply
/// has been handled.
pub(crate) struct Submitting(pub(super) Arc<Signals>);

impl Submitting {
    /// The end of the job at `path`: systemd's word when it comes. The sender is
    /// dropped when the connection is lost.
    pub(crate) fn claim(&self, path: &str) -> Result<watch::Receiver<Option<String>>, BusError> {
        let mut state = self.0.lock();
        if !state.up {
            return Err(lost());
        }
        Ok(state.jobs.claim(path))
    }
}

impl Drop for Submitting {
    fn drop(&mut self) {
        self.0.lock().jobs.submitted();
    }
}

/// Watches one unit's object.
pub(crate) struct UnitWatch {
    pub(super) signals: Arc<Signals>,
    pub(super) path: String,
    pub(super) changed: watch::Receiver<()>,
}

impl UnitWatch {
    /// Waits until something about the unit has changed since the last time
    /// (or since the watch was made).
    pub(crate) async fn changed(&mut self) -> Result<(), BusError> {
        self.changed.changed().await.map_err(|_| lost())
    }
}

impl Drop for UnitWatch {
    fn drop(&mut self) {
        let mut state = self.signals.lock();
        if let Some(watched) = state.units.get_mut(&self.path) {
            watched.watchers = watched.watchers.saturating_sub(1);
            if watched.watchers == 0 {
                state.units.remove(&self.path);
            }
        }
    }
}

/// Receives events until dropped.
pub struct Listener {
    pub(super) signals: Weak<Signals>,
    pub(super) id: u64,
    pub(super) events: mpsc::UnboundedReceiver<BusEvent>,
}

impl Listener {
    /// The next event; none when the host is being shut down.
    pub async fn next(&mut self) -> Option<BusEvent> {
        self.events.recv().await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(signals) = self.signals.upgrade() {
            let id = self.id;
            signals.lock().listeners.retain(|entry| entry.id != id);
        }
    }
}
