//! How each strategy stands: ready, waiting for a grant, or refused, and why.

use std::path::Path;

use prunella_api::AwaitingGrant;
use prunella_bundle::{Builtin, builtins};
use prunella_core::{
    StrategyName,
    config::{Config, StrategySettings},
    policy::{Act, Grants, Permission, Scope, builtin_grants},
};
use prunella_engine::{Engine, Inspection, LoadError, Source};
use serde::Serialize;

use super::{engine, imports, read};

/// How a strategy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    /// Loaded, with what it was granted.
    Ready,
    /// It would act, but may only observe.
    AwaitingGrant,
    /// It does not load.
    Refused,
}

/// One strategy, as `prunella plugin list --json` has it.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    pub(super) name: String,
    /// `built-in`, or the component's file.
    pub(super) source: String,
    pub(super) state: State,
    pub(super) sha256: Option<String>,
    /// What it was granted: act, and on what.
    pub(super) granted: Vec<Granted>,
    /// What it can call, by its imports; absent when it cannot be read.
    pub(super) imports: Option<Vec<String>>,
    /// The acts among those that were not granted.
    pub(super) not_granted: Vec<Act>,
    /// Why it is in this state, and what to do about it.
    pub(super) why: Option<String>,
    pub(super) declared_at: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Granted {
    pub(super) what: String,
    pub(super) on: Vec<String>,
}

/// Every strategy there is: the built-in ones, and the configured ones by name.
pub(super) fn all(engine: &Engine, config: &Config) -> Vec<Listed> {
    let mut listed: Vec<Listed> = builtins()
        .iter()
        .map(|builtin| built_in(engine, config, builtin))
        .collect();
    for (name, settings) in &config.strategies {
        if let Some(path) = &settings.component {
            listed.push(configured(engine, name, path, settings));
        }
    }
    listed
}

fn built_in(engine: &Engine, config: &Config, builtin: &Builtin) -> Listed {
    let settings = config
        .strategies
        .iter()
        .find(|(name, _)| name.as_str() == builtin.name)
        .map(|(_, settings)| settings);
    let grants = settings
        .and_then(|settings| settings.grants.clone())
        .or_else(|| builtin_grants(builtin.name))
        .unwrap_or_default();
    let source = Source::Builtin {
        wasm: builtin.wasm,
        precompiled: builtin.precompiled,
    };
    let declared_at = settings.and_then(|settings| settings.declared_at.clone());
    let mut listed = Listed::new(
        builtin.name,
        "built-in".to_owned(),
        engine.inspect(builtin.wasm),
        &grants,
    );
    listed.declared_at = declared_at;
    if let Ok(name) = StrategyName::new(builtin.name) {
        listed.judge(engine.load(&name, source, &grants).err());
    }
    listed
}

fn configured(
    engine: &Engine,
    name: &StrategyName,
    path: &Path,
    settings: &StrategySettings,
) -> Listed {
    let given = settings.grants.clone().unwrap_or_default();
    let source = path.display().to_string();
    let bytes = match read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let mut listed = Listed::new(name.as_str(), source, Err(()), &given);
            listed.declared_at.clone_from(&settings.declared_at);
            listed.state = State::Refused;
            listed.why = Some(crate::exit::explain(&error));
            return listed;
        }
    };
    let inspection = engine.inspect(&bytes);
    let pinned = match (&inspection, &settings.sha256) {
        (Ok(inspection), Some(sha256)) => inspection.sha256.eq_ignore_ascii_case(sha256),
        _ => false,
    };
    // Rights to act follow the bytes; other bytes may only observe.
    let grants = if pinned {
        given.clone()
    } else {
        observing(&given)
    };
    let error = engine.load(name, Source::Wasm(&bytes), &grants).err();
    let actual = inspection.as_ref().ok().map(|i| i.sha256.clone());
    let mut listed = Listed::new(name.as_str(), source, inspection, &grants);
    listed.declared_at.clone_from(&settings.declared_at);
    listed.judge(error);
    if !pinned && !given.acts().is_empty() && listed.state != State::Refused {
        listed.state = State::AwaitingGrant;
        listed.why = Some(match (&settings.sha256, actual) {
            (Some(_), Some(actual)) => format!(
                "the file is not the one that its rights were given to; if you trust it, set \
                 sha256 = \"{actual}\""
            ),
            (None, Some(actual)) => format!(
                "rights to act are given to one file, not to a name: add sha256 = \"{actual}\""
            ),
            (_, None) => "its sha256 is not known".to_owned(),
        });
    }
    listed
}

/// What of `grants` is only about looking.
fn observing(grants: &Grants) -> Grants {
    Grants(
        grants
            .0
            .iter()
            .filter(|grant| matches!(grant.permission, Permission::Observe(_)))
            .cloned()
            .collect(),
    )
}

impl Listed {
    fn new<E>(
        name: &str,
        source: String,
        inspection: Result<Inspection, E>,
        grants: &Grants,
    ) -> Self {
        let inspection = inspection.ok();
        let granted_acts = grants.acts();
        Self {
            name: name.to_owned(),
            source,
            state: State::Ready,
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
        }
    }

    /// Sets the state by how loading went.
    fn judge(&mut self, error: Option<LoadError>) {
        match error {
            None => {}
            Some(error @ LoadError::NotGranted { .. }) => {
                self.state = State::AwaitingGrant;
                self.why = Some(error.to_string());
            }
            Some(error) => {
                self.state = State::Refused;
                self.why = Some(error.to_string());
            }
        }
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

/// What keeps strategies from being ready, for `prunella config check`: whether
/// it is an error, and what to say.
pub(crate) fn complaints(config: &Config) -> anyhow::Result<Vec<(bool, String)>> {
    let engine = engine()?;
    Ok(all(&engine, config)
        .into_iter()
        .filter(|strategy| strategy.state != State::Ready)
        .map(|strategy| {
            let place = strategy
                .declared_at
                .map_or_else(String::new, |place| format!(" ({place})"));
            let state = match strategy.state {
                State::AwaitingGrant => "awaits a grant",
                _ => "does not load",
            };
            (
                strategy.state == State::Refused,
                format!(
                    "strategy `{}` {state}{place}: {}",
                    strategy.name,
                    strategy.why.unwrap_or_default()
                ),
            )
        })
        .collect())
}

/// Strategies that may observe only, for the overview. Loads nothing that
/// needs compiling: what a component imports is read from it.
pub(crate) fn awaiting_grant(config: &Config) -> Vec<AwaitingGrant> {
    let Ok(engine) = engine() else {
        return Vec::new();
    };
    let mut awaiting = Vec::new();
    for (name, settings) in &config.strategies {
        let Some(path) = &settings.component else {
            continue;
        };
        let Some(inspection) = read(path).ok().and_then(|b| engine.inspect(&b).ok()) else {
            continue;
        };
        let grants = settings.grants.clone().unwrap_or_default();
        let pinned = settings
            .sha256
            .as_ref()
            .is_some_and(|sha256| inspection.sha256.eq_ignore_ascii_case(sha256));
        let wanted = inspection.acts();
        let reason = if wanted.is_empty() {
            continue;
        } else if grants.acts().is_disjoint(&wanted) {
            "nothing that it would do was granted, so it may only observe"
        } else if !pinned {
            "its file is not the one its rights were given to, so it may only observe"
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
