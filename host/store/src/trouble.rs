//! Telling of the store's own trouble: loudly, and once.

use std::{
    mem::{Discriminant, discriminant},
    path::Path,
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::{StoreError, connect::BUSY_TIMEOUT, error::chain, lock};

/// The same trouble is told of again only after so long: on a disk that is
/// nearly full a write may succeed now and then.
const AGAIN: Duration = Duration::from_secs(600);

/// How long is waited for another process's transaction once one wait was in
/// vain: a healing has a write for every step.
const IMPATIENT: Duration = Duration::from_millis(20);

/// What a lasting store is suffering from.
#[derive(Debug, Default)]
pub(crate) struct Trouble(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    now: Option<String>,
    locked: bool,
    told: Vec<(Discriminant<StoreError>, Instant)>,
    /// Whether its end is worth telling.
    end_is_news: bool,
}

impl Trouble {
    /// It goes on, or begins.
    pub(crate) fn met(&self, error: &StoreError) {
        let mut state = lock(&self.0);
        state.locked = matches!(error, StoreError::Locked { .. });
        if let StoreError::Unavailable { .. } = error {
            // A consequence of what was told when opening it failed.
            return;
        }
        let text = chain(error);
        state.now = Some(text.clone());
        let kind = discriminant(error);
        state.told.retain(|(_, at)| at.elapsed() < AGAIN);
        if state.told.iter().any(|(told, _)| *told == kind) {
            tracing::debug!("{text}");
            return;
        }
        state.told.push((kind, Instant::now()));
        state.end_is_news = true;
        drop(state);
        tracing::error!(
            "{text}; healing goes on, and its steps are only in the journal until the incident \
             store works again"
        );
    }

    /// A damaged file was set aside, and a new one is in use.
    pub(crate) fn set_aside(&self, aside: &Path, why: &StoreError) {
        tracing::error!(
            "the incident store was damaged ({}); it is kept as {}, and a new one is in use",
            chain(why),
            aside.display()
        );
    }

    pub(crate) fn over(&self, path: &Path) {
        let mut state = lock(&self.0);
        state.locked = false;
        if state.now.take().is_some() && std::mem::take(&mut state.end_is_news) {
            drop(state);
            tracing::warn!("the incident store {} works again", path.display());
        }
    }

    /// What it is at the moment.
    pub(crate) fn now(&self) -> Option<String> {
        lock(&self.0).now.clone()
    }

    /// How long to wait for another process.
    pub(crate) fn patience(&self) -> Duration {
        if lock(&self.0).locked {
            IMPATIENT
        } else {
            BUSY_TIMEOUT
        }
    }
}
