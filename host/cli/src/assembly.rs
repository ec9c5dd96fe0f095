//! Puts a healer together: configuration, store, host, strategies. The daemon,
//! the hook, the sweep and `prunella heal` all begin here.

use std::{
    panic,
    sync::Arc,
    thread::{self, JoinHandle},
};

use anyhow::Context as _;
use prunella_analysis::HostAnalyst;
use prunella_core::{
    capability::{History, Host, State},
    config::{Config, Loaded},
    service::Service,
};
use prunella_engine::{Engine, EngineSettings};
use prunella_healer::{Healer, HealerSettings, Hosts, Observer};
use prunella_linux::{Linux, LinuxSettings};
use prunella_store::{Ledger, Store};

use crate::{
    exit::{Exit, Problem},
    loading::{Wanted, complain, load_strategies},
    paths::Paths,
};

/// Everything a healing process holds on to.
pub(crate) struct Assembly {
    pub(crate) linux: Arc<Linux>,
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) engine: Engine,
    pub(crate) healer: Arc<Healer>,
}

/// Reads the configuration, or fails with every mistake in it.
pub(crate) fn load_config(paths: &Paths) -> anyhow::Result<Config> {
    usable(paths, Config::load(&paths.config))
}

/// What was loaded, if it can be used. Warnings are logged.
pub(crate) fn usable(paths: &Paths, loaded: Loaded) -> anyhow::Result<Config> {
    for warning in loaded.warnings() {
        let line = warning
            .place
            .as_ref()
            .map(|place| format!(":{}", place.line))
            .unwrap_or_default();
        tracing::warn!("{}{line}: {}", warning.file.display(), warning.message);
    }
    let mistakes: Vec<String> = loaded.errors().map(ToString::to_string).collect();
    loaded.config.ok_or_else(|| {
        Problem::new(
            Exit::Config,
            format!(
                "the configuration in {} has mistakes:\n\n{}",
                paths.config.display(),
                mistakes.join("\n")
            ),
        )
        .help("`prunella config check` shows them again")
        .into()
    })
}

/// What can be begun before the configuration is known, and goes on beside
/// whatever is done next: connecting to systemd, opening the store.
pub(crate) struct Begun {
    pub(crate) linux: Arc<Linux>,
    store: JoinHandle<Store>,
}

impl Begun {
    /// Begins.
    pub(crate) fn new(paths: &Paths) -> anyhow::Result<Self> {
        let linux = Linux::connect(LinuxSettings::default()).context("cannot reach the host")?;
        linux.expect_waiting();
        let path = paths.store();
        let store = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || Store::lasting(&path))
            .context("cannot start a thread")?;
        Ok(Self { linux, store })
    }
}

impl Assembly {
    /// Puts it together.
    pub(crate) fn new(
        paths: &Paths,
        config: Config,
        wanted: &Wanted,
        observer: Arc<dyn Observer>,
    ) -> anyhow::Result<Self> {
        Self::complete(Begun::new(paths)?, paths, config, wanted, observer)
    }

    /// Puts it together with what was begun.
    pub(crate) fn complete(
        begun: Begun,
        paths: &Paths,
        config: Config,
        wanted: &Wanted,
        observer: Arc<dyn Observer>,
    ) -> anyhow::Result<Self> {
        let Begun { linux, store } = begun;
        let engine = Engine::new(EngineSettings {
            cache_dir: Some(paths.cache.clone()),
        })
        .context("cannot start the WebAssembly engine")?;
        let strategies = load_strategies(paths, &engine, &config, wanted, None);
        complain(&strategies);
        let store = store
            .join()
            .unwrap_or_else(|panic| panic::resume_unwind(panic));
        let store = Some(Arc::new(store));
        let ledger = Arc::new(Ledger::new(store.clone(), paths.run.clone()));
        let healer = Arc::new(Healer::new(
            HealerSettings {
                hosts: Arc::new(LinuxHosts(Arc::clone(&linux))),
                situation: Arc::clone(&linux) as _,
                store: store.clone(),
                ledger,
                run_folder: paths.run.clone(),
                kill_switch: paths.config.join("off"),
                observer,
                analyst: Arc::new(HostAnalyst::new(&paths.run)),
                changes: Arc::clone(&linux) as _,
            },
            Arc::new(config),
            Arc::new(strategies),
        ));
        Ok(Self {
            linux,
            store,
            engine,
            healer,
        })
    }
}

struct LinuxHosts(Arc<Linux>);

impl Hosts for LinuxHosts {
    fn for_service(
        &self,
        service: Arc<Service>,
        history: Arc<dyn History>,
        state: Arc<dyn State>,
    ) -> Host {
        self.0.host_for(service, history, state)
    }
}
