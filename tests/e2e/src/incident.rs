//! Incidents as `prunella incidents --json` tells of them.

use std::time::Duration;

use prunella_core::Timestamp;
use serde_json::Value;

/// One line of `prunella incidents --json`.
#[derive(Debug, Clone)]
pub struct Incident {
    pub id: String,
    pub unit: String,
    /// When it was detected.
    pub at: Timestamp,
    /// What went wrong.
    pub cause: String,
    /// How it ended; absent while it is open.
    pub ended: Option<String>,
    /// Why it ended so, in a sentence.
    pub why: Option<String>,
    /// The word for why nothing was done, when it was left alone.
    pub left_alone: Option<String>,
    /// Which strategy healed it.
    pub strategy: Option<String>,
    /// From the failure to the moment of recovery.
    pub recovered_after: Option<Duration>,
    /// Which attempt it is at.
    pub attempt: u64,
}

impl Incident {
    /// Reads such a line.
    pub fn from_line(line: &str) -> Self {
        let value: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}"));
        Self::from_json(&value)
    }

    fn from_json(value: &Value) -> Self {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |key: &str| value.get(key).and_then(Value::as_u64);
        let must = |key: &str| -> String { panic!("`{key}` is missing in the incident {value}") };
        Self {
            id: text("id").unwrap_or_else(|| must("id")),
            unit: text("unit").unwrap_or_else(|| must("unit")),
            at: Timestamp::from_millis(number("at").unwrap_or_else(|| must_number("at", value))),
            cause: text("cause").unwrap_or_else(|| must("cause")),
            ended: text("ended"),
            why: text("why"),
            left_alone: text("left_alone"),
            strategy: text("strategy"),
            recovered_after: number("recovered_after_us").map(Duration::from_micros),
            attempt: number("attempt").unwrap_or_else(|| must_number("attempt", value)),
        }
    }

    /// Whether it ended with this word.
    pub fn is(&self, ended: &str) -> bool {
        self.ended.as_deref() == Some(ended)
    }
}

fn must_number(key: &str, value: &Value) -> u64 {
    panic!("`{key}` is missing in the incident {value}")
}

/// What `prunella incidents ID --json` prints: the whole record of one.
#[derive(Debug, Clone)]
pub struct Record(pub(crate) Value);

impl Record {
    /// The steps of one kind, such as `act-intended`, in order.
    pub fn steps<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let steps = self.0.get("steps").and_then(Value::as_array);
        steps
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.get("step"))
            .filter(move |step| step.get("step").and_then(Value::as_str) == Some(kind))
    }

    /// The acts that were begun, as `unit-control.start web.service`.
    pub fn acts(&self) -> Vec<String> {
        self.steps("act-intended")
            .map(|step| {
                let text = |key: &str| step.get(key).and_then(Value::as_str).unwrap_or("?");
                format!("{} {}", text("act"), text("target"))
            })
            .collect()
    }

    /// When each step was, in milliseconds since 1970, and its kind, in order.
    pub fn timed(&self) -> Vec<(u64, String)> {
        let steps = self.0.get("steps").and_then(Value::as_array);
        let timed = |entry: &Value| {
            let kind = entry.get("step")?.get("step")?.as_str()?;
            Some((entry.get("at")?.as_u64()?, kind.to_owned()))
        };
        steps.into_iter().flatten().filter_map(timed).collect()
    }

    /// What was known when the incident was opened.
    pub fn detection(&self) -> &Value {
        self.0
            .pointer("/incident/detection")
            .unwrap_or_else(|| panic!("there is no detection in {}", self.0))
    }

    /// Everything it says, to look for a text in.
    pub fn text(&self) -> String {
        self.0.to_string()
    }
}
