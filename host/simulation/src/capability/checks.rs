//! Declared checks.

use prunella_core::{
    Failure,
    capability::{Answer, CheckReport, checks::Run},
};

use crate::world::World;

impl World {
    pub(super) fn check(&mut self, run: &Run) -> Answer<CheckReport> {
        self.service.check(&run.name)?;
        self.acts.push(format!("run check {}", run.name));
        self.checks
            .get(&run.name)
            .map(|check| check.report.clone())
            .ok_or_else(|| Failure::unavailable("no-check", "the check has no model"))
    }
}
