//! How a service is: the words of health.
//!
//! | word | meaning |
//! |---|---|
//! | metric | a number of a service, sampled; its unit is in its name |
//! | condition | a rule over a metric: when it opens, when it clears, and for how long that has to hold |
//! | symptom | a condition that holds: its value, since when, and the evidence |
//! | health | a state, since when, and why |
//!
//! `prunella-health` has the arithmetic. Nothing here decides.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Timestamp, UnitName};

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

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// So many times in a row a probe was not answered.
    UnansweredInARow,
    /// Of a thousand questions of a probe within the window, so many were not answered.
    ErrorsPermille,
    /// How long a probe's answer took, in milliseconds.
    LatencyMs,
}

impl Metric {
    /// A value of it for people: `1,502 ms`, `9.7 %`, `3`.
    pub fn shown(self, value: u64) -> String {
        match self {
            Self::UnansweredInARow => value.to_string(),
            Self::ErrorsPermille if value.is_multiple_of(10) => format!("{} %", value / 10),
            Self::ErrorsPermille => format!("{}.{} %", value / 10, value % 10),
            Self::LatencyMs => format!("{} ms", thousands(value)),
        }
    }
}

/// With a comma between groups of three digits.
fn thousands(value: u64) -> String {
    if value < 1_000 {
        return value.to_string();
    }
    format!("{},{:03}", thousands(value / 1_000), value % 1_000)
}

/// How bad a symptom is. The order is that of a list: the worse first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SymptomLevel {
    /// It makes its service `failed`.
    Failed,
    /// It makes its service `degraded`.
    Degraded,
}

/// A condition that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symptom {
    pub level: SymptomLevel,
    pub metric: Metric,
    /// The probe that is measured.
    pub probe: String,
    /// The latest value, in the metric's unit.
    pub value: u64,
    /// From this value on it is one.
    pub threshold: u64,
    /// It is over when the value is no more than this. Of unanswered questions, so many
    /// answers in a row end it.
    pub clear: u64,
    /// Since when the condition has held.
    pub since: Timestamp,
    /// A sentence without its full stop.
    pub evidence: String,
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
}

/// How a service is, since when, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub unit: UnitName,
    pub state: HealthState,
    pub since: Timestamp,
    /// Why, in a sentence without its full stop.
    pub evidence: String,
    /// What holds, the worst first.
    pub symptoms: Vec<Symptom>,
    /// Its probes with an interval, by name.
    pub probes: Vec<ProbeHealth>,
    /// Set while it changes too often: so many changes within the last half hour.
    pub flapping: Option<u32>,
}

/// A change of a service's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    pub unit: UnitName,
    pub at: Timestamp,
    pub from: HealthState,
    pub to: HealthState,
    /// Why, in a sentence without its full stop.
    pub evidence: String,
    /// The worst symptom at that time.
    pub symptom: Option<Symptom>,
}

/// When a service counts as degraded or failed: `[health]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthSettings {
    pub latency: LatencySettings,
    pub error_rate: ErrorRateSettings,
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
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Metric::LatencyMs, 999, "999 ms")]
    #[case(Metric::LatencyMs, 1_502, "1,502 ms")]
    #[case(Metric::LatencyMs, 1_000_007, "1,000,007 ms")]
    #[case(Metric::ErrorsPermille, 97, "9.7 %")]
    #[case(Metric::ErrorsPermille, 100, "10 %")]
    #[case(Metric::UnansweredInARow, 3, "3")]
    fn values_are_shown(#[case] metric: Metric, #[case] value: u64, #[case] shown: &str) {
        assert_eq!(metric.shown(value), shown);
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
}
