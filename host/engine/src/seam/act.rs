//! Acting. Whether an act is granted, in scope and in the budget is decided
//! behind the host's traits, for every caller alike.

use std::{sync::Arc, time::Duration};

use prunella_core::{
    argument::unit_name,
    capability::{CheckReport, Repair, Termination, UnitAct},
};
use wasmtime::component::Resource;

use super::{Called, Job, Process, Seam};

impl Seam {
    pub(crate) fn submit(&mut self, unit: &str, act: UnitAct) -> Called<Resource<Job>> {
        let context = self.act()?;
        let unit = unit_name(unit)?;
        // Before the act: a job that nobody holds would run all the same.
        self.meter.room_for_handles(1)?;
        self.meter.bus_call()?;
        let job = context
            .host
            .unit_control
            .submit(self.meter.deadline(), &unit, act)?;
        self.give(Job(job))
    }

    pub(crate) fn reset_failed(&mut self, unit: &str) -> Called<()> {
        let context = self.act()?;
        let unit = unit_name(unit)?;
        self.meter.bus_call()?;
        Ok(context
            .host
            .unit_control
            .reset_failed(self.meter.deadline(), &unit)?)
    }

    pub(crate) fn wait_for_job(
        &mut self,
        job: &Resource<Job>,
        milliseconds: u64,
    ) -> Called<String> {
        self.act()?;
        let job = Arc::clone(&self.at(job)?.0);
        let timeout = self.meter.at_most_left(Duration::from_millis(milliseconds));
        Ok(job.wait(self.meter.deadline(), timeout)?)
    }

    pub(crate) fn terminate(
        &mut self,
        process: &Resource<Process>,
        grace_milliseconds: u64,
    ) -> Called<Termination> {
        let context = self.act()?;
        let process = Arc::clone(&self.at(process)?.0);
        let grace = self
            .meter
            .at_most_left(Duration::from_millis(grace_milliseconds));
        Ok(context
            .host
            .process_control
            .terminate(self.meter.deadline(), &process, grace)?)
    }

    pub(crate) fn repair(&mut self, name: &str, what: Repair) -> Called<bool> {
        let context = self.act()?;
        context.service.file(name)?;
        Ok(context
            .host
            .file_repair
            .repair(self.meter.deadline(), name, what)?)
    }

    /// A check that changes nothing is as good as looking.
    pub(crate) fn check(&mut self, name: &str) -> Called<CheckReport> {
        let context = self.observe()?;
        if context.service.check(name)?.changes {
            self.may_act()?;
        }
        Ok(context.host.checks.run(self.meter.deadline(), name)?)
    }
}
