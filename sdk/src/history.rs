//! What happened to this service before.

use std::time::SystemTime;

use crate::{Result, contract::observe::history as raw, time::moment};

/// The last incidents of this service, newest first.
///
/// # Errors
/// `unavailable` when the host's store cannot be read.
pub fn recent(limit: u32) -> Result<Vec<PastIncident>> {
    let incidents = raw::recent(limit)?;
    Ok(incidents
        .into_iter()
        .map(|incident| PastIncident {
            id: incident.id,
            at: moment(incident.at),
            cause: incident.cause,
            ended: incident.ended,
            strategy: incident.strategy,
        })
        .collect())
}

/// An earlier incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastIncident {
    /// Its name.
    pub id: String,
    /// When it was noticed.
    pub at: SystemTime,
    /// What went wrong, in systemd's words.
    pub cause: String,
    /// `healed`, `recovered`, `left-alone`, `escalated`, `interrupted`, or `continued` as
    /// another incident.
    pub ended: String,
    /// The strategy that healed it.
    pub strategy: Option<String>,
}
