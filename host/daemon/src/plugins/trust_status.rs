//! How each strategy stands: ready, waiting for a grant, or refused, and why.

use std::collections::BTreeMap;

use prunella_api::{AwaitingGrant, GrantedAct, PluginStatus};
use prunella_bundle::{Builtin, builtins};
use prunella_config::{Config, Diagnostic, StrategySettings};
use prunella_core::{
    StrategyName,
    policy::{Act, Grants, Permission, Scope, builtin_grants},
    trust::TrustStatus,
};
use prunella_engine::{Engine, EngineSettings, Inspection, LoadError};
use prunella_healer::{Loading, Refused, RefusedBecause, StrategySet};
use serde::Serialize;

use super::{component, imports, versions::Versions};
use crate::{DaemonError, Paths};

/// How a strategy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Loaded, with what it was granted.
    Ready,
    /// It would act, but may only observe.
    AwaitingGrant,
    /// It does not load.
    Refused,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::AwaitingGrant => "awaiting-grant",
            Self::Refused => "refused",
        }
    }
}

/// One strategy, as `prunella plugin list --json` has it.
#[derive(Debug, Serialize)]
pub struct Listed {
    pub name: String,
    /// `built-in`, or the component's file.
    pub source: String,
    pub state: State,
    /// The version that was signed, or else the one it says it has.
    pub version: Option<String>,
    /// What became of its signature; absent for one that is built in.
    pub signature: Option<String>,
    pub sha256: Option<String>,
    /// What it was granted: act, and on what.
    pub granted: Vec<Granted>,
    /// What it can call, by its imports; absent when it cannot be read.
    pub imports: Option<Vec<String>>,
    /// The acts among those that were not granted.
    pub not_granted: Vec<Act>,
    /// Why it is in this state, and what to do about it.
    pub why: Option<String>,
    pub declared_at: Option<String>,
    /// Mistakes in its settings.
    #[serde(skip)]
    pub mistakes: Vec<Diagnostic>,
}

#[derive(Debug, Serialize)]
pub struct Granted {
    pub what: String,
    pub on: Vec<String>,
}

impl From<Listed> for PluginStatus {
    fn from(listed: Listed) -> Self {
        Self {
            name: listed.name,
            source: listed.source,
            state: listed.state.as_str().to_owned(),
            version: listed.version,
            signature: listed.signature,
            sha256: listed.sha256,
            granted: listed
                .granted
                .into_iter()
                .map(|Granted { what, on }| GrantedAct { what, on })
                .collect(),
            imports: listed.imports,
            not_granted: listed
                .not_granted
                .iter()
                .map(|act| act.name().to_owned())
                .collect(),
            why: listed.why,
            declared_at: listed.declared_at,
        }
    }
}

/// Every strategy there is: the built-in ones, and the configured ones by name.
/// Each is loaded and asked who it is, from compiled code where there is some.
pub fn all(paths: &Paths, config: &Config) -> Result<Vec<Listed>, DaemonError> {
    Ok(asked(paths, config)?.0)
}

/// The same, with mistakes in what services name them for.
fn asked(paths: &Paths, config: &Config) -> Result<(Vec<Listed>, Vec<Diagnostic>), DaemonError> {
    let engine = Engine::new(EngineSettings {
        // Nobody else can use it, and that is no news.
        cache_dir: rustix::process::geteuid()
            .is_root()
            .then(|| paths.cache.clone()),
    })?;
    let versions = Versions::read(paths);
    let loading = Loading {
        engine: &engine,
        config,
        only: None,
        tried: true,
        before: None,
    };
    let built_in = builtins()
        .iter()
        .map(|builtin| (builtin.name, builtin.wasm));
    let components = component::read_all(config, &versions, None);
    let mut known: BTreeMap<_, _> = components
        .iter()
        .filter_map(|(name, component)| {
            let component = component.as_ref().ok()?;
            let inspection = engine.inspect(&component.bytes).ok();
            Some((name.clone(), (inspection, component.trust.clone())))
        })
        .collect();
    let set = StrategySet::load(&loading, built_in, components);
    let in_force = set.in_force();
    let mut listed: Vec<Listed> = builtins()
        .iter()
        .map(|builtin| built_in_one(&engine, config, builtin))
        .collect();
    for (name, settings) in &config.strategies {
        if settings.component.is_some() {
            let (inspection, trust) = known.remove(name).unzip();
            listed.push(configured(name, settings, inspection.flatten(), trust));
        }
    }
    for listed in &mut listed {
        if let Some((_, told)) = in_force
            .iter()
            .find(|(name, _)| name.as_str() == listed.name)
        {
            listed.version.clone_from(&told.version);
        }
        let refused = set
            .refused()
            .iter()
            .find(|refused| refused.name.as_str() == listed.name);
        if let Some(refused) = refused {
            listed.judge(refused);
        }
    }
    Ok((listed, set.not_for_degradations(config)))
}

fn built_in_one(engine: &Engine, config: &Config, builtin: &Builtin) -> Listed {
    let settings = config
        .strategies
        .iter()
        .find(|(name, _)| name.as_str() == builtin.name)
        .map(|(_, settings)| settings);
    let grants = settings
        .and_then(|settings| settings.grants.clone())
        .or_else(|| builtin_grants(builtin.name))
        .unwrap_or_default();
    Listed {
        declared_at: settings.and_then(|settings| settings.declared_at.clone()),
        ..Listed::new(
            builtin.name,
            "built-in".to_owned(),
            engine.inspect(builtin.wasm).ok(),
            &grants,
        )
    }
}

fn configured(
    name: &StrategyName,
    settings: &StrategySettings,
    inspection: Option<Inspection>,
    trust: Option<TrustStatus>,
) -> Listed {
    let given = settings.grants.clone().unwrap_or_default();
    let grants = match &trust {
        Some(trust) if trust.right.is_ok() => given,
        _ => given.observing(),
    };
    let source = settings
        .component
        .as_ref()
        .map(|path| path.display().to_string());
    Listed {
        declared_at: settings.declared_at.clone(),
        signature: trust.map(|trust| trust.signature.to_string()),
        ..Listed::new(
            name.as_str(),
            source.unwrap_or_default(),
            inspection,
            &grants,
        )
    }
}

impl Listed {
    fn new(name: &str, source: String, inspection: Option<Inspection>, grants: &Grants) -> Self {
        let granted_acts = grants.acts();
        Self {
            name: name.to_owned(),
            source,
            state: State::Ready,
            version: None,
            signature: None,
            sha256: inspection.as_ref().map(|i| i.sha256.clone()),
            granted: granted(grants),
            not_granted: inspection.as_ref().map_or_else(Vec::new, |i| {
                i.acts()
                    .into_iter()
                    .filter(|act| !granted_acts.contains(act))
                    .collect()
            }),
            imports: inspection.map(|i| imports(&i)),
            why: None,
            declared_at: None,
            mistakes: Vec::new(),
        }
    }

    /// Sets the state of one that did not load.
    fn judge(&mut self, refused: &Refused) {
        self.state = match &refused.why {
            RefusedBecause::Load(LoadError::NotGranted { .. }) | RefusedBecause::NoRight(_) => {
                State::AwaitingGrant
            }
            _ => State::Refused,
        };
        if let RefusedBecause::Settings(mistakes) = &refused.why {
            self.mistakes.clone_from(mistakes);
        }
        self.why = Some(refused.why.to_string());
    }
}

fn granted(grants: &Grants) -> Vec<Granted> {
    let mut granted = Vec::new();
    for grant in &grants.0 {
        let on: Vec<String> = grant.on.iter().map(Scope::to_string).collect();
        match &grant.permission {
            Permission::Act(acts) => granted.extend(acts.iter().map(|act| Granted {
                what: act.to_string(),
                on: on.clone(),
            })),
            Permission::Observe(observe) => granted.push(Granted {
                what: format!("observe {}", observe.name()),
                on,
            }),
        }
    }
    granted
}

/// What keeps a strategy from being ready.
pub enum Complaint {
    /// A mistake in a file of the configuration's.
    Mistake(Diagnostic),
    /// Anything else: whether it is an error, and what to say.
    Sentence(bool, String),
}

/// What keeps strategies from being ready, for `prunella config check`.
pub fn complaints(paths: &Paths, config: &Config) -> Result<Vec<Complaint>, DaemonError> {
    let mut complaints = Vec::new();
    let (strategies, mistakes) = asked(paths, config)?;
    complaints.extend(mistakes.into_iter().map(Complaint::Mistake));
    for strategy in strategies {
        if !strategy.mistakes.is_empty() {
            complaints.extend(strategy.mistakes.into_iter().map(Complaint::Mistake));
            continue;
        }
        let state = match strategy.state {
            State::Ready => continue,
            State::AwaitingGrant => "awaits a grant",
            State::Refused => "does not load",
        };
        let place = strategy
            .declared_at
            .map_or_else(String::new, |place| format!(" ({place})"));
        complaints.push(Complaint::Sentence(
            strategy.state == State::Refused,
            format!(
                "strategy `{}` {state}{place}: {}",
                strategy.name,
                strategy.why.unwrap_or_default()
            ),
        ));
    }
    Ok(complaints)
}

/// Strategies that may observe only, for the overview. Loads nothing that
/// needs compiling: what a component imports is read from it.
pub fn awaiting_grant(paths: &Paths, config: &Config) -> Vec<AwaitingGrant> {
    let Ok(engine) = Engine::new(EngineSettings { cache_dir: None }) else {
        return Vec::new();
    };
    let versions = Versions::read(paths);
    let mut awaiting = Vec::new();
    for (name, settings) in &config.strategies {
        let Some(path) = &settings.component else {
            continue;
        };
        let Ok(component) = component::read(config, &versions, name, path, settings) else {
            continue;
        };
        let Ok(inspection) = engine.inspect(&component.bytes) else {
            continue;
        };
        let grants = settings.grants.clone().unwrap_or_default();
        let wanted = inspection.acts();
        let reason = if wanted.is_empty() {
            continue;
        } else if grants.acts().is_disjoint(&wanted) {
            "nothing that it would do was granted, so it may only observe"
        } else if component.trust.right.is_err() {
            "nobody vouches for its bytes, so it may only observe"
        } else {
            continue;
        };
        awaiting.push(AwaitingGrant {
            strategy: name.to_string(),
            reason: format!("{reason}: see `prunella plugin list`"),
        });
    }
    awaiting
}
