//! The engine: makes strategies of components.

use std::{path::PathBuf, sync::Arc};

use prunella_core::{StrategyName, policy::Grants};
use wasmtime::component::Component;

use crate::{
    EngineError, Inspection, LoadError, Origin, Strategy,
    cache::Cache,
    config::config,
    inner::Inner,
    link::{compare, link},
    strategy::Loaded,
    ticker::Ticker,
};

/// How an engine is set up.
#[derive(Debug, Clone, Default)]
pub struct EngineSettings {
    /// Where compiled code is kept, if anywhere; never below the folder of the
    /// configuration. Made if it is not there.
    pub cache_dir: Option<PathBuf>,
}

/// Makes strategies of components. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

impl Engine {
    /// Sets up an engine. A cache that cannot be used is logged, and done
    /// without.
    pub fn new(settings: EngineSettings) -> Result<Self, EngineError> {
        let engine = wasmtime::Engine::new(&config()?).map_err(EngineError::config)?;
        let cache = settings.cache_dir.and_then(|folder| {
            Cache::open(folder.clone(), &engine)
                .inspect_err(|error| {
                    tracing::warn!(
                        folder = %folder.display(),
                        "compiled code cannot be kept there, so strategies are compiled anew \
                         at every start: {error}"
                    );
                })
                .ok()
        });
        Ok(Self {
            inner: Arc::new(Inner {
                ticker: Ticker::new(engine.weak()),
                cache,
                engine,
            }),
        })
    }

    /// Reads what a component imports and exports. Nothing of it is compiled
    /// or run.
    pub fn inspect(&self, bytes: &[u8]) -> Result<Inspection, LoadError> {
        Inspection::of(bytes)
    }

    /// Loads a strategy: reads its imports, compares them with its grants,
    /// compiles it (or takes what was compiled before) and links it. Nothing
    /// of it is run.
    pub fn load(
        &self,
        name: &StrategyName,
        wasm: &[u8],
        grants: &Grants,
    ) -> Result<Strategy, LoadError> {
        let inspection = Inspection::of(wasm)?;
        inspection.loadable()?;
        let partly_denied = compare(name, &inspection, grants)?;
        let (component, origin) = self.component(&inspection.sha256, wasm)?;
        let pre = link(&component, &inspection)?;
        Ok(Strategy::new(Loaded {
            name: name.clone(),
            inspection,
            partly_denied,
            origin,
            pre,
            engine: Arc::clone(&self.inner),
        }))
    }

    /// Whether the cache has the compiled code of the component with this hash.
    pub fn is_cached(&self, sha256: &str) -> bool {
        let cache = self.inner.cache.as_ref();
        cache.is_some_and(|cache| cache.get(sha256).is_some())
    }

    /// Forgets what was compiled of the component with this hash. What cannot
    /// be removed is logged, and costs only its space.
    pub fn forget(&self, sha256: &str) {
        if let Some(cache) = &self.inner.cache {
            cache.remove(sha256);
        }
    }

    fn component(&self, sha256: &str, wasm: &[u8]) -> Result<(Component, Origin), LoadError> {
        let cache = self.inner.cache.as_ref();
        if let Some(component) = cache
            .and_then(|cache| cache.get(sha256))
            .and_then(|code| self.deserialize(&code))
        {
            return Ok((component, Origin::Cache));
        }
        // In two steps, because what is compiled is what is kept.
        let code = self
            .inner
            .engine
            .precompile_component(wasm)
            .map_err(|error| LoadError::Invalid {
                reason: prunella_core::text::one_line(&format!("{error:#}"), 300),
            })?;
        if let Some(cache) = cache {
            cache.put(sha256, &code);
        }
        let component = self.deserialize(&code).ok_or_else(|| LoadError::Invalid {
            reason: "what was compiled of it does not load".to_owned(),
        })?;
        Ok((component, Origin::Compiled))
    }

    /// Loads compiled code, if it fits this engine.
    fn deserialize(&self, code: &[u8]) -> Option<Component> {
        #[allow(
            unsafe_code,
            reason = "the only way to load compiled code, which is what makes the hook fast"
        )]
        // SAFETY: the code must be what `precompile_component` made, unchanged.
        // `component` is the only caller: with what it has just compiled, and with
        // what the cache gives, which is checked there against its hash, owner and
        // mode. A file of the user's never gets here: `Inspection::of` refuses
        // precompiled code.
        let component = unsafe { Component::deserialize(&self.inner.engine, code) };
        component
            .inspect_err(|error| tracing::warn!("compiled code does not fit: {error:#}"))
            .ok()
    }
}
