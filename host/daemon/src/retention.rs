//! Forgetting old incidents, now and then.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use prunella_config::Retention;
use prunella_store::Store;

use crate::clock;

/// Not more often than this: what is a little too old harms nobody.
const EVERY: Duration = Duration::from_secs(3_600);

/// When the store was tidied last in this process.
#[derive(Debug, Default)]
pub(crate) struct Tidier(Mutex<Option<Instant>>);

impl Tidier {
    /// Tidies the store on a thread of its own, if it is time. Called when
    /// something has happened anyway, so that an idle daemon is not woken.
    pub(crate) fn tidy(&self, store: &Arc<Store>, retention: Retention) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < EVERY) {
            return;
        }
        *last = Some(Instant::now());
        drop(last);
        let store = Arc::clone(store);
        let spawned = thread::Builder::new()
            .name("tidy".to_owned())
            .stack_size(256 << 10)
            .spawn(move || now(&store, &retention));
        if let Err(error) = spawned {
            tracing::warn!("old incidents cannot be forgotten: no thread: {error}");
        }
    }
}

/// Tidies the store, on this thread.
pub(crate) fn now(store: &Store, retention: &Retention) {
    match store.tidy(retention, clock::now()) {
        Ok(tidied) if tidied.incidents > 0 || tidied.given_back > 0 => tracing::info!(
            "{} old incidents are forgotten, and {} MiB of disk given back",
            tidied.incidents,
            tidied.given_back >> 20
        ),
        Ok(_) => {}
        // The store has told of its own trouble.
        Err(error) if error.is_trouble() => tracing::debug!("not tidied: {error}"),
        Err(error) => tracing::warn!("old incidents cannot be forgotten: {error}"),
    }
}
