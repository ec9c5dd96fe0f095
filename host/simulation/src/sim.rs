//! The simulated host, as a test puts it together and asks it afterwards.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, StrategyName, Timestamp, UnitName, argument,
    capability::{
        ActiveState, Host, LogEntry, PastIncident, UnitStatus, filesystems::percent_used,
    },
    cause::Cause,
    contract::milliseconds,
    health::{Metric, Symptom, SymptomLevel},
    incident::{DetectedBy, Detection, Incident, IncidentId, SettingSpec},
    policy::{Act, Grant, Grants, Permission, Scope},
    service::{DeclaredCheck, DeclaredFile, DeclaredProbe, Port, ProbeKind, Service, StartLimit},
};

use crate::{
    build::{Check, File, Process, Remedy, Unit},
    capability::{metrics::Measured, remedies::example},
    condition::View,
    guard::{Guard, granting},
    names::{name, port, strategy_name},
    world::{BOOT_ID, Event, Held, Shared, World, lock},
};

/// A simulated host with one service. Cheap to clone; all clones are one host.
#[derive(Clone)]
pub struct Sim {
    pub(crate) world: Shared,
    unit: UnitName,
}

/// Declares and puts together.
impl Sim {
    /// A host whose service is this unit, running and with nothing declared.
    #[track_caller]
    pub fn new(unit: &str) -> Self {
        Self::of(Unit::new(unit))
    }

    /// A host whose service is this unit.
    pub fn of(model: Unit) -> Self {
        let unit = model.status.name.clone();
        let mut world = World::new(Service::new(unit.clone()));
        world.add(model);
        Self {
            world: Arc::new(Mutex::new(world)),
            unit,
        }
    }

    fn change(self, change: impl FnOnce(&mut World)) -> Self {
        change(&mut lock(&self.world));
        self
    }

    /// Rebuilds the service's unit: as it was, changed, and with its ports and
    /// process as its new state has them.
    fn remodel(self, remodel: impl FnOnce(Unit) -> Unit) -> Self {
        let unit = self.unit.clone();
        self.change(|world| {
            if let Some(old) = world.units.remove(&unit) {
                if let Some(pid) = old.status.main_pid {
                    world.ended(pid, "KILL");
                }
                world.add(remodel(old));
            }
        })
    }

    /// The service's unit has failed, with systemd's word for it.
    pub fn failed(self, result: &str) -> Self {
        self.remodel(|unit| unit.failed(result))
    }

    /// systemd is about to start the service's unit again by itself.
    pub fn restarting(self) -> Self {
        self.with(|status| {
            status.active_state = ActiveState::Activating;
            "auto-restart".clone_into(&mut status.sub_state);
        })
    }

    /// The service's unit is stopped.
    pub fn inactive(self) -> Self {
        self.remodel(Unit::inactive)
    }

    /// Anything else about the service's unit.
    pub fn with(self, change: impl FnOnce(&mut UnitStatus)) -> Self {
        self.remodel(|unit| unit.with(change))
    }

    /// A start of the service fails, with `otherwise` in its log, while this
    /// does not hold.
    pub fn starts_when(
        self,
        otherwise: &str,
        condition: impl Fn(&View<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.remodel(|unit| unit.starts_when(otherwise, condition))
    }

    /// How long a start of the service takes.
    pub fn start_takes(self, time: Duration) -> Self {
        self.remodel(|unit| unit.start_takes(time))
    }

    /// A port that the service is declared to hold, and holds while it is up.
    #[track_caller]
    pub fn port(self, on: &str) -> Self {
        let declared = port(on);
        self.change(|world| world.service.ports.push(declared))
            .remodel(|unit| unit.listens(on))
    }

    /// Somebody holds a port.
    #[track_caller]
    pub fn taken(self, on: &str, by: Process) -> Self {
        let port = port(on);
        self.change(|world| {
            let unit = by.unit.clone();
            let pid = Some(world.spawn(by));
            world.held.push(Held {
                pid,
                unit,
                ..Held::new(port)
            });
        })
    }

    /// Somebody holds a port and is in nobody's way, at another address or with
    /// SO_REUSEPORT.
    #[track_caller]
    pub fn taken_beside(self, on: &str, by: Process) -> Self {
        let port = port(on);
        self.change(|world| {
            let unit = by.unit.clone();
            let pid = Some(world.spawn(by));
            world.held.push(Held {
                pid,
                unit,
                beside: true,
                ..Held::new(port)
            });
        })
    }

    /// Nobody listens on a port, and closed connections keep it busy for a while
    /// (TIME_WAIT).
    #[track_caller]
    pub fn lingering(self, on: &str, time: Duration) -> Self {
        let port = port(on);
        self.change(|world| {
            let until = Some(world.now + time);
            world.held.push(Held {
                until,
                ..Held::new(port)
            });
        })
    }

    /// A process that holds nothing.
    pub fn process(self, process: Process) -> Self {
        self.change(|world| {
            world.spawn(process);
        })
    }

    /// systemd holds a port for a socket unit.
    #[track_caller]
    pub fn socket(self, on: &str, socket: &str) -> Self {
        let (port, unit) = (port(on), Some(name(socket)));
        self.change(|world| {
            world.held.push(Held {
                unit,
                socket_activated: true,
                ..Held::new(port)
            });
        })
    }

    pub fn unit_beside(self, unit: Unit) -> Self {
        self.change(|world| world.add(unit))
    }

    /// Another unit, which the service needs.
    pub fn needs(self, unit: Unit) -> Self {
        self.change(|world| {
            world.service.depends_on.push(unit.status.name.clone());
            world.add(unit);
        })
    }

    /// A declared file.
    pub fn file(self, name: &str, file: File) -> Self {
        let declared = DeclaredFile {
            path: format!("/sim/{name}").into(),
            role: file.role,
            mode: file.mode.1,
            owner: file.owner.1.clone(),
            group: None,
            target: file.target.1.clone().map(Into::into),
            keys: file.required.clone(),
            optional: file.optional,
            read_by: file.read_by,
            secret: file.secret,
        };
        self.change(|world| {
            if let Some(time) = file.appears_after {
                world.after(time, Event::FileAppears(name.to_owned()));
            }
            world.service.files.insert(name.to_owned(), declared);
            world.files.insert(name.to_owned(), file);
        })
    }

    /// A declared check.
    pub fn check(self, name: &str, check: Check) -> Self {
        let declared = DeclaredCheck {
            command: vec!["/bin/true".to_owned()],
            timeout: Duration::from_secs(10),
            mutates: check.mutates,
            as_root: false,
            validates: check.validates,
        };
        self.change(|world| {
            world.service.checks.insert(name.to_owned(), declared);
            world.checks.insert(name.to_owned(), check);
        })
    }

    /// A declared remedy.
    #[track_caller]
    pub fn remedy(self, name: &str, remedy: Remedy) -> Self {
        let Some((declared, _)) = example(&remedy.kind, name, &remedy.about) else {
            panic!("`{}` is not a kind of remedy", remedy.kind);
        };
        self.change(|world| {
            world.service.remedies.insert(name.to_owned(), declared);
            if remedy.applied {
                world.applied.push(name.to_owned());
            }
            world.remedies.insert(name.to_owned(), remedy);
        })
    }

    /// A declared probe of the service: answers while the unit is up.
    pub fn probe(self, name: &str, kind: ProbeKind) -> Self {
        self.declare_probe(name, kind, None)
    }

    /// A declared probe of another unit: answers while that one is up.
    #[track_caller]
    pub fn probe_of(self, unit: &str, probe: &str, kind: ProbeKind) -> Self {
        let unit = name(unit);
        self.declare_probe(probe, kind, Some(unit))
    }

    fn declare_probe(self, name: &str, kind: ProbeKind, unit: Option<UnitName>) -> Self {
        let declared = DeclaredProbe {
            kind,
            timeout: Duration::from_secs(2),
            unit,
            interval: None,
            failure_threshold: 3,
        };
        self.change(|world| {
            world.service.probes.insert(name.to_owned(), declared);
        })
    }

    /// A probe goes unanswered, whatever is up.
    pub fn mute(self, probe: &str) -> Self {
        self.change(|world| world.mute.push(probe.to_owned()))
    }

    /// A line in a unit's journal.
    #[track_caller]
    pub fn log(self, unit: &str, priority: u8, message: &str) -> Self {
        let unit = name(unit);
        self.change(|world| world.say(&unit, priority, message))
    }

    /// Many lines in a unit's journal.
    #[track_caller]
    pub fn logs(self, unit: &str, lines: impl IntoIterator<Item = LogEntry>) -> Self {
        let unit = name(unit);
        self.change(|world| world.logs.entry(unit).or_default().extend(lines))
    }

    /// The service is slow: its probe's answers take this long, and `limit` is what they may
    /// take, until it is started again. Its incident is then a degradation.
    pub fn slow(self, probe: &str, takes: Duration, limit: Duration) -> Self {
        let (takes, limit) = (milliseconds(takes), milliseconds(limit));
        let shown = |value| Metric::LatencyMs.shown(value);
        self.change(|world| {
            let since = world.timestamp();
            world.symptoms.push(Symptom {
                level: SymptomLevel::Degraded,
                metric: Metric::LatencyMs,
                instance: Some(probe.to_owned()),
                value: takes,
                threshold: limit,
                clear: limit * 4 / 5,
                since,
                evidence: format!(
                    "probe `{probe}` took {} to answer, with a limit of {}",
                    shown(takes),
                    shown(limit)
                ),
                confirmed: true,
            });
        })
    }

    /// Something is measured of the service that is worse than it should be, until it is told
    /// to be over: it is `value` now, and over at `clear`. Its incident is then a degradation.
    #[track_caller]
    pub fn symptom(self, metric: &str, value: u64, clear: u64) -> Self {
        let unit = self.unit.to_string();
        let known = argument::metric(metric);
        let known = known.unwrap_or_else(|failure: Failure| panic!("{failure}"));
        let sim = self.measured(&unit, metric, value);
        sim.change(|world| {
            let since = world.timestamp();
            world.symptoms.push(Symptom {
                level: SymptomLevel::Degraded,
                metric: known,
                instance: None,
                value,
                threshold: value,
                clear,
                since,
                evidence: format!("its {} is {}", known.title(), known.shown(value)),
                confirmed: true,
            });
        })
    }

    /// The service is no longer slow.
    pub fn fast(self) -> Self {
        self.change(|world| world.symptoms.clear())
    }

    /// What is measured of a unit, or of `host`, by the metric's name, such as
    /// `memory-bytes`: it has been this value for as long as anybody asks about.
    #[track_caller]
    pub fn measured(self, subject: &str, metric: &str, value: u64) -> Self {
        self.measured_growing(subject, metric, value, 0.0)
    }

    /// The same of what grows by so much an hour, or shrinks, and has come to this value now.
    #[track_caller]
    pub fn measured_growing(self, subject: &str, metric: &str, value: u64, an_hour: f64) -> Self {
        let subject = argument::subject(subject);
        let subject = subject.unwrap_or_else(|failure: Failure| panic!("{failure}"));
        let metric = argument::metric(metric);
        let metric = metric.unwrap_or_else(|failure: Failure| panic!("{failure}"));
        self.change(|world| {
            world.measured.push(Measured {
                subject,
                metric,
                at: world.timestamp(),
                value,
                an_hour,
            });
        })
    }

    /// An earlier incident; the newest last.
    pub fn past(self, incident: PastIncident) -> Self {
        self.change(|world| world.history.insert(0, incident))
    }

    /// What a strategy has kept from an earlier incident of the service.
    #[track_caller]
    pub fn kept(self, strategy: &str, key: &str, value: &str) -> Self {
        let strategy = strategy_name(strategy);
        self.change(|world| {
            world
                .state
                .insert((strategy, key.to_owned()), value.to_owned());
        })
    }

    /// There is no place for what strategies want to keep.
    pub fn keeps_nothing(self) -> Self {
        self.change(|world| world.keeps_nothing = true)
    }

    /// A start limit that was hit stays.
    pub fn respects_start_limit(self) -> Self {
        self.change(|world| world.service.start_limit = StartLimit::Respect)
    }

    /// Anything else about the service's declaration.
    pub fn declare(self, change: impl FnOnce(&mut Service)) -> Self {
        self.change(|world| change(&mut world.service))
    }

    /// Somebody holds the package manager's lock.
    pub fn package_lock(self, by: &str) -> Self {
        self.change(|world| world.package_lock = Some(by.to_owned()))
    }

    /// An operator stopped the service; the evidence for it.
    pub fn stopped_by_operator(self, evidence: &str) -> Self {
        self.change(|world| world.stopped_by_operator = Some(evidence.to_owned()))
            .inactive()
    }

    /// Somebody has cleared the failed state of the service by hand.
    pub fn cleared_by_hand(self) -> Self {
        self.change(|world| world.cleared_by_hand = true).inactive()
    }

    /// systemd has refused to start the service again, its start limit being
    /// hit, and goes on doing so until that is cleared. Its Result may still be
    /// that of the last run.
    pub fn start_refused(self) -> Self {
        self.change(|world| world.start_refused = true)
    }

    /// systemd's own state.
    pub fn system_state(self, state: &str) -> Self {
        self.change(|world| state.clone_into(&mut world.system_state))
    }

    /// Grants the strategy under test an act, or all of an interface, on the
    /// service itself: `unit-control.start`, or `unit-control`. From the first
    /// grant on, what was not granted is denied; without any, every act is granted
    /// on the service and what it needs.
    #[track_caller]
    pub fn granting(self, act: &str) -> Self {
        self.granting_on(act, &["self"])
    }

    /// Grants the strategy under test an act, or all of an interface, on these:
    /// `self`, `depends-on`, units, or the names of declared files and checks.
    #[track_caller]
    pub fn granting_on(self, act: &str, on: &[&str]) -> Self {
        let grant = granting(act, on);
        self.change(|world| world.grants.get_or_insert_default().0.push(grant))
    }

    /// The strategy under test may only look.
    pub fn granting_nothing(self) -> Self {
        self.change(|world| world.grants = Some(Grants::default()))
    }

    /// Exactly these grants.
    pub fn with_grants(self, grants: Grants) -> Self {
        self.change(|world| world.grants = Some(grants))
    }

    /// What the operator set under `[strategy.NAME.settings]`.
    pub fn setting(self, key: &str, value: impl ToString) -> Self {
        let value = value.to_string();
        self.change(|world| {
            world.settings.insert(key.to_owned(), value);
        })
    }

    /// How much memory the host has, and how much of it is available, in bytes.
    pub fn memory(self, total: u64, available: u64) -> Self {
        self.change(|world| (world.memory.total, world.memory.available) = (total, available))
    }

    /// How large the host's file systems are, and how much of them is available,
    /// in bytes.
    pub fn disk(self, total: u64, available: u64) -> Self {
        let used = total.saturating_sub(available);
        self.change(|world| {
            world.disk.total = total;
            world.disk.used = used;
            world.disk.available = available;
            world.disk.used_percent = percent_used(used, available);
        })
    }

    /// The clock goes on with the real one, and sleeps really sleep, until the
    /// deadline at most. What the host itself takes is still over at once.
    pub fn in_real_time(self) -> Self {
        self.change(|world| world.real_time = Some(Instant::now()))
    }
}

impl Sim {
    /// The service's unit.
    pub fn unit(&self) -> UnitName {
        self.unit.clone()
    }

    /// The service's declared ports.
    pub fn ports(&self) -> Vec<Port> {
        lock(&self.world).service.ports.clone()
    }

    /// The service, as declared.
    pub fn service(&self) -> Arc<Service> {
        Arc::new(lock(&self.world).service.clone())
    }

    /// What a run can reach. No policy: everything is allowed.
    pub fn host(&self) -> Host {
        Host::new(self.clone())
    }

    /// What a run of this strategy can reach: the host behind the strategy's
    /// grants, as the safety kernel applies them. Without the kernel's budget,
    /// oversight and trail.
    pub fn guarded(&self, strategy: &StrategyName) -> Host {
        Guard::host(self, strategy)
    }

    /// A run begins, and may take so long of the host's time.
    pub fn begin_run(&self, limit: Duration) {
        let mut world = lock(&self.world);
        world.run_ends = Some(world.monotonic.saturating_add(limit));
    }

    /// The grants of the strategy under test; every act on the service and what
    /// it needs, unless told otherwise.
    pub fn grants(&self) -> Grants {
        lock(&self.world).grants.clone().unwrap_or_else(|| {
            Grants(vec![Grant {
                permission: Permission::Act(Act::ALL.into_iter().collect()),
                on: vec![Scope::Itself, Scope::Dependencies],
            }])
        })
    }

    /// What the operator set for the strategy under test, over the defaults that
    /// it declares.
    ///
    /// # Errors
    /// A sentence for each setting that it does not declare, and for each that it
    /// requires and nobody set.
    pub fn settings(
        &self,
        declared: &[SettingSpec],
    ) -> Result<BTreeMap<String, String>, Vec<String>> {
        let set = lock(&self.world).settings.clone();
        let known: Vec<&str> = declared.iter().map(|spec| spec.name.as_str()).collect();
        let list = match known.as_slice() {
            [] => "it declares none".to_owned(),
            known => format!("it declares: {}", known.join(", ")),
        };
        let unknown = set
            .keys()
            .filter(|key| !known.contains(&key.as_str()))
            .map(|key| format!("the strategy declares no setting `{key}`; {list}"));
        let missing = declared
            .iter()
            .filter(|spec| spec.required && !set.contains_key(&spec.name))
            .map(|spec| format!("the strategy requires the setting `{}`", spec.name));
        let wrong: Vec<String> = unknown.chain(missing).collect();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let mut settings: BTreeMap<String, String> = declared
            .iter()
            .filter_map(|spec| Some((spec.name.clone(), spec.default.clone()?)))
            .collect();
        settings.extend(set);
        Ok(settings)
    }

    /// Since the host was booted: it was, an hour before the test.
    pub fn uptime(&self) -> Duration {
        lock(&self.world).monotonic
    }

    pub(crate) fn timestamp(&self) -> Timestamp {
        lock(&self.world).timestamp()
    }

    /// An incident about the service as it stands now.
    pub fn incident(&self) -> Incident {
        let world = lock(&self.world);
        let status = world.units.get(&self.unit).map(|unit| &unit.status);
        let symptoms = world.measured().to_vec();
        let (by, cause) = if symptoms.is_empty() {
            let result = status.map_or("", |status| status.result.as_str());
            (DetectedBy::Signal, Cause::from(result))
        } else {
            (DetectedBy::Symptom, Cause::Degraded)
        };
        let detection = Detection {
            unit: self.unit.clone(),
            by,
            at: world.timestamp(),
            cause,
            invocation: status.and_then(|status| status.invocation.clone()),
            exit_code: status.and_then(|status| status.exit_code),
            signal: status.and_then(|status| status.signal.clone()),
            failed_monotonic: status.and_then(|status| status.inactive_enter_monotonic),
            restarts_before: None,
            symptoms,
            unusual: Vec::new(),
            follows: None,
            expected_work: None,
        };
        Incident {
            id: IncidentId::new(detection.at, 1),
            key: detection.key(BOOT_ID),
            detection,
            attempt: 1,
            boot_id: BOOT_ID.to_owned(),
            parent: None,
        }
    }

    /// What a strategy keeps under a key by now.
    #[track_caller]
    pub fn keeps(&self, strategy: &str, key: &str) -> Option<String> {
        let place = (strategy_name(strategy), key.to_owned());
        lock(&self.world).state.get(&place).cloned()
    }

    /// Everything that was done to the host, in order, such as
    /// `start web.service`, `terminate /usr/bin/web`, `repair mode of database`,
    /// `run check config`.
    pub fn acts(&self) -> Vec<String> {
        lock(&self.world).acts.clone()
    }

    /// Every act that policy denied, in order, with the code:
    /// `unit-control.stop of db.service: not-granted`.
    pub fn denied(&self) -> Vec<String> {
        lock(&self.world).denied.clone()
    }

    /// How a unit stands.
    #[track_caller]
    pub fn status(&self, unit: &str) -> UnitStatus {
        let unit = name(unit);
        match lock(&self.world).find(&unit) {
            Ok(unit) => unit.status.clone(),
            Err(failure) => panic!("{failure}"),
        }
    }

    pub fn advance(&self, time: Duration) {
        lock(&self.world).advance(time);
    }
}
