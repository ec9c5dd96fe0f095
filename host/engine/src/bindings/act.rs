//! `prunella:act`.

use std::time::Duration;

use prunella_core::{
    argument::unit_name,
    capability::{UnitAct, process_control, unit_control as units},
};
use wasmtime::component::Resource;

use super::{
    Answer, answer, plain,
    prunella::act::{process_control as processes, unit_control},
};
use crate::host_state::{HostState, Job, Process};

impl HostState {
    fn submit(&mut self, unit: &str, action: UnitAct) -> Answer<Resource<Job>> {
        answer(self.ask_for_handle(
            || {
                let unit = unit_name(unit)?;
                Ok(units::Submit { unit, action })
            },
            Job,
        ))
    }
}

impl unit_control::Host for HostState {
    fn start(&mut self, unit: String) -> Answer<Resource<Job>> {
        self.submit(&unit, UnitAct::Start)
    }

    fn restart(&mut self, unit: String) -> Answer<Resource<Job>> {
        self.submit(&unit, UnitAct::Restart)
    }

    fn stop(&mut self, unit: String) -> Answer<Resource<Job>> {
        self.submit(&unit, UnitAct::Stop)
    }

    fn reload(&mut self, unit: String) -> Answer<Resource<Job>> {
        self.submit(&unit, UnitAct::Reload)
    }

    fn reset_failed(&mut self, unit: String) -> Answer<()> {
        answer(self.ask(|| {
            let unit = unit_name(&unit)?;
            Ok(units::ResetFailed { unit })
        }))
    }
}

impl unit_control::HostJob for HostState {
    fn wait(&mut self, job: Resource<Job>, timeout_milliseconds: u64) -> Answer<String> {
        let job = self.at(&job)?.0.clone();
        let timeout = Duration::from_millis(timeout_milliseconds);
        answer(self.ask(|| Ok(units::WaitForJob { job, timeout })))
    }

    fn drop(&mut self, job: Resource<Job>) -> wasmtime::Result<()> {
        self.dropped(job)
    }
}

impl processes::Host for HostState {
    fn terminate(
        &mut self,
        process: Resource<Process>,
        grace_milliseconds: u64,
    ) -> Answer<processes::Ending> {
        let process = self.at(&process)?.0.clone();
        let grace = Duration::from_millis(grace_milliseconds);
        answer(self.ask(|| Ok(process_control::Terminate { process, grace })))
    }
}

prunella_core::plain_acts!(plain);
