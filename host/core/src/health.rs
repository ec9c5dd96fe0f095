//! How a service is: the words of health.
//!
//! | word | meaning |
//! |---|---|
//! | subject | a service in care, or the host |
//! | metric | a number of a subject, sampled; its unit is in its name |
//! | instance | what of the subject is measured, where there may be several: a probe, a file system |
//! | condition | a rule over a metric: when it opens, when it clears, and for how long that has to hold |
//! | symptom | a condition that holds: its value, since when, and the evidence |
//! | health | a state, since when, and why |
//! | unusual | what a metric has not done before: a hint, which changes no state |
//! | forecast | when something is used up, if it goes on like this; it changes no state |
//!
//! `prunella-health` has the arithmetic. Nothing here decides.

mod certificate;
mod expected;
mod forecast;
mod limit;
mod metric;
mod objective;
mod reading;
mod series;
mod undecided;
mod unusual;

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

pub(crate) use self::metric::bytes;
pub use self::{
    certificate::CertificateSettings,
    expected::ExpectedWork,
    forecast::{Forecast, SubjectForecast},
    limit::{MetricLimit, MetricLimits},
    metric::{InstanceKind, Metric, Quantity},
    objective::{Bucket, BucketSpan, BudgetRecord, ErrorBudgetHealth, Objective},
    reading::{Existing, Reading, Source, Whole},
    series::{Point, Series},
    undecided::Undecided,
    unusual::{Unusual, UnusualSettings},
};
use crate::{Timestamp, UnitName, duration::written};

/// Whose health it is, or whose measurement. Its word is the unit's name, or `host`,
/// which is no unit's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Subject {
    /// The host itself.
    Host,
    /// A service in care.
    Unit(UnitName),
}

impl Subject {
    /// The word that stands for the host.
    pub const HOST: &'static str = "host";

    /// The stable word of the store and of `--json`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Host => Self::HOST,
            Self::Unit(unit) => unit.as_str(),
        }
    }

    /// The service, where it is one.
    pub fn unit(&self) -> Option<&UnitName> {
        match self {
            Self::Host => None,
            Self::Unit(unit) => Some(unit),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => formatter.write_str("the host"),
            Self::Unit(unit) => unit.fmt(formatter),
        }
    }
}

impl From<UnitName> for Subject {
    fn from(unit: UnitName) -> Self {
        Self::Unit(unit)
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.as_str().to_owned()
    }
}

impl TryFrom<String> for Subject {
    type Error = <UnitName as TryFrom<String>>::Error;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        if word == Self::HOST {
            return Ok(Self::Host);
        }
        UnitName::try_from(word).map(Self::Unit)
    }
}

/// How a service is. The order is that of a list: the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthState {
    /// It is down by failure, or of no use to those who ask it.
    Failed,
    /// It is being healed, and the proof is still missing.
    Recovering,
    /// It serves, and worse than it should.
    Degraded,
    /// What would tell is missing.
    Unknown,
    /// It is down, and not by failure: an operator stopped it, or it has ended as it may.
    Stopped,
    /// An operator has paused its healing.
    Paused,
    /// All that is asked about it says that it is well.
    Healthy,
}

impl HealthState {
    /// All of them, the worst first.
    pub const ALL: [Self; 7] = [
        Self::Failed,
        Self::Recovering,
        Self::Degraded,
        Self::Unknown,
        Self::Stopped,
        Self::Paused,
        Self::Healthy,
    ];

    /// The stable word of the store, of logs and of `--json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Recovering => "recovering",
            Self::Degraded => "degraded",
            Self::Unknown => "unknown",
            Self::Stopped => "stopped",
            Self::Paused => "paused",
            Self::Healthy => "healthy",
        }
    }

    /// The state with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// How bad a symptom is. The order is that of a list: the worse first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SymptomLevel {
    /// It makes its subject `failed`.
    Failed,
    /// It makes its subject `degraded`, and is about to make it fail.
    Critical,
    /// It makes its subject `degraded`.
    Degraded,
}

impl SymptomLevel {
    /// The stable word of the contract and of `--json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Critical => "critical",
            Self::Degraded => "degraded",
        }
    }
}

/// A condition that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symptom {
    pub level: SymptomLevel,
    pub metric: Metric,
    /// Which of the metric's instances, such as the name of a probe or where a file system
    /// is mounted; absent where the subject has one value of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The latest value, in the metric's unit.
    pub value: u64,
    /// From this value on it is one.
    pub threshold: u64,
    /// It is over when the value is back at this. Of unanswered questions, so many
    /// answers in a row end it.
    pub clear: u64,
    /// Since when the condition has held.
    pub since: Timestamp,
    /// A sentence without its full stop.
    pub evidence: String,
    /// Whether it was measured since the service was started, or acted on, last. Where it
    /// was not, it was measured before that, and has not cleared since.
    #[serde(default)]
    pub confirmed: bool,
}

impl Symptom {
    /// Whether it begins an incident of its kind. A probe that goes unanswered is a failure.
    pub fn is_degradation(&self) -> bool {
        self.metric != Metric::UnansweredInARow
    }

    /// Whether something that is done to the service may end it. A certificate is as old
    /// after a restart as before, and what was used up of a budget is gone. What its lines
    /// contain is told and never acted on: whoever can have a service log a text could
    /// otherwise have it restarted.
    pub fn may_be_treated(&self) -> bool {
        !matches!(
            self.metric,
            Metric::CertificateHours | Metric::ErrorBudgetPermille | Metric::LogMatchesPerMinute
        )
    }

    /// Whether a service is so because the host is like this: the host is critically short of
    /// something, and the service waits or has errors. What a service itself uses too much of
    /// is a matter of its own.
    pub fn explains(&self, of_service: &Self) -> bool {
        let is_short = matches!(
            self.metric,
            Metric::MemoryPermille
                | Metric::SwapPermille
                | Metric::PressureMemoryPermille
                | Metric::CpuPermille
                | Metric::LoadMilli
                | Metric::PressureCpuPermille
                | Metric::PressureIoPermille
                | Metric::DiskPermille
                | Metric::InodesPermille
                | Metric::FileHandlesPermille
        );
        let waits = match of_service.metric {
            Metric::LatencyMs | Metric::ErrorsPermille => true,
            Metric::PressureCpuPermille => matches!(
                self.metric,
                Metric::CpuPermille | Metric::LoadMilli | Metric::PressureCpuPermille
            ),
            // A host that is short of memory reads its files again and again.
            Metric::PressureMemoryPermille | Metric::PressureIoPermille => matches!(
                self.metric,
                Metric::MemoryPermille
                    | Metric::SwapPermille
                    | Metric::PressureMemoryPermille
                    | Metric::PressureIoPermille
            ),
            _ => false,
        };
        self.level == SymptomLevel::Critical && self.confirmed && is_short && waits
    }

    /// Whether it is of the same thing.
    pub fn is_of_same(&self, other: &Self) -> bool {
        (self.metric, &self.instance) == (other.metric, &other.instance)
    }

    /// The worse of two values.
    pub fn worse(&self, one: u64, other: u64) -> u64 {
        if self.clear <= self.threshold {
            one.max(other)
        } else {
            one.min(other)
        }
    }

    /// The name of the probe that is measured, where it is one.
    pub fn probe(&self) -> Option<&str> {
        match self.metric.instances() {
            InstanceKind::Probe => self.instance.as_deref(),
            _ => None,
        }
    }
}

/// What of the host is why a service is degraded: the first that is, where all of the service's
/// degradations are explained. `of_host` and `of_service` are what holds of each.
pub fn explained_by<'h>(of_host: &'h [Symptom], of_service: &[Symptom]) -> Option<&'h Symptom> {
    let degradations = || of_service.iter().filter(|one| one.is_degradation());
    let explains = |service: &Symptom| of_host.iter().find(|host| host.explains(service));
    let first = degradations().find_map(explains)?;
    degradations()
        .all(|one| explains(one).is_some())
        .then_some(first)
}

/// A symptom from when it began, and whether it is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episode {
    /// As it was seen last.
    pub symptom: Symptom,
    /// Its worst value.
    pub worst: u64,
    /// When it cleared; absent while it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared: Option<Timestamp>,
}

impl Episode {
    /// The symptom with its worst value.
    pub fn at_worst(self) -> Symptom {
        Symptom {
            value: self.worst,
            ..self.symptom
        }
    }
}

/// What is known of one probe that is asked while all is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeHealth {
    pub name: String,
    /// When it was answered, or not, last; absent before the first time.
    pub asked_at: Option<Timestamp>,
    /// Whether that was an answer.
    pub answered: Option<bool>,
    /// How long the latest answer took, in milliseconds.
    pub latency_ms: Option<u64>,
    /// Of a thousand questions within the window, so many were not answered; absent while
    /// there are too few to tell.
    pub errors_permille: Option<u64>,
    /// Until when the certificate is valid that it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_ends: Option<Timestamp>,
}

/// How a subject is, since when, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub subject: Subject,
    pub state: HealthState,
    pub since: Timestamp,
    /// Why, in a sentence without its full stop.
    pub evidence: String,
    /// What holds, the worst first.
    pub symptoms: Vec<Symptom>,
    /// What holds, and what has cleared lately.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub episodes: Vec<Episode>,
    /// Its probes with an interval, by name.
    pub probes: Vec<ProbeHealth>,
    /// Set while it changes too often.
    pub flapping: Option<FlappingHealth>,
    /// The work that is expected of it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_work: Option<ExpectedWork>,
    /// What is left of its error budget, where it has an objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_budget: Option<ErrorBudgetHealth>,
    /// What is used up sooner than the operator wants; the soonest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forecasts: Vec<Forecast>,
    /// What is unusual of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unusual: Vec<Unusual>,
}

impl Health {
    /// Since when it has been so. A degradation began with its oldest symptom, which had to
    /// hold for a while before it counted.
    pub fn began(&self) -> Timestamp {
        if self.state != HealthState::Degraded {
            return self.since;
        }
        let confirmed = self.symptoms.iter().filter(|symptom| symptom.confirmed);
        confirmed
            .map(|symptom| symptom.since)
            .chain([self.since])
            .min()
            .unwrap_or(self.since)
    }
}

/// How often a subject has changed between well and not well, while it does so too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlappingHealth {
    /// So many times …
    pub changes: u32,
    /// … within the last so many seconds.
    pub within_seconds: u64,
}

impl FlappingHealth {
    /// `7 changes within 30m`
    pub fn in_words(self) -> String {
        let within = written(Duration::from_secs(self.within_seconds));
        format!("{} changes within {within}", self.changes)
    }
}

/// A change of a subject's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    pub subject: Subject,
    pub at: Timestamp,
    pub from: HealthState,
    pub to: HealthState,
    /// Why, in a sentence without its full stop.
    pub evidence: String,
    /// The worst symptom at that time.
    pub symptom: Option<Symptom>,
}

/// When a service counts as degraded or failed: `[health]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthSettings {
    pub latency: LatencySettings,
    pub error_rate: ErrorRateSettings,
    #[serde(default)]
    pub certificate: CertificateSettings,
    #[serde(default)]
    pub flapping: FlappingSettings,
    pub limits: MetricLimits,
    /// What is looked for in the service's lines, by the operator's names: a line counts
    /// that contains it, with `*` for any text and `?` for any one character.
    #[serde(default)]
    pub log_patterns: BTreeMap<String, String>,
    /// What follows from something unusual.
    #[serde(default)]
    pub unusual: UnusualSettings,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            latency: LatencySettings::default(),
            error_rate: ErrorRateSettings::default(),
            certificate: CertificateSettings::default(),
            flapping: FlappingSettings::default(),
            limits: MetricLimits::of_services(),
            log_patterns: BTreeMap::new(),
            unusual: UnusualSettings::default(),
        }
    }
}

/// When the host counts as degraded: `[health.host]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostHealthSettings {
    pub limits: MetricLimits,
    pub flapping: FlappingSettings,
}

impl Default for HostHealthSettings {
    fn default() -> Self {
        Self {
            limits: MetricLimits::of_host(),
            flapping: FlappingSettings::default(),
        }
    }
}

/// When a subject changes between well and not well too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlappingSettings {
    /// So many changes are too many …
    pub changes: u32,
    /// … within this time.
    pub within: Duration,
}

impl Default for FlappingSettings {
    /// Three times ill and well again within half an hour.
    fn default() -> Self {
        Self {
            changes: 6,
            within: Duration::from_secs(30 * 60),
        }
    }
}

/// How slowly a probe may be answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencySettings {
    /// From here on it is degraded.
    pub degraded: Duration,
    /// Up to here that is over. Shorter than `degraded`.
    pub clear: Duration,
    /// For how long either has to hold.
    pub hold: Duration,
}

impl Default for LatencySettings {
    fn default() -> Self {
        Self {
            degraded: Duration::from_millis(1_000),
            clear: Duration::from_millis(800),
            hold: Duration::from_secs(30),
        }
    }
}

/// How many of a probe's questions may go unanswered, in parts of a thousand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorRateSettings {
    /// From here on it is degraded.
    pub degraded: u32,
    /// Above this it is failed. Not below `degraded`.
    pub failed: u32,
    /// Up to here all of that is over. Below `degraded`.
    pub clear: u32,
    /// For how long any of it has to hold.
    pub hold: Duration,
    /// Over how long a time questions are counted, or over the last 20 intervals where
    /// those are longer.
    pub window: Duration,
}

impl Default for ErrorRateSettings {
    fn default() -> Self {
        Self {
            degraded: 50,
            failed: 100,
            clear: 20,
            hold: Duration::from_secs(30),
            window: Duration::from_secs(300),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_no_unit() {
        let unit = Subject::from(UnitName::new("web.service").unwrap());
        for subject in [Subject::Host, unit] {
            let word = subject.as_str().to_owned();
            assert_eq!(Subject::try_from(word).unwrap(), subject);
        }
        assert!(UnitName::new(Subject::HOST).is_err());
    }

    fn symptom(metric: Metric, level: SymptomLevel) -> Symptom {
        Symptom {
            level,
            metric,
            instance: None,
            value: 960,
            threshold: 900,
            clear: 800,
            since: Timestamp::from_millis(0),
            evidence: String::new(),
            confirmed: true,
        }
    }

    #[test]
    fn a_host_that_is_short_explains_who_waits_and_not_who_uses_it_up() {
        use SymptomLevel::{Critical, Degraded};
        let slow = symptom(Metric::LatencyMs, Degraded);
        let greedy = symptom(Metric::MemoryPermille, Critical);
        let out_of_memory = [symptom(Metric::MemoryPermille, Critical)];
        let low_on_memory = [symptom(Metric::MemoryPermille, Degraded)];
        let many_processes = [symptom(Metric::Processes, Critical)];
        let is = |host: &[Symptom], service: &[&Symptom]| {
            let service: Vec<Symptom> = service.iter().map(|one| (*one).clone()).collect();
            explained_by(host, &service).is_some()
        };
        assert!(is(&out_of_memory, &[&slow]));
        assert!(!is(&low_on_memory, &[&slow]));
        assert!(!is(&many_processes, &[&slow]));
        assert!(!is(&out_of_memory, &[&greedy]));
        assert!(!is(&out_of_memory, &[&slow, &greedy]));
        assert!(!is(&[], &[&slow]) && !is(&out_of_memory, &[]));
    }

    #[test]
    fn each_state_has_its_word() {
        for state in HealthState::ALL {
            assert_eq!(HealthState::from_word(state.as_str()), Some(state));
            let json = serde_json::to_string(&state).unwrap();
            assert_eq!(json, format!("\"{}\"", state.as_str()));
        }
        assert!(HealthState::ALL.is_sorted());
    }

    #[test]
    fn a_degradation_began_with_its_oldest_symptom() {
        let symptom = |since, confirmed| Symptom {
            level: SymptomLevel::Degraded,
            metric: Metric::LatencyMs,
            instance: None,
            value: 3_000,
            threshold: 1_000,
            clear: 800,
            since: Timestamp::from_millis(since),
            confirmed,
            evidence: "probe `web` is slow".to_owned(),
        };
        let mut health = Health {
            subject: Subject::Host,
            state: HealthState::Degraded,
            since: Timestamp::from_millis(40_000),
            evidence: String::new(),
            symptoms: vec![
                symptom(20_000, true),
                symptom(10_000, true),
                symptom(5_000, false),
            ],
            episodes: Vec::new(),
            probes: Vec::new(),
            flapping: None,
            error_budget: None,
            expected_work: None,
            forecasts: Vec::new(),
            unusual: Vec::new(),
        };
        assert_eq!(health.began(), Timestamp::from_millis(10_000));
        health.state = HealthState::Failed;
        assert_eq!(health.began(), Timestamp::from_millis(40_000));
    }
}
