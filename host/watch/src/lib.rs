//! Notices failures: turns what systemd's signals say into detections.
//!
//! One task on the host's background thread remembers a little of each unit in
//! care (`unit_history`) and looks closer, with one call, only when a signal says
//! that something has happened. When nothing happens, nothing here runs.
//!
//! An end with success is a failure of a service that is meant to run, when no
//! stop job came before it. What systemd's signals cannot tell, an operator's stop
//! in the time before, is left to whoever decides.
//!
//! Not a failure: systemd's own `auto-restart`. A crash that it follows is told
//! once the unit is up again, and so many within a time are a
//! [`WatchEvent::RestartLoop`]. Not noticed by signals: what failed
//! before the watcher came, while the bus was lost, or while systemd read its
//! unit files again; so after each of these it looks at every unit in care.

mod probing;
mod scraping;
mod task;
mod unit_history;

use std::sync::{Arc, PoisonError, RwLock};

use prunella_core::{
    Monotonic, UnitName, capability::UnitStatus, incident::Detection, service::RunPolicy,
};
use prunella_linux::{Interest, Linux, UnitSet};
use tokio::sync::watch;

pub use crate::{
    probing::{Ask, Asked, Asking, ProbeTarget, Prober, Tell, Unanswered},
    scraping::{Hear, IsAsked, Scraper},
    unit_history::{LOOP_RESTARTS, LOOP_WITHIN},
};

/// A unit to look after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Care {
    /// Which. An alias will do, but what is told has the canonical name.
    pub unit: UnitName,
    /// Whether a stop that succeeded counts as a failure.
    pub heal_on_stop: bool,
    /// Which ends of it are failures.
    pub run_policy: RunPolicy,
    /// Whether it is not in care, and only told when it is up: something in care needs it.
    pub only_up: bool,
}

/// What the watcher tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// A unit in care has failed. The status was read just after.
    Failed(Detection, Box<UnitStatus>),
    /// A unit that was told to have failed is up, whoever did it: a strategy,
    /// an operator, systemd. So is one that is only told when it is up.
    Recovered { unit: UnitName },
    /// A unit that was up, or that systemd was about to restart, is down with success after
    /// a job that is not of this process: an operator's stop, most likely. Not told of a
    /// unit whose stops are healed.
    Stopped { unit: UnitName },
    /// A stop job that is not of this process found a unit down, and left it so. Told of no
    /// other unit than one that is loaded.
    StopOrdered { unit: UnitName },
    /// A unit that was down is up by a start or restart job that is not of this
    /// process. A job that came while one of ours was under way, or a unit that
    /// a socket or timer starts, is never told so.
    StartedByOperator {
        unit: UnitName,
        /// When the run began.
        began: Option<Monotonic>,
    },
    /// A unit is active, failed, inactive or being started, and was not before. Told after
    /// what follows from it.
    Changed { unit: UnitName },
    /// A unit in care crashed, and systemd has restarted it by itself.
    Restarted(Detection),
    /// systemd restarts a unit again and again. Told once for each such loop.
    RestartLoop(Detection),
    /// The bus is gone: failures are not noticed until it is back.
    BusLost,
    /// The bus is back.
    BusBack,
    /// Every unit in care has been looked at again, since signals may have been
    /// missed; what was found failed has been told before this.
    Resync,
}

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    care: watch::Sender<Vec<Care>>,
}

impl Watcher {
    /// Begins to watch. What is already failed is told first, with
    /// `by = "sweep"`.
    ///
    /// `out` is called on the host's background thread and must not block; when
    /// it returns false the watcher ends.
    pub fn start(
        linux: Arc<Linux>,
        care: Vec<Care>,
        out: impl Fn(WatchEvent) -> bool + Send + 'static,
    ) -> Self {
        let (sender, receiver) = watch::channel(care);
        let interest = Arc::new(Cared::default());
        let listener = linux.listen(Box::new(Shared(Arc::clone(&interest))));
        let task = task::Task::new(Arc::clone(&linux), interest, receiver, Box::new(out));
        linux.spawn(task.run(listener));
        Self { care: sender }
    }

    /// Looks after these units from now on. What of them is already failed is
    /// told.
    pub fn set(&self, care: Vec<Care>) {
        self.care.send_replace(care);
    }
}

/// The units in care, as the dispatcher asks for them.
#[derive(Debug, Default)]
pub(crate) struct Cared(RwLock<UnitSet>);

impl Cared {
    pub(crate) fn replace(&self, set: UnitSet) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = set;
    }
}

struct Shared(Arc<Cared>);

impl Interest for Shared {
    fn path(&self, path: &str) -> bool {
        let set = self.0.0.read().unwrap_or_else(PoisonError::into_inner);
        set.path(path)
    }

    fn unit(&self, name: &str) -> bool {
        let set = self.0.0.read().unwrap_or_else(PoisonError::into_inner);
        set.unit(name)
    }
}
