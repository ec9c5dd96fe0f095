//! `prunella:act`.

use super::plain;

/// Types that the acts on declared remedies share.
pub mod types {
    pub use crate::bindings::prunella::act::types::*;
}

/// Acting on units.
pub mod unit_control {
    use std::time::Duration;

    use prunella_core::{
        argument::unit_name,
        capability::{
            self, UnitAct,
            unit_control::{ResetFailed, Submit, WaitForJob},
        },
    };

    use super::super::base::types::Failure;
    use crate::testing::current::Current;

    /// A job that the simulated systemd has accepted.
    pub struct Job(capability::Job);

    impl Job {
        pub fn wait(&self, timeout_milliseconds: u64) -> Result<String, Failure> {
            let job = self.0.clone();
            let timeout = Duration::from_millis(timeout_milliseconds);
            Ok(Current::ask(|_| Ok(WaitForJob { job, timeout }))?)
        }
    }

    fn submit(unit: &str, action: UnitAct) -> Result<Job, Failure> {
        let job = Current::ask(|_| {
            let unit = unit_name(unit)?;
            Ok(Submit { unit, action })
        })?;
        Ok(Job(job))
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
        Ok(Current::ask(|_| {
            let unit = unit_name(unit)?;
            Ok(ResetFailed { unit })
        })?)
    }
}

/// Ending processes.
pub mod process_control {
    use std::time::Duration;

    use prunella_core::capability::process_control::Terminate;

    use super::super::{base::types::Failure, observe::processes::Process};
    use crate::testing::current::Current;

    pub use crate::bindings::prunella::act::process_control::Ending;

    pub fn terminate(process: &Process, grace_milliseconds: u64) -> Result<Ending, Failure> {
        let process = process.0.clone();
        let grace = Duration::from_millis(grace_milliseconds);
        Ok(Current::ask(|_| Ok(Terminate { process, grace }))?.into())
    }
}

prunella_core::plain_acts!(plain);
