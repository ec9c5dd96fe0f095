//! How the host itself is: by what is sampled of it, and nothing else.

use prunella_core::{
    Timestamp,
    duration::written,
    health::{
        Existing, Forecast, Health, HealthState, HostHealthSettings, Metric, Reading, Subject,
        Symptom,
    },
};

use crate::{
    Now, Observed,
    judged::{Judged, Reason, Verdict, worst_first},
    outlook::Outlook,
    signals::{Sampled, Signals},
    unusual::Habits,
};

/// Follows the host.
#[derive(Debug, Clone)]
pub struct HostTracker {
    settings: HostHealthSettings,
    sampled: Sampled,
    outlook: Outlook,
    habits: Habits,
    judged: Judged,
}

impl HostTracker {
    /// Begins with nothing known of it, and `why`.
    pub fn new(settings: HostHealthSettings, now: Now, why: impl Into<String>) -> Self {
        let mut judged = Judged::unknown(Subject::Host, now, why.into());
        judged.declare(settings.flapping);
        Self {
            settings,
            sampled: Sampled::default(),
            outlook: Outlook::default(),
            habits: Habits::default(),
            judged,
        }
    }

    /// Goes on where an earlier process was a moment ago.
    #[must_use]
    pub fn carrying_on(mut self, now: Now, earlier: &Health) -> Self {
        self.sampled.carry_on(now, &earlier.symptoms);
        self.outlook.carry_on(&earlier.forecasts);
        self.judged.carry_on(now, earlier);
        self
    }

    /// What the operator has declared from now on.
    pub fn declare(&mut self, now: Now, settings: HostHealthSettings) -> Observed {
        self.judged.declare(settings.flapping);
        self.settings = settings;
        self.settle(now)
    }

    /// It was measured.
    pub fn signals(&mut self, now: Now, signals: &Signals<'_>) -> Observed {
        self.sampled
            .sample(now, &self.settings.limits, signals, None);
        self.outlook
            .sample(now, &self.settings.limits, signals, None);
        self.settle(now)
    }

    /// What there is of the things that are measured: of others nothing is known any more.
    pub fn exists(&mut self, now: Now, existing: &Existing) -> Observed {
        self.sampled.forget_what_is_gone(existing);
        self.outlook.forget_what_is_gone(existing);
        self.settle(now)
    }

    /// Time has passed.
    pub fn look(&mut self, now: Now) -> Observed {
        self.settle(now)
    }

    /// Whether it is degraded, by what was measured since this began.
    pub fn is_degraded(&self) -> bool {
        self.judged.is_degraded()
    }

    /// How it is, as of what was measured last.
    pub fn health(&self) -> Health {
        Health {
            forecasts: self.outlook.forecasts(),
            unusual: self.habits.unusual(),
            ..self.judged.health(self.symptoms())
        }
    }

    /// It was measured: whether that is usual.
    pub fn habits(&mut self, now: Now, readings: &[Reading]) {
        self.habits.observe(now.at, readings, true, None);
    }

    /// What was measured before this began, a value a minute.
    pub fn learn(&mut self, metric: Metric, instance: Option<&str>, values: &[(Timestamp, u64)]) {
        self.habits.learn(metric, instance, values);
    }

    /// Reckons anew what will be used up. None while too little was measured to tell.
    pub fn look_ahead(&mut self, now: Now) -> Option<Vec<Forecast>> {
        self.outlook.look(now, &self.settings.limits);
        self.outlook.is_known().then(|| self.outlook.forecasts())
    }

    /// The metrics whose past tells what will be used up.
    pub fn foreseen(&self) -> Vec<Metric> {
        self.settings.limits.foreseen().collect()
    }

    /// What was measured before this began, of what will be used up.
    pub fn earlier(
        &mut self,
        now: Now,
        metric: Metric,
        instance: Option<&str>,
        values: &[(Timestamp, u64)],
    ) {
        self.outlook.earlier(now, metric, instance, values);
    }

    fn symptoms(&self) -> Vec<Symptom> {
        worst_first(self.sampled.symptoms(&Subject::Host, &self.settings.limits))
    }

    fn settle(&mut self, now: Now) -> Observed {
        let Some(last) = self.sampled.last() else {
            // Until it is measured, what an earlier process knew stands.
            return Observed::default();
        };
        let symptoms = self.symptoms();
        let fresh_for = self.sampled.fresh_for();
        let verdict = if let Some(worst) = symptoms.first() {
            Verdict::of_symptom(worst)
        } else if now.since(last) > fresh_for {
            let why = format!("nothing was measured for {}", written(fresh_for));
            Verdict::new(HealthState::Unknown, Reason::NotMeasured, why)
        } else {
            let why = "nothing that is measured is at its limit";
            Verdict::new(HealthState::Healthy, Reason::Well, why)
        };
        self.judged.take(now, verdict, symptoms)
    }
}
