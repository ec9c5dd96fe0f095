//! What there is to tell, put together from configuration, store, and health.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use prunella_api::DaemonInfo;
use prunella_config::Config;
use prunella_core::{
    Timestamp,
    budget::Moment,
    health::{Health, HealthState},
    incident::{EndingKind, IncidentKind},
    situation::Situation as _,
};
use prunella_linux::Linux;
use prunella_metrics::histogram::Histogram;
use prunella_store::{Ledger, RECOVERY_BOUNDS, Store, StoreError, Total, TotalCount};

use super::{
    page::Page,
    process::{OwnCost, own_cost},
};
use crate::{Paths, clock, health::ProbeFigures};

/// How attempts end that every service counts from the beginning.
const ENDINGS: [EndingKind; 4] = [
    EndingKind::Healed,
    EndingKind::Recovered,
    EndingKind::LeftAlone,
    EndingKind::Escalated,
];

/// What figures are put together from.
pub(crate) struct Sources<'a> {
    pub(crate) paths: &'a Paths,
    pub(crate) config: &'a Config,
    /// Absent when it cannot be opened, or when nothing has happened yet.
    pub(crate) store: Option<&'a Arc<Store>>,
    /// Whether the store is as it should be, there or not there yet.
    pub(crate) store_works: bool,
    pub(crate) linux: &'a Linux,
    /// The daemon that answers; absent for a command.
    pub(crate) daemon: Option<DaemonInfo>,
    /// How the services are; nothing where no daemon watches.
    pub(crate) health: Option<Vec<Health>>,
    pub(crate) host_health: Option<Health>,
    pub(crate) probes: Vec<ProbeFigures>,
    /// What keeps configuration out of force.
    pub(crate) config_problems: usize,
}

/// Everything that is told.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(super) services: Vec<ServiceFigures>,
    pub(super) probes: Vec<ProbeFigures>,
    /// Whether the names of other agents are told too.
    pub(super) agent_names: bool,
    pub(super) daemon: Option<DaemonInfo>,
    pub(super) host_state: HealthState,
    pub(super) host_budget_left: f64,
    pub(super) store_works: bool,
    pub(super) config_problems: usize,
    pub(super) is_held: bool,
    pub(super) totals: Vec<TotalCount>,
    pub(super) waiting_messages: BTreeMap<String, u64>,
    pub(super) waiting_approvals: usize,
    pub(super) recoveries: BTreeMap<String, Histogram>,
    pub(super) cost: Option<OwnCost>,
}

/// What is told of one service.
#[derive(Debug)]
pub(super) struct ServiceFigures {
    pub(super) unit: String,
    pub(super) state: HealthState,
    /// How long the slowest of its probes took last.
    pub(super) latency_ms: Option<u64>,
    pub(super) budget_left: f64,
    pub(super) has_incident: bool,
    pub(super) asks_people: bool,
}

/// What the store knows.
#[derive(Default)]
struct Stored {
    totals: Vec<TotalCount>,
    standing: BTreeMap<String, bool>,
    waiting_messages: BTreeMap<String, u64>,
    waiting_approvals: usize,
}

impl Stored {
    fn read(store: &Store, now: Timestamp) -> Result<Self, StoreError> {
        let approvals = store.approvals()?;
        Ok(Self {
            totals: store.totals()?,
            standing: store.standing_incidents()?.into_iter().collect(),
            waiting_messages: store.waiting_messages()?.into_iter().collect(),
            waiting_approvals: approvals.iter().filter(|one| one.waits(now)).count(),
        })
    }
}

impl Figures {
    /// Puts them together. What cannot be read of the store is left out, and told as trouble
    /// of the store.
    pub(crate) fn of(sources: Sources<'_>) -> Self {
        let now = clock::now();
        let mut store_works = sources.store_works;
        let stored = match sources.store.map(|store| Stored::read(store, now)) {
            Some(Ok(stored)) => stored,
            Some(Err(error)) => {
                tracing::debug!("what was counted cannot be read: {error}");
                store_works = false;
                Stored::default()
            }
            None => Stored::default(),
        };
        store_works &= sources.store.is_none_or(|store| store.trouble().is_none());
        let moment = Moment {
            boot_id: sources.linux.boot_id(),
            since_boot: sources.linux.since_boot(),
            at: now,
        };
        let ledger = Ledger::new(sources.store.cloned(), sources.paths.run.clone());
        let health: BTreeMap<&str, &Health> = sources
            .health
            .iter()
            .flatten()
            .map(|health| (health.subject.as_str(), health))
            .collect();
        // Whoever never had an incident has spent nothing.
        let with_past: BTreeSet<&str> = stored
            .totals
            .iter()
            .filter(|count| count.total == Total::Incidents)
            .map(|count| count.subject.as_str())
            .collect();
        let services = sources
            .config
            .services
            .values()
            .map(|service| {
                let unit = service.unit.as_str();
                let health = health.get(unit);
                let state = health.map_or(HealthState::Unknown, |health| health.state);
                let settings = service.budget.as_ref().unwrap_or(&sources.config.budget);
                let used = if with_past.contains(unit) || !store_works {
                    ledger
                        .healings(&service.unit, &moment, settings.window)
                        .len()
                } else {
                    0
                };
                let standing = stored.standing.get(unit);
                ServiceFigures {
                    unit: unit.to_owned(),
                    state,
                    latency_ms: health.and_then(|health| {
                        let latencies = health.probes.iter().map(|probe| probe.latency_ms);
                        latencies.max().flatten()
                    }),
                    budget_left: left(settings.healings, used),
                    has_incident: standing.is_some(),
                    asks_people: standing == Some(&true) && state != HealthState::Healthy,
                }
            })
            .collect();
        let host_budget = &sources.config.host_budget;
        let host_used = ledger.host_healings(&moment, host_budget.window).len();
        let host_budget_left = left(host_budget.healings, host_used);
        Self {
            services,
            probes: sources.probes,
            agent_names: sources.config.metrics.agent_names,
            host_state: sources
                .host_health
                .map_or(HealthState::Unknown, |health| health.state),
            host_budget_left,
            store_works,
            config_problems: sources.config_problems,
            is_held: sources.paths.kill_switch().exists(),
            recoveries: recoveries(&stored.totals),
            totals: stored.totals,
            waiting_messages: stored.waiting_messages,
            waiting_approvals: stored.waiting_approvals,
            cost: sources.daemon.as_ref().and_then(|_| own_cost()),
            daemon: sources.daemon,
        }
    }

    /// Whether a daemon watches the services.
    pub(super) fn is_watched(&self) -> bool {
        self.daemon.is_some()
    }

    /// What was counted of all subjects.
    pub(super) fn sum(&self, total: Total) -> u64 {
        self.totals
            .iter()
            .filter(|count| count.total == total)
            .map(|count| count.number)
            .sum()
    }

    /// What was counted by label, of each service in care: with zero for each of `labels`.
    fn by_label<'a>(
        &'a self,
        total: Total,
        label: &'static str,
        labels: &'a [&'static str],
    ) -> Vec<([(&'a str, &'a str); 2], u64)> {
        let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for service in &self.services {
            for value in labels {
                counts.insert((&service.unit, value), 0);
            }
        }
        let in_care: BTreeSet<&str> = self.services.iter().map(|it| it.unit.as_str()).collect();
        for count in self.totals.iter().filter(|count| count.total == total) {
            if in_care.contains(count.subject.as_str()) {
                counts.insert((&count.subject, &count.label), count.number);
            }
        }
        counts
            .into_iter()
            .map(|((unit, value), number)| ([("unit", unit), (label, value)], number))
            .collect()
    }

    /// What was counted of each service in care.
    pub(super) fn by_unit(&self, total: Total) -> impl Iterator<Item = ([(&str, &str); 1], u64)> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for count in self.totals.iter().filter(|count| count.total == total) {
            *counts.entry(&count.subject).or_default() += count.number;
        }
        self.services.iter().map(move |service| {
            let unit = service.unit.as_str();
            ([("unit", unit)], counts.get(unit).copied().unwrap_or(0))
        })
    }

    fn per_service(
        &self,
        value: impl Fn(&ServiceFigures) -> f64,
    ) -> impl Iterator<Item = ([(&str, &str); 1], f64)> {
        self.services
            .iter()
            .map(move |service| ([("unit", service.unit.as_str())], value(service)))
    }

    /// Writes all but the names of other agents.
    pub(super) fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        self.write_itself(page)?;
        self.write_health(page)?;
        self.write_incidents(page)?;
        self.write_telling(page)
    }

    fn write_itself(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge(
            "prunella_build_info",
            "The version of Prunella that answers; always 1.",
            [([("version", env!("CARGO_PKG_VERSION"))], 1.0)],
        )?;
        page.gauge(
            "prunella_daemon_running",
            "Whether a daemon watches the services.",
            [([], flag(self.is_watched()))],
        )?;
        page.gauge(
            "prunella_daemon_start_time_seconds",
            "When the daemon began, in seconds since 1970.",
            self.daemon
                .as_ref()
                .map(|daemon| ([], seconds(daemon.since.as_millis()))),
        )?;
        page.gauge(
            "prunella_store_working",
            "Whether the incident store can be read and written.",
            [([], flag(self.store_works))],
        )?;
        page.gauge(
            "prunella_config_problems",
            "What keeps configuration out of force, as a number of sentences of `prunella status`.",
            [([], number(self.config_problems))],
        )?;
        page.gauge(
            "prunella_healing_disabled",
            "Whether the kill switch keeps everything from being healed.",
            [([], flag(self.is_held))],
        )?;
        page.counter(
            "prunella_daemon_cpu_seconds",
            "Processor time that the daemon has used.",
            self.cost.map(|cost| ([], cost.cpu_seconds)),
        )?;
        page.gauge(
            "prunella_daemon_resident_memory_bytes",
            "Memory of the daemon that is resident.",
            self.cost.map(|cost| ([], cost.resident_bytes)),
        )?;
        let of_strategies = |total| {
            let counts = self.totals.iter().filter(move |it| it.total == total);
            counts.map(|count| ([("strategy", count.label.as_str())], count.number))
        };
        page.counter(
            "prunella_strategy_runs",
            "Runs of strategies that healed, or tried to.",
            of_strategies(Total::Runs),
        )?;
        page.counter(
            "prunella_strategy_run_seconds",
            "How long those runs took, with all that they waited for.",
            of_strategies(Total::RunMicros).map(|(labels, us)| (labels, from_micros(us))),
        )
    }

    fn write_health(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge(
            "prunella_service_health",
            "How a service is: 1 for the state that it is in, 0 for all others.",
            self.services.iter().flat_map(|service| {
                HealthState::ALL.map(|state| {
                    let labels = [("unit", service.unit.as_str()), ("state", state.as_str())];
                    (labels, flag(state == service.state))
                })
            }),
        )?;
        page.gauge(
            "prunella_host_health",
            "How the host is: 1 for the state that it is in, 0 for all others.",
            HealthState::ALL.map(|state| {
                let labels = [("state", state.as_str())];
                (labels, flag(state == self.host_state))
            }),
        )?;
        page.histogram(
            "prunella_probe_latency_seconds",
            "How long probes took that were answered as they should be, since the daemon began.",
            self.probes.iter().map(|it| (it.labels(), &it.latency)),
        )?;
        page.counter(
            "prunella_probes_unanswered",
            "Probes that were not answered as they should be, since the daemon began.",
            self.probes.iter().map(|it| (it.labels(), it.unanswered)),
        )
    }

    fn write_incidents(&self, page: &mut Page<'_>) -> fmt::Result {
        let kinds = [IncidentKind::Failure, IncidentKind::Degradation].map(IncidentKind::as_str);
        page.counter(
            "prunella_incidents",
            "Incidents that were opened.",
            self.by_label(Total::Incidents, "kind", &kinds),
        )?;
        page.gauge(
            "prunella_incident_open",
            "Whether the service has an incident that is not over.",
            self.per_service(|service| flag(service.has_incident)),
        )?;
        page.gauge(
            "prunella_incident_needs_people",
            "Whether people are asked to see to the service.",
            self.per_service(|service| flag(service.asks_people)),
        )?;
        let endings = ENDINGS.map(EndingKind::as_str);
        page.counter(
            "prunella_attempts",
            "Attempts to heal that ended, by how they did.",
            self.by_label(Total::Attempts, "outcome", &endings),
        )?;
        page.counter(
            "prunella_acts",
            "Acts that were begun.",
            self.by_label(Total::Acts, "act", &[]),
        )?;
        page.counter(
            "prunella_acts_failed",
            "Acts that could not be carried out.",
            self.by_unit(Total::ActsFailed),
        )?;
        page.counter(
            "prunella_acts_denied",
            "Acts that a strategy asked for and that were not allowed.",
            self.by_unit(Total::ActsDenied),
        )?;
        page.counter(
            "prunella_proofs",
            "Healings that were proven.",
            self.by_unit(Total::Proofs),
        )?;
        page.counter(
            "prunella_proofs_failed",
            "Healings after which the service did not become, or stay, well.",
            self.by_unit(Total::ProofsFailed),
        )?;
        page.counter(
            "prunella_relapses",
            "Healings after which the service was well for a while, and failed again.",
            self.by_unit(Total::Relapses),
        )?;
        page.histogram(
            "prunella_recovery_seconds",
            "From a failure to the moment of recovery, of healings with proof.",
            self.services.iter().filter_map(|service| {
                let histogram = self.recoveries.get(&service.unit)?;
                Some(([("unit", service.unit.as_str())], histogram))
            }),
        )?;
        page.gauge(
            "prunella_healing_budget_remaining",
            "Healings that the budget of a service still allows within its window.",
            self.per_service(|service| service.budget_left),
        )?;
        page.gauge(
            "prunella_host_healing_budget_remaining",
            "Healings that the budget of the host still allows within its window.",
            [([], self.host_budget_left)],
        )
    }

    fn write_telling(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge(
            "prunella_approvals_waiting",
            "Acts that wait until a person agrees.",
            [([], number(self.waiting_approvals))],
        )?;
        page.counter(
            "prunella_messages",
            "Messages to people that came to an end, by channel and by what became of them.",
            self.totals
                .iter()
                .filter(|count| count.total == Total::Messages)
                .map(|count| {
                    let outcome = ("outcome", count.label.as_str());
                    ([("channel", count.subject.as_str()), outcome], count.number)
                }),
        )?;
        page.gauge(
            "prunella_messages_waiting",
            "Messages to people that are still to be sent.",
            self.waiting_messages
                .iter()
                .map(|(channel, waiting)| ([("channel", channel.as_str())], float(*waiting))),
        )
    }
}

impl ProbeFigures {
    fn labels(&self) -> [(&str, &str); 2] {
        [("unit", self.unit.as_str()), ("probe", self.probe.as_str())]
    }
}

pub(super) fn recoveries(totals: &[TotalCount]) -> BTreeMap<String, Histogram> {
    let mut all: BTreeMap<String, Histogram> = BTreeMap::new();
    let mut of = |unit: &str, place: usize, number: u64, sum: f64| {
        all.entry(unit.to_owned())
            .or_insert_with(|| Histogram::new(&RECOVERY_BOUNDS))
            .add(place, number, sum);
    };
    for count in totals {
        match count.total {
            Total::Recoveries => {
                if let Ok(place) = count.label.parse() {
                    of(&count.subject, place, count.number, 0.0);
                }
            }
            Total::RecoveryMicros => of(&count.subject, 0, 0, from_micros(count.number)),
            _ => {}
        }
    }
    all
}

fn flag(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

fn left(allowed: u32, used: usize) -> f64 {
    f64::from(allowed.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX)))
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[allow(
    clippy::cast_precision_loss,
    reason = "whole numbers up to 2^53 are exact, and nothing here comes near"
)]
fn float(count: u64) -> f64 {
    count as f64
}

fn seconds(millis: u64) -> f64 {
    float(millis) / 1e3
}

fn from_micros(micros: u64) -> f64 {
    float(micros) / 1e6
}
