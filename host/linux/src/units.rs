//! How units stand, and waiting for them, by D-Bus.
//!
//! A unit is read with a single `GetAll` for all its interfaces (an empty
//! interface name means that to systemd), so that the whole status is of one
//! moment. Only a pending job's type takes a second call.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use prunella_core::{
    UnitName,
    capability::{Answer, Goal, UnitStatus},
};
use zbus::Variant;

use crate::{
    bus::{Bus, JOB_INTERFACE, PROPERTIES, unit_path},
    error::BusError,
    runtime::Shared,
    standing::{cannot_read, existing, not_there_yet, reached},
    status::{self, Bag, Facts},
    systemctl,
};

/// How often a unit is read again when its job ended while it was being read.
const READ_AGAIN: u32 = 3;

/// systemd's units.
#[derive(Clone)]
pub struct SystemdUnits {
    shared: Arc<Shared>,
}

impl SystemdUnits {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
        }
    }
}

impl SystemdUnits {
    /// How a unit stands; one that does not exist is `not-found`.
    ///
    /// # Errors
    /// What kept it from being read.
    pub fn get(&self, deadline: Instant, unit: &UnitName) -> Answer<UnitStatus> {
        let read = self.shared.block_on_deadline(deadline, async {
            match read(self.shared.bus(), unit).await {
                Ok(status) => Ok(Some(status)),
                Err(error) if error.is_gone() => Ok(None),
                Err(error) => Err(error.failure(&cannot_read(unit))),
            }
        })?;
        match read {
            Some(status) => {
                self.shared.snapshots().keep(&status);
                existing(status)
            }
            None => systemctl::show(deadline, unit).and_then(existing),
        }
    }

    /// Waits until a unit is there, `timeout` at most.
    ///
    /// # Errors
    /// It cannot get there any more, or the time is up.
    pub fn wait(
        &self,
        deadline: Instant,
        unit: &UnitName,
        goal: Goal,
        timeout: Duration,
    ) -> Answer<UnitStatus> {
        let until = Instant::now()
            .checked_add(timeout)
            .map_or(deadline, |end| end.min(deadline));
        let last = Mutex::new(None);
        let waited = self
            .shared
            .block_on_deadline(until, self.wait_by_signals(unit, goal, &last));
        match waited {
            Ok(Some(status)) => Ok(status),
            Ok(None) => systemctl::wait(until, unit, goal),
            Err(failure) if failure.is("deadline") => {
                let last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
                Err(not_there_yet(unit, goal, last.as_ref()))
            }
            Err(failure) => Err(failure),
        }
    }
}

/// Whoever reads units: systemd, or in a test somebody who makes them up.
pub trait Units: Send + Sync {
    fn get(&self, deadline: Instant, unit: &UnitName) -> Answer<UnitStatus>;

    fn wait(
        &self,
        deadline: Instant,
        unit: &UnitName,
        goal: Goal,
        timeout: Duration,
    ) -> Answer<UnitStatus>;
}

impl Units for SystemdUnits {
    fn get(&self, deadline: Instant, unit: &UnitName) -> Answer<UnitStatus> {
        Self::get(self, deadline, unit)
    }

    fn wait(
        &self,
        deadline: Instant,
        unit: &UnitName,
        goal: Goal,
        timeout: Duration,
    ) -> Answer<UnitStatus> {
        Self::wait(self, deadline, unit, goal, timeout)
    }
}

impl SystemdUnits {
    /// None when there is no bus to listen to, or none any more.
    async fn wait_by_signals(
        &self,
        unit: &UnitName,
        goal: Goal,
        last: &Mutex<Option<UnitStatus>>,
    ) -> Answer<Option<UnitStatus>> {
        match self.follow(unit, goal, last).await {
            Ok(answer) => answer.map(Some),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error.failure(&format!("cannot wait for {unit}"))),
        }
    }

    /// Waits for as long as there is a bus.
    async fn follow(
        &self,
        unit: &UnitName,
        goal: Goal,
        last: &Mutex<Option<UnitStatus>>,
    ) -> Result<Answer<UnitStatus>, BusError> {
        self.shared.signals().ready().await?;
        let mut path = unit_path(unit.as_str());
        let mut watch = self.shared.signals().watch_unit(&path)?;
        let mut first = true;
        loop {
            let mut status = read(self.shared.bus(), unit).await?;
            if first {
                first = false;
                status = match existing(status) {
                    Ok(status) => status,
                    Err(failure) => return Ok(Err(failure)),
                };
                let canonical = unit_path(status.name.as_str());
                if canonical != path {
                    // An alias: signals come from the canonical name's object.
                    path = canonical;
                    watch = self.shared.signals().watch_unit(&path)?;
                    continue;
                }
            }
            if let Some(end) = reached(goal, &status) {
                return Ok(end.map(|()| status));
            }
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
            watch.changed().await?;
        }
    }
}

/// Reads a unit; one that does not exist has the load state `not-found`.
pub(crate) async fn read(bus: &Bus, unit: &UnitName) -> Result<UnitStatus, BusError> {
    let path = unit_path(unit.as_str());
    let mut tries = 0;
    loop {
        tries += 1;
        let mut status = read_once(bus, unit, &path).await?;
        let Some(job) = &mut status.job else {
            return Ok(status);
        };
        let path = format!("/org/freedesktop/systemd1/job/{}", job.id);
        match bus.text(&path, JOB_INTERFACE, "JobType").await {
            Ok(kind) => {
                job.kind = kind;
                return Ok(status);
            }
            // The job has ended in between: what was read is of before.
            Err(BusError::Refused { .. }) if tries < READ_AGAIN => {}
            Err(BusError::Refused { .. }) => {
                status.job = None;
                return Ok(status);
            }
            Err(error) => return Err(error),
        }
    }
}

async fn read_once(bus: &Bus, unit: &UnitName, path: &str) -> Result<UnitStatus, BusError> {
    let body = bus.call(path, PROPERTIES, "GetAll", &"").await?;
    let bag = Bag(body
        .deserialize::<HashMap<&str, Variant<'_>>>()
        .map_err(BusError::from)?);
    let name = bag
        .text("Id")
        .and_then(|id| UnitName::new(id).ok())
        .unwrap_or_else(|| unit.clone());
    Ok(status::status(name, &bag))
}
