//! `mode`: declared units are stopped and started, and back.
//!
//! What is different is decided when it is planned, by how the units stand then: a unit that is
//! down already is not stopped, and so is not started when the mode is left.

use std::time::{Duration, Instant};

use prunella_core::{
    Failure, UnitName,
    capability::{Answer, Goal, UnitAct},
    remedy::{EnteredMode, Lease, LeaseEnds, Mode, Plan, Receipt, Undo},
};

use crate::{checks::LinuxChecks, job::word, unit_control::SystemdUnitControl, units::Units};

/// How long systemd may take for one unit.
const JOB: Duration = Duration::from_secs(95);

pub(super) struct ModeHere<'a> {
    pub(super) units: &'a dyn Units,
    pub(super) control: &'a SystemdUnitControl,
    pub(super) checks: &'a LinuxChecks,
}

impl ModeHere<'_> {
    pub(super) fn plan(&self, deadline: Instant, name: &str, mode: &Mode) -> Answer<Plan> {
        let mut stopped = Vec::new();
        for unit in &mode.stop {
            if self.units.get(deadline, unit)?.is_up() {
                stopped.push(unit.clone());
            }
        }
        let mut started = Vec::new();
        for unit in &mode.start {
            if !self.units.get(deadline, unit)?.is_up() {
                started.push(unit.clone());
            }
        }
        if stopped.is_empty() && started.is_empty() && mode.enter.is_none() {
            return Ok(Plan::nothing(format!(
                "everything is as in mode `{name}` already"
            )));
        }
        let mut does = Vec::new();
        if !stopped.is_empty() {
            does.push(format!("stop {}", listed(&stopped)));
        }
        if !started.is_empty() {
            does.push(format!("start {}", listed(&started)));
        }
        if let Some(enter) = &mode.enter {
            does.push(format!("run check `{enter}`"));
        }
        let entered = EnteredMode {
            name: name.to_owned(),
            stopped,
            started,
            leave: mode.leave.clone(),
        };
        Ok(
            Plan::to(format!("enter mode `{name}`: {}", does.join(", ")))
                .undone_by(Undo::LeaveMode(entered))
                .lease(Lease {
                    lasts: mode.lease,
                    ends: LeaseEnds::Undone,
                    calm: mode.calm,
                }),
        )
    }

    pub(super) fn apply(
        &self,
        deadline: Instant,
        mode: &Mode,
        entered: &EnteredMode,
    ) -> Answer<Receipt> {
        for unit in &entered.stopped {
            self.stop(deadline, unit)?;
        }
        for unit in &entered.started {
            self.start(deadline, unit)?;
        }
        if let Some(enter) = &mode.enter {
            self.checks.pass(deadline, enter)?;
        }
        Ok(Receipt::done(format!("entered mode `{}`", entered.name)))
    }

    /// Leaves the mode, however much of it was entered: what is started must not run beside
    /// what it stands in for, so it is stopped first.
    pub(super) fn undo(&self, deadline: Instant, entered: &EnteredMode) -> Answer<String> {
        let mut failed = None;
        for unit in entered.started.iter().rev() {
            if let Err(failure) = self.stop(deadline, unit) {
                failed = failed.or(Some(failure));
            }
        }
        if let Some(failure) = failed {
            return Err(failure);
        }
        for unit in entered.stopped.iter().rev() {
            if let Err(failure) = self.start(deadline, unit) {
                failed = failed.or(Some(failure));
            }
        }
        if let Some(leave) = &entered.leave
            && let Err(failure) = self.checks.pass(deadline, leave)
        {
            failed = failed.or(Some(failure));
        }
        match failed {
            None => Ok(format!("left mode `{}`", entered.name)),
            Some(failure) => Err(failure),
        }
    }

    /// Stops a unit, and sees that it is down.
    fn stop(&self, deadline: Instant, unit: &UnitName) -> Answer<()> {
        if !self.units.get(deadline, unit)?.is_up() {
            return Ok(());
        }
        self.job(deadline, unit, UnitAct::Stop)?;
        self.units.wait(deadline, unit, Goal::Down, JOB).map(drop)
    }

    /// Starts a unit, and sees that it is up.
    fn start(&self, deadline: Instant, unit: &UnitName) -> Answer<()> {
        if self.units.get(deadline, unit)?.is_up() {
            return Ok(());
        }
        self.job(deadline, unit, UnitAct::Start)?;
        self.units.wait(deadline, unit, Goal::Up, JOB).map(drop)
    }

    fn job(&self, deadline: Instant, unit: &UnitName, act: UnitAct) -> Answer<()> {
        let ended = self.control.carry_out(deadline, unit, act, JOB)?;
        if matches!(ended.as_str(), "done" | "skipped") {
            return Ok(());
        }
        Err(Failure::failed(
            "job",
            format!("systemd ended the {} of {unit} with `{ended}`", word(act)),
        ))
    }
}

fn listed(units: &[UnitName]) -> String {
    let names: Vec<&str> = units.iter().map(UnitName::as_str).collect();
    names.join(" and ")
}
