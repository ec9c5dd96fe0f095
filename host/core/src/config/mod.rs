//! What the operator configured: `prunella.toml` and `services.d/*.toml`.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::{
    StrategyName, UnitName,
    policy::{Grants, Limits},
    service::{BudgetSettings, Service},
};

/// The whole configuration, valid.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Every service in Prunella's care, by canonical unit name.
    pub services: BTreeMap<UnitName, Service>,
    /// What is set about each strategy, built in or not.
    pub strategies: BTreeMap<StrategyName, StrategySettings>,
    /// For runs of strategies that set nothing else.
    pub limits: Limits,
    /// For services that set nothing else.
    pub budget: BudgetSettings,
    /// For the whole host.
    pub host_budget: HostBudget,
    /// Protected beyond the built-in list.
    pub protect: Vec<UnitName>,
    /// Taken off the built-in list of protected units.
    pub unprotect: Vec<UnitName>,
    /// How often an escalated incident is tried again; never, when absent.
    pub retry_every: Option<Duration>,
}

/// What is set about one strategy.
#[derive(Debug, Clone, Default)]
pub struct StrategySettings {
    /// The component's file; absent for a built-in one.
    pub component: Option<PathBuf>,
    /// The hash its bytes must have to act.
    pub sha256: Option<String>,
    /// What it may do. For a built-in one, absent means its listed grants.
    pub grants: Option<Grants>,
    /// `[strategy.NAME.settings]`, as text.
    pub settings: BTreeMap<String, String>,
    /// Its own limits; the configuration's when absent.
    pub limits: Option<Limits>,
    /// Where it is configured: file and line.
    pub declared_at: Option<String>,
}

/// How much healing the host may get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostBudget {
    /// So many healings of all services together …
    pub healings: u32,
    /// … in so long.
    pub within: Duration,
    /// How many services may be healed at one time.
    pub at_once: u32,
}

impl Default for HostBudget {
    fn default() -> Self {
        Self {
            // The storm brake: a host on which this many services need healing
            // in a minute has one cause that restarting will not cure.
            healings: 200,
            within: Duration::from_secs(60),
            at_once: 16,
        }
    }
}
