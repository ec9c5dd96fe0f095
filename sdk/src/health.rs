//! How services are, as Prunella's daemon measures them.

use std::time::SystemTime;

use crate::{Result, Symptom, contract::observe::health as raw, time::moment};

/// How a service in care is: the incident's own, one that it needs, or one that was granted.
///
/// # Errors
/// `unavailable` where no daemon measures; `not-found` when the service is not in care.
pub fn get(unit: &str) -> Result<Health> {
    let health = raw::get(unit)?;
    Ok(Health {
        state: health.state,
        since: moment(health.since),
        evidence: health.evidence,
        symptoms: health.symptoms.into_iter().map(Symptom::from).collect(),
    })
}

/// How a service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// `healthy`, `degraded`, `failed`, `recovering`, `unknown`, `stopped` or `paused`. What
    /// is not known is not well.
    pub state: String,
    /// Since when.
    pub since: SystemTime,
    /// Why, in a sentence without its full stop.
    pub evidence: String,
    /// What holds, the worst first.
    pub symptoms: Vec<Symptom>,
}
