//! Putting the overview together: what `prunella status` shows, and what the
//! daemon answers on its status socket.
//!
//! Everything here only looks, and whatever cannot be found out stays absent.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_api::{
    AwaitingGrant, DaemonInfo, DayCount, HostOverview, LastHealing, NeedsPeople, PortStatus,
    ServiceStatus, StatusReport,
};
use prunella_config::Config;
use prunella_core::{
    Timestamp, UnitName,
    capability::{Protocol, UnitStatus},
    incident::{EndingKind, IncidentId},
    service::Service,
    situation::Situation,
    summary::{Filter, Summary},
};
use prunella_linux::{
    Linux,
    resources::HostResources,
    sockets::{self, BoundSocket},
    units::SystemdUnits,
};
use prunella_store::{Pause, Store};

use crate::{Paths, clock, disks::disks, pauses};

/// For all the questions of one overview together: somebody is waiting.
const PATIENCE: Duration = Duration::from_secs(5);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Incidents whose time is worth a look when asking who needs people.
const LATEST: u32 = 500;

/// What an overview is put together from.
struct Sources<'a> {
    config: &'a Config,
    /// Absent when it cannot be opened.
    store: Option<&'a Store>,
    units: &'a SystemdUnits,
    resources: Option<&'a HostResources>,
    situation: &'a dyn Situation,
    /// The addresses and ports on which anybody listens; absent when that cannot be told.
    listening: &'a dyn Fn(Protocol) -> Option<BTreeSet<SocketAddr>>,
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
    collect(Sources {
        config,
        store,
        units: &linux.units(),
        resources: resources.as_ref(),
        situation: linux.as_ref(),
        listening: &listening,
        daemon,
        awaiting_grant: crate::plugins::awaiting_grant(paths, config),
        alarms,
        notices,
    })
}

/// The addresses and ports on which anybody listens.
fn listening(protocol: Protocol) -> Option<BTreeSet<SocketAddr>> {
    let sockets = sockets::bound(protocol, None).ok()?;
    let at = |socket: BoundSocket| SocketAddr::new(socket.address, socket.port);
    Some(sockets.into_iter().map(at).collect())
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
    let mut held = BTreeMap::new();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        held.insert(protocol, (sources.listening)(protocol));
    }

    let mut bus_trouble = None;
    let mut services = Vec::new();
    for service in sources.config.services.values() {
        let status = match sources.units.get(deadline, &service.unit) {
            Ok(status) => Some(status),
            Err(failure) => {
                bus_trouble.get_or_insert_with(|| failure.to_string());
                None
            }
        };
        services.push(service_status(service, status.as_ref(), &held, &past, now));
    }
    if let Some(trouble) = bus_trouble {
        notices.push(format!("the state of some units is not known: {trouble}"));
    }
    let needs_people = past.needs_people(&services);
    StatusReport {
        at: now,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        daemon: sources.daemon,
        host: host(sources.resources, sources.situation, deadline),
        services,
        day: past.day,
        pauses: past.pauses.iter().map(pauses::shown).collect(),
        needs_people,
        awaiting_grant: sources.awaiting_grant,
        alarms: sources.alarms,
        notices,
    }
}

fn host(
    resources: Option<&HostResources>,
    situation: &dyn Situation,
    deadline: Instant,
) -> HostOverview {
    HostOverview {
        name: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        uptime_s: situation.since_boot().as_secs(),
        system_state: situation.system_state(deadline).ok(),
        load: resources.and_then(|resources| resources.load().ok()),
        memory: resources.and_then(|resources| resources.memory().ok()),
        disks: disks(),
    }
}

fn service_status(
    service: &Service,
    status: Option<&UnitStatus>,
    held: &BTreeMap<Protocol, Option<BTreeSet<SocketAddr>>>,
    past: &Past,
    now: Timestamp,
) -> ServiceStatus {
    // In a network of its own the host cannot see its ports.
    let private = status.is_some_and(|status| status.private_network);
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
        up: status.map(UnitStatus::is_up),
        since: status.and_then(|status| status.since),
        ports: service
            .ports
            .iter()
            .map(|port| PortStatus {
                port: *port,
                held: held
                    .get(&port.protocol)
                    .and_then(Option::as_ref)
                    .filter(|_| !private)
                    .map(|listening| {
                        listening
                            .iter()
                            .any(|at| at.port() == port.number && port.is_served_at(at.ip()))
                    }),
            })
            .collect(),
        paused: past
            .pauses
            .iter()
            .any(|pause| pause.holds(now) && pause.covers(&service.unit)),
        open_incident: past.latest.get(&service.unit).and_then(|latest| {
            matches!(latest.ended, None | Some(EndingKind::Blocked)).then(|| latest.id.clone())
        }),
        last_healing: past.healings.get(&service.unit).cloned(),
    }
}

/// What the store knows.
#[derive(Default)]
struct Past {
    day: DayCount,
    pauses: Vec<Pause>,
    /// Each unit's latest incident, dry runs left out.
    latest: BTreeMap<UnitName, Summary>,
    healings: BTreeMap<UnitName, LastHealing>,
    /// Why the latest ones ended as they did, where that needs people.
    reasons: BTreeMap<IncidentId, String>,
}

impl Past {
    fn read(store: &Store, now: Timestamp) -> Result<Self, prunella_store::StoreError> {
        let mut past = Self {
            pauses: store
                .pauses()?
                .into_iter()
                .filter(|pause| pause.holds(now))
                .collect(),
            ..Self::default()
        };
        for (ended, count) in store.counts_since(now.saturating_sub(DAY))? {
            past.day.count(ended, count);
        }
        let lately = store.incidents(&Filter {
            limit: Some(LATEST),
            ..Filter::default()
        })?;
        for incident in lately {
            if incident.ended == Some(EndingKind::DryRun) {
                continue;
            }
            if incident.ended == Some(EndingKind::Healed)
                && !past.healings.contains_key(&incident.unit)
            {
                past.healings.insert(
                    incident.unit.clone(),
                    LastHealing {
                        incident: incident.id.clone(),
                        at: incident
                            .at
                            .saturating_add(incident.recovered_after.unwrap_or_default()),
                        strategy: incident.strategy.clone(),
                        recovered_after: incident.recovered_after,
                    },
                );
            }
            if !past.latest.contains_key(&incident.unit) {
                past.latest.insert(incident.unit.clone(), incident);
            }
        }
        for incident in past.latest.values() {
            let reason = match (incident.ended, incident.left_alone) {
                (Some(EndingKind::Escalated | EndingKind::Interrupted), _) => incident.why.clone(),
                (Some(EndingKind::LeftAlone), Some(why)) if why.needs_people() => {
                    Some(format!("left alone: {}", why.sentence()))
                }
                _ => None,
            };
            if let Some(reason) = reason {
                past.reasons.insert(incident.id.clone(), reason);
            }
        }
        Ok(past)
    }

    /// Those whose latest incident was handed to people, and which are not up
    /// again: whoever brought a service up has seen to it.
    fn needs_people(&self, services: &[ServiceStatus]) -> Vec<NeedsPeople> {
        let mut needy: Vec<NeedsPeople> = services
            .iter()
            .filter(|service| service.up != Some(true))
            .filter_map(|service| {
                let latest = self.latest.get(&service.unit)?;
                let reason = self.reasons.get(&latest.id)?;
                Some(NeedsPeople {
                    incident: latest.id.clone(),
                    unit: latest.unit.clone(),
                    at: latest.at,
                    reason: reason.clone(),
                })
            })
            .collect();
        needy.sort_by_key(|needy| std::cmp::Reverse(needy.at));
        needy
    }
}
