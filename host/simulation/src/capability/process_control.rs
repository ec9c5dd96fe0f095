//! Ending processes.

use prunella_core::capability::{Termination, process_control::Terminate};

use crate::world::World;

impl World {
    pub(super) fn terminate(&mut self, end: &Terminate) -> Termination {
        let info = &end.process.info;
        let pid = info.pid;
        self.acts.push(match &info.executable {
            Some(executable) => format!("terminate {executable}"),
            None => format!("terminate {pid}"),
        });
        let Some(process) = self.processes.get(&pid) else {
            return Termination::WasGone;
        };
        if process.ignores_term {
            let grace = self.within_run(end.grace);
            self.advance(grace);
            self.ended(pid, "KILL");
            Termination::Killed
        } else {
            self.ended(pid, "TERM");
            Termination::Asked
        }
    }
}
