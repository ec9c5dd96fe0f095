//! Who holds a port.

use prunella_core::capability::{PortHolder, ports::Holders};

use super::processes::handle;
use crate::world::World;

impl World {
    pub(super) fn holders(&self, holders: Holders) -> Vec<PortHolder> {
        let Holders { protocol, number } = holders;
        let own = &self.service.unit;
        self.held
            .iter()
            .filter(|held| (held.port.protocol, held.port.number) == (protocol, number))
            .filter(|held| !self.is_over(held))
            .map(|held| PortHolder {
                process: held
                    .pid
                    .and_then(|pid| self.processes.get(&pid))
                    .map(|process| handle(&process.info)),
                unit: held.unit.clone(),
                socket_activated: held.socket_activated,
                address: held
                    .port
                    .address
                    .map_or_else(|| "0.0.0.0".to_owned(), |address| address.to_string()),
                blocks: (held.unit.as_ref() != Some(own) && !held.beside)
                    .then(|| format!("{own} could not bind it")),
                free_in: held.until.map(|until| until.saturating_sub(self.now)),
            })
            .collect()
    }
}
