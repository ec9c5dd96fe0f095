//! What has to hold for a unit to start, and what may be looked at to tell.

use std::sync::Arc;

use prunella_core::{UnitName, service::Port};

use crate::names::{name, port};

/// Whether a unit can start.
pub(crate) type Condition = Arc<dyn Fn(&View<'_>) -> bool + Send + Sync>;

/// The host as far as a condition may look at it.
pub(crate) trait Visible {
    fn is_up(&self, unit: &UnitName) -> bool;
    fn is_as_declared(&self, file: &str) -> bool;
    fn is_free(&self, port: Port) -> bool;
    fn was_applied(&self, remedy: &str) -> bool;
}

/// What a condition may look at.
pub struct View<'a>(pub(crate) &'a dyn Visible);

impl View<'_> {
    /// Whether a unit is up.
    #[track_caller]
    pub fn is_up(&self, unit: &str) -> bool {
        self.0.is_up(&name(unit))
    }

    /// Whether a declared file is there and as it was declared.
    pub fn is_as_declared(&self, file: &str) -> bool {
        self.0.is_as_declared(file)
    }

    /// Whether a declared remedy was applied, and not undone.
    pub fn was_applied(&self, remedy: &str) -> bool {
        self.0.was_applied(remedy)
    }

    /// Whether nobody holds a port.
    #[track_caller]
    pub fn is_free(&self, on: &str) -> bool {
        self.0.is_free(port(on))
    }
}
