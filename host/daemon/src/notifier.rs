//! Sets up the notifier, which turns alerts into messages: for the daemon, the hook,
//! the sweep, and `prunella alerts retry`.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use prunella_config::Config;
use prunella_core::{
    Timestamp, UnitName,
    capability::ActiveState,
    health::{Metric, Point, Subject, SubjectForecast, Symptom},
    incident::Incident,
    trail::Entry,
};
use prunella_healer::Observer;
use prunella_linux::Linux;
use prunella_notify::{
    HostQueries, Notifier, NotifierSettings, TraceSender, TraceSettings, channel,
};
use prunella_report::Renderer;
use prunella_store::{Store, StoreError};

use crate::{Paths, assembly::Assembly, observed::Measures};

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

/// Where programs of a login's PATH are.
const PROGRAMS: [&str; 4] = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin"];

/// Whether `sudo` is installed: then people log in with accounts of their own.
pub fn has_sudo() -> bool {
    PROGRAMS
        .iter()
        .any(|folder| Path::new(folder).join("sudo").is_file())
}

/// The notifier of a process that heals; absent without a store, for then alerts are
/// only in the journal.
pub fn of(paths: &Paths, assembly: &Assembly) -> Option<Notifier> {
    let healer = Arc::clone(&assembly.healer);
    notifier(
        paths,
        assembly.store.clone()?,
        Arc::new(move || healer.config()),
        Arc::new(LinuxQueries {
            linux: Arc::clone(&assembly.linux),
            measures: Arc::clone(&assembly.measures),
        }),
    )
}

/// What sends traces of incidents; absent without a store.
pub(crate) fn traces(assembly: &Assembly) -> Option<TraceSender> {
    let healer = Arc::clone(&assembly.healer);
    Some(TraceSender::new(TraceSettings {
        store: assembly.store.clone()?,
        config: Arc::new(move || healer.config()),
        hostname: hostname(),
    }))
}

/// The notifier of a process that only sends.
pub fn alone(paths: &Paths, store: Arc<Store>, config: Config) -> Option<Notifier> {
    let config = Arc::new(config);
    notifier(
        paths,
        store,
        Arc::new(move || Arc::clone(&config)),
        Arc::new(NoQueries),
    )
}

fn notifier(
    paths: &Paths,
    store: Arc<Store>,
    config: Arc<dyn Fn() -> Arc<Config> + Send + Sync>,
    host: Arc<dyn HostQueries>,
) -> Option<Notifier> {
    let boot_id = match prunella_linux::clock::boot_id() {
        Ok(boot_id) => boot_id,
        Err(error) => {
            tracing::error!("nobody but the journal is told: this boot's id is not known: {error}");
            return None;
        }
    };
    Some(Notifier::new(NotifierSettings {
        store,
        config,
        host,
        open: Arc::new(channel::open),
        renderer: Renderer::new(Some(&paths.templates())),
        hostname: hostname(),
        sudo: has_sudo(),
        boot_id,
        lock: paths.run.join("alerts.lock"),
    }))
}

/// Tells people what of the configuration is not in force, if they do not know.
pub(crate) fn config_problems(notifier: &Notifier, problems: &[String]) {
    told(notifier.config_problems(problems), "the configuration");
}

/// Tells people what holds of the host, and which services are degraded because of it, if they
/// do not know.
pub(crate) fn host_health(notifier: &Notifier, symptoms: &[Symptom], services: &[UnitName]) {
    told(notifier.host_health(symptoms, services), "the host");
}

/// Tells people what will be used up, if they do not know.
pub(crate) fn forecasts(notifier: &Notifier, forecasts: &[SubjectForecast]) {
    told(notifier.forecasts(forecasts), "what will be used up");
}

fn told(result: Result<(), StoreError>, what: &str) {
    match result {
        Ok(()) => {}
        // The store has told of its own trouble itself, once.
        Err(error) if error.is_trouble() => {
            tracing::debug!("nobody can be told about {what}: {error}");
        }
        Err(error) => tracing::error!("nobody can be told about {what}: {error}"),
    }
}

/// Has a notifier follow what a process heals, once there is one.
#[derive(Default)]
pub(crate) struct Followed(OnceLock<Arc<Notifier>>);

impl Followed {
    pub(crate) fn by(&self, notifier: &Arc<Notifier>) {
        self.0.get_or_init(|| Arc::clone(notifier));
    }
}

impl Observer for Followed {
    fn step(&self, incident: &Incident, entry: &Entry) {
        if let Some(notifier) = self.0.get() {
            notifier.step(incident, &entry.step);
        }
    }
}

/// What systemd knows of units, and what was measured of them.
struct LinuxQueries {
    linux: Arc<Linux>,
    measures: Arc<Measures>,
}

impl HostQueries for LinuxQueries {
    fn requires(&self, unit: &UnitName) -> Vec<UnitName> {
        self.linux
            .units()
            .get(Instant::now() + LIMIT, unit)
            .map(|status| status.requires)
            .unwrap_or_default()
    }

    fn up_since(&self, unit: &UnitName) -> Option<Timestamp> {
        let status = self.linux.units().get(Instant::now() + LIMIT, unit).ok()?;
        status.since.filter(|_| status.is_up())
    }

    fn stays_down(&self, unit: &UnitName) -> Option<String> {
        let status = self.linux.units().get(Instant::now() + LIMIT, unit).ok()?;
        let is_down = matches!(
            status.active_state,
            ActiveState::Failed | ActiveState::Inactive
        );
        if !is_down || status.job.is_some() || status.is_up() {
            None
        } else if status.load_state == "masked" {
            Some(status.load_state)
        } else {
            Some(status.active_state.as_str().to_owned())
        }
    }

    fn measured(
        &self,
        unit: &UnitName,
        metric: Metric,
        instance: Option<&str>,
        (since, until): (Timestamp, Timestamp),
    ) -> Vec<Point> {
        let subject = Subject::from(unit.clone());
        let found = self.measures.history(&subject, metric, since, until);
        let found = found.unwrap_or_else(|error| {
            tracing::debug!("what was measured of {unit} cannot be read: {error}");
            Vec::new()
        });
        found
            .into_iter()
            .find(|one| one.series.instance.as_deref() == instance)
            .map(|one| one.points)
            .unwrap_or_default()
    }
}

/// Nothing is known of the host: what is declared has to do.
struct NoQueries;

impl HostQueries for NoQueries {
    fn requires(&self, _: &UnitName) -> Vec<UnitName> {
        Vec::new()
    }

    fn measured(
        &self,
        _: &UnitName,
        _: Metric,
        _: Option<&str>,
        _: (Timestamp, Timestamp),
    ) -> Vec<Point> {
        Vec::new()
    }

    fn up_since(&self, _: &UnitName) -> Option<Timestamp> {
        None
    }

    fn stays_down(&self, _: &UnitName) -> Option<String> {
        None
    }
}
