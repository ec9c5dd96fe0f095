//! How the host itself is: by what is sampled of it, and nothing else.

use prunella_core::{
    Timestamp,
    duration::written,
    health::{Existing, Health, HealthState, MetricLimits, Subject, Symptom, Transition},
};

use crate::{
    Now, Observed,
    episodes::Episodes,
    flapping::Flapping,
    signals::{Sampled, Signals},
};

/// Follows the host.
#[derive(Debug, Clone)]
pub struct HostTracker {
    limits: MetricLimits,
    sampled: Sampled,
    state: HealthState,
    since: Timestamp,
    evidence: String,
    /// Which symptom decides, or none.
    reason: Option<(HealthState, String)>,
    flapping: Flapping,
    episodes: Episodes,
    /// Whether it was degraded when that was judged last.
    is_degraded: bool,
}

impl HostTracker {
    /// Begins with nothing known of it, and `why`.
    pub fn new(limits: MetricLimits, now: Now, why: impl Into<String>) -> Self {
        Self {
            limits,
            sampled: Sampled::default(),
            state: HealthState::Unknown,
            since: now.at,
            evidence: why.into(),
            reason: None,
            flapping: Flapping::default(),
            episodes: Episodes::default(),
            is_degraded: false,
        }
    }

    /// Goes on where an earlier process was a moment ago.
    #[must_use]
    pub fn carrying_on(mut self, now: Now, earlier: &Health) -> Self {
        self.sampled.carry_on(now, &earlier.symptoms);
        self.episodes.carry_on(now, &earlier.episodes);
        self.state = earlier.state;
        self.since = earlier.since;
        self.evidence.clone_from(&earlier.evidence);
        self.flapping.state(now, self.state);
        self
    }

    /// What the operator has declared from now on.
    pub fn declare(&mut self, now: Now, limits: MetricLimits) -> Observed {
        self.limits = limits;
        self.settle(now)
    }

    /// It was measured.
    pub fn signals(&mut self, now: Now, signals: &Signals<'_>) -> Observed {
        self.sampled.sample(now, &self.limits, signals);
        self.settle(now)
    }

    /// What there is of the things that are measured: of others nothing is known any more.
    pub fn exists(&mut self, now: Now, existing: &Existing) -> Observed {
        self.sampled.forget_what_is_gone(existing);
        self.settle(now)
    }

    /// Time has passed.
    pub fn look(&mut self, now: Now) -> Observed {
        self.settle(now)
    }

    /// Whether it is degraded, by what was measured since this began.
    pub fn is_degraded(&self) -> bool {
        self.is_degraded
    }

    /// How it is, as of what was measured last.
    pub fn health(&self) -> Health {
        Health {
            subject: Subject::Host,
            state: self.state,
            since: self.since,
            evidence: self.evidence.clone(),
            symptoms: self.symptoms(),
            episodes: self.episodes.all(),
            probes: Vec::new(),
            flapping: self.flapping.now(),
            error_budget: None,
        }
    }

    /// What holds, the worst first.
    fn symptoms(&self) -> Vec<Symptom> {
        let mut symptoms = self.sampled.symptoms(&Subject::Host, &self.limits);
        symptoms.sort_by_key(|symptom| (symptom.level, symptom.metric));
        symptoms
    }

    fn settle(&mut self, now: Now) -> Observed {
        let Some(last) = self.sampled.last() else {
            // Until it is measured, what an earlier process knew stands.
            return Observed::default();
        };
        let symptoms = self.symptoms();
        self.episodes.see(now, &symptoms);
        let (state, of, evidence) = if let Some(worst) = symptoms.first() {
            let of = format!(
                "{} {}",
                worst.metric.as_str(),
                worst.instance.as_deref().unwrap_or_default()
            );
            (HealthState::Degraded, of, worst.evidence.clone())
        } else if now.since(last) > self.sampled.fresh_for() {
            let why = format!(
                "nothing was measured for {}",
                written(self.sampled.fresh_for())
            );
            (HealthState::Unknown, String::new(), why)
        } else {
            let why = "nothing that is measured is at its limit".to_owned();
            (HealthState::Healthy, String::new(), why)
        };
        let was_degraded = std::mem::replace(
            &mut self.is_degraded,
            symptoms.iter().any(|symptom| symptom.confirmed),
        );
        let mut observed = Observed {
            began_degradation: self.is_degraded && !was_degraded,
            ..Observed::default()
        };
        let reason = Some((state, of));
        if state != self.state {
            observed.transition = Some(Transition {
                subject: Subject::Host,
                at: now.at,
                from: self.state,
                to: state,
                evidence: evidence.clone(),
                symptom: symptoms.into_iter().next(),
            });
            self.state = state;
            self.since = now.at;
            self.evidence = evidence;
        } else if reason != self.reason || state == HealthState::Degraded {
            // Of a symptom, the latest value.
            self.evidence = evidence;
        }
        self.reason = reason;
        if self.flapping.state(now, state) {
            observed.began_flapping = self.flapping.now();
        }
        observed
    }
}
