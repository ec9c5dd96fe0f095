//! The strategies in force: loaded, with what each may do.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use prunella_config::{Config, Diagnostic, StrategySettings};
use prunella_core::{
    Failure, StrategyName,
    incident::{Description, IncidentKind},
    policy::{Grants, Limits, builtin_grants},
    trust::{NoRight, Right, SignaturePolicy, TrustStatus},
};
use prunella_engine::{Engine, LoadError, Package, RunError, Strategy};

use crate::parallel;

/// A setting that follows `[oversight]`, in every strategy that has it and for which
/// the operator sets nothing else: whether people may be asked about processes that
/// are not the service's own. A strategy that cannot know it would have to hold
/// everything back, and never ask.
const FOREIGN_PROCESSES: &str = "foreign-processes";

/// A strategy that is in force.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) strategy: Strategy,
    pub(crate) grants: Arc<Grants>,
    pub(crate) limits: Limits,
    pub(crate) settings: BTreeMap<String, String>,
    /// What it says it is, where it was asked.
    description: Option<Arc<Description>>,
    /// Absent for one that is built in.
    trust: Option<TrustStatus>,
}

/// One of the strategies in force, to tell people of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Its component's hash.
    pub sha256: String,
    /// The version that was signed, or else the one it says it has.
    pub version: Option<String>,
    /// Absent for one that is built in.
    pub trust: Option<TrustStatus>,
}

/// A strategy that could not be taken into force, and why.
#[derive(Debug)]
pub struct Refused {
    pub name: StrategyName,
    pub why: RefusedBecause,
    /// Whether the one before it stays in force.
    pub kept: bool,
}

/// Why a strategy is not in force.
#[derive(Debug, thiserror::Error)]
pub enum RefusedBecause {
    /// The component would not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It was granted acts, and its bytes may only observe.
    #[error("{0}")]
    NoRight(#[from] NoRight),
    /// Its file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It could not say who it is.
    #[error("it was asked who it is, and did not answer: {0}")]
    Silent(#[from] RunError),
    /// It would not say who it is.
    #[error("it was asked who it is, and failed: {0}")]
    Failed(Failure),
    /// What the operator set is not what it declares.
    #[error("{}", mistakes(.0))]
    Settings(Vec<Diagnostic>),
}

/// Why a component's file could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FileError {
    /// There is none.
    pub gone: bool,
    /// What is wrong with it.
    pub message: String,
}

fn mistakes(found: &[Diagnostic]) -> impl fmt::Display {
    found
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// A component of the operator's: its bytes, and what is known of them.
#[derive(Debug)]
pub struct Component {
    /// As they were read, once.
    pub bytes: Vec<u8>,
    pub sha256: String,
    /// Whether they may act.
    pub trust: TrustStatus,
}

/// Where the bytes of a strategy come from.
enum Bytes {
    BuiltIn(&'static [u8]),
    File(Box<Component>),
}

/// What to load, and how.
pub struct Loading<'a> {
    /// What makes strategies of components.
    pub engine: &'a Engine,
    /// What is to be in force.
    pub config: &'a Config,
    /// Of all there are, only these.
    pub only: Option<&'a BTreeSet<StrategyName>>,
    /// Every component is asked who it is; else only those whose settings
    /// cannot be known without.
    pub tried: bool,
    /// The strategies in force, when files changed and the configuration did
    /// not: what is the same is taken from them, and where a new file is bad,
    /// the one before stays.
    pub before: Option<&'a StrategySet>,
}

/// The strategies in force.
#[derive(Default)]
pub struct StrategySet {
    loaded: BTreeMap<StrategyName, Loaded>,
    refused: Vec<Refused>,
}

impl StrategySet {
    /// Loads the built-in strategies and the configured ones, whose components were
    /// read already. One that could not be read, or does not load, is reported in
    /// [`refused`](Self::refused) and keeps no other from loading.
    pub fn load(
        loading: &Loading<'_>,
        builtins: impl IntoIterator<Item = (&'static str, &'static [u8])>,
        components: BTreeMap<StrategyName, Result<Component, FileError>>,
    ) -> Self {
        let mut set = Self::default();
        let wanted = |name: &StrategyName| loading.only.is_none_or(|only| only.contains(name));
        let builtins = builtins.into_iter().filter_map(|(name, wasm)| {
            let name = StrategyName::new(name).ok()?;
            Some((name, Bytes::BuiltIn(wasm)))
        });
        let mut found: Vec<(StrategyName, Bytes)> =
            builtins.filter(|(name, _)| wanted(name)).collect();
        for (name, component) in components.into_iter().filter(|(name, _)| wanted(name)) {
            match component {
                Ok(component) => found.push((name, Bytes::File(Box::new(component)))),
                Err(error) => set.refuse(loading, name, error.into()),
            }
        }
        // Side by side: a hook begins with this, while a service is down.
        let loaded = parallel::map(&found, |(name, bytes)| load(loading, name, bytes));
        for ((name, _), loaded) in found.into_iter().zip(loaded) {
            match loaded {
                Ok(loaded) => {
                    set.loaded.insert(name, loaded);
                }
                Err(why) => set.refuse(loading, name, why),
            }
        }
        set
    }

    /// Notes that a strategy is refused. The one before it stays in force,
    /// unless its file is gone.
    fn refuse(&mut self, loading: &Loading<'_>, name: StrategyName, why: RefusedBecause) {
        let gone = matches!(&why, RefusedBecause::File(error) if error.gone);
        let before = loading
            .before
            .and_then(|before| before.loaded.get(&name))
            .filter(|_| !gone);
        let kept = before.is_some();
        if let Some(before) = before {
            self.loaded.insert(name.clone(), before.clone());
        }
        self.refused.push(Refused { name, why, kept });
    }

    pub(crate) fn get(&self, name: &StrategyName) -> Option<(&StrategyName, &Loaded)> {
        self.loaded.get_key_value(name)
    }

    /// Mistakes in `heal-degraded`: strategies in force that say that they do not treat
    /// degradations.
    pub fn not_for_degradations(&self, config: &Config) -> Vec<Diagnostic> {
        let kind = IncidentKind::Degradation;
        let named = config.heal_degraded_at.iter();
        named
            .filter(|named| {
                let found = self.loaded.get(&named.strategy);
                found.is_some_and(|loaded| loaded.description.is_some() && !loaded.is_for(kind))
            })
            .map(|named| {
                let able = self.loaded.iter().filter(|(_, loaded)| loaded.is_for(kind));
                let able: Vec<&str> = able.map(|(name, _)| name.as_str()).collect();
                let help = match able.as_slice() {
                    [] => "no strategy in force does".to_owned(),
                    able => format!("these do: {}", able.join(", ")),
                };
                named
                    .mistake(format!(
                        "strategy `{}` does not treat degradations",
                        named.strategy
                    ))
                    .help(help)
            })
            .collect()
    }

    /// The names of those in force.
    pub fn names(&self) -> impl Iterator<Item = &StrategyName> {
        self.loaded.keys()
    }

    /// Those in force, to tell people of.
    pub fn in_force(&self) -> BTreeMap<StrategyName, InForce> {
        self.loaded
            .iter()
            .map(|(name, loaded)| (name.clone(), loaded.told()))
            .collect()
    }

    /// Those that are not in force, and why.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }
}

impl Loaded {
    fn told(&self) -> InForce {
        let signed = self.trust.as_ref().and_then(|trust| trust.signature.good());
        InForce {
            sha256: self.strategy.sha256().to_owned(),
            version: match (signed, &self.description) {
                (Some(signed), _) => Some(signed.version.to_string()),
                (None, Some(description)) => Some(description.version.clone()),
                (None, None) => None,
            },
            trust: self.trust.clone(),
        }
    }
}

/// Loads one strategy, with what it may do.
fn load(
    loading: &Loading<'_>,
    name: &StrategyName,
    bytes: &Bytes,
) -> Result<Loaded, RefusedBecause> {
    let config = loading.config;
    let nothing_set = StrategySettings::default();
    let set = config.strategies.get(name).unwrap_or(&nothing_set);
    let given = set.grants.clone().unwrap_or_else(|| match bytes {
        Bytes::BuiltIn(_) => builtin_grants(name.as_str()).unwrap_or_default(),
        Bytes::File(_) => Grants::default(),
    });
    let trust = match bytes {
        Bytes::BuiltIn(_) => None,
        Bytes::File(component) => Some(&component.trust),
    };
    let no_right = trust.and_then(|trust| trust.right.as_ref().err());
    let grants = match no_right {
        Some(_) => given.observing(),
        None => given.clone(),
    };
    let wasm: &[u8] = match bytes {
        Bytes::BuiltIn(wasm) => wasm,
        Bytes::File(component) => &component.bytes,
    };
    if let Some(before) = loading.before.and_then(|before| before.loaded.get(name))
        && *before.grants == grants
        && before.is(bytes)
    {
        return Ok(Loaded {
            trust: trust.cloned(),
            ..before.clone()
        });
    }
    let strategy = match (loading.engine.load(name, wasm, &grants), no_right) {
        // It was granted what it wants: it is the bytes that may not have it.
        (Err(LoadError::NotGranted { .. }), Some(no_right)) if !given.acts().is_empty() => {
            return Err(no_right.clone().into());
        }
        (strategy, _) => strategy?,
    };
    if trust.is_some_and(|trust| trust.right == Ok(Right::Installed))
        && config.signatures == SignaturePolicy::Warn
        && !strategy.inspection().acts().is_empty()
    {
        tracing::warn!(
            prunella_strategy = %name,
            "strategy {name} may act and is not signed (signatures = \"warn\")"
        );
    }
    let limits = set.limits.clone().unwrap_or_else(|| config.limits.clone());
    let description = if loading.tried || needs_asking(&strategy, set, bytes) {
        let described = strategy.describe(&limits).result?;
        Some(Arc::new(described.map_err(RefusedBecause::Failed)?))
    } else {
        None
    };
    let mut settings = match &description {
        Some(description) => set
            .filled(name, &description.settings)
            .map_err(RefusedBecause::Settings)?,
        None => set.settings.clone(),
    };
    let declares = description.as_ref().is_none_or(|description| {
        let mut settings = description.settings.iter();
        settings.any(|setting| setting.name == FOREIGN_PROCESSES)
    });
    if declares && !set.settings.contains_key(FOREIGN_PROCESSES) {
        let word = if config.oversight.foreign_processes {
            "ask"
        } else {
            "deny"
        };
        settings.insert(FOREIGN_PROCESSES.to_owned(), word.to_owned());
    }
    Ok(Loaded {
        strategy,
        grants: Arc::new(grants),
        limits,
        settings,
        description,
        trust: trust.cloned(),
    })
}

impl Loaded {
    /// Whether it treats such incidents. Of one that was not asked, only failures are known.
    pub(crate) fn is_for(&self, kind: IncidentKind) -> bool {
        match &self.description {
            Some(description) => description.is_for(kind),
            None => kind == IncidentKind::Failure,
        }
    }

    /// Whether it was made of these bytes.
    fn is(&self, bytes: &Bytes) -> bool {
        match bytes {
            Bytes::BuiltIn(_) => self.trust.is_none(),
            Bytes::File(component) => {
                self.trust.is_some() && component.sha256 == self.strategy.sha256()
            }
        }
    }
}

/// Whether its settings cannot be known without asking it which it has. The
/// built-in ones come with their defaults.
fn needs_asking(strategy: &Strategy, set: &StrategySettings, bytes: &Bytes) -> bool {
    let reads_settings = || {
        strategy
            .inspection()
            .of_package(Package::Base)
            .any(|import| import.interface == "settings" && import.is_capability())
    };
    !set.settings.is_empty() || (matches!(bytes, Bytes::File(_)) && reads_settings())
}
