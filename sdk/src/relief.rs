//! Relieving a service step by step, as the built-in strategies do it: the mildest remedy that
//! applies goes first, what it gained is measured, and the next follows only while the symptom
//! stays.

use std::time::{Duration, SystemTime};

use crate::{
    Assessment, Incident, Outcome, Result, Symptom, clock, metrics,
    remedies::{self, Receipt},
};

/// How sure a strategy is that has something to do.
const CONFIDENCE: u8 = 60;

/// For so long a new measurement is waited for.
const PATIENCE: Duration = Duration::from_secs(40);
/// How often it is looked for one.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What is measured over the last ten seconds remembers that long what was before.
const REMEMBERED: Duration = Duration::from_secs(10);

/// Remedies for certain symptoms, from the mildest on.
pub struct Relief {
    unit: String,
    symptoms: Vec<Symptom>,
    done: Vec<String>,
    nothing: Vec<String>,
}

impl Relief {
    /// For those symptoms of the incident that are of these metrics; none where there are none.
    pub fn of(incident: &Incident<'_>, metrics: &[&str]) -> Option<Self> {
        let mut symptoms = incident.symptoms();
        symptoms.retain(|symptom| metrics.contains(&symptom.metric.as_str()));
        (!symptoms.is_empty()).then(|| Self {
            unit: incident.unit(),
            symptoms,
            done: Vec::new(),
            nothing: Vec::new(),
        })
    }

    /// Whether one of the symptoms is of this metric.
    pub fn has(&self, metric: &str) -> bool {
        self.symptoms.iter().any(|symptom| symptom.metric == metric)
    }

    /// What these acts, each with the remedies that it is about, would come to now.
    ///
    /// # Errors
    /// Whatever keeps a plan from being made.
    pub fn assess(&self, steps: &[(&str, Vec<String>)]) -> Result<Assessment> {
        let mut eligible = Vec::new();
        let mut nothing = Vec::new();
        for (act, names) in steps {
            for name in names {
                let plan = remedies::plan_for(act, name)?;
                if plan.eligible {
                    eligible.push(plan.summary);
                } else {
                    nothing.push(plan.summary);
                }
            }
        }
        let because = self.evidence();
        Ok(if !eligible.is_empty() {
            Assessment::applies(
                CONFIDENCE,
                format!("{because}; it is possible to {}", eligible.join(", then ")),
            )
        } else if nothing.is_empty() {
            Assessment::not_applicable(format!(
                "{because}, and nothing is declared that could be done about it"
            ))
        } else {
            Assessment::not_applicable(format!("there is nothing to do: {}", nothing.join(", ")))
        })
    }

    fn evidence(&self) -> String {
        let each: Vec<&str> = self
            .symptoms
            .iter()
            .map(|symptom| symptom.evidence.as_str())
            .collect();
        each.join(", and ")
    }

    /// Applies the remedies of one kind, one after the other, until the symptoms are measured
    /// to be over. True when they are.
    pub fn step(&mut self, names: Vec<String>, act: impl Fn(&str) -> Result<Receipt>) -> bool {
        for name in names {
            match act(&name) {
                Ok(receipt) if receipt.changed => {
                    let done = match receipt.measured {
                        Some(amount) => format!("{} ({amount})", receipt.summary),
                        None => receipt.summary,
                    };
                    self.done.push(done);
                    if self.are_over() {
                        return true;
                    }
                }
                Ok(receipt) => self.nothing.push(receipt.summary),
                Err(failure) => self.nothing.push(failure.to_string()),
            }
        }
        false
    }

    /// What came of it: whether the symptoms have cleared, the host looks for itself.
    pub fn outcome(self) -> Outcome {
        if self.done.is_empty() {
            return Outcome::failed(self.nothing.join(", "));
        }
        Outcome::healed(self.done.join(", "))
    }

    /// Whether each symptom is measured to be over, by a value that is newer than now.
    fn are_over(&self) -> bool {
        let from = clock::now();
        self.symptoms
            .iter()
            .all(|symptom| self.is_over(symptom, from))
    }

    fn is_over(&self, symptom: &Symptom, from: SystemTime) -> bool {
        let remembered = if symptom.metric.starts_with("pressure-") {
            REMEMBERED
        } else {
            Duration::ZERO
        };
        let until = clock::monotonic() + PATIENCE;
        loop {
            let value = self.value_since(symptom, from + remembered);
            if let Some(value) = value {
                return value <= symptom.clear;
            }
            // What was not measured is not over.
            if clock::monotonic() >= until || clock::sleep(LOOK_EVERY).is_err() {
                return false;
            }
        }
    }

    fn value_since(&self, symptom: &Symptom, from: SystemTime) -> Option<u64> {
        let latest = metrics::latest(&self.unit, &symptom.metric).ok()?;
        let one = latest
            .into_iter()
            .find(|one| one.instance == symptom.instance)?;
        (one.at > from).then_some(one.value)
    }
}
