//! The incident that a strategy was asked about.

use std::{fmt, time::SystemTime};

use crate::{contract::base::incidents as raw, time::moment};

/// One failure of one service, and what the operator declared about that
/// service.
///
/// The facts are those of the moment the incident was opened; ask
/// [`units::get`](crate::units::get) for how things stand now.
pub struct Incident<'a>(&'a raw::Incident);

impl<'a> Incident<'a> {
    #[cfg_attr(
        not(target_family = "wasm"),
        allow(dead_code, reason = "only a host makes incidents")
    )]
    pub(crate) fn new(incident: &'a raw::Incident) -> Self {
        Self(incident)
    }

    /// Its own name, such as `20261121-142301Z-7f3a`.
    pub fn id(&self) -> String {
        self.0.id()
    }

    /// What it is about.
    pub fn kind(&self) -> IncidentKind {
        match self.0.kind().as_str() {
            "degradation" => IncidentKind::Degradation,
            _ => IncidentKind::Failure,
        }
    }

    /// What was measured when it was opened, the worst first; only of a degradation.
    /// [`health::get`](crate::health::get) tells how that is now.
    pub fn symptoms(&self) -> Vec<Symptom> {
        self.0.symptoms().into_iter().map(Symptom::from).collect()
    }

    /// The canonical name of the failed unit, such as `nginx.service`.
    pub fn unit(&self) -> String {
        self.0.unit()
    }

    /// How it was noticed: `signal`, `hook`, `sweep`, `probe`, `dependency` or
    /// `operator`.
    pub fn detected_by(&self) -> String {
        self.0.detected_by()
    }

    /// When it was noticed.
    pub fn detected_at(&self) -> SystemTime {
        moment(self.0.detected_at())
    }

    /// systemd's own word for what went wrong, such as `exit-code`, `signal`,
    /// `oom-kill`, `timeout`, `start-limit-hit`, `dependency`.
    pub fn cause(&self) -> String {
        self.0.cause()
    }

    /// Whether nothing has failed, and a person wants the unit restarted.
    pub fn is_restart_requested(&self) -> bool {
        self.cause() == "restart-requested"
    }

    /// The exit code of the failed run's main process.
    pub fn exit_code(&self) -> Option<i32> {
        self.0.exit_code()
    }

    /// The signal that ended it, such as `KILL`.
    pub fn signal(&self) -> Option<String> {
        self.0.signal()
    }

    /// The failed run's invocation id, 32 hexadecimal digits.
    pub fn invocation(&self) -> Option<String> {
        self.0.invocation()
    }

    /// 1 for the first attempt at this incident, 2 for the next, …
    pub fn attempt(&self) -> u32 {
        self.0.attempt()
    }

    /// Whether act calls are recorded instead of carried out. A strategy
    /// behaves the same either way.
    pub fn dry_run(&self) -> bool {
        self.0.dry_run()
    }

    /// What the service is for, in the operator's words.
    pub fn domain(&self) -> Option<String> {
        self.0.domain()
    }

    /// Whether the operator called the service critical.
    pub fn critical(&self) -> bool {
        self.0.critical()
    }

    /// Whether a start limit that was hit may be cleared.
    pub fn clears_start_limit(&self) -> bool {
        self.0.clears_start_limit()
    }

    /// The ports the service should hold.
    pub fn ports(&self) -> Vec<Port> {
        self.0.ports().into_iter().map(Port::from).collect()
    }

    /// The names of the declared files.
    pub fn files(&self) -> Vec<String> {
        self.0.files()
    }

    /// The names of the declared checks.
    pub fn checks(&self) -> Vec<String> {
        self.0.checks()
    }

    /// Those of them that say whether the service's configuration is valid.
    pub fn config_checks(&self) -> Vec<String> {
        self.0.config_checks()
    }

    /// The names of the declared probes, of the service itself and of the units
    /// it needs: [`probes::target`](crate::probes::target) tells which.
    pub fn probes(&self) -> Vec<String> {
        self.0.probes()
    }

    /// The names of the declared remedies of a kind, such as `set-aside`.
    pub fn remedies(&self, kind: &str) -> Vec<String> {
        let declared = self.0.remedies().into_iter();
        declared
            .filter(|remedy| remedy.kind == kind)
            .map(|remedy| remedy.name)
            .collect()
    }

    /// Those of them that are about this: of `unit-limits`, the ones that move `memory-high`.
    pub fn remedies_about(&self, kind: &str, about: &str) -> Vec<String> {
        let declared = self.0.remedies().into_iter();
        declared
            .filter(|remedy| remedy.kind == kind && remedy.about.iter().any(|one| one == about))
            .map(|remedy| remedy.name)
            .collect()
    }

    /// The units the service cannot work without, by canonical name.
    pub fn needs(&self) -> Vec<String> {
        self.0.needs()
    }
}

/// What an incident is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IncidentKind {
    /// The service is down, or does not answer.
    Failure,
    /// It is up, and serves worse than it should.
    Degradation,
}

impl IncidentKind {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Degradation => "degradation",
        }
    }
}

/// What was measured, and is worse than it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symptom {
    /// `failed`, `critical` or `degraded`: what it makes of its service.
    pub level: String,
    /// What is measured, such as `latency-ms`; its unit is in its name.
    pub metric: String,
    /// Of what, where a service has several: the name of a probe.
    pub instance: Option<String>,
    /// The latest value.
    pub value: u64,
    /// From this value on it is one.
    pub threshold: u64,
    /// It is over when the value is back at this.
    pub clear: u64,
    /// Since when it has been so.
    pub since: SystemTime,
    /// The same in a sentence, without its full stop.
    pub evidence: String,
}

impl From<raw::Symptom> for Symptom {
    fn from(symptom: raw::Symptom) -> Self {
        Self {
            level: symptom.level,
            metric: symptom.metric,
            instance: symptom.instance,
            value: symptom.value,
            threshold: symptom.threshold,
            clear: symptom.clear,
            since: moment(symptom.since),
            evidence: symptom.evidence,
        }
    }
}

/// Where a service listens. Shown as `tcp/80`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// 1 to 65535.
    pub number: u16,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.protocol, self.number)
    }
}

impl From<raw::Port> for Port {
    fn from(port: raw::Port) -> Self {
        Self {
            protocol: port.protocol,
            number: port.number,
        }
    }
}
