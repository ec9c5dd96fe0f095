//! What a strategy may do: acts, grants, scopes and limits.
//!
//! | in a grant | means |
//! |---|---|
//! | `act = "unit-control.restart"` | that one function |
//! | `act = "unit-control"` | every function of that interface |
//! | `observe = "logs"` | looking at units other than the incident's own |
//! | `on = ["self"]` (the default) | the incident's service, its processes, files and checks |
//! | `on = ["needs"]` | the units the service needs |
//! | `on = ["cache.service"]` | that unit, by canonical name |
//! | `on = ["database"]` | for `file-repair` and `checks`: that declared name |
//!
//! Nothing that is not granted is allowed. A name that does not exist is an
//! error that lists those that do.

use std::{collections::BTreeSet, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    UnitName,
    capability::{Repair, UnitAct},
};

/// One function of an act interface: what a grant names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Act {
    /// `unit-control.start`, `.restart`, `.stop`, `.reload`.
    Unit(UnitAct),
    /// `unit-control.reset-failed`.
    ResetFailed,
    /// `process-control.terminate`.
    Terminate,
    /// `file-repair.mode`, `.owner`, `.target`.
    Repair(Repair),
    /// `checks.run`.
    Check,
}

impl Act {
    /// All there are, in the order of the contract.
    pub const ALL: [Self; 10] = [
        Self::Unit(UnitAct::Start),
        Self::Unit(UnitAct::Restart),
        Self::Unit(UnitAct::Stop),
        Self::Unit(UnitAct::Reload),
        Self::ResetFailed,
        Self::Terminate,
        Self::Repair(Repair::Mode),
        Self::Repair(Repair::Owner),
        Self::Repair(Repair::Target),
        Self::Check,
    ];

    /// Its name in a grant, such as `unit-control.restart`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unit(UnitAct::Start) => "unit-control.start",
            Self::Unit(UnitAct::Restart) => "unit-control.restart",
            Self::Unit(UnitAct::Stop) => "unit-control.stop",
            Self::Unit(UnitAct::Reload) => "unit-control.reload",
            Self::ResetFailed => "unit-control.reset-failed",
            Self::Terminate => "process-control.terminate",
            Self::Repair(Repair::Mode) => "file-repair.mode",
            Self::Repair(Repair::Owner) => "file-repair.owner",
            Self::Repair(Repair::Target) => "file-repair.target",
            Self::Check => "checks.run",
        }
    }

    /// The interface it belongs to, such as `unit-control`.
    pub fn interface(self) -> &'static str {
        self.name().split_once('.').map_or("", |(i, _)| i)
    }

    /// The functions that `pattern` names: one (`unit-control.start`) or an
    /// interface's all (`unit-control`). Empty when there are none.
    pub fn matching(pattern: &str) -> BTreeSet<Self> {
        Self::ALL
            .into_iter()
            .filter(|act| act.name() == pattern || act.interface() == pattern)
            .collect()
    }

    /// Whether it counts as a healing (one start or restart).
    pub fn is_healing(self) -> bool {
        matches!(self, Self::Unit(UnitAct::Start | UnitAct::Restart))
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<Act> for String {
    fn from(act: Act) -> Self {
        act.name().to_owned()
    }
}

impl TryFrom<String> for Act {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|act| act.name() == name)
            .ok_or_else(|| format!("`{name}` is not an act"))
    }
}

/// An observe interface whose scope a grant can widen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observe {
    /// `units`.
    Units,
    /// `logs`.
    Logs,
    /// `processes`.
    Processes,
}

impl Observe {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Units, Self::Logs, Self::Processes];

    /// Its name in a grant.
    pub fn name(self) -> &'static str {
        match self {
            Self::Units => "units",
            Self::Logs => "logs",
            Self::Processes => "processes",
        }
    }
}

/// What a grant allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    /// These acts.
    Act(BTreeSet<Act>),
    /// Looking at other units through this interface.
    Observe(Observe),
}

/// On what a grant allows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The incident's service.
    Itself,
    /// Whatever the service needs.
    Needs,
    /// One unit.
    Unit(UnitName),
    /// One declared file or check.
    Declared(String),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself => f.write_str("self"),
            Self::Needs => f.write_str("needs"),
            Self::Unit(unit) => unit.fmt(f),
            Self::Declared(name) => f.write_str(name),
        }
    }
}

/// One `[[strategy.NAME.allow]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// What it allows.
    pub permission: Permission,
    /// On what.
    pub on: Vec<Scope>,
}

/// Everything one strategy was granted. Deny is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants(pub Vec<Grant>);

impl Grants {
    /// Those of the built-in strategies: these acts, on the incident's own
    /// service.
    pub fn on_self(acts: impl IntoIterator<Item = Act>) -> Self {
        Self(vec![Grant {
            permission: Permission::Act(acts.into_iter().collect()),
            on: vec![Scope::Itself],
        }])
    }

    /// What of them is only about looking.
    #[must_use]
    pub fn observing(&self) -> Self {
        Self(
            self.0
                .iter()
                .filter(|grant| matches!(grant.permission, Permission::Observe(_)))
                .cloned()
                .collect(),
        )
    }

    /// The scopes on which `act` is allowed.
    pub fn scopes(&self, act: Act) -> impl Iterator<Item = &Scope> {
        self.0
            .iter()
            .filter(
                move |grant| matches!(&grant.permission, Permission::Act(acts) if acts.contains(&act)),
            )
            .flat_map(|grant| &grant.on)
    }

    /// The units at which `observe` may look, beyond the service and its needs.
    pub fn observed(&self, observe: Observe) -> impl Iterator<Item = &Scope> {
        self.0
            .iter()
            .filter(move |grant| grant.permission == Permission::Observe(observe))
            .flat_map(|grant| &grant.on)
    }

    /// Whether any function of the act interface `interface` is granted.
    pub fn any_of(&self, interface: &str) -> bool {
        self.acts().iter().any(|act| act.interface() == interface)
    }

    /// Every act that is granted on something.
    pub fn acts(&self) -> BTreeSet<Act> {
        self.0
            .iter()
            .filter_map(|grant| match &grant.permission {
                Permission::Act(acts) => Some(acts),
                Permission::Observe(_) => None,
            })
            .flatten()
            .copied()
            .collect()
    }
}

/// The built-in strategies, in the order in which they heal by default: what
/// forbids or repairs comes before what starts. Their names are reserved.
pub const BUILTIN_STRATEGIES: [&str; 5] = [
    "config-validation",
    "environment-check",
    "database-check",
    "port-conflict",
    "service-restart",
];

/// What the built-in strategy `name` may do unless the operator revokes it:
/// always on the incident's own service, and nothing else. None when there is
/// no built-in strategy of that name.
pub fn builtin_grants(name: &str) -> Option<Grants> {
    const BRING_UP: [Act; 3] = [
        Act::Unit(UnitAct::Start),
        Act::Unit(UnitAct::Restart),
        Act::ResetFailed,
    ];
    const REPAIR: [Act; 3] = [
        Act::Repair(Repair::Mode),
        Act::Repair(Repair::Owner),
        Act::Repair(Repair::Target),
    ];
    Some(match name {
        "config-validation" => Grants::on_self([Act::Check]),
        "environment-check" | "database-check" => {
            Grants::on_self(REPAIR.into_iter().chain(BRING_UP))
        }
        "port-conflict" => Grants::on_self([Act::Terminate].into_iter().chain(BRING_UP)),
        "service-restart" => Grants::on_self(BRING_UP),
        _ => return None,
    })
}

/// What one run of a strategy may use up. All are on by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall clock, host calls included.
    pub deadline: Duration,
    /// Processor time of the strategy's own code.
    pub cpu: Duration,
    /// All linear memories and tables of the run together, in bytes.
    pub memory: usize,
    /// Calls of any capability.
    pub host_calls: u32,
    /// Bytes that one call may pass to the host.
    pub data_per_call: usize,
    /// Bytes of log lines.
    pub log_bytes: usize,
    /// Bytes of journal lines read.
    pub journal_bytes: usize,
    /// Bytes of files hashed.
    pub hashed_bytes: u64,
    /// Calls that go to systemd.
    pub bus_calls: u32,
    /// Handles (units, processes, files, jobs, …) alive at once.
    pub handles: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Long enough for a slow service's start and a probe after it.
            deadline: Duration::from_secs(120),
            // A strategy mostly waits for the host; a built-in uses under 1 ms.
            cpu: Duration::from_secs(2),
            // Fits a Python runtime (18 MB of code, about 30 MB of memory).
            memory: 64 << 20,
            host_calls: 10_000,
            data_per_call: 1 << 20,
            log_bytes: 64 << 10,
            journal_bytes: 1 << 20,
            hashed_bytes: 256 << 20,
            bus_calls: 500,
            // An unbounded handle table is an unbounded number of descriptors.
            handles: 64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_strategy_has_its_grants_on_its_own_service_only() {
        for name in BUILTIN_STRATEGIES {
            let grants = builtin_grants(name).unwrap();
            assert!(!grants.acts().is_empty(), "{name}");
            assert!(
                grants.0.iter().all(|grant| grant.on == [Scope::Itself]),
                "{name}"
            );
        }
        assert_eq!(builtin_grants("site-fix"), None);
    }
}
