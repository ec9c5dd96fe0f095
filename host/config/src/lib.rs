//! What the operator configured: `prunella.toml`, `services.d/*.toml`,
//! `keys/*.toml`, and which components lie in `plugins/`.
//!
//! [`Config::load`] reads them and collects every mistake, each with file, line,
//! column, what is wrong and what would be right. Unknown keys are mistakes, and
//! so is a file that others than root can write.
//!
//! ```toml
//! # prunella.toml: all of it is optional.
//! retry-interval = "15m"           # or "never"
//! signatures = "required"          # of what acts; or "warn", "off"
//!
//! [defaults]                       # for services that say nothing else
//! strategies = ["config-validation", "port-conflict", "service-restart"]
//! proof = { stable-for = "5s", timeout = "30s" }
//! order = "listed"                 # or "learned"
//!
//! [budget]                         # of each service
//! healings = 5
//! window = "5m"
//! backoff = ["0s", "1s", "5s", "30s", "2m"]
//!
//! [host-budget]
//! healings = 200
//! window = "1m"
//! max-concurrent = 16
//!
//! [health]                         # from when on a service is degraded or failed
//! latency = { degraded = "1s", clear = "800ms", for = "30s" }
//! error-rate = { degraded = "5%", failed = "10%", clear = "2%", for = "30s", window = "5m" }
//!
//! [store]
//! retention = "400d"               # or "forever"
//! max-size = "1GiB"                # or "unlimited"
//!
//! [limits]                         # of one run of a strategy
//! deadline = "2m"
//! memory = "64MiB"
//!
//! [protect]
//! add = ["vpn.service"]
//! remove = ["sshd.service"]
//!
//! [alerts]                         # who hears of what, by the names of channels
//! recovery = ["mail"]
//! escalation = ["pager", "mail"]
//!
//! [strategy.site-fix]
//! component = "plugins/site-fix.wasm"   # the default; from this folder on
//! sha256 = "…"
//! settings = { depth = 3 }
//!
//! [[strategy.site-fix.allow]]
//! act = "unit-control.restart"
//! on = ["self", "cache.service"]
//!
//! [channel.team]                   # people are reached by it
//! kind = "slack"
//! url-file = "/etc/prunella/secrets/slack.url"
//! ```
//!
//! ```toml
//! # services.d/shop.toml: one service.
//! unit = "shop.service"
//! domain = "Web shop"
//! critical = true
//! ports = ["tcp/8080"]
//! depends-on = ["postgresql@15-main.service"]
//! start-limit = "heal"             # or "respect"
//! alerts = { recovery = [] }       # instead of what holds for the host
//!
//! [[file]]
//! name = "environment"
//! path = "/etc/shop/env"
//! role = "env"                     # plain, env, database, directory, symlink, socket
//! mode = "0640"
//! owner = "root:shop"
//! keys = ["DATABASE_URL"]
//! read-by = "manager"              # or "service"
//!
//! [[check]]
//! name = "config"
//! command = ["/usr/bin/shop", "--check"]
//! validates = true
//!
//! [[probe]]
//! name = "answers"
//! http = "http://127.0.0.1:8080/health"
//! status = [200]
//! body = "ready"                   # and `header = { … }`
//! interval = "30s"                 # or "never"; "10s" by default, "5s" of a critical service
//! ```

mod alerts;
mod analysis;
pub mod channels;
mod diagnostic;
mod grants;
mod health;
mod keys;
mod limits;
mod load;
mod logs;
mod main_file;
mod metrics;
mod out_of_force;
mod oversight;
mod plugins;
pub mod reader;
mod service_file;
mod setting;
mod store;
mod telemetry;
#[cfg(test)]
mod tests;
mod together;
mod usable;
mod value;
pub mod web;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

pub use self::{
    alerts::{AlertSettings, Flapping, Route, Storm},
    diagnostic::{Diagnostic, Place, Severity, Source},
    grants::read_grant,
    load::Loaded,
    main_file::read_settings,
    metrics::MetricsSettings,
    out_of_force::OutOfForce,
    plugins::{Installed, PLUGINS},
    setting::SettingPlaces,
    store::Retention,
    telemetry::Traces,
    usable::Usable,
};

use self::channels::ChannelSettings;
use prunella_core::{
    ChannelName, StrategyName, UnitName,
    analyst::ModelSettings,
    budget::HostBudget,
    health::{HealthSettings, HostHealthSettings},
    oversight::Oversight,
    policy::{BUILTIN_STRATEGIES, Grants, Limits},
    protected::Protected,
    service::{BudgetSettings, Order, ProofSettings, Service},
    trust::{SignaturePolicy, TrustedKey},
};

/// The whole configuration, valid.
#[derive(Debug, Clone)]
pub struct Config {
    /// Every service in Prunella's care, by canonical unit name.
    pub services: BTreeMap<UnitName, Service>,
    /// Services that are watched and not healed because of mistakes in their files: only
    /// by [`Config::load_usable`]. They are among `services`.
    pub out_of_force: BTreeMap<UnitName, OutOfForce>,
    /// The mistake for which nothing may be healed: only by [`Config::load_usable`].
    pub held: Option<String>,
    /// Where services name strategies that may act when they are degraded: whether those
    /// treat degradations, only they themselves can say.
    pub heal_degraded_at: Vec<NamedStrategy>,
    /// What is set about each strategy, built in or not.
    pub strategies: BTreeMap<StrategyName, StrategySettings>,
    /// For runs of strategies that set nothing else.
    pub limits: Limits,
    /// For services that set nothing else.
    pub budget: BudgetSettings,
    /// For the whole host.
    pub host_budget: HostBudget,
    /// For services that set nothing else. Already part of each service.
    pub health: HealthSettings,
    /// From when on the host itself is degraded.
    pub host_health: HostHealthSettings,
    /// How often services and host are measured.
    pub metrics: MetricsSettings,
    /// Protected beyond the built-in list.
    pub protect: Vec<UnitName>,
    /// Taken off the built-in list of protected units.
    pub unprotect: Vec<UnitName>,
    /// How often an escalated incident is tried again (every 15 minutes unless
    /// set); never, when absent (`retry-interval = "never"`).
    pub retry_interval: Option<Duration>,
    /// What services get that say nothing else. Already part of each service.
    pub defaults: Defaults,
    /// The language model that is asked for its opinion; none, when absent.
    pub analysis: Option<ModelSettings>,
    /// Which acts wait until somebody agrees.
    pub oversight: Oversight,
    /// The ways to reach people, by name.
    pub channels: BTreeMap<ChannelName, ChannelSettings>,
    /// Who hears of what.
    pub alerts: AlertSettings,
    /// Where traces of incidents are sent; nowhere, when absent.
    pub traces: Option<Traces>,
    /// How long incidents are kept.
    pub retention: Retention,
    /// Whether what acts has to be signed.
    pub signatures: SignaturePolicy,
    /// Whose signatures count: `keys/*.toml`, by the stems of their files.
    pub keys: BTreeMap<String, TrustedKey>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            services: BTreeMap::new(),
            out_of_force: BTreeMap::new(),
            held: None,
            heal_degraded_at: Vec::new(),
            strategies: BTreeMap::new(),
            limits: Limits::default(),
            budget: BudgetSettings::default(),
            host_budget: HostBudget::default(),
            health: HealthSettings::default(),
            host_health: HostHealthSettings::default(),
            metrics: MetricsSettings::default(),
            protect: Vec::new(),
            unprotect: Vec::new(),
            // Slow enough to harm nothing, and never a silent end.
            retry_interval: Some(Duration::from_secs(15 * 60)),
            defaults: Defaults::default(),
            analysis: None,
            oversight: Oversight::default(),
            channels: BTreeMap::new(),
            alerts: AlertSettings::default(),
            traces: None,
            retention: Retention::default(),
            signatures: SignaturePolicy::default(),
            keys: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Which units are never acted on: the built-in list and `[protect]`.
    pub fn protected(&self) -> Protected {
        Protected::new(self.protect.clone(), self.unprotect.clone())
    }

    /// The mistake for which the unit's service is watched and not healed, on one line.
    pub fn mistake_of(&self, unit: &UnitName) -> Option<&str> {
        let out = self.out_of_force.get(unit).map(|out| out.mistake.as_str());
        out.or(self.held.as_deref())
    }
}

/// A strategy, and where it is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedStrategy {
    pub strategy: StrategyName,
    /// The file, as it was found: below the configuration's folder.
    pub file: PathBuf,
    pub place: Place,
}

impl NamedStrategy {
    /// An error about what is named there.
    pub fn mistake(&self, message: String) -> Diagnostic {
        Diagnostic {
            place: Some(self.place.clone()),
            ..Diagnostic::about_file(&self.file, message)
        }
    }
}

/// What services get that say nothing else: `[defaults]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// When a service counts as healed.
    pub proof: ProofSettings,
    /// The strategies, in order: all the built-in ones unless set.
    pub strategies: Vec<StrategyName>,
    /// Whether what they have achieved may change that order.
    pub order: Order,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            proof: ProofSettings::default(),
            strategies: BUILTIN_STRATEGIES
                .iter()
                .filter_map(|name| StrategyName::new(*name).ok())
                .collect(),
            order: Order::default(),
        }
    }
}

/// What is set about one strategy.
#[derive(Debug, Clone, Default)]
pub struct StrategySettings {
    /// The component's file; absent for a built-in one.
    pub component: Option<PathBuf>,
    /// The hash that the operator pinned by hand: other bytes may not act.
    pub sha256: Option<String>,
    /// What `prunella plugin add` installed.
    pub installed: Option<Installed>,
    /// What it may do. For a built-in one, absent means its listed grants.
    pub grants: Option<Grants>,
    /// `[strategy.NAME.settings]`, as text.
    pub settings: BTreeMap<String, String>,
    /// Where those stand.
    pub places: SettingPlaces,
    /// Its own limits; the configuration's when absent.
    pub limits: Option<Limits>,
    /// Where it is configured: file and line. Absent when only its file in
    /// `plugins/` makes it known.
    pub declared_at: Option<String>,
}
