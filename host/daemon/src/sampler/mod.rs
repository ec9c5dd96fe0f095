//! Measures the services in care and the host, again and again: one thread, one timer. With
//! nothing in care, or where the operator has switched it off, nothing is measured and nothing
//! wakes.
//!
//! What is measured goes to the trackers of health at once, and into a file of its own once a
//! minute. Trouble with that file is told once, and touches nothing else.

mod endpoints;
mod hardware;
mod record;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use prunella_config::{Config, MetricsSettings};
use prunella_core::{
    Timestamp, UnitName,
    health::{Metric, ProbeHealth, Reading, Subject},
    service::MetricsEndpoint,
    situation::Situation as _,
};
use prunella_health::Signals;
use prunella_linux::{
    Linux,
    cgroup::Cgroups,
    sampling::{HostSampler, Instruments, LogPatterns, LogSampler, UnitSample, UnitSampler},
};
use prunella_store::samples::{Latest, SeriesHistory};

use self::{
    endpoints::Endpoints,
    hardware::{Hardware, HardwareIntervals},
    record::Record,
};
use crate::{DaemonError, clock, health::HealthBook};

/// How long systemd may take to list the failed units.
const LIST: Duration = Duration::from_secs(5);

/// Failed units are counted every so many samples.
const COUNT_FAILED: u32 = 6;

/// What will be used up is reckoned every so many samples.
const LOOK_AHEAD: u32 = 12;

/// Measures services and host.
pub(crate) struct Sampler {
    linux: Arc<Linux>,
    health: Arc<HealthBook>,
    control: Mutex<Control>,
    wake: Condvar,
    /// Locked for a moment for each subject, so that whoever asks need not wait until all are
    /// measured.
    record: Mutex<Record>,
}

/// What is to be measured.
#[derive(Debug)]
struct Control {
    services: Arc<Services>,
    settings: MetricsSettings,
    /// Set once the thread has nothing more to do.
    stop: bool,
}

/// What is measured beyond what is measured of all.
#[derive(Debug)]
struct Services {
    /// In the order of their names: they are looked up by halving.
    units: Vec<UnitName>,
    /// What is looked for in their lines.
    log_patterns: BTreeMap<UnitName, LogPatterns>,
    /// Where they tell what they measure of themselves.
    endpoints: BTreeMap<UnitName, MetricsEndpoint>,
    /// How often the host's disks and GPUs are asked.
    hardware: HardwareIntervals,
}

impl Services {
    fn of(config: &Config) -> Arc<Self> {
        let services = config.services.iter();
        Arc::new(Self {
            units: config.services.keys().cloned().collect(),
            log_patterns: services
                .clone()
                .map(|(unit, service)| (unit.clone(), service.health.log_patterns.clone()))
                .collect(),
            hardware: HardwareIntervals::of(&config.metrics),
            endpoints: services
                .filter_map(|(unit, service)| {
                    Some((unit.clone(), service.metrics_endpoint.clone()?))
                })
                .collect(),
        })
    }

    fn has(&self, unit: &UnitName) -> bool {
        self.units.binary_search(unit).is_ok()
    }
}

/// What measuring needs from one sample to the next: the thread's own.
struct Work {
    tools: Instruments,
    groups: Cgroups,
    host: HostSampler,
    /// Boxed: nodes of a tree are half empty.
    units: BTreeMap<UnitName, Box<UnitSampler>>,
    logs: LogSampler,
    endpoints: Endpoints,
    hardware: Hardware,
    /// Used again for each.
    sample: UnitSample,
    host_readings: Vec<Reading>,
    failed_units: Option<u64>,
    until_failed: u32,
    until_ahead: u32,
}

impl Sampler {
    /// Begins to measure what is in care. `file` is where it is kept.
    pub(crate) fn start(
        linux: &Arc<Linux>,
        health: &Arc<HealthBook>,
        file: PathBuf,
        config: &Config,
    ) -> Result<Arc<Self>, DaemonError> {
        let sampler = Arc::new(Self {
            linux: Arc::clone(linux),
            health: Arc::clone(health),
            control: Mutex::new(Control {
                services: Services::of(config),
                settings: config.metrics,
                stop: false,
            }),
            wake: Condvar::new(),
            record: Mutex::new(Record::new(file)),
        });
        let running = Arc::clone(&sampler);
        thread::Builder::new()
            .name("sampler".to_owned())
            .stack_size(512 << 10)
            .spawn(move || running.run())
            .map_err(DaemonError::thread("measures services and host"))?;
        Ok(sampler)
    }

    /// What the operator has declared from now on.
    pub(crate) fn declare(&self, config: &Config) {
        let mut control = self.control();
        control.services = Services::of(config);
        control.settings = config.metrics;
        self.wake.notify_all();
    }

    /// Writes down what is not written yet, and ends.
    pub(crate) fn stop(&self) {
        let max_size = {
            let mut control = self.control();
            control.stop = true;
            self.wake.notify_all();
            control.settings.max_size
        };
        self.record().flush(max_size);
    }

    /// How often it measures; nothing, where it does not.
    pub(crate) fn interval(&self) -> Option<Duration> {
        let control = self.control();
        control
            .settings
            .interval
            .filter(|_| !control.services.units.is_empty())
    }

    /// The latest value of each series of this daemon, of one subject or of all.
    pub(crate) fn latest(&self, subject: Option<&Subject>) -> Vec<Latest> {
        self.record().latest(subject)
    }

    /// What a metric was, this minute included.
    pub(crate) fn history(
        &self,
        subject: &Subject,
        metric: Metric,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<SeriesHistory>, prunella_store::StoreError> {
        self.record().history(subject, metric, since, until)
    }

    fn run(&self) {
        let mut work = Work {
            tools: Instruments::default(),
            groups: Cgroups::detect(),
            host: HostSampler::default(),
            units: BTreeMap::new(),
            logs: self.linux.log_sampler(),
            endpoints: Endpoints::default(),
            hardware: Hardware::default(),
            sample: UnitSample::default(),
            host_readings: Vec::new(),
            failed_units: None,
            until_failed: 0,
            until_ahead: LOOK_AHEAD,
        };
        let mut next = Instant::now();
        while let Some((interval, max_size)) = self.wait_until(&mut next, &mut work) {
            let services = Arc::clone(&self.control().services);
            self.measure(&mut work, interval, &services, max_size);
            work.until_ahead -= 1;
            if work.until_ahead == 0 {
                work.until_ahead = LOOK_AHEAD;
                self.health.look_ahead();
            }
        }
    }

    /// Waits for the time of the next sample; `None` when there is to be none any more.
    fn wait_until(&self, next: &mut Instant, work: &mut Work) -> Option<(Duration, u64)> {
        let mut control = self.control();
        loop {
            if control.stop {
                return None;
            }
            let settings = control.settings;
            let interval = settings
                .interval
                .filter(|_| !control.services.units.is_empty());
            let Some(interval) = interval else {
                work.logs.begin_anew();
                work.endpoints.stop();
                let nothing = HardwareIntervals::default();
                work.hardware.declare(&self.linux, nothing);
                control = self
                    .wake
                    .wait(control)
                    .unwrap_or_else(PoisonError::into_inner);
                *next = Instant::now();
                continue;
            };
            let now = Instant::now();
            if now >= *next {
                *next += interval;
                if *next <= now {
                    // Samples that a suspended or busy host has missed are not made up for.
                    *next = now + interval;
                }
                return Some((interval, settings.max_size));
            }
            // A shorter interval holds at once.
            *next = (*next).min(now + interval);
            let (again, _) = self
                .wake
                .wait_timeout(control, next.saturating_duration_since(now))
                .unwrap_or_else(PoisonError::into_inner);
            control = again;
        }
    }

    fn measure(&self, work: &mut Work, interval: Duration, services: &Services, max_size: u64) {
        let Work {
            tools,
            groups: tree,
            host,
            units: samplers,
            logs,
            endpoints,
            hardware,
            sample,
            host_readings,
            failed_units,
            until_failed,
            until_ahead: _,
        } = work;
        let at = clock::now();
        self.record().begin(at, interval, max_size);
        let now = self.linux.since_boot();
        logs.declare(&services.log_patterns);
        logs.look_for_gpu_errors(services.hardware.gpus.is_some());
        logs.read(now);
        endpoints.declare(&self.linux, &self.health, &services.endpoints, interval);
        hardware.declare(&self.linux, services.hardware);
        host.sample(tools, now, host_readings);
        hardware.sample(now, host_readings);
        logs.gpu_errors(now, host_readings);
        if *until_failed == 0 {
            *until_failed = COUNT_FAILED;
            *failed_units = self.count_failed(services);
        }
        *until_failed -= 1;
        host_readings.extend(failed_units.map(|count| Reading::new(Metric::FailedUnits, count)));
        self.record().add(&Subject::Host, at, host_readings);
        let signals = Signals {
            interval,
            run: 0,
            readings: host_readings,
        };
        self.health.host_sampled(&signals, host.existing());
        samplers.retain(|unit, _| services.has(unit));
        for unit in &services.units {
            let Some(group) = self.health.group(unit) else {
                continue;
            };
            let sampler = samplers.entry(unit.clone()).or_default();
            let now = self.linux.since_boot();
            let of = (group.path.as_str(), group.restarts);
            if sampler.sample(tools, tree, of, now, sample) {
                logs.sample(unit, sample.run, now, &mut sample.readings);
                endpoints.sample(unit, now, &mut sample.readings);
                self.health.sampled(
                    unit,
                    &Signals {
                        interval,
                        run: sample.run,
                        readings: &sample.readings,
                    },
                );
                of_probes(
                    &self.health.probes_of(unit),
                    at,
                    interval,
                    &mut sample.readings,
                );
                self.health.habits(unit, &sample.readings);
                self.record()
                    .add(&Subject::from(unit.clone()), at, &sample.readings);
            }
        }
    }

    /// Failed units that are in nobody's care; nothing, when systemd does not tell.
    fn count_failed(&self, services: &Services) -> Option<u64> {
        let failed = self.linux.failed_units(Instant::now() + LIST).ok()?;
        let others = failed.iter().filter(|unit| !services.has(unit));
        Some(others.count() as u64)
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the probes have told since the sample before. One that is asked more seldom has a
/// value only now and then.
fn of_probes(
    probes: &[ProbeHealth],
    at: Timestamp,
    interval: Duration,
    readings: &mut Vec<Reading>,
) {
    for probe in probes {
        // By the wall clock: where it was set, a value is missing or there twice.
        let is_new = probe
            .asked_at
            .is_some_and(|asked| at.since(asked) <= interval);
        if !is_new {
            continue;
        }
        let of = |metric, value| Reading::new(metric, value).in_instance(probe.name.clone());
        if probe.answered == Some(true) {
            readings.extend(probe.latency_ms.map(|took| of(Metric::LatencyMs, took)));
        }
        let errors = probe.errors_permille;
        readings.extend(errors.map(|share| of(Metric::ErrorsPermille, share)));
    }
}
