//! Puts a healer together: store, host, strategies. The daemon,
//! the hook, the sweep and `prunella heal` all begin here.

use std::{
    panic,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use prunella_analysis::HostAnalyst;
use prunella_config::Config;
use prunella_core::{
    UnitName,
    capability::Host,
    health::{Symptom, Undecided},
    service::Service,
    text,
};
use prunella_engine::{Engine, EngineSettings};
use prunella_healer::{Healer, HealerSettings, Hosts, Observer};
use prunella_linux::{Linux, LinuxSettings};
use prunella_store::{Ledger, Store};

use crate::{
    DaemonError, Paths,
    loading::{complain, load_strategies},
    observed::{Measures, observed},
};

pub use crate::loading::Wanted;

/// Everything a healing process holds on to.
pub struct Assembly {
    pub linux: Arc<Linux>,
    pub store: Option<Arc<Store>>,
    pub engine: Engine,
    pub healer: Arc<Healer>,
    /// How services are and what is measured of them, for strategies that ask.
    pub(crate) measures: Arc<Measures>,
}

/// What can be begun before the configuration is known, and goes on beside
/// whatever is done next: connecting to systemd, opening the store.
pub struct Begun {
    pub linux: Arc<Linux>,
    store: JoinHandle<Store>,
}

impl Begun {
    pub fn new(paths: &Paths) -> Result<Self, DaemonError> {
        let linux = Linux::connect(LinuxSettings {
            content: Some(paths.content()),
            ..LinuxSettings::default()
        })?;
        linux.expect_waiting();
        // A hook says something before it acts, and what that takes need not wait.
        thread::Builder::new()
            .name("redaction".to_owned())
            .spawn(text::prepare_redaction)
            .map_err(DaemonError::thread("prepares the redaction"))?;
        let path = paths.store();
        let store = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || Store::lasting(&path))
            .map_err(DaemonError::thread("opens the incident store"))?;
        Ok(Self { linux, store })
    }
}

impl Assembly {
    /// Puts it together.
    pub fn new(
        paths: &Paths,
        config: Config,
        wanted: &Wanted,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, DaemonError> {
        Self::complete(Begun::new(paths)?, paths, config, wanted, observer)
    }

    /// Puts it together with what was begun.
    pub fn complete(
        begun: Begun,
        paths: &Paths,
        config: Config,
        wanted: &Wanted,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, DaemonError> {
        let Begun { linux, store } = begun;
        let engine = Engine::new(EngineSettings {
            cache_dir: Some(paths.cache.clone()),
        })?;
        let strategies = load_strategies(paths, &engine, &config, wanted, None);
        complain(&strategies, &config);
        let store = store
            .join()
            .unwrap_or_else(|panic| panic::resume_unwind(panic));
        let store = Some(Arc::new(store));
        let ledger = Arc::new(Ledger::new(store.clone(), paths.run.clone()));
        let measures = Arc::new(Measures::new(paths));
        let healer = Arc::new(Healer::new(
            HealerSettings {
                hosts: Arc::new(LinuxHosts {
                    linux: Arc::clone(&linux),
                    measures: Arc::clone(&measures),
                }),
                situation: Arc::clone(&linux) as _,
                store: store.clone(),
                ledger,
                run_folder: paths.run.clone(),
                kill_switch: paths.kill_switch(),
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
            measures,
        })
    }
}

struct LinuxHosts {
    linux: Arc<Linux>,
    measures: Arc<Measures>,
}

impl Hosts for LinuxHosts {
    fn for_service(&self, service: Arc<Service>) -> Host {
        observed(self.linux.host_for(service), &self.measures)
    }

    fn symptoms(&self) -> Vec<Symptom> {
        self.measures.of_host()
    }

    fn undecided(&self, unit: &UnitName, ago: Duration) -> Option<Undecided> {
        self.measures.undecided(unit, ago)
    }
}
