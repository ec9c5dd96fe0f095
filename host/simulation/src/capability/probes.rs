//! Declared probes: answered while the unit that they ask is up.

use std::time::Duration;

use prunella_core::capability::{Answer, ProbeAnswer, probes::Ask};

use crate::world::World;

impl World {
    pub(super) fn probe(&self, ask: &Ask) -> Answer<ProbeAnswer> {
        let asked = self.service.probe(&ask.name)?.unit.as_ref();
        let asked = asked.unwrap_or(&self.service.unit);
        let healthy = self.find(asked).is_ok_and(|unit| unit.status.is_up())
            && !self.mute.contains(&ask.name);
        Ok(ProbeAnswer {
            healthy,
            detail: if healthy {
                format!("{asked} answers")
            } else {
                "connection refused".to_owned()
            },
            took: Duration::from_micros(200),
            certificate: None,
        })
    }
}
