//! The strategies in force: loaded, with what each may do.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use prunella_core::{
    StrategyName,
    config::Config,
    policy::{Grants, Limits, builtin_grants},
};
use prunella_engine::{Engine, LoadError, Source, Strategy};
use sha2::{Digest as _, Sha256};

use crate::beside;

/// A strategy that is in force.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) strategy: Strategy,
    pub(crate) grants: Arc<Grants>,
    pub(crate) limits: Limits,
    pub(crate) settings: BTreeMap<String, String>,
}

/// A strategy that could not be taken into force, and why.
#[derive(Debug)]
pub struct Refused {
    /// Which.
    pub name: StrategyName,
    /// Why.
    pub why: RefusedBecause,
}

/// Why a strategy is not in force.
#[derive(Debug, thiserror::Error)]
pub enum RefusedBecause {
    /// The component would not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Its file could not be read.
    #[error("{0}")]
    File(String),
}

/// Where the bytes of a strategy come from.
pub(crate) enum Bytes {
    BuiltIn {
        wasm: &'static [u8],
        precompiled: &'static [u8],
    },
    File(Vec<u8>),
}

/// The strategies in force.
#[derive(Default)]
pub struct StrategySet {
    loaded: BTreeMap<StrategyName, Loaded>,
    refused: Vec<Refused>,
}

impl StrategySet {
    /// Loads what `config` wants in force: of the built-in strategies and the
    /// configured ones, those in `only`, or all. One that does not load is
    /// reported in [`refused`](Self::refused) and keeps no other from loading.
    ///
    /// `read` gives the bytes of a configured component's file.
    pub fn load(
        engine: &Engine,
        config: &Config,
        builtins: impl IntoIterator<Item = (&'static str, &'static [u8], &'static [u8])>,
        only: Option<&BTreeSet<StrategyName>>,
        read: impl Fn(&std::path::Path) -> Result<Vec<u8>, String>,
    ) -> Self {
        let mut set = Self::default();
        let wanted = |name: &StrategyName| only.is_none_or(|only| only.contains(name));
        let builtins = builtins
            .into_iter()
            .filter_map(|(name, wasm, precompiled)| {
                let name = StrategyName::new(name).ok()?;
                Some((name, Bytes::BuiltIn { wasm, precompiled }))
            });
        let mut found: Vec<(StrategyName, Bytes)> =
            builtins.filter(|(name, _)| wanted(name)).collect();
        for (name, settings) in config.strategies.iter().filter(|(name, _)| wanted(name)) {
            let Some(path) = &settings.component else {
                continue;
            };
            match read(path) {
                Ok(bytes) => found.push((name.clone(), Bytes::File(bytes))),
                Err(why) => set.refused.push(Refused {
                    name: name.clone(),
                    why: RefusedBecause::File(why),
                }),
            }
        }
        // Side by side: a hook begins with this, while a service is down.
        let loaded = beside::map(&found, |(name, bytes)| load(engine, config, name, bytes));
        for ((name, _), loaded) in found.into_iter().zip(loaded) {
            match loaded {
                Ok(loaded) => {
                    set.loaded.insert(name, loaded);
                }
                Err(error) => set.refused.push(Refused {
                    name,
                    why: error.into(),
                }),
            }
        }
        set
    }

    pub(crate) fn get(&self, name: &StrategyName) -> Option<&Loaded> {
        self.loaded.get(name)
    }

    /// The names of those in force.
    pub fn names(&self) -> impl Iterator<Item = &StrategyName> {
        self.loaded.keys()
    }

    /// Those that are not in force, and why.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }
}

/// Loads one strategy, with what it may do.
fn load(
    engine: &Engine,
    config: &Config,
    name: &StrategyName,
    bytes: &Bytes,
) -> Result<Loaded, LoadError> {
    let settings = config.strategies.get(name);
    let mut grants = settings
        .and_then(|settings| settings.grants.clone())
        .unwrap_or_else(|| match bytes {
            Bytes::BuiltIn { .. } => builtin_grants(name.as_str()).unwrap_or_default(),
            Bytes::File(_) => Grants::default(),
        });
    if let (Bytes::File(bytes), Some(settings)) = (bytes, settings)
        && !is_pinned(bytes, settings.sha256.as_deref())
    {
        // Rights to act follow the bytes, never the file's name.
        if !grants.acts().is_empty() {
            tracing::warn!(
                "the file of strategy {name} is not the one its rights were given to \
                     (`sha256` in [strategy.{name}]): it may only observe"
            );
        }
        grants = Grants(
            grants
                .0
                .into_iter()
                .filter(|grant| {
                    matches!(
                        grant.permission,
                        prunella_core::policy::Permission::Observe(_)
                    )
                })
                .collect(),
        );
    }
    let source = match bytes {
        Bytes::BuiltIn { wasm, precompiled } => Source::Builtin { wasm, precompiled },
        Bytes::File(bytes) => Source::Wasm(bytes),
    };
    Ok(Loaded {
        strategy: engine.load(name, source, &grants)?,
        grants: Arc::new(grants),
        limits: settings
            .and_then(|settings| settings.limits.clone())
            .unwrap_or_else(|| config.limits.clone()),
        settings: settings
            .map(|settings| settings.settings.clone())
            .unwrap_or_default(),
    })
}

/// Whether these are the bytes that `sha256` names.
fn is_pinned(bytes: &[u8], sha256: Option<&str>) -> bool {
    let Some(pinned) = sha256 else { return false };
    let actual: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    pinned.eq_ignore_ascii_case(&actual)
}
