//! What a strategy may do: acts, grants, scopes and limits.
//!
//! | in a grant | means |
//! |---|---|
//! | `act = "unit-control.restart"` | that one function |
//! | `act = "unit-control"` | every function of that interface |
//! | `observe = "logs"` | looking at units other than the incident's own |
//! | `on = ["self"]` (the default) | the incident's service, its processes, files and checks |
//! | `on = ["depends-on"]` | the units the service needs |
//! | `on = ["cache.service"]` | that unit, by canonical name |
//! | `on = ["database"]` | for `file-repair` and `checks`: that declared name |
//!
//! Nothing that is not granted is allowed. A name that does not exist is an
//! error that lists those that do.

use std::{collections::BTreeSet, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::UnitName;
pub use crate::capability::{Act, Observe};

/// What a grant allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
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
    Dependencies,
    Unit(UnitName),
    /// One declared file or check.
    Declared(String),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself => f.write_str("self"),
            Self::Dependencies => f.write_str("depends-on"),
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
pub const BUILTIN_STRATEGIES: &[&str] = &[
    "config-validation",
    "environment-check",
    "database-check",
    "port-conflict",
    "memory-relief",
    "cpu-relief",
    "process-relief",
    "reload",
    "scale",
    "content-restore",
    "stale-files",
    "circuit-breaker",
    "drain",
    "service-restart",
    "disk-relief",
    "cache-reset",
    "rollback",
    "reconfigure",
    "failover",
    "degrade",
];

/// What the built-in strategy `name` may do unless the operator revokes it:
/// always on the incident's own service, and nothing else. None when there is
/// no built-in strategy of that name.
pub fn builtin_grants(name: &str) -> Option<Grants> {
    const BRING_UP: [Act; 3] = [Act::Start, Act::Restart, Act::ResetFailed];
    const REPAIR: [Act; 3] = [Act::RepairMode, Act::RepairOwner, Act::RepairTarget];
    Some(match name {
        "config-validation" => Grants::on_self([Act::RunCheck]),
        "environment-check" | "database-check" => {
            Grants::on_self(REPAIR.into_iter().chain(BRING_UP))
        }
        "port-conflict" => Grants::on_self([Act::Terminate].into_iter().chain(BRING_UP)),
        "service-restart" => Grants::on_self(BRING_UP),
        "memory-relief" => Grants::on_self([Act::ReclaimMemory, Act::RaiseLimits]),
        "cpu-relief" => Grants::on_self([Act::Throttle, Act::Freeze, Act::RaiseLimits]),
        "scale" => Grants::on_self([Act::ScaleUp]),
        "process-relief" => Grants::on_self([Act::ReapZombies, Act::RaiseLimits]),
        "rollback" => Grants::on_self([Act::RollBack].into_iter().chain(BRING_UP)),
        "reconfigure" => {
            Grants::on_self([Act::UpdateConfig, Act::Reload].into_iter().chain(BRING_UP))
        }
        "reload" => Grants::on_self([Act::SendSignal, Act::MakeCall, Act::Reload]),
        "drain" => Grants::on_self([Act::DrainTraffic].into_iter().chain(BRING_UP)),
        "degrade" => Grants::on_self([Act::EnterMode].into_iter().chain(BRING_UP)),
        "failover" => Grants::on_self([Act::SwitchOver]),
        "content-restore" => Grants::on_self([Act::RestoreFile].into_iter().chain(BRING_UP)),
        "stale-files" => Grants::on_self([Act::RemoveStale].into_iter().chain(BRING_UP)),
        "cache-reset" => Grants::on_self([Act::SetAside].into_iter().chain(BRING_UP)),
        "circuit-breaker" => {
            Grants::on_self([Act::OpenCircuit, Act::HalfOpenCircuit, Act::DrainTraffic])
        }
        "disk-relief" => Grants::on_self([Act::Cleanup].into_iter().chain(BRING_UP)),
        _ => return None,
    })
}

/// The kinds of remedies without which a built-in strategy has nothing to do: by default it
/// is tried where the operator declared one of them. Empty where it needs none.
pub fn builtin_needs(name: &str) -> &'static [&'static str] {
    match name {
        "cache-reset" => &["set-aside"],
        "circuit-breaker" => &["circuit"],
        "disk-relief" => &["cleanup"],
        "content-restore" => &["file-restore"],
        "stale-files" => &["stale-file"],
        "memory-relief" => &["memory", "unit-limits"],
        "cpu-relief" => &["offenders", "unit-limits"],
        "scale" => &["instances"],
        "process-relief" => &["zombies", "unit-limits"],
        "reload" => &["signal", "call"],
        "rollback" => &["release"],
        "reconfigure" => &["config-update"],
        "failover" => &["failover"],
        "degrade" => &["mode"],
        "drain" => &["traffic"],
        _ => &[],
    }
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
    /// Calls that read what was measured.
    pub metric_reads: u32,
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
            // Each may read a month from the disk.
            metric_reads: 200,
            // An unbounded handle table is an unbounded number of descriptors.
            handles: 64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remedy::REMEDY_KINDS;

    #[test]
    fn every_builtin_strategy_has_its_grants_on_its_own_service_only() {
        for &name in BUILTIN_STRATEGIES {
            let grants = builtin_grants(name).unwrap();
            assert!(!grants.acts().is_empty(), "{name}");
            assert!(
                grants.0.iter().all(|grant| grant.on == [Scope::Itself]),
                "{name}"
            );
            for kind in builtin_needs(name) {
                assert!(REMEDY_KINDS.contains(kind), "{name}");
            }
        }
        assert_eq!(builtin_grants("site-fix"), None);
    }
}
