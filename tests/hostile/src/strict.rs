//! A stand-in for the safety kernel: only the service's own unit may be looked
//! at or acted upon. The real one is the healer's, and tested there.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, UnitName,
    capability::{Answer, Goal, Host, Job, UnitAct, UnitControl, UnitStatus, Units},
};

/// `host`, for this unit only.
pub fn strict(host: Host, unit: UnitName) -> Host {
    let strict = Arc::new(Strict {
        unit,
        host: host.clone(),
    });
    Host {
        units: strict.clone(),
        unit_control: strict,
        ..host
    }
}

struct Strict {
    unit: UnitName,
    host: Host,
}

impl Strict {
    fn check(&self, unit: &UnitName) -> Answer<()> {
        if *unit == self.unit {
            return Ok(());
        }
        Err(Failure::denied(
            "not-granted",
            "that is somebody else's unit",
        ))
    }
}

impl Units for Strict {
    fn get(&self, deadline: Instant, unit: &UnitName) -> Answer<UnitStatus> {
        self.check(unit)?;
        self.host.units.get(deadline, unit)
    }

    fn wait(
        &self,
        deadline: Instant,
        unit: &UnitName,
        goal: Goal,
        timeout: Duration,
    ) -> Answer<UnitStatus> {
        self.check(unit)?;
        self.host.units.wait(deadline, unit, goal, timeout)
    }
}

impl UnitControl for Strict {
    fn submit(&self, deadline: Instant, unit: &UnitName, act: UnitAct) -> Answer<Arc<dyn Job>> {
        self.check(unit)?;
        self.host.unit_control.submit(deadline, unit, act)
    }

    fn reset_failed(&self, deadline: Instant, unit: &UnitName) -> Answer<()> {
        self.check(unit)?;
        self.host.unit_control.reset_failed(deadline, unit)
    }
}
