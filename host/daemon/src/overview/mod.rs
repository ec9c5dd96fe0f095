//! Putting the overview together: what `prunella status` shows, and what the
//! daemon answers on its status socket.
//!
//! Everything here only looks, and whatever cannot be found out stays absent.

mod detail;
mod past;
mod ports;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_api::{AwaitingGrant, DaemonInfo, HostOverview, ServiceStatus, StatusReport};
use prunella_config::Config;
use prunella_core::{
    FailureKind, Timestamp, UnitName,
    capability::{ActiveState, UnitStatus},
    service::Service,
    situation::Situation as _,
};
use prunella_linux::{Linux, resources::HostResources};
use prunella_store::Store;

pub(crate) use self::detail::{Asked, of_service};
use self::{past::Past, ports::Listening};
use crate::{Paths, clock, disks::disks, pauses};

const NOT_SET_UP: &str = "Prunella is not set up on this host, so nothing is healed: \
                          `prunella setup`";

/// For all the questions of one overview together: somebody is waiting.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an overview is put together from.
struct Sources<'a> {
    config: &'a Config,
    /// Absent when it cannot be opened.
    store: Option<&'a Store>,
    linux: &'a Arc<Linux>,
    resources: Option<&'a HostResources>,
    /// Who puts it together; absent for a command.
    daemon: Option<DaemonInfo>,
    /// Strategies that may observe only.
    awaiting_grant: Vec<AwaitingGrant>,
    /// What keeps Prunella from healing.
    alarms: Vec<String>,
    /// What else an operator should know.
    notices: Vec<String>,
}

/// Puts it together from the host as it is: for a command, and for the daemon
/// that says who it is.
pub(crate) fn of(
    paths: &Paths,
    config: &Config,
    store: Option<&Store>,
    linux: &Arc<Linux>,
    daemon: Option<DaemonInfo>,
    alarms: Vec<String>,
    notices: Vec<String>,
) -> StatusReport {
    let resources = UnitName::new("prunella.service")
        .ok()
        .map(|own| HostResources::new(Arc::new(Service::new(own))));
    let mut alarms = alarms;
    let is_set_up = daemon.is_some() || is_set_up(linux);
    if !is_set_up {
        alarms.push(NOT_SET_UP.to_owned());
    }
    let mut report = collect(Sources {
        config,
        store,
        linux,
        resources: resources.as_ref(),
        daemon,
        awaiting_grant: crate::plugins::awaiting_grant(paths, config),
        alarms,
        notices,
    });
    if !is_set_up {
        // Nobody is there to try anything.
        for service in &mut report.services {
            service.waits = None;
            service.open_incident = None;
        }
        report
            .needs_people
            .iter_mut()
            .for_each(|needy| needy.retry_at = None);
    }
    report
}

/// Whether the daemon or, where only hooks heal, the sweep is a unit of this host. What cannot
/// be asked is taken to be.
fn is_set_up(linux: &Linux) -> bool {
    let deadline = Instant::now() + PATIENCE;
    ["prunella.service", "prunella-sweep.service"]
        .into_iter()
        .filter_map(|name| UnitName::new(name).ok())
        .any(|unit| {
            let status = linux.units().get(deadline, &unit);
            !status.is_err_and(|failure| failure.kind == FailureKind::NotFound)
        })
}

/// Puts it together.
fn collect(sources: Sources<'_>) -> StatusReport {
    let now = clock::now();
    let deadline = Instant::now() + PATIENCE;
    let mut notices = sources.notices.clone();
    let past = match sources.store.map(|store| Past::read(store, now)) {
        Some(Ok(past)) => past,
        Some(Err(error)) => {
            notices.push(format!("the incident store cannot be read: {error}"));
            Past::default()
        }
        // Not there yet, or the caller has said in a notice why it is not.
        None => Past::default(),
    };
    if let Some(Ok(approvals)) = sources.store.map(Store::approvals) {
        let waiting = approvals
            .iter()
            .filter(|approval| approval.waits(now))
            .count();
        if waiting > 0 {
            notices.push(format!(
                "{waiting} {} for approval: `prunella approvals`",
                if waiting == 1 {
                    "act waits"
                } else {
                    "acts wait"
                }
            ));
        }
    }
    notices.extend(probes_in_vain(sources.config, sources.store));
    let listening = Listening::now(sources.linux);
    let units = sources.linux.units();
    let mut bus_trouble = None;
    let mut services = Vec::new();
    let mut needed_by = BTreeMap::new();
    for service in sources.config.services.values() {
        let status = match units.get(deadline, &service.unit) {
            Ok(status) => Some(status),
            Err(failure) if failure.kind == FailureKind::NotFound => {
                services.push(missing(service, &past, now));
                continue;
            }
            Err(failure) => {
                bus_trouble.get_or_insert_with(|| failure.to_string());
                None
            }
        };
        let required = status.iter().flat_map(|status| &status.requires);
        for unit in service.depends_on.iter().chain(required) {
            let needed: &mut Vec<UnitName> = needed_by.entry(unit.clone()).or_default();
            needed.push(service.unit.clone());
        }
        let ports = listening.ports(deadline, service, status.as_ref());
        services.push(service_status(service, status.as_ref(), ports, &past, now));
    }
    if let Some(trouble) = bus_trouble {
        notices.push(format!("the state of some units is not known: {trouble}"));
    }
    let mut needs_people = past.needs_people(&services);
    needs_people.extend(past.masked_and_needed(&services, &needs_people, &needed_by));
    let declared = declared_paths(sources.config);
    StatusReport {
        at: now,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        daemon: sources.daemon,
        host: host(sources.resources, sources.linux, &declared, deadline),
        services,
        day: past.day,
        pauses: past.pauses.iter().map(pauses::shown).collect(),
        expected_work: past.expected_work,
        needs_people,
        awaiting_grant: sources.awaiting_grant,
        alarms: sources.alarms,
        notices,
    }
}

/// A sentence for each probe that was asked in vain since it was declared as it is.
fn probes_in_vain(config: &Config, store: Option<&Store>) -> Vec<String> {
    let Some(Ok(histories)) = store.map(Store::probe_histories) else {
        return Vec::new();
    };
    histories
        .into_iter()
        .filter(|(_, history)| !history.answered)
        .filter(|((unit, name), history)| {
            config
                .services
                .get(unit)
                .and_then(|service| service.probes.get(name))
                .is_some_and(|probe| history.is_of(probe))
        })
        .map(|((unit, name), _)| {
            format!(
                "probe `{name}` of {unit} has never been answered, and is not used until it is: \
                 `prunella status {unit}`"
            )
        })
        .collect()
}

/// What services have declared that lies on some file system.
fn declared_paths(config: &Config) -> Vec<PathBuf> {
    config
        .services
        .values()
        .flat_map(|service| service.files.values())
        .map(|file| file.path.clone())
        .collect()
}

fn host(
    resources: Option<&HostResources>,
    linux: &Linux,
    declared: &[PathBuf],
    deadline: Instant,
) -> HostOverview {
    HostOverview {
        name: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        uptime_s: linux.since_boot().as_secs(),
        system_state: linux.system_state(deadline).ok(),
        load: resources.and_then(|resources| resources.load().ok()),
        memory: resources.and_then(|resources| resources.memory().ok()),
        disks: disks(declared),
        // Who watches knows.
        health: None,
    }
}

/// Since when it is as it is. A unit that is up is so since its run began: a reload changes
/// its state for a moment, and restarts nothing.
fn since(status: &UnitStatus) -> Option<Timestamp> {
    let changed = status.since?;
    match (status.since_monotonic, status.inactive_exit_monotonic) {
        (Some(at), Some(began)) if status.is_up() => Some(changed.saturating_sub(at.since(began))),
        _ => Some(changed),
    }
}

/// One whose unit this host does not have.
fn missing(service: &Service, past: &Past, now: Timestamp) -> ServiceStatus {
    ServiceStatus {
        state: Some(ActiveState::Inactive),
        sub_state: Some("not found".to_owned()),
        up: Some(false),
        ..service_status(service, None, Vec::new(), past, now)
    }
}

fn service_status(
    service: &Service,
    status: Option<&UnitStatus>,
    ports: Vec<prunella_api::PortStatus>,
    past: &Past,
    now: Timestamp,
) -> ServiceStatus {
    let up = status.map(UnitStatus::is_up);
    ServiceStatus {
        unit: service.unit.clone(),
        domain: service.domain.clone(),
        critical: service.critical,
        state: status.map(|status| status.active_state),
        sub_state: status.map(|status| {
            if status.exists() {
                status.sub_state.clone()
            } else {
                "not found".to_owned()
            }
        }),
        up,
        // Only a daemon knows, which adds it.
        health: None,
        since: status.and_then(since),
        ports,
        paused: past
            .pauses
            .iter()
            .any(|pause| pause.holds(now) && pause.covers(&service.unit)),
        open_incident: past.open(&service.unit).cloned(),
        // One that is up waits for nothing.
        waits: past.waits(&service.unit).filter(|_| up != Some(true)),
        failed_over_to: status.and_then(|status| past.failed_over_to(status).cloned()),
        last_healing: past.healing(&service.unit).cloned(),
    }
}
