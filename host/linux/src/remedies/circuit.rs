//! `circuit`: the service is stopped and kept down, and started to try it.
//!
//! Whether a circuit opens, and when the service is tried, the store tells: what is here only
//! carries it out. A service that is down already is not stopped.

use std::time::{Duration, Instant};

use prunella_core::{
    Failure, UnitName,
    capability::{Answer, UnitAct},
    remedy::{OpenedCircuit, Receipt},
    service::StartLimit,
};

use super::Tools;
use crate::job::word;

/// How long systemd may take for one job.
const JOB: Duration = Duration::from_secs(95);

pub(super) struct CircuitHere<'a> {
    pub(super) unit: &'a UnitName,
    pub(super) start_limit: StartLimit,
    pub(super) tools: &'a Tools,
}

impl CircuitHere<'_> {
    /// Isolates the service.
    pub(super) fn open(&self, deadline: Instant, opened: &OpenedCircuit) -> Answer<Receipt> {
        self.stop(deadline)?;
        Ok(Receipt::done(format!(
            "opened circuit `{}`: {} is down, and kept so",
            opened.name, self.unit
        )))
    }

    fn stop(&self, deadline: Instant) -> Answer<()> {
        let status = self.tools.units.get(deadline, self.unit)?;
        if !status.is_up() && status.is_settled() {
            return Ok(());
        }
        let result = self.submit(deadline, UnitAct::Stop)?;
        let status = self.tools.units.get(deadline, self.unit)?;
        if result == "done" && !status.is_up() {
            return Ok(());
        }
        Err(failed(self.unit, UnitAct::Stop, &result))
    }

    /// Starts the service at its open circuit. A start that systemd refuses because there were
    /// too many is made after its limit is cleared, where that is allowed.
    pub(super) fn half_open(&self, deadline: Instant) -> Answer<Receipt> {
        let before = self.tools.units.get(deadline, self.unit)?;
        if before.is_up() {
            return Ok(Receipt::done(format!("{} is up already", self.unit)));
        }
        let mut result = self.submit(deadline, UnitAct::Start)?;
        let after = self.tools.units.get(deadline, self.unit)?;
        let is_refused = result == "failed"
            && after.invocation.is_some()
            && after.invocation == before.invocation;
        if is_refused && self.start_limit == StartLimit::Heal {
            self.tools.control.reset_failed(deadline, self.unit)?;
            result = self.submit(deadline, UnitAct::Start)?;
        }
        if result == "done" {
            return Ok(Receipt::done(format!("started {}", self.unit)));
        }
        Err(failed(self.unit, UnitAct::Start, &result))
    }

    /// The service is kept down no longer: it is started where it is down.
    pub(super) fn close(&self, deadline: Instant, opened: &OpenedCircuit) -> Answer<String> {
        let name = &opened.name;
        let status = self.tools.units.get(deadline, self.unit)?;
        if status.is_up() {
            return Ok(format!("closed circuit `{name}`: {} is up", self.unit));
        }
        self.half_open(deadline)?;
        Ok(format!("closed circuit `{name}`: started {}", self.unit))
    }

    fn submit(&self, deadline: Instant, act: UnitAct) -> Answer<String> {
        let control = &self.tools.control;
        control.carry_out(deadline, self.unit, act, JOB)
    }
}

fn failed(unit: &UnitName, act: UnitAct, result: &str) -> Failure {
    Failure::failed(
        "job-failed",
        format!("the {} of {unit} came to `{result}`", word(act)),
    )
}
