//! Processes. A handle is a number that is never used again.

use prunella_core::capability::{
    Answer, Process, ProcessInfo, Token,
    processes::{Alive, OfUnit},
};

use crate::world::World;

/// A handle to a process of the simulated host.
pub(super) fn handle(info: &ProcessInfo) -> Process {
    Process::new(info.clone(), Token::default())
}

impl World {
    pub(super) fn processes_of(&self, of: &OfUnit) -> Answer<Vec<Process>> {
        let unit = self.find(&of.unit)?.status.name.clone();
        Ok(self
            .processes
            .values()
            .filter(|process| process.info.unit.as_ref() == Some(&unit))
            .map(|process| handle(&process.info))
            .collect())
    }

    pub(super) fn is_alive(&self, alive: &Alive) -> bool {
        self.processes.contains_key(&alive.process.info.pid)
    }
}
