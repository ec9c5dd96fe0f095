//! What signals tell a listener, and what a listener cares for.

use std::collections::{HashMap, HashSet};

use prunella_core::{Monotonic, capability::ActiveState};
use zbus::{Message, Variant};

use crate::{
    bus::{self, UNIT_INTERFACE},
    status::{Bag, Facts, main_end},
};

const SERVICE_INTERFACE: &str = "org.freedesktop.systemd1.Service";

/// What a listener cares for. Asked for every signal, so it must be quick.
pub trait Interest: Send + Sync {
    /// Whether the unit with this object path matters.
    fn path(&self, path: &str) -> bool;
    /// Whether the unit with this canonical name matters.
    fn unit(&self, name: &str) -> bool;
}

/// What systemd's signals said, for a listener.
#[derive(Debug, Clone)]
pub enum BusEvent {
    /// Subscribed: signals come from now on, and what came before is unknown.
    Up,
    /// The connection was lost.
    Down,
    /// systemd begins (true) or has ended (false) reading its unit files again.
    Reloading(bool),
    /// A unit's properties changed.
    UnitChanged {
        /// The unit's object path.
        path: String,
        /// What the signal said.
        glimpse: Glimpse,
    },
    /// A job was queued.
    JobNew {
        id: u32,
        /// For which unit.
        unit: String,
        /// Whether this process may have asked for it.
        maybe_own: bool,
    },
    /// A job ended.
    JobRemoved {
        id: u32,
        /// For which unit.
        unit: String,
        /// systemd's word.
        result: String,
        /// Whether this process asked for it.
        own: bool,
    },
}

/// What one PropertiesChanged said of a unit. systemd sends those of the
/// service first, then those of the unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Glimpse {
    /// The unit's own properties.
    Unit {
        /// ActiveState.
        active_state: ActiveState,
        /// SubState.
        sub_state: String,
        /// InvocationID.
        invocation: Option<String>,
        /// InactiveEnterTimestampMonotonic.
        inactive_enter_monotonic: Option<Monotonic>,
        /// InactiveExitTimestampMonotonic.
        inactive_exit_monotonic: Option<Monotonic>,
        /// ActiveExitTimestampMonotonic.
        active_exit_monotonic: Option<Monotonic>,
        /// The pending job.
        job: Option<u32>,
    },
    /// The service's properties.
    Service {
        /// Result.
        result: String,
        /// The main process's exit code.
        exit_code: Option<i32>,
        /// The signal that ended the main process, without `SIG`.
        signal: Option<String>,
        /// ExecMainExitTimestampMonotonic.
        main_exit_monotonic: Option<Monotonic>,
        restarts: u32,
    },
}

impl Glimpse {
    fn unit(facts: &impl Facts) -> Option<Self> {
        Some(Self::Unit {
            active_state: ActiveState::parse(&facts.text("ActiveState")?),
            sub_state: facts.text("SubState").unwrap_or_default(),
            invocation: facts.id("InvocationID"),
            inactive_enter_monotonic: facts.monotonic("InactiveEnterTimestampMonotonic"),
            inactive_exit_monotonic: facts.monotonic("InactiveExitTimestampMonotonic"),
            active_exit_monotonic: facts.monotonic("ActiveExitTimestampMonotonic"),
            job: facts.job(),
        })
    }

    fn service(facts: &impl Facts) -> Option<Self> {
        let (exit_code, signal) = main_end(facts);
        Some(Self::Service {
            result: facts.text("Result")?,
            exit_code,
            signal,
            main_exit_monotonic: facts.monotonic("ExecMainExitTimestampMonotonic"),
            restarts: facts.small("NRestarts"),
        })
    }
}

/// What a PropertiesChanged says, if it is of a unit.
pub(super) fn read_glimpse(message: &Message) -> Option<Glimpse> {
    let body = message.body();
    let (interface, properties, _) = body
        .deserialize::<(&str, HashMap<&str, Variant<'_>>, Vec<&str>)>()
        .ok()?;
    match interface {
        UNIT_INTERFACE => Glimpse::unit(&Bag(properties)),
        SERVICE_INTERFACE => Glimpse::service(&Bag(properties)),
        _ => None,
    }
}

/// A set of object paths: what most listeners need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitSet {
    paths: HashSet<String>,
    names: HashSet<String>,
}

impl UnitSet {
    /// The units with these names.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut set = Self::default();
        for name in names {
            set.paths.insert(bus::unit_path(name));
            set.names.insert(name.to_owned());
        }
        set
    }
}

impl Interest for UnitSet {
    fn path(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    fn unit(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_units_knows_paths_and_names() {
        let set = UnitSet::new(["web.service"]);
        assert!(set.path("/org/freedesktop/systemd1/unit/web_2eservice"));
        assert!(set.unit("web.service"));
        assert!(!set.unit("db.service"));
    }
}
