//! What a subject was judged to be, since when and why, and what of that is news.

use prunella_core::{
    Timestamp,
    health::{
        FlappingHealth, FlappingSettings, Health, HealthState, Metric, Subject, Symptom,
        SymptomLevel, Transition,
    },
};

use crate::{Now, episodes::Episodes, flapping::Flapping};

/// What followed from what was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    pub transition: Option<Transition>,
    /// Set when the subject begins to flap.
    pub began_flapping: Option<FlappingHealth>,
    /// Set when it begins to be degraded, by what was measured since it was started last.
    pub began_degradation: bool,
}

/// What decides; as long as that is the same, since when and why are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    /// What an earlier process knew.
    CarriedOn,
    Paused,
    BeingHealed,
    Incident,
    Unresolved,
    UnitFailed,
    Down,
    Symptom(Metric, SymptomLevel, Option<String>),
    UnitUnknown,
    Starting,
    /// With what is missing of it.
    ProbeUnknown(String),
    NotMeasured,
    Well,
}

/// What a subject is, by all that is known of it now.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) state: HealthState,
    pub(crate) reason: Reason,
    /// Why, in a sentence without its full stop.
    pub(crate) evidence: String,
}

impl Verdict {
    pub(crate) fn new(state: HealthState, reason: Reason, evidence: impl Into<String>) -> Self {
        Self {
            state,
            reason,
            evidence: evidence.into(),
        }
    }

    /// Where this symptom decides.
    pub(crate) fn of_symptom(symptom: &Symptom) -> Self {
        let state = match symptom.level {
            SymptomLevel::Failed => HealthState::Failed,
            SymptomLevel::Critical | SymptomLevel::Degraded => HealthState::Degraded,
        };
        let reason = Reason::Symptom(symptom.metric, symptom.level, symptom.instance.clone());
        Self::new(state, reason, symptom.evidence.as_str())
    }
}

/// The latest verdict on a subject, and what led there.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    subject: Subject,
    state: HealthState,
    since: Timestamp,
    /// Since when it is down, while it is: a try to bring it up that fails is no end of that.
    down_since: Option<Timestamp>,
    /// Whether what brought it down is not known to be over: that it is seen to be up for a
    /// moment, in a try to start it, is no end of that.
    is_unsettled: bool,
    evidence: String,
    /// What decided; nothing, before anything was judged.
    reason: Option<Reason>,
    flapping: Flapping,
    episodes: Episodes,
    is_degraded: bool,
}

/// Whether it serves nobody. Being healed is a part of that.
fn is_down(state: HealthState) -> bool {
    matches!(state, HealthState::Failed | HealthState::Recovering)
}

impl Judged {
    /// Nothing is known yet, and `why`.
    pub(crate) fn unknown(subject: Subject, now: Now, why: String) -> Self {
        Self {
            subject,
            state: HealthState::Unknown,
            since: now.at,
            down_since: None,
            is_unsettled: false,
            evidence: why,
            reason: None,
            flapping: Flapping::default(),
            episodes: Episodes::default(),
            is_degraded: false,
        }
    }

    /// Begins with what an earlier process knew, which tells nothing of the present.
    pub(crate) fn begin_from(&mut self, earlier: &Health) {
        self.state = earlier.state;
        self.since = earlier.since;
        self.down_since = is_down(earlier.state).then_some(earlier.since);
        self.evidence.clone_from(&earlier.evidence);
    }

    /// Goes on where an earlier process was a moment ago.
    pub(crate) fn carry_on(&mut self, now: Now, earlier: &Health) {
        self.begin_from(earlier);
        self.episodes.carry_on(now, &earlier.episodes);
        self.flapping.state(now, self.state);
    }

    /// When it flaps, from now on.
    pub(crate) fn declare(&mut self, flapping: FlappingSettings) {
        self.flapping.declare(flapping);
    }

    /// From now on: whether an incident is under way, or was left as it was.
    pub(crate) fn set_unsettled(&mut self, is_unsettled: bool) {
        self.is_unsettled = is_unsettled;
    }

    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    pub(crate) fn state(&self) -> HealthState {
        self.state
    }

    /// Whether the latest verdict was that it is degraded, by what was measured since it was
    /// started last.
    pub(crate) fn is_degraded(&self) -> bool {
        self.is_degraded
    }

    /// What an earlier process knew, once more.
    pub(crate) fn carried_on(&self) -> Verdict {
        Verdict::new(self.state, Reason::CarriedOn, self.evidence.as_str())
    }

    /// Takes a new verdict. `symptoms` hold, the worst first.
    pub(crate) fn take(&mut self, now: Now, verdict: Verdict, symptoms: Vec<Symptom>) -> Observed {
        let Verdict {
            state,
            reason,
            evidence,
        } = verdict;
        self.episodes.see(now, &symptoms);
        let is_symptom = matches!(reason, Reason::Symptom(..));
        let was_degraded = std::mem::replace(
            &mut self.is_degraded,
            is_symptom
                && symptoms
                    .iter()
                    .any(|one| one.is_degradation() && one.confirmed),
        );
        let mut observed = Observed {
            began_degradation: self.is_degraded && !was_degraded,
            ..Observed::default()
        };
        if is_down(state) {
            self.down_since.get_or_insert(now.at);
        } else if !self.is_unsettled && reason != Reason::Starting {
            self.down_since = None;
        }
        if state != self.state {
            observed.transition = Some(Transition {
                subject: self.subject.clone(),
                at: now.at,
                from: self.state,
                to: state,
                evidence: evidence.clone(),
                symptom: symptoms.into_iter().next(),
            });
            let down_since = self.down_since.filter(|_| is_down(state));
            self.since = down_since.unwrap_or(now.at);
            self.state = state;
            self.evidence = evidence;
        } else if is_symptom || self.reason.as_ref() != Some(&reason) {
            // Of a symptom, the latest value.
            self.evidence = evidence;
        }
        self.reason = Some(reason);
        if self.flapping.state(now, state) {
            observed.began_flapping = self.flapping.now();
        }
        observed
    }

    /// How it is, without what only services have.
    pub(crate) fn health(&self, symptoms: Vec<Symptom>) -> Health {
        Health {
            subject: self.subject.clone(),
            state: self.state,
            since: self.since,
            evidence: self.evidence.clone(),
            symptoms,
            episodes: self.episodes.all(),
            probes: Vec::new(),
            flapping: self.flapping.now(),
            expected_work: None,
            error_budget: None,
            forecasts: Vec::new(),
            unusual: Vec::new(),
        }
    }
}

/// The worst first.
pub(crate) fn worst_first(symptoms: impl IntoIterator<Item = Symptom>) -> Vec<Symptom> {
    let mut symptoms: Vec<Symptom> = symptoms.into_iter().collect();
    symptoms.sort_by_key(|symptom| (symptom.level, symptom.metric));
    symptoms
}
