//! How the services are: what is seen goes into the trackers of `prunella-health`, and
//! what changes is stored.
//!
//! Whoever sees something only takes a lock for a moment. Looking at units, reading pauses
//! and writing to the store has a thread of its own, which sleeps until there is something
//! to do: no healing, and no probe, waits for the store.

mod ahead;
mod budgets;
mod latencies;
mod seen;
mod work;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        mpsc::{self, Sender},
    },
    thread,
    time::Duration,
};

use prunella_config::Config;
use prunella_core::{
    UnitName,
    budget::Moment,
    capability::Certificate,
    duration::written,
    health::{
        Existing, Health, HealthState, Metric, ProbeHealth, Reading, Subject, SubjectForecast,
        Symptom, SymptomLevel, Undecided, Unusual, explained_by,
    },
    incident::Incident,
    service::Service,
    situation::Situation as _,
    trail::Step,
};
use prunella_health::{
    HostTracker, IncidentEvent, Now, Observed, ProbeSettings, Sample, Signals, Tracker,
};
use prunella_linux::Linux;
use prunella_store::{SeenHealth, Store};

pub(crate) use self::latencies::{LATENCY_BOUNDS, ProbeFigures};
use self::{
    ahead::SeriesAhead,
    budgets::Written,
    latencies::Latencies,
    seen::{SeenDegradation, SeenStep, seen_degradation, seen_step},
    work::Work,
};
use crate::{DaemonError, clock};

/// What an earlier daemon knew counts for so long after it was seen.
const FRESH: Duration = Duration::from_secs(300);

/// Why nothing is known yet of what was not watched before.
const JUST_BEGUN: &str = "the daemon has just begun to watch it";

/// Why nothing is known yet of the host.
const NOT_MEASURED: &str = "the host has not been measured yet";

/// What a probe's turn has told of health.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) sample: Sample,
    /// The certificate that it was shown.
    pub(crate) certificate: Option<Certificate>,
}

impl From<Sample> for Heard {
    fn from(sample: Sample) -> Self {
        Self {
            sample,
            certificate: None,
        }
    }
}

/// How the services in care are.
pub(crate) struct HealthBook {
    linux: Arc<Linux>,
    store: Option<Arc<Store>>,
    trackers: Mutex<BTreeMap<UnitName, Tracker>>,
    host: Mutex<HostTracker>,
    /// The control groups of the units that were seen.
    groups: Mutex<BTreeMap<UnitName, Group>>,
    /// Which symptoms of the host were news last, how bad they were, and which services were
    /// degraded because of them.
    host_told: Mutex<Option<(Vec<HostSymptom>, Vec<UnitName>)>>,
    /// What was to be used up when that was news last.
    ahead_told: Mutex<Option<Vec<SeriesAhead>>>,
    budgets_written: Written,
    /// How fast probes are answered.
    latencies: Latencies,
    work: Sender<Work>,
    /// Who is told what begins, or changes, an incident.
    on_news: OnceLock<Box<OnNews>>,
}

/// What is measured of the host, of what of it, and how bad it is.
type HostSymptom = (Metric, Option<String>, SymptomLevel);

/// Who hears of news. Must not block, nor ask the book.
type OnNews = dyn Fn(HealthNews) + Send + Sync;

/// What the health of a service has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HealthNews {
    /// It serves worse than it should.
    Degraded(UnitName),
    /// It is in another state than before.
    Changed(UnitName),
    /// These hold of the host, which they did not, or not all of them did; and these services
    /// are degraded because of it.
    Host(Vec<Symptom>, Vec<UnitName>),
    /// This will be used up; it was something else before.
    Ahead(Vec<SubjectForecast>),
}

/// Where a unit's processes are.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// systemd's ControlGroup.
    pub(crate) path: String,
    /// systemd's NRestarts.
    pub(crate) restarts: u32,
}

impl HealthBook {
    /// Begins with what an earlier daemon knew, where that is fresh.
    pub(crate) fn start(
        linux: &Arc<Linux>,
        store: Option<&Arc<Store>>,
        config: &Config,
    ) -> Result<Arc<Self>, DaemonError> {
        let (work, queue) = mpsc::channel();
        let book = Arc::new(Self {
            linux: Arc::clone(linux),
            store: store.cloned(),
            trackers: Mutex::default(),
            host: Mutex::new(HostTracker::new(
                config.host_health.clone(),
                Now {
                    since_boot: linux.since_boot(),
                    at: clock::now(),
                },
                NOT_MEASURED,
            )),
            groups: Mutex::default(),
            host_told: Mutex::default(),
            ahead_told: Mutex::default(),
            budgets_written: Written::default(),
            latencies: Latencies::default(),
            work,
            on_news: OnceLock::new(),
        });
        book.begin(config);
        let working = Arc::clone(&book);
        thread::Builder::new()
            .name("health".to_owned())
            .stack_size(256 << 10)
            .spawn(move || working.work(&queue))
            .map_err(DaemonError::thread("keeps what is known of health"))?;
        book.send(Work::Pauses);
        book.send(Work::LookAtUnseen);
        Ok(book)
    }

    fn begin(&self, config: &Config) {
        let mut earlier: BTreeMap<Subject, SeenHealth> = self
            .store
            .as_ref()
            .and_then(|store| {
                store
                    .seen_health()
                    .inspect_err(|error| tracing::debug!("how services were is not known: {error}"))
                    .ok()
            })
            .unwrap_or_default()
            .into_iter()
            .map(|seen| (seen.health.subject.clone(), seen))
            .collect();
        let now = self.now();
        let boot_id = self.linux.boot_id();
        self.begin_host(now, &boot_id, earlier.remove(&Subject::Host));
        for service in config.services.values() {
            let new = |why| tracker(service, now, why);
            let Some(seen) = earlier.remove(&Subject::from(service.unit.clone())) else {
                let tracker = new(JUST_BEGUN.to_owned());
                self.lock().insert(service.unit.clone(), tracker);
                continue;
            };
            let away = now.since_boot.saturating_sub(seen.moment.since_boot);
            let outdated = if seen.moment.boot_id != boot_id {
                Some("the host has been booted since it was seen last".to_owned())
            } else if away > FRESH {
                let away = written(Duration::from_secs(away.as_secs()));
                Some(format!("no daemon has seen it for {away}"))
            } else {
                None
            };
            match outdated {
                None => {
                    let why = "its unit was not seen since the daemon began".to_owned();
                    let tracker = new(why).carrying_on(now, &seen.health);
                    self.lock().insert(service.unit.clone(), tracker);
                }
                Some(why) => {
                    let (tracker, observed) = new(why).after(now, &seen.health);
                    self.lock().insert(service.unit.clone(), tracker);
                    self.note(&service.unit.clone().into(), observed);
                }
            }
        }
        let units: Vec<UnitName> = config.services.keys().cloned().collect();
        self.restore_budgets(config, &units);
    }

    /// Has `tell` hear of news from now on, and of what is degraded already. Only the first
    /// caller counts.
    pub(crate) fn when_there_is_news(&self, tell: impl Fn(HealthNews) + Send + Sync + 'static) {
        if self.on_news.set(Box::new(tell)).is_err() {
            tracing::debug!("somebody else hears of health");
            return;
        }
        let degraded: Vec<UnitName> = self
            .lock()
            .iter()
            .filter(|(_, tracker)| tracker.is_degraded())
            .map(|(unit, _)| unit.clone())
            .collect();
        for unit in degraded {
            self.tell(HealthNews::Degraded(unit));
        }
    }

    fn tell(&self, news: HealthNews) {
        if let Some(tell) = self.on_news.get() {
            tell(news);
        }
    }

    /// How a service is now; nothing, when it is not in care.
    pub(crate) fn of(&self, unit: &UnitName) -> Option<Health> {
        self.observe(unit, Tracker::look);
        self.lock().get(unit).map(Tracker::health)
    }

    /// What an earlier daemon knew of the host holds on, where it is fresh.
    fn begin_host(&self, now: Now, boot_id: &str, earlier: Option<SeenHealth>) {
        let fresh = earlier.filter(|seen| {
            let away = now.since_boot.saturating_sub(seen.moment.since_boot);
            seen.moment.boot_id == boot_id && away <= FRESH
        });
        if let Some(seen) = fresh {
            let mut host = self.host();
            *host = host.clone().carrying_on(now, &seen.health);
        }
    }

    /// What the operator has declared from now on.
    pub(crate) fn declare(&self, config: &Config) {
        let now = self.now();
        let mut trackers = self.lock();
        trackers.retain(|unit, _| config.services.contains_key(unit));
        self.lock_groups()
            .retain(|unit, _| config.services.contains_key(unit));
        let (mut changes, mut added) = (Vec::new(), Vec::new());
        for service in config.services.values() {
            match trackers.get_mut(&service.unit) {
                Some(tracker) => {
                    tracker.objective(now, service.objective);
                    let observed = tracker.declare(now, service.health.clone(), probes(service));
                    changes.push((service.unit.clone(), observed));
                }
                None => {
                    let why = JUST_BEGUN.to_owned();
                    trackers.insert(service.unit.clone(), tracker(service, now, why));
                    added.push(service.unit.clone());
                }
            }
        }
        drop(trackers);
        self.latencies.declare(config);
        self.restore_budgets(config, &added);
        for (unit, observed) in changes {
            self.note(&unit.into(), observed);
        }
        let settings = config.host_health.clone();
        self.observe_host(|host, now| host.declare(now, settings));
        self.send(Work::Pauses);
        self.send(Work::LookAtUnseen);
    }

    /// A probe's turn came.
    pub(crate) fn probed(&self, unit: &UnitName, probe: &str, heard: Heard) {
        let mut has_budget = false;
        self.latencies.heard(unit, probe, &heard.sample);
        self.observe(unit, |tracker, now| {
            if let Some(certificate) = heard.certificate {
                tracker.certificate(now, probe, certificate);
            }
            let observed = tracker.probe(now, probe, heard.sample);
            has_budget = tracker.has_error_budget();
            observed
        });
        if has_budget {
            self.budget_was_used();
        }
    }

    /// A service was measured.
    pub(crate) fn sampled(&self, unit: &UnitName, signals: &Signals<'_>) {
        self.observe(unit, |tracker, now| tracker.signals(now, signals));
    }

    /// Whether a unit was up when it was seen last. It may be stopping since.
    pub(crate) fn is_up(&self, unit: &UnitName) -> bool {
        self.lock().get(unit).is_some_and(Tracker::is_up)
    }

    /// Whether a service is up, and nobody is at work on it.
    pub(crate) fn is_serving(&self, unit: &UnitName) -> bool {
        self.lock().get(unit).is_some_and(Tracker::is_serving)
    }

    /// A service was measured, its probes as well: whether that is usual.
    pub(crate) fn habits(&self, unit: &UnitName, readings: &[Reading]) {
        self.observe(unit, |tracker, now| tracker.habits(now, readings));
    }

    /// What is unusual of a service.
    pub(crate) fn unusual(&self, unit: &UnitName) -> Vec<Unusual> {
        self.lock()
            .get(unit)
            .map(Tracker::unusual)
            .unwrap_or_default()
    }

    /// Which probe of a service does not tell yet how it has been for the last `ago`.
    pub(crate) fn undecided(&self, unit: &UnitName, ago: Duration) -> Option<Undecided> {
        let trackers = self.lock();
        trackers.get(unit)?.undecided(self.now(), ago)
    }

    /// What is known of a service's probes.
    pub(crate) fn probes_of(&self, unit: &UnitName) -> Vec<ProbeHealth> {
        self.lock()
            .get(unit)
            .map(Tracker::probes)
            .unwrap_or_default()
    }

    /// How probes were answered since the daemon began, by unit and name.
    pub(crate) fn probe_figures(&self) -> Vec<ProbeFigures> {
        self.latencies.all()
    }

    /// The host was measured.
    pub(crate) fn host_sampled(&self, signals: &Signals<'_>, existing: &Existing) {
        self.observe_host(|host, now| host.signals(now, signals));
        self.observe_host(|host, now| host.exists(now, existing));
        let now = self.now();
        self.host().habits(now, signals.readings);
    }

    /// Goes on with what earlier daemons have measured, which lies in this file.
    pub(crate) fn learn_from(&self, metrics: PathBuf) {
        self.send(Work::LearnFrom(metrics));
    }

    /// Has reckoned anew what will be used up.
    pub(crate) fn look_ahead(&self) {
        self.send(Work::LookAhead);
    }

    /// The control group of a unit, once that was seen.
    pub(crate) fn group(&self, unit: &UnitName) -> Option<Group> {
        self.lock_groups().get(unit).cloned()
    }

    /// How the host is now.
    pub(crate) fn of_host(&self) -> Health {
        self.observe_host(HostTracker::look);
        self.host().health()
    }

    /// A step of an incident was taken.
    pub(crate) fn step(&self, incident: &Incident, step: &Step) {
        let unit = &incident.detection.unit;
        if incident.detection.is_degradation() {
            self.degradation_step(unit, step);
            return;
        }
        match seen_step(step) {
            Some(SeenStep::Event(event)) => {
                // How it stands then was not looked at while the incident was under way.
                let is_over = matches!(
                    event,
                    IncidentEvent::Resolved(_)
                        | IncidentEvent::Unresolved(_)
                        | IncidentEvent::Dropped
                );
                self.observe(unit, |tracker, now| tracker.incident(now, event));
                if is_over {
                    self.send(Work::Look(unit.clone()));
                }
            }
            Some(SeenStep::Stopped(event)) => {
                self.observe(unit, |tracker, now| tracker.incident(now, event));
                self.stopped(unit);
            }
            None => {}
        }
    }

    fn degradation_step(&self, unit: &UnitName, step: &Step) {
        match seen_degradation(step) {
            Some(SeenDegradation::Event(event)) => {
                self.observe(unit, |tracker, now| tracker.incident(now, event));
                self.send(Work::Look(unit.clone()));
            }
            Some(SeenDegradation::BeginAnew) => self.observe(unit, Tracker::begin_anew),
            Some(SeenDegradation::Stopped) => {
                let event = IncidentEvent::LetGo;
                self.observe(unit, |tracker, now| tracker.incident(now, event));
                self.stopped(unit);
            }
            None => {}
        }
    }

    /// An operator has stopped a unit.
    pub(crate) fn stopped(&self, unit: &UnitName) {
        self.observe(unit, |tracker, now| tracker.stopped(now));
    }

    /// A unit stands otherwise than before.
    pub(crate) fn changed(&self, unit: UnitName) {
        self.send(Work::Look(unit));
    }

    /// The pauses, or what work is expected, may have changed.
    pub(crate) fn pauses_changed(&self) {
        self.send(Work::Pauses);
    }

    /// No unit can be seen until the bus is back.
    pub(crate) fn bus_lost(&self) {
        for unit in self.units() {
            self.observe(&unit, |tracker, now| {
                tracker.unit_unknown(now, "the system bus is gone, and its unit cannot be seen")
            });
        }
    }

    /// What was not seen can be looked at.
    pub(crate) fn look_at_unseen(&self) {
        self.send(Work::LookAtUnseen);
    }

    /// How they are now, by name.
    pub(crate) fn all(&self) -> Vec<Health> {
        for unit in self.units() {
            self.observe(&unit, Tracker::look);
        }
        self.lock().values().map(Tracker::health).collect()
    }

    /// An incident that is in no work any more is over: another process has seen it through,
    /// and nobody told this one. `busy` tells which are, and is asked after what is known.
    pub(crate) fn forget_what_is_over(&self, busy: impl FnOnce() -> BTreeSet<UnitName>) {
        let open: Vec<UnitName> = self
            .lock()
            .iter()
            .filter(|(_, tracker)| tracker.has_incident())
            .map(|(unit, _)| unit.clone())
            .collect();
        if open.is_empty() {
            return;
        }
        let busy = busy();
        for unit in open.into_iter().filter(|unit| !busy.contains(unit)) {
            self.observe(&unit, |tracker, now| {
                tracker.incident(now, IncidentEvent::Dropped)
            });
            self.send(Work::Look(unit));
        }
    }

    /// Waits until what was seen is written, `patience` at most.
    pub(crate) fn wait_until_written(&self, patience: Duration) {
        self.wait(Work::Done, patience);
    }

    /// Writes down how they are, `patience` at most, and ends.
    pub(crate) fn stop(&self, patience: Duration) {
        self.wait(Work::Stop, patience);
    }

    fn wait(&self, work: impl FnOnce(Sender<()>) -> Work, patience: Duration) {
        let (done, is_done) = mpsc::channel();
        self.send(work(done));
        if is_done.recv_timeout(patience).is_err() {
            tracing::debug!("how the services are could not be written down in time");
        }
    }

    fn units(&self) -> Vec<UnitName> {
        self.lock().keys().cloned().collect()
    }

    fn observe(&self, unit: &UnitName, see: impl FnOnce(&mut Tracker, Now) -> Observed) {
        let mut trackers = self.lock();
        let Some(tracker) = trackers.get_mut(unit) else {
            return;
        };
        // Read with the lock held, so that no tracker sees time go back.
        let observed = see(tracker, self.now());
        if observed != Observed::default() {
            // With the lock held as well: changes are stored in their order.
            self.note(&unit.clone().into(), observed);
        }
    }

    fn observe_host(&self, see: impl FnOnce(&mut HostTracker, Now) -> Observed) {
        let mut host = self.host();
        let observed = see(&mut host, self.now());
        self.note(&Subject::Host, observed);
        self.tell_of_host(&host.health());
    }

    /// Tells which symptoms of the host hold, when that has changed and is known.
    fn tell_of_host(&self, health: &Health) {
        let is_known = match health.state {
            HealthState::Unknown => false,
            _ => health.symptoms.iter().all(|symptom| symptom.confirmed),
        };
        if !is_known || self.on_news.get().is_none() {
            return;
        }
        let holding = health
            .symptoms
            .iter()
            .map(|one| (one.metric, one.instance.clone(), one.level))
            .collect();
        let explained = self.explained_by(&health.symptoms);
        let now = (holding, explained.clone());
        let told = self.host_told.lock();
        let mut told = told.unwrap_or_else(PoisonError::into_inner);
        if told.as_ref() != Some(&now) {
            *told = Some(now);
            self.tell(HealthNews::Host(health.symptoms.clone(), explained));
        }
    }

    /// The services that are degraded because this holds of the host.
    fn explained_by(&self, of_host: &[Symptom]) -> Vec<UnitName> {
        if of_host
            .iter()
            .all(|one| one.level != SymptomLevel::Critical)
        {
            return Vec::new();
        }
        self.lock()
            .iter()
            .filter(|(_, tracker)| tracker.is_degraded())
            .filter(|(_, tracker)| explained_by(of_host, &tracker.health().symptoms).is_some())
            .map(|(unit, _)| unit.clone())
            .collect()
    }

    fn note(&self, subject: &Subject, observed: Observed) {
        // Absent for the host.
        let name = subject.unit().map(UnitName::as_str);
        if let Some(changes) = observed.began_flapping {
            tracing::warn!(
                object_systemd_unit = name,
                "{subject} is flapping: {} of its health",
                changes.in_words()
            );
        }
        if observed.began_degradation
            && let Some(unit) = subject.unit()
        {
            self.tell(HealthNews::Degraded(unit.clone()));
        }
        let Some(transition) = observed.transition else {
            return;
        };
        if let Some(unit) = subject.unit() {
            self.tell(HealthNews::Changed(unit.clone()));
        }
        let (from, to, why) = (transition.from, transition.to, &transition.evidence);
        if to == HealthState::Degraded {
            tracing::warn!(object_systemd_unit = name, "{subject} is degraded: {why}");
        } else if from == HealthState::Degraded && to == HealthState::Healthy {
            tracing::info!(
                object_systemd_unit = name,
                "{subject} is no longer degraded: {why}"
            );
        } else {
            tracing::debug!(
                "{subject} was {}, and is {}: {why}",
                from.as_str(),
                to.as_str()
            );
        }
        self.send(Work::Save(transition));
    }

    fn send(&self, work: Work) {
        if self.work.send(work).is_err() {
            tracing::debug!("the daemon is stopping: what was seen came too late");
        }
    }

    fn now(&self) -> Now {
        Now {
            since_boot: self.linux.since_boot(),
            at: clock::now(),
        }
    }

    /// Now, for the store.
    fn moment(&self) -> Moment {
        let Now { since_boot, at } = self.now();
        Moment {
            boot_id: self.linux.boot_id(),
            since_boot,
            at,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<UnitName, Tracker>> {
        self.trackers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn host(&self) -> MutexGuard<'_, HostTracker> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_groups(&self) -> MutexGuard<'_, BTreeMap<UnitName, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tracker(service: &Service, now: Now, why: String) -> Tracker {
    let mut tracker = Tracker::new(
        service.unit.clone(),
        service.health.clone(),
        probes(service),
        now,
        why,
    );
    tracker.objective(now, service.objective);
    tracker
}

/// The probes that say how a service is: its own that are asked again and again.
pub(crate) fn probes(service: &Service) -> BTreeMap<String, ProbeSettings> {
    service
        .own_probes()
        .filter_map(|(name, probe)| {
            let settings = ProbeSettings {
                question: probe.question(),
                interval: probe.interval?,
                timeout: probe.timeout,
                failure_threshold: probe.failure_threshold,
            };
            Some((name.clone(), settings))
        })
        .collect()
}
