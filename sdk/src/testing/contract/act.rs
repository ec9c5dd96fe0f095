//! `prunella:act`.

/// Acting on units.
pub mod unit_control {
    use std::{sync::Arc, time::Duration};

    use prunella_core::{
        argument::unit_name,
        capability::{self, UnitAct},
    };

    use super::super::base::types::Failure;
    use crate::testing::current::{self, Current};

    /// A job that the simulated systemd has accepted.
    pub struct Job(Arc<dyn capability::Job>);

    impl Job {
        pub fn wait(&self, timeout_milliseconds: u64) -> Result<String, Failure> {
            Current::act()?;
            let timeout = Duration::from_millis(timeout_milliseconds);
            Ok(self.0.wait(current::deadline(), timeout)?)
        }
    }

    fn submit(unit: &str, act: UnitAct) -> Result<Job, Failure> {
        let current = Current::act()?;
        let unit = unit_name(unit)?;
        let control = &current.host.unit_control;
        Ok(Job(control.submit(current::deadline(), &unit, act)?))
    }

    pub fn start(unit: &str) -> Result<Job, Failure> {
        submit(unit, UnitAct::Start)
    }

    pub fn restart(unit: &str) -> Result<Job, Failure> {
        submit(unit, UnitAct::Restart)
    }

    pub fn stop(unit: &str) -> Result<Job, Failure> {
        submit(unit, UnitAct::Stop)
    }

    pub fn reload(unit: &str) -> Result<Job, Failure> {
        submit(unit, UnitAct::Reload)
    }

    pub fn reset_failed(unit: &str) -> Result<(), Failure> {
        let current = Current::act()?;
        let unit = unit_name(unit)?;
        let control = &current.host.unit_control;
        Ok(control.reset_failed(current::deadline(), &unit)?)
    }
}

/// Ending processes.
pub mod process_control {
    use std::time::Duration;

    use super::super::{base::types::Failure, observe::processes::Process};
    use crate::testing::current::{self, Current};

    pub use crate::bindings::prunella::act::process_control::Ending;

    pub fn terminate(process: &Process, grace_milliseconds: u64) -> Result<Ending, Failure> {
        let current = Current::act()?;
        let grace = Duration::from_millis(grace_milliseconds);
        let control = &current.host.process_control;
        let ended = control.terminate(current::deadline(), &process.0, grace)?;
        Ok(ended.into())
    }
}

/// Bringing a declared file back to its declaration.
pub mod file_repair {
    use prunella_core::capability::Repair;

    use super::super::base::types::Failure;
    use crate::testing::current::{self, Current};

    fn repair(name: &str, what: Repair) -> Result<bool, Failure> {
        let current = Current::act()?;
        current.service.file(name)?;
        let control = &current.host.file_repair;
        Ok(control.repair(current::deadline(), name, what)?)
    }

    pub fn mode(name: &str) -> Result<bool, Failure> {
        repair(name, Repair::Mode)
    }

    pub fn owner(name: &str) -> Result<bool, Failure> {
        repair(name, Repair::Owner)
    }

    pub fn target(name: &str) -> Result<bool, Failure> {
        repair(name, Repair::Target)
    }
}

/// Running declared checks.
pub mod checks {
    use super::super::base::types::Failure;
    use crate::testing::current::{self, Current};

    pub use crate::bindings::prunella::act::checks::Report;

    /// A check that changes nothing is as good as looking.
    pub fn run(name: &str) -> Result<Report, Failure> {
        let current = Current::observe()?;
        if current.service.check(name)?.changes {
            Current::act()?;
        }
        Ok(current.host.checks.run(current::deadline(), name)?.into())
    }
}
