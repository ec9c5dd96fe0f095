//! What is unusual of the service.

use prunella_core::{
    Timestamp,
    health::{ExpectedWork, Metric, Reading, Symptom, SymptomLevel, Unusual, UnusualSettings},
};

use super::Tracker;
use crate::{Now, Observed, expected::unstrained};

impl Tracker {
    /// It was measured: whether that is usual.
    pub fn habits(&mut self, now: Now, readings: &[Reading]) -> Observed {
        if self.settings.unusual == UnusualSettings::Off {
            return Observed::default();
        }
        let is_symptom = self.settings.unusual == UnusualSettings::Incident;
        let before = is_symptom.then(|| self.habits.unusual());
        let expected = self.expected_work.as_ref();
        let expected = expected.filter(|work| work.holds(now.at));
        self.habits.observe(now.at, readings, false, expected);
        match before {
            Some(before) if before != self.habits.unusual() => self.settle(now, None),
            _ => Observed::default(),
        }
    }

    /// What was measured before this began, a value a minute, and what work was expected
    /// then.
    pub fn learn(
        &mut self,
        metric: Metric,
        instance: Option<&str>,
        values: &[(Timestamp, u64)],
        expected: &[ExpectedWork],
    ) {
        let values = unstrained(metric, values, expected);
        self.habits.learn(metric, instance, &values);
    }

    /// Whether what is measured is compared with what is usual.
    pub fn has_habits(&self) -> bool {
        self.settings.unusual != UnusualSettings::Off
    }

    /// What is unusual of it.
    pub fn unusual(&self) -> Vec<Unusual> {
        if self.settings.unusual == UnusualSettings::Off {
            return Vec::new();
        }
        self.habits.unusual()
    }

    /// The symptoms that this is, where the operator wants that.
    pub(super) fn of_unusual(&self) -> Vec<Symptom> {
        if self.settings.unusual != UnusualSettings::Incident {
            return Vec::new();
        }
        let unusual = self.habits.unusual();
        unusual.iter().map(symptom).collect()
    }
}

fn symptom(unusual: &Unusual) -> Symptom {
    let title = unusual.title();
    Symptom {
        level: SymptomLevel::Degraded,
        metric: Metric::Unusual,
        evidence: format!(
            "its {title} is unusual: {}",
            unusual.metric.shown(unusual.value)
        ),
        instance: Some(title),
        value: 1,
        threshold: 1,
        clear: 0,
        since: unusual.since,
        confirmed: true,
    }
}
