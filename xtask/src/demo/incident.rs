//! An incident as `prunella incidents ID --json` tells it.
//!
//! The demo judges Prunella from outside, so it reads what every program can
//! read, and shares no code with it.

use serde_json::Value;

/// The record of one incident.
#[derive(Debug, Clone)]
pub(crate) struct Incident(Value);

impl Incident {
    pub(crate) fn new(record: Value) -> Self {
        Self(record)
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.0.pointer(pointer).and_then(Value::as_str)
    }

    pub(crate) fn id(&self) -> &str {
        self.text("/incident/id").unwrap_or_default()
    }

    /// The unit that failed.
    pub(crate) fn unit(&self) -> &str {
        self.text("/incident/detection/unit").unwrap_or_default()
    }

    /// The word for how it ended; absent while it goes on.
    pub(crate) fn ended(&self) -> Option<&str> {
        self.text("/ending/ended").filter(|word| *word != "blocked")
    }

    /// Which strategy healed it.
    pub(crate) fn strategy(&self) -> Option<&str> {
        self.text("/ending/strategy")
    }

    /// Why people are needed, or why it was left alone.
    pub(crate) fn why(&self) -> &str {
        ["/ending/reason", "/ending/why", "/ending/by"]
            .into_iter()
            .find_map(|pointer| self.text(pointer))
            .unwrap_or_default()
    }

    /// Microseconds from the failure, or where nobody can tell when that was,
    /// from its being noticed, to the moment of recovery.
    pub(crate) fn answered_after(&self) -> Option<u64> {
        let answering = self
            .entries()
            .iter()
            .rfind(|entry| entry.pointer("/step/step") == Some(&Value::from("answering")))?;
        let at = answering.get("monotonic")?.as_u64()?;
        at.checked_sub(self.failed_at()?)
    }

    /// CLOCK_MONOTONIC, in microseconds, when systemd saw the unit go down, or
    /// when that was noticed.
    pub(crate) fn failed_at(&self) -> Option<u64> {
        self.0
            .pointer("/incident/detection/failed_monotonic")
            .and_then(Value::as_u64)
            .or_else(|| self.entries().first()?.get("monotonic")?.as_u64())
    }

    /// Every entry of its trail, in order.
    pub(crate) fn entries(&self) -> &[Value] {
        self.0
            .get("steps")
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// The acts that change something.
    pub(crate) fn changes(&self) -> impl Iterator<Item = &str> {
        self.acts()
            .map(|(_, act)| act)
            .filter(|act| *act != "checks.run")
    }

    /// The steps of one kind, such as `act-intended`.
    pub(crate) fn steps<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.entries()
            .iter()
            .filter_map(|entry| entry.get("step"))
            .filter(move |step| word(step, "step") == kind)
    }

    /// The acts that were begun: who called, and what. A declared check is one
    /// too, even if it only looks.
    pub(crate) fn acts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.steps("act-intended")
            .filter(|step| step.get("dry_run") != Some(&Value::Bool(true)))
            .map(|step| (word(step, "strategy"), word(step, "act")))
    }

    /// Whether a strategy said that nothing may be done.
    pub(crate) fn was_vetoed_by(&self, strategy: &str) -> bool {
        self.steps("assessed").any(|step| {
            word(step, "strategy") == strategy
                && step.pointer("/assessment/says") == Some(&Value::from("veto"))
        })
    }

    /// For how many milliseconds it was then watched.
    pub(crate) fn stable_for(&self) -> Option<u64> {
        self.steps("proven").last()?.get("stable_for")?.as_u64()
    }
}

/// A text of a step; empty where there is none.
pub(crate) fn word<'a>(step: &'a Value, key: &str) -> &'a str {
    step.get(key).and_then(Value::as_str).unwrap_or_default()
}
