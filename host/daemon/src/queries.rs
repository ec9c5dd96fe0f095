//! Queries, answered from the store and from the host as it is: by the daemon,
//! and by a command where no daemon runs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use prunella_analysis::HostAnalyst;
use prunella_api::{
    Answer, AuditFilter, DaemonInfo, ExpositionFormat, HealthDetail, HealthReport, MetricHistory,
    MetricsReport, PluginStatus, Queries, Records, Refusal, RefusalKind, ReportFormat, SeenHealth,
    ServiceDetail, ServiceStatus, StatusReport,
};
use prunella_config::Config;
use prunella_core::{
    ChannelName, Timestamp, UnitName,
    access::AuditEntry,
    alert::{Dispatch, DispatchFilter, DispatchState},
    event::Events,
    health::{ExpectedWork, Health, HealthState, Metric, Subject},
    oversight::Approval,
    statistics::StrategyStatistics,
    summary::{Filter, Summary},
    text::one_line,
    trail::Record,
};
use prunella_linux::{Linux, LinuxSettings};
use prunella_store::{Store, StoreError};

use crate::{
    DaemonError, Paths, access, alerts, clock, configuration, exposition, health::ProbeFigures,
    incidents, measured, overview, plugins, reports, sampler::Sampler,
};

/// How long one look at a unit may take.
const LOOK: Duration = Duration::from_secs(5);

/// As much is shown of why a channel does not take a message.
const WHY_MAX: usize = 120;

/// How much of a metric is shown where no time is given.
const LAST_HOUR: Duration = Duration::from_secs(3_600);

/// Changes of a service's health that are listed where no time is given.
const TRANSITIONS: u32 = 20;

/// The most that are listed.
const MOST_TRANSITIONS: u32 = 1_000;

/// Orders that are listed, unless told otherwise.
const AUDITED: u32 = 100;

/// The most that are listed.
const MOST_AUDITED: u32 = 1_000;

/// What is in force, by whoever answers.
pub(crate) trait InForce: Send + Sync {
    fn config(&self) -> Arc<Config>;

    /// The way to systemd.
    fn linux(&self) -> Answer<Arc<Linux>>;

    /// The daemon that answers; absent for a command.
    fn daemon(&self) -> Option<DaemonInfo>;

    /// How the services are, by name; nothing, where no daemon watches.
    fn health(&self) -> Option<Vec<Health>>;

    /// How the host is; nothing, where no daemon watches.
    fn host_health(&self) -> Option<Health>;

    /// What measures; nothing, where no daemon does.
    fn sampler(&self) -> Option<&Sampler>;

    /// How probes were answered since the daemon began; nothing, where no daemon asks them.
    fn probe_figures(&self) -> Vec<ProbeFigures>;

    /// Waits, but not for long, until what is known of health is in the store.
    fn wait_for_health(&self);

    /// What is wrong with the configuration, one sentence each.
    fn config_problems(&self) -> Vec<String>;

    /// What else an operator should know, one sentence each.
    fn notices(&self) -> Vec<String>;
}

/// Answers from the store and the host.
pub struct LocalQueries {
    paths: Paths,
    in_force: Arc<dyn InForce>,
    /// Absent when nothing has happened yet.
    store: Result<Option<Arc<Store>>, Refusal>,
    /// How strategies stood, by the configuration of then.
    plugins: Mutex<Option<(Arc<Config>, Vec<PluginStatus>)>>,
}

impl LocalQueries {
    /// For the daemon, by its own store.
    pub(crate) fn of_daemon(
        paths: Paths,
        in_force: Arc<dyn InForce>,
        store: Option<Arc<Store>>,
    ) -> Self {
        let store = store.map(Some).ok_or_else(access::no_store);
        Self {
            paths,
            in_force,
            store,
            plugins: Mutex::default(),
        }
    }

    /// For a command, where no daemon runs.
    ///
    /// # Errors
    /// When this user may not look.
    pub fn of_command(paths: &Paths) -> Result<Self, Refusal> {
        access::may_look(paths)?;
        let store = match Store::open_read_only(&paths.store()) {
            Ok(store) => Ok(Some(Arc::new(store))),
            // Nothing has happened yet.
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(Refusal::new(
                RefusalKind::Failed,
                format!("the incident store cannot be opened: {error}"),
            )),
        };
        Ok(Self {
            paths: paths.clone(),
            in_force: Arc::new(Command {
                paths: paths.clone(),
                linux: Mutex::default(),
            }),
            store,
            plugins: Mutex::default(),
        })
    }

    /// Adds how these services are, where a daemon watches.
    fn add_health(&self, services: &mut [ServiceStatus]) {
        let Some(all) = self.in_force.health() else {
            return;
        };
        for service in services {
            let unit = Some(&service.unit);
            let place = all.binary_search_by(|health| health.subject.unit().cmp(&unit));
            service.health = place.ok().and_then(|place| all.get(place)).cloned();
        }
    }

    /// The service in care with this name, or with one that its unit goes by, too.
    fn in_care(&self, unit: &UnitName) -> Answer<UnitName> {
        let config = self.in_force.config();
        if config.services.contains_key(unit) {
            return Ok(unit.clone());
        }
        let units = self.in_force.linux()?.units();
        let unit = match units.get(Instant::now() + LOOK, unit) {
            Ok(status) => status.name,
            Err(_) => unit.clone(),
        };
        if config.services.contains_key(&unit) {
            Ok(unit)
        } else {
            Err(DaemonError::NotInCare(unit).into())
        }
    }

    /// The subject by the name that it is known by here.
    fn known_as(&self, subject: &Subject) -> Answer<Subject> {
        match subject {
            Subject::Host => Ok(Subject::Host),
            Subject::Unit(unit) => Ok(self.in_care(unit)?.into()),
        }
    }

    /// How the host and the services in care were, when a daemon saw them last.
    fn last_known(&self, now: Timestamp) -> Answer<(Option<SeenHealth>, Vec<SeenHealth>)> {
        let seen = self.read(Store::seen_health)?.unwrap_or_default();
        // Of what was known then that may be over, and more may be expected since.
        let expected = self.expected_work()?;
        let mut seen: BTreeMap<Subject, SeenHealth> = seen
            .into_iter()
            .map(|seen| {
                let known = SeenHealth {
                    seen_at: Some(seen.moment.at),
                    health: seen.health,
                };
                (known.health.subject.clone(), known)
            })
            .collect();
        let host = seen.remove(&Subject::Host);
        let config = self.in_force.config();
        let services = config
            .services
            .keys()
            .map(|unit| {
                let subject = Subject::from(unit.clone());
                let mut known = seen
                    .remove(&subject)
                    .unwrap_or_else(|| never_seen(subject, now));
                let mut expected = expected.iter();
                known.health.expected_work = expected.find(|work| work.unit == *unit).cloned();
                known
            })
            .collect();
        Ok((host, services))
    }

    /// What the store says; `None` when there is no store yet.
    fn read<T>(&self, ask: impl FnOnce(&Store) -> Result<T, StoreError>) -> Answer<Option<T>> {
        match &self.store {
            Ok(Some(store)) => ask(store)
                .map(Some)
                .map_err(|error| Refusal::new(RefusalKind::Failed, error.to_string()).into()),
            Ok(None) => Ok(None),
            Err(refusal) => Err(refusal.clone().into()),
        }
    }
}

impl Queries for LocalQueries {
    fn status(&self) -> Answer<StatusReport> {
        let mut alarms = self.in_force.config_problems();
        let kill_switch = self.paths.kill_switch();
        if kill_switch.exists() {
            alarms.insert(
                0,
                format!(
                    "nothing is healed while {} is there: remove it to go on",
                    kill_switch.display()
                ),
            );
        }
        let mut notices = self.in_force.notices();
        if let Some(model) = &self.in_force.config().analysis
            && let Some(why) = HostAnalyst::new(&self.paths.run).silence()
        {
            notices.push(format!("the model {}: {why}", model.model));
        }
        let store = match &self.store {
            Ok(store) => store.as_deref(),
            Err(refusal) => {
                notices.push(refusal.message.clone());
                None
            }
        };
        if let Some(trouble) = store.and_then(Store::trouble) {
            notices.push(format!(
                "the incident store does not work, and what happens is only in the journal: \
                 {trouble}"
            ));
        }
        if let Some(store) = store {
            notices.extend(undelivered(store));
        }
        let mut report = overview::of(
            &self.paths,
            &self.in_force.config(),
            store,
            &self.in_force.linux()?,
            self.in_force.daemon(),
            alarms,
            notices,
        );
        self.add_health(&mut report.services);
        report.host.health = self.in_force.host_health();
        Ok(report)
    }

    fn service(&self, unit: &UnitName) -> Answer<ServiceDetail> {
        let config = self.in_force.config();
        let linux = self.in_force.linux()?;
        let deadline = Instant::now() + LOOK;
        let status = linux.units().get(deadline, unit).map_err(|failure| {
            let unit = unit.clone();
            DaemonError::Unit { unit, failure }
        })?;
        // An alias may have been given; and a unit that does not exist has no other name.
        let service = config
            .services
            .get(&status.name)
            .or_else(|| config.services.get(unit))
            .ok_or_else(|| DaemonError::NotInCare(status.name.clone()))?;
        let asked = overview::Asked {
            paths: &self.paths,
            config: &config,
            store: self.store.as_ref().ok().and_then(Option::as_ref),
            linux: &linux,
        };
        let mut detail = overview::of_service(&asked, service, &status);
        self.add_health(std::slice::from_mut(&mut detail.service));
        Ok(detail)
    }

    fn health(&self) -> Answer<HealthReport> {
        let at = clock::now();
        let now = |health| SeenHealth {
            health,
            seen_at: Some(at),
        };
        let watched = self.in_force.health();
        let last_known = watched.is_none();
        let (host, mut services) = match watched {
            Some(services) => (
                self.in_force.host_health().map(now),
                services.into_iter().map(now).collect(),
            ),
            None => self.last_known(at)?,
        };
        services.sort_by(|a, b| {
            (a.health.state, &a.health.subject).cmp(&(b.health.state, &b.health.subject))
        });
        Ok(HealthReport {
            at,
            last_known,
            host,
            services,
        })
    }

    fn health_of(&self, subject: &Subject, since: Option<Timestamp>) -> Answer<HealthDetail> {
        let subject = self.known_as(subject)?;
        let HealthReport {
            at,
            last_known,
            host,
            services,
        } = Queries::health(self)?;
        let service = host
            .into_iter()
            .chain(services)
            .find(|seen| seen.health.subject == subject);
        let service = match (service, &subject) {
            (Some(service), _) => service,
            (None, Subject::Unit(unit)) => {
                return Err(DaemonError::NotInCare(unit.clone()).into());
            }
            (None, Subject::Host) => never_seen(Subject::Host, at),
        };
        let limit = since.map_or(TRANSITIONS, |_| MOST_TRANSITIONS);
        self.in_force.wait_for_health();
        let transitions = self
            .read(|store| store.health_transitions(&subject, since, limit))?
            .unwrap_or_default();
        Ok(HealthDetail {
            at,
            last_known,
            service,
            transitions,
        })
    }

    fn metrics(&self, subject: Option<&Subject>) -> Answer<MetricsReport> {
        let subject = subject.map(|subject| self.known_as(subject)).transpose()?;
        measured::report(&self.paths, self.in_force.sampler(), subject.as_ref())
    }

    fn metric(
        &self,
        subject: &Subject,
        metric: Metric,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Answer<MetricHistory> {
        let subject = self.known_as(subject)?;
        let now = clock::now();
        let until = until.map_or(now, |until| until.min(now));
        let since = since.unwrap_or_else(|| until.saturating_sub(LAST_HOUR));
        measured::history(
            &self.paths,
            self.in_force.sampler(),
            &subject,
            metric,
            since,
            until,
        )
    }

    fn expected_work(&self) -> Answer<Vec<ExpectedWork>> {
        Ok(self
            .read(|store| store.expected_work(clock::now()))?
            .unwrap_or_default())
    }

    fn incidents(&self, filter: &Filter) -> Answer<Vec<Summary>> {
        Ok(self
            .read(|store| store.incidents(filter))?
            .unwrap_or_default())
    }

    fn incident(&self, id: &str) -> Answer<Record> {
        match &self.store {
            Ok(Some(store)) => incidents::find(store, id),
            Ok(None) => Err(incidents::missing(id).into()),
            Err(refusal) => Err(refusal.clone().into()),
        }
    }

    fn records(&self, filter: &Filter, after: Option<u64>) -> Answer<Records> {
        let (records, next) = self
            .read(|store| store.records(filter, after))?
            .unwrap_or_default();
        Ok(Records { records, next })
    }

    fn statistics(&self, unit: Option<&UnitName>) -> Answer<Vec<StrategyStatistics>> {
        Ok(self
            .read(|store| store.statistics(unit))?
            .unwrap_or_default())
    }

    fn approvals(&self) -> Answer<Vec<Approval>> {
        Ok(self.read(Store::approvals)?.unwrap_or_default())
    }

    fn alerts(&self, filter: &DispatchFilter) -> Answer<Vec<Dispatch>> {
        Ok(self
            .read(|store| store.dispatches(filter))?
            .unwrap_or_default())
    }

    fn plugins(&self) -> Answer<Vec<PluginStatus>> {
        let config = self.in_force.config();
        let mut last = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        // Loading every strategy takes its time, and only a new configuration changes what
        // comes of it.
        if let Some((of, listed)) = &*last
            && Arc::ptr_eq(of, &config)
        {
            return Ok(listed.clone());
        }
        let listed: Vec<PluginStatus> = plugins::all(&self.paths, &config)?
            .into_iter()
            .map(PluginStatus::from)
            .collect();
        *last = Some((config, listed.clone()));
        Ok(listed)
    }

    fn report(&self, id: &str, format: ReportFormat) -> Answer<String> {
        let record = self.incident(id)?;
        let config = self.in_force.config();
        // Whoever reads it is not root, as far as is known.
        let report = reports::report(self, Some(&config), &record, true);
        reports::written(&self.paths, report, format)
    }

    fn audit(&self, filter: &AuditFilter) -> Answer<Vec<AuditEntry>> {
        let limit = filter.limit.unwrap_or(AUDITED).min(MOST_AUDITED);
        Ok(self
            .read(|store| store.audit(filter.before, limit))?
            .unwrap_or_default())
    }

    fn latest_event(&self) -> Answer<u64> {
        Ok(self.read(Store::latest_event)?.unwrap_or_default())
    }

    fn events(&self, after: u64, limit: u32) -> Answer<Events> {
        Ok(self
            .read(|store| store.events(after, limit))?
            .unwrap_or_default())
    }

    fn alert(&self, id: &str) -> Answer<Dispatch> {
        match &self.store {
            Ok(Some(store)) => alerts::find(store, id),
            Ok(None) => Err(alerts::missing(id).into()),
            Err(refusal) => Err(refusal.clone().into()),
        }
    }

    fn exposition(&self, format: ExpositionFormat) -> Answer<String> {
        let linux = self.in_force.linux()?;
        let figures = exposition::Figures::of(exposition::Sources {
            paths: &self.paths,
            config: &self.in_force.config(),
            store: self.store.as_ref().ok().and_then(Option::as_ref),
            store_works: self.store.is_ok(),
            linux: &linux,
            daemon: self.in_force.daemon(),
            health: self.in_force.health(),
            host_health: self.in_force.host_health(),
            probes: self.in_force.probe_figures(),
            config_problems: self.in_force.config_problems().len(),
        });
        exposition::written(figures, format).map_err(|error| {
            let what = format!("the figures cannot be written: {error}");
            Refusal::new(RefusalKind::Failed, what).into()
        })
    }
}

/// How a service, or the host, is that no daemon ever watched.
fn never_seen(subject: Subject, now: Timestamp) -> SeenHealth {
    let health = Health {
        subject,
        state: HealthState::Unknown,
        since: now,
        evidence: "no daemon has watched it yet".to_owned(),
        symptoms: Vec::new(),
        episodes: Vec::new(),
        probes: Vec::new(),
        flapping: None,
        expected_work: None,
        error_budget: None,
        forecasts: Vec::new(),
        unusual: Vec::new(),
    };
    SeenHealth {
        health,
        seen_at: None,
    }
}

/// What a command finds for itself.
struct Command {
    paths: Paths,
    /// Connected when first needed, and kept for `--watch`.
    linux: Mutex<Option<Arc<Linux>>>,
}

impl InForce for Command {
    fn config(&self) -> Arc<Config> {
        Arc::new(configuration::on_disk(&self.paths).config)
    }

    fn linux(&self) -> Answer<Arc<Linux>> {
        let mut linux = self.linux.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(linux) = &*linux {
            return Ok(Arc::clone(linux));
        }
        let connected = Linux::connect(LinuxSettings::default()).map_err(|error| {
            Refusal::new(
                RefusalKind::Failed,
                format!("cannot reach the host: {error}"),
            )
        })?;
        *linux = Some(Arc::clone(&connected));
        Ok(connected)
    }

    fn daemon(&self) -> Option<DaemonInfo> {
        None
    }

    fn health(&self) -> Option<Vec<Health>> {
        None
    }

    fn host_health(&self) -> Option<Health> {
        None
    }

    fn sampler(&self) -> Option<&Sampler> {
        None
    }

    fn probe_figures(&self) -> Vec<ProbeFigures> {
        Vec::new()
    }

    fn wait_for_health(&self) {}

    fn config_problems(&self) -> Vec<String> {
        configuration::problems(&self.paths, &configuration::on_disk(&self.paths))
    }

    fn notices(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What people do not hear because their channel does not take it, a sentence for each
/// channel.
fn undelivered(store: &Store) -> Vec<String> {
    let waiting = DispatchFilter {
        states: vec![DispatchState::Waiting, DispatchState::Sending],
        ..DispatchFilter::default()
    };
    let found = store.dispatches(&waiting).unwrap_or_else(|error| {
        // Its own trouble is told apart.
        tracing::debug!("what waits to be told is not known: {error}");
        Vec::new()
    });
    let mut channels: BTreeMap<ChannelName, (usize, String)> = BTreeMap::new();
    for dispatch in found {
        // The newest comes first, and has the latest word for why.
        let Some(why) = dispatch.detail.filter(|_| dispatch.tries > 0) else {
            continue;
        };
        channels.entry(dispatch.channel).or_insert((0, why)).0 += 1;
    }
    channels
        .into_iter()
        .map(|(channel, (count, why))| {
            let messages = match count {
                1 => "1 message waits".to_owned(),
                count => format!("{count} messages wait"),
            };
            format!(
                "people cannot be told by channel {channel}: {messages} ({}); `prunella alerts` \
                 shows them",
                one_line(&why, WHY_MAX)
            )
        })
        .collect()
}
