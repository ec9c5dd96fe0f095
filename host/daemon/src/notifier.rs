//! Sets up the desk at which alerts become messages: for the daemon, the hook,
//! the sweep, and `prunella alerts retry`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_config::Config;
use prunella_core::UnitName;
use prunella_linux::Linux;
use prunella_notify::{Desk, DeskSettings, Surroundings, channel};
use prunella_report::Letters;
use prunella_store::Store;

use crate::{Paths, assembly::Assembly};

/// For so long the sweep stays to tell people what became of incidents.
/// What does not get through by then is left to the next sweep.
pub const PATIENCE: Duration = Duration::from_secs(45);

/// How long systemd may take to say what a unit needs.
const LIMIT: Duration = Duration::from_secs(5);

/// The host's name.
pub fn hostname() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// The desk of a process that heals; absent without a store, for then alerts are
/// only in the journal.
pub fn of(paths: &Paths, assembly: &Assembly) -> Option<Desk> {
    let healer = Arc::clone(&assembly.healer);
    desk(
        paths,
        assembly.store.clone()?,
        Arc::new(move || healer.config()),
        Arc::new(LinuxSurroundings(Arc::clone(&assembly.linux))),
    )
}

/// The desk of a process that only sends.
pub fn alone(paths: &Paths, store: Arc<Store>, config: Config) -> Option<Desk> {
    let config = Arc::new(config);
    desk(
        paths,
        store,
        Arc::new(move || Arc::clone(&config)),
        Arc::new(Nowhere),
    )
}

fn desk(
    paths: &Paths,
    store: Arc<Store>,
    config: Arc<dyn Fn() -> Arc<Config> + Send + Sync>,
    surroundings: Arc<dyn Surroundings>,
) -> Option<Desk> {
    let boot_id = match prunella_linux::clock::boot_id() {
        Ok(boot_id) => boot_id,
        Err(error) => {
            tracing::error!("nobody but the journal is told: this boot's id is not known: {error}");
            return None;
        }
    };
    Some(Desk::new(DeskSettings {
        store,
        config,
        surroundings,
        open: Arc::new(channel::open),
        letters: Letters::new(Some(&paths.templates())),
        hostname: hostname(),
        boot_id,
        lock: paths.run.join("alerts.lock"),
    }))
}

/// What systemd knows of units.
struct LinuxSurroundings(Arc<Linux>);

impl Surroundings for LinuxSurroundings {
    fn requires(&self, unit: &UnitName) -> Vec<UnitName> {
        self.0
            .units()
            .get(Instant::now() + LIMIT, unit)
            .map(|status| status.requires)
            .unwrap_or_default()
    }

    fn up_since(&self, unit: &UnitName) -> Option<u64> {
        let status = self.0.units().get(Instant::now() + LIMIT, unit).ok()?;
        status.since.filter(|_| status.is_up()).map(|us| us / 1_000)
    }
}

/// Nothing is known of the host: what is declared has to do.
struct Nowhere;

impl Surroundings for Nowhere {
    fn requires(&self, _: &UnitName) -> Vec<UnitName> {
        Vec::new()
    }

    fn up_since(&self, _: &UnitName) -> Option<u64> {
        None
    }
}
