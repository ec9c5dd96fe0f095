//! Reading a unit while something else is being done.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, UnitName,
    capability::{Answer, UnitStatus},
};

use crate::{
    Linux,
    standing::{cannot_read, existing},
};

/// A unit that is being read on the background thread.
pub struct Reading {
    linux: Arc<Linux>,
    unit: UnitName,
    until: Instant,
    told: Receiver<Answer<UnitStatus>>,
}

impl Linux {
    /// Begins to read a unit, and systemd's own state with it. The answer is
    /// waited for `limit` at most, from now on.
    pub fn begin_reading(self: &Arc<Self>, unit: UnitName, limit: Duration) -> Reading {
        let (tell, told) = channel();
        let reader = Arc::clone(self);
        let wanted = unit.clone();
        self.spawn(async move {
            // Nobody may want to know any more.
            let _ = tell.send(reader.read_unit(&wanted, limit).await);
        });
        Reading {
            linux: Arc::clone(self),
            unit,
            until: Instant::now() + limit,
            told,
        }
    }
}

impl Reading {
    /// Waits for the unit.
    ///
    /// # Errors
    /// As those of [`units::Get`](prunella_core::capability::units::Get).
    pub fn wait(self) -> Answer<UnitStatus> {
        let left = self.until.saturating_duration_since(Instant::now());
        match self.told.recv_timeout(left) {
            Ok(Ok(status)) => existing(status),
            // Without a bus the long way is taken.
            Ok(Err(_)) => self.linux.units().get(self.until, &self.unit),
            Err(_) => Err(Failure::timed_out("deadline", cannot_read(&self.unit))),
        }
    }
}
