//! Loads strategies: the built-in ones, and the components of the operator's,
//! each with what its bytes may do.

use std::collections::BTreeSet;

use prunella_config::Config;
use prunella_core::{StrategyName, UnitName};
use prunella_engine::Engine;
use prunella_healer::{Loading, StrategySet};

use crate::{
    DaemonError, Paths, explained,
    plugins::{Lock, Versions, component},
};

/// Which strategies to load.
pub enum Wanted {
    All,
    /// Those of one service, and of whatever it may have to wait for.
    Of(UnitName),
}

/// Loads the strategies that are wanted. With `before`, files changed and the
/// configuration did not.
pub(crate) fn load_strategies(
    paths: &Paths,
    engine: &Engine,
    config: &Config,
    wanted: &Wanted,
    before: Option<&StrategySet>,
) -> StrategySet {
    let only = match wanted {
        Wanted::All => None,
        Wanted::Of(unit) => Some(strategies_for(config, unit)),
    };
    let builtins = prunella_bundle::builtins()
        .iter()
        .map(|builtin| (builtin.name, builtin.wasm));
    let versions = Versions::read(paths);
    // Nobody changes the files meanwhile, so that a component and its signature
    // belong together. A hook does not wait for that.
    let held = match wanted {
        Wanted::All => Lock::wait(paths).ok(),
        Wanted::Of(_) => Lock::try_take(paths).ok(),
    };
    let components = component::read_all(config, &versions, only.as_ref());
    // Compiling takes its time.
    drop(held);
    let loading = Loading {
        engine,
        config,
        only: only.as_ref(),
        tried: matches!(wanted, Wanted::All),
        before,
    };
    let set = StrategySet::load(&loading, builtins, components);
    remember(paths, &versions, &set);
    set
}

/// Remembers the versions of what is in force and signed.
fn remember(paths: &Paths, versions: &Versions, set: &StrategySet) {
    let seen: Vec<_> = set
        .in_force()
        .into_iter()
        .filter_map(|(name, strategy)| {
            let trust = strategy.trust?;
            let signed = trust.signature.good()?;
            let higher = versions
                .highest(&name)
                .is_none_or(|highest| *highest < signed.version);
            higher.then(|| (name, signed.version.clone()))
        })
        .collect();
    if seen.is_empty() {
        return;
    }
    let remembered = Lock::try_take(paths)
        .map_err(DaemonError::file("lock", paths.plugins_lock()))
        .and_then(|held| Versions::remember(paths, &held, seen));
    if let Err(error) = remembered {
        tracing::warn!(
            "the versions of plugins are not remembered, so an older one could come back: {}",
            explained(&error)
        );
    }
}

/// Says of each strategy that is not in force why, and of each that is named for what it
/// does not treat.
pub(crate) fn complain(set: &StrategySet, config: &Config) {
    for mistake in set.not_for_degradations(config) {
        tracing::error!("{}", mistake.short());
    }
    for refused in set.refused() {
        tracing::error!(
            prunella_strategy = %refused.name,
            "strategy {} is not in force: {}", refused.name, refused.why
        );
    }
}

/// The strategies of a service, and of everything it needs, however indirectly.
fn strategies_for(config: &Config, unit: &UnitName) -> BTreeSet<StrategyName> {
    let mut units = BTreeSet::new();
    let mut open = vec![unit.clone()];
    let mut strategies = BTreeSet::new();
    while let Some(unit) = open.pop() {
        if let Some(service) = config.services.get(&unit)
            && units.insert(unit)
        {
            strategies.extend(service.strategies.iter().cloned());
            open.extend(service.depends_on.iter().cloned());
        }
    }
    strategies
}
