//! Who holds a port.

use prunella_core::{
    capability::{PortHolder, ports::Holders},
    service::Port,
};

use super::processes::handle;
use crate::world::World;

impl World {
    pub(super) fn holders(&self, holders: Holders) -> Vec<PortHolder> {
        let Holders { protocol, number } = holders;
        let port = Port { protocol, number };
        self.held
            .iter()
            .filter(|held| held.port == port)
            .map(|held| PortHolder {
                process: held
                    .pid
                    .and_then(|pid| self.processes.get(&pid))
                    .map(|process| handle(&process.info)),
                unit: held.unit.clone(),
                socket_activated: held.socket_activated,
                address: "0.0.0.0".to_owned(),
            })
            .collect()
    }
}
