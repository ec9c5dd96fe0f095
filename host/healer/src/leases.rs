//! The end of leases, when they come: a thread that sleeps until the next one.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use crate::{HealerError, healer::Healer};

/// Whether leases may have been added, or nobody waits for their end any more.
#[derive(Debug, Default)]
pub(crate) struct LeaseNews {
    state: Mutex<News>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum News {
    #[default]
    None,
    Some,
    Stop,
}

impl LeaseNews {
    /// There may be a new lease.
    pub(crate) fn tell(&self) {
        self.set(News::Some);
    }

    /// Nobody waits any more.
    pub(crate) fn stop(&self) {
        self.set(News::Stop);
    }

    fn set(&self, news: News) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state != News::Stop {
            *state = news;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for news, for so long at most. False when it is to stop.
    pub(crate) fn wait(&self, at_most: Option<Duration>) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing = |news: &mut News| *news == News::None;
        let mut state = match at_most {
            Some(at_most) => {
                self.changed
                    .wait_timeout_while(state, at_most, nothing)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
            None => self
                .changed
                .wait_while(state, nothing)
                .unwrap_or_else(PoisonError::into_inner),
        };
        if *state == News::Stop {
            return false;
        }
        *state = News::None;
        true
    }
}

/// Ends leases while it lives.
pub struct LeaseKeeper {
    healer: Arc<Healer>,
}

impl LeaseKeeper {
    /// Ends those that are over, and each later one when it is.
    pub fn start(healer: &Arc<Healer>) -> Result<Self, HealerError> {
        let of = Arc::clone(healer);
        thread::Builder::new()
            .name("leases".to_owned())
            .spawn(move || {
                loop {
                    let next = of.end_leases();
                    if !of.lease_news.wait(next) {
                        return;
                    }
                }
            })
            .map_err(|source| HealerError::Thread {
                what: "the end of leases".to_owned(),
                source,
            })?;
        Ok(Self {
            healer: Arc::clone(healer),
        })
    }
}

impl Drop for LeaseKeeper {
    fn drop(&mut self) {
        self.healer.lease_news.stop();
    }
}
