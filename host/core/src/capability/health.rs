//! `prunella:observe/health`: how services are.

use serde::Serialize;

use super::{Described, Description, Look, Observe, Subject};
use crate::UnitName;

/// How a service in care is, by what the daemon measures; `unavailable` without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Get {
    pub unit: UnitName,
}

static GET: Look = Look::new("health.get").through(Observe::Health);

impl Described for Get {
    fn description(&self) -> Description {
        Description::Look(&GET)
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject::Unit(&mut self.unit)
    }
}
