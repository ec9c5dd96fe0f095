//! `prunella:observe/history`: what happened to this service before.

use serde::{Deserialize, Serialize};

use super::{Described, Description, Look};
use crate::Timestamp;

/// Earlier incidents, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Recent {
    pub limit: u32,
}

static RECENT: Look = Look::new("history.recent");

impl Described for Recent {
    fn description(&self) -> Description {
        Description::Look(&RECENT)
    }
}

/// An earlier incident of the same service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastIncident {
    pub id: String,
    /// When it was detected.
    pub at: Timestamp,
    /// What went wrong, in systemd's words.
    pub cause: String,
    /// How it ended: `healed`, `recovered`, `left-alone`, `escalated`,
    /// `interrupted`, `continued`.
    pub ended: String,
    /// Who healed it.
    pub strategy: Option<String>,
}
