//! `prunella:act`.

use prunella_core::capability::{Repair, UnitAct};
use wasmtime::component::Resource;

use super::{
    answer,
    prunella::{
        act::{checks, file_repair, process_control, unit_control},
        base::types::Failure,
    },
};
use crate::seam::{Job, Process, Seam};

/// What most functions return.
type Answer<T> = wasmtime::Result<Result<T, Failure>>;

impl unit_control::Host for Seam {
    fn start(&mut self, unit: String) -> Answer<Resource<Job>> {
        answer(self.submit(&unit, UnitAct::Start))
    }

    fn restart(&mut self, unit: String) -> Answer<Resource<Job>> {
        answer(self.submit(&unit, UnitAct::Restart))
    }

    fn stop(&mut self, unit: String) -> Answer<Resource<Job>> {
        answer(self.submit(&unit, UnitAct::Stop))
    }

    fn reload(&mut self, unit: String) -> Answer<Resource<Job>> {
        answer(self.submit(&unit, UnitAct::Reload))
    }

    fn reset_failed(&mut self, unit: String) -> Answer<()> {
        answer(Seam::reset_failed(self, &unit))
    }
}

impl unit_control::HostJob for Seam {
    fn wait(&mut self, job: Resource<Job>, timeout_milliseconds: u64) -> Answer<String> {
        answer(self.wait_for_job(&job, timeout_milliseconds))
    }

    fn drop(&mut self, job: Resource<Job>) -> wasmtime::Result<()> {
        self.dropped(job)
    }
}

impl process_control::Host for Seam {
    fn terminate(
        &mut self,
        process: Resource<Process>,
        grace_milliseconds: u64,
    ) -> Answer<process_control::Ending> {
        answer(Seam::terminate(self, &process, grace_milliseconds))
    }
}

impl file_repair::Host for Seam {
    fn mode(&mut self, name: String) -> Answer<bool> {
        answer(self.repair(&name, Repair::Mode))
    }

    fn owner(&mut self, name: String) -> Answer<bool> {
        answer(self.repair(&name, Repair::Owner))
    }

    fn target(&mut self, name: String) -> Answer<bool> {
        answer(self.repair(&name, Repair::Target))
    }
}

impl checks::Host for Seam {
    fn run(&mut self, name: String) -> Answer<checks::Report> {
        answer(self.check(&name))
    }
}
