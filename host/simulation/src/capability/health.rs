//! How services are: by their units, and by what is said to be measured.

use prunella_core::{
    capability::{ActiveState, Answer, health::Get},
    health::{Health, HealthState},
};

use crate::world::World;

impl World {
    /// Symptoms are the service's own; of what it needs, its unit alone tells.
    pub(super) fn health(&self, get: &Get) -> Answer<Health> {
        let unit = self.find(&get.unit)?;
        let symptoms = if get.unit == self.service.unit {
            self.measured().to_vec()
        } else {
            Vec::new()
        };
        let (state, evidence) = match (symptoms.first(), unit.status.active_state) {
            (Some(symptom), _) => (HealthState::Degraded, symptom.evidence.clone()),
            (None, ActiveState::Failed) => (HealthState::Failed, "its unit has failed".to_owned()),
            (None, _) if unit.status.is_up() => (HealthState::Healthy, "its unit is up".to_owned()),
            (None, _) => (HealthState::Stopped, "its unit is down".to_owned()),
        };
        Ok(Health {
            subject: get.unit.clone().into(),
            state,
            since: self.timestamp(),
            evidence,
            symptoms,
            episodes: Vec::new(),
            probes: Vec::new(),
            flapping: None,
            expected_work: None,
            error_budget: None,
            forecasts: Vec::new(),
            unusual: Vec::new(),
        })
    }
}
