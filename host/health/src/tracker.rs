//! What is known of one service, and the state that follows from it.

mod objective;

use std::{collections::BTreeMap, time::Duration};

use prunella_core::{
    Timestamp, UnitName,
    capability::Certificate,
    health::{
        Health, HealthSettings, HealthState, Metric, ProbeHealth, Subject, Symptom, SymptomLevel,
        Transition,
    },
};

use crate::{
    Now,
    episodes::Episodes,
    error_budget::ErrorBudget,
    flapping::Flapping,
    probe::{Probe, ProbeSettings, Sample},
    signals::{Sampled, Signals},
};

/// Why a unit is down that an operator stopped.
const BY_OPERATOR: &str = "an operator stopped it";

/// What an earlier process knew does not stand for longer, while the unit is not seen.
const CARRIED_FOR: Duration = Duration::from_secs(30);

/// How a unit stands, as far as health is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is up, by its kind.
    Up,
    /// It is being started.
    Starting,
    /// It is down by failure; how, in a sentence without its full stop.
    Failed(String),
    /// It is down, and not by failure.
    Down,
}

/// What becomes of the service's incident. The text is evidence: a sentence without its
/// full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncidentEvent {
    /// A failure was noticed, or a healing came to nothing.
    Opened(String),
    /// Something is done about it.
    Healing(String),
    /// Nothing is done about it for a while. What is being healed waits as a part of that.
    Waits(String),
    /// The host has looked for itself, probes and all, and the service is well.
    Proven,
    /// It is over, and the service is said to be well.
    Resolved(String),
    /// It is over, and nobody made it well.
    Unresolved(String),
    /// Nothing is done any more about what was degraded: its symptoms say how it is.
    LetGo,
    /// It is over: nothing had failed.
    Dropped,
}

/// A pause of the service's healing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseUntil {
    /// By whom and why, in a sentence without its full stop.
    pub why: String,
    /// Until when; until it is resumed, when absent.
    pub until: Option<Timestamp>,
}

/// What followed from what was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    pub transition: Option<Transition>,
    /// Set when the service begins to flap: so many changes within the last half hour.
    pub began_flapping: Option<u32>,
    /// Set when it begins to be degraded, by what was measured since it was started last.
    pub began_degradation: bool,
}

/// What decides; as long as that is the same, since when and why are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
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
    Well,
}

/// Where an incident stands.
#[derive(Debug, Clone)]
enum Incident {
    /// Nobody is at work on it.
    Open(String),
    Healing(String),
}

/// Follows one service.
#[derive(Debug, Clone)]
pub struct Tracker {
    service: UnitName,
    settings: HealthSettings,
    probes: BTreeMap<String, Probe>,
    sampled: Sampled,
    /// How the unit stands, or why that is not known.
    standing: Result<Standing, String>,
    pause: Option<PauseUntil>,
    incident: Option<Incident>,
    /// Why it was left down, the last time.
    unresolved: Option<String>,
    /// Whether it was an operator who stopped it.
    by_operator: bool,
    /// Since when what an earlier process knew stands in for what is not seen yet.
    carried_on: Option<Now>,
    state: HealthState,
    since: Timestamp,
    reason: Reason,
    evidence: String,
    flapping: Flapping,
    error_budget: Option<ErrorBudget>,
    /// The run that was seen last.
    invocation: Option<String>,
    episodes: Episodes,
    /// Whether it was degraded when that was judged last.
    is_degraded: bool,
}

impl Tracker {
    /// Begins with nothing known of it, and `why`.
    pub fn new(
        service: UnitName,
        settings: HealthSettings,
        probes: BTreeMap<String, ProbeSettings>,
        now: Now,
        why: impl Into<String>,
    ) -> Self {
        let why = why.into();
        Self {
            service,
            settings,
            probes: probes
                .into_iter()
                .map(|(name, settings)| (name, Probe::new(settings)))
                .collect(),
            sampled: Sampled::default(),
            standing: Err(why.clone()),
            pause: None,
            incident: None,
            unresolved: None,
            by_operator: false,
            carried_on: None,
            state: HealthState::Unknown,
            since: now.at,
            reason: Reason::UnitUnknown,
            evidence: why,
            flapping: Flapping::default(),
            error_budget: None,
            invocation: None,
            episodes: Episodes::default(),
            is_degraded: false,
        }
    }

    /// Goes on where an earlier process was a moment ago: that stands until the unit is
    /// seen, and its probes count as asked just now.
    #[must_use]
    pub fn carrying_on(mut self, now: Now, earlier: &Health) -> Self {
        for (name, probe) in &mut self.probes {
            let symptoms: Vec<Symptom> = earlier
                .symptoms
                .iter()
                .filter(|symptom| symptom.probe() == Some(name.as_str()))
                .cloned()
                .collect();
            let was_known = earlier
                .probes
                .iter()
                .any(|probe| probe.name == *name && probe.asked_at.is_some());
            if was_known || !symptoms.is_empty() {
                probe.carry_on(now, &symptoms);
            }
        }
        self.sampled.carry_on(now, &earlier.symptoms);
        match earlier.state {
            HealthState::Failed => self.unresolved = Some(earlier.evidence.clone()),
            HealthState::Stopped => self.by_operator = earlier.evidence == BY_OPERATOR,
            _ => {}
        }
        self.carried_on = Some(now);
        self.episodes.carry_on(now, &earlier.episodes);
        self.begun_from(earlier);
        self.reason = Reason::CarriedOn;
        self.flapping.state(now, self.state);
        self
    }

    /// Begins with what an earlier process knew last, which tells nothing of the present:
    /// the first thing that is seen changes it.
    #[must_use]
    pub fn after(mut self, now: Now, earlier: &Health) -> (Self, Observed) {
        let why = self.evidence.clone();
        self.begun_from(earlier);
        if self.state == HealthState::Unknown {
            self.evidence = why;
        }
        let observed = self.settle(now, None);
        (self, observed)
    }

    fn begun_from(&mut self, earlier: &Health) {
        self.state = earlier.state;
        self.since = earlier.since;
        self.evidence.clone_from(&earlier.evidence);
    }

    /// What the operator has declared from now on. A probe that asks the same as before
    /// keeps its past.
    pub fn declare(
        &mut self,
        now: Now,
        settings: HealthSettings,
        probes: BTreeMap<String, ProbeSettings>,
    ) -> Observed {
        self.settings = settings;
        let mut before = std::mem::take(&mut self.probes);
        for (name, settings) in probes {
            let probe = match before.remove(&name) {
                Some(mut probe) if probe.settings.question == settings.question => {
                    probe.settings = settings;
                    probe
                }
                _ => Probe::new(settings),
            };
            self.probes.insert(name, probe);
        }
        self.set_rate();
        self.settle(now, None)
    }

    /// A certificate was shown to a probe. It counts with the probe's sample, which follows.
    pub fn certificate(&mut self, now: Now, name: &str, certificate: Certificate) {
        if let Some(probe) = self.probes.get_mut(name) {
            probe.certificate(now, &self.settings, certificate);
        }
    }

    /// A probe's turn came. One that is not declared is no matter.
    pub fn probe(&mut self, now: Now, name: &str, sample: Sample) -> Observed {
        if self.probes.contains_key(name) {
            self.count(now, &sample);
        }
        if let Some(probe) = self.probes.get_mut(name) {
            probe.sample(now, &self.settings, sample);
        }
        self.settle(now, None)
    }

    /// It was measured.
    pub fn signals(&mut self, now: Now, signals: &Signals<'_>) -> Observed {
        self.sampled.sample(now, &self.settings.limits, signals);
        self.settle(now, None)
    }

    /// The unit was seen.
    pub fn unit(&mut self, now: Now, standing: Standing) -> Observed {
        self.carried_on = None;
        if standing == Standing::Up {
            self.unresolved = None;
            self.by_operator = false;
        }
        self.standing = Ok(standing);
        self.settle(now, None)
    }

    /// Which run of the unit was seen. After another one than before, what was measured has
    /// to show anew.
    pub fn run(&mut self, now: Now, invocation: Option<&str>) -> Observed {
        let is_other = self.invocation.as_deref() != invocation;
        let before = std::mem::replace(&mut self.invocation, invocation.map(str::to_owned));
        if is_other && before.is_some() {
            return self.begin_anew(now);
        }
        Observed::default()
    }

    /// The service was acted on: what was measured has to show anew.
    pub fn begin_anew(&mut self, now: Now) -> Observed {
        for probe in self.probes.values_mut() {
            probe.begin_anew();
        }
        self.sampled.begin_anew();
        self.settle(now, None)
    }

    /// The unit cannot be seen any more, or not yet.
    pub fn unit_unknown(&mut self, now: Now, why: impl Into<String>) -> Observed {
        self.carried_on = None;
        self.standing = Err(why.into());
        self.settle(now, None)
    }

    /// Whether the unit was seen since this began, or since it could not be.
    pub fn is_unit_known(&self) -> bool {
        self.standing.is_ok()
    }

    /// Whether an incident is under way, which says more than the unit does.
    pub fn has_incident(&self) -> bool {
        self.incident.is_some()
    }

    /// Whether it serves worse than it should, by what was measured since it was started
    /// last.
    pub fn is_degraded(&self) -> bool {
        self.is_degraded
    }

    /// An operator has stopped the unit.
    pub fn stopped(&mut self, now: Now) -> Observed {
        self.by_operator = true;
        self.unresolved = None;
        self.unit(now, Standing::Down)
    }

    /// A pause holds, or none does.
    pub fn pause(&mut self, now: Now, pause: Option<PauseUntil>) -> Observed {
        self.pause = pause;
        self.settle(now, None)
    }

    /// Something became of the service's incident.
    pub fn incident(&mut self, now: Now, event: IncidentEvent) -> Observed {
        let mut resolution = None;
        match event {
            IncidentEvent::Waits(_) if self.is_being_healed() => {}
            IncidentEvent::Opened(why) | IncidentEvent::Waits(why) => {
                self.incident = Some(Incident::Open(why));
            }
            IncidentEvent::Healing(why) => self.incident = Some(Incident::Healing(why)),
            IncidentEvent::Proven => {
                self.by_operator = false;
                self.carried_on = None;
                self.standing = Ok(Standing::Up);
                for probe in self.probes.values_mut() {
                    probe.proven(now);
                    probe.begin_anew();
                }
                self.sampled.begin_anew();
            }
            IncidentEvent::LetGo => self.incident = None,
            IncidentEvent::Resolved(why) => {
                self.incident = None;
                self.unresolved = None;
                resolution = Some(why);
            }
            IncidentEvent::Unresolved(why) => {
                self.incident = None;
                self.unresolved = Some(why);
            }
            IncidentEvent::Dropped => self.incident = None,
        }
        self.settle(now, resolution)
    }

    fn is_being_healed(&self) -> bool {
        matches!(self.incident, Some(Incident::Healing(_)))
    }

    /// Time has passed.
    pub fn look(&mut self, now: Now) -> Observed {
        self.settle(now, None)
    }

    /// How it is, as of what was seen last.
    pub fn health(&self) -> Health {
        Health {
            subject: self.service.clone().into(),
            state: self.state,
            since: self.since,
            evidence: self.evidence.clone(),
            symptoms: self.symptoms(),
            episodes: self.episodes.all(),
            probes: self.probes(),
            flapping: self.flapping.now(),
            error_budget: self.error_budget.as_ref().map(ErrorBudget::health),
        }
    }

    /// What is known of its probes, by name.
    pub fn probes(&self) -> Vec<ProbeHealth> {
        self.probes
            .iter()
            .map(|(name, probe)| probe.health(name))
            .collect()
    }

    /// What holds, the worst first.
    fn symptoms(&self) -> Vec<Symptom> {
        let mut symptoms: Vec<Symptom> = self
            .probes
            .iter()
            .flat_map(|(name, probe)| probe.symptoms(name, &self.settings))
            .chain(self.error_budget.as_ref().and_then(ErrorBudget::symptom))
            .collect();
        let subject = Subject::from(self.service.clone());
        symptoms.extend(self.sampled.symptoms(&subject, &self.settings.limits));
        symptoms.sort_by_key(|symptom| (symptom.level, symptom.metric));
        symptoms
    }

    /// Takes the state that follows from all that is known. `resolution` is why it is well
    /// where that is the end of an incident.
    fn settle(&mut self, now: Now, resolution: Option<String>) -> Observed {
        let symptoms = self.symptoms();
        self.episodes.see(now, &symptoms);
        let (state, reason, evidence) = self.judge(now, symptoms.first());
        let evidence = resolution
            .filter(|_| state == HealthState::Healthy)
            .unwrap_or(evidence);
        let was_degraded = std::mem::replace(
            &mut self.is_degraded,
            matches!(reason, Reason::Symptom(..))
                && symptoms
                    .iter()
                    .any(|one| one.is_degradation() && one.confirmed),
        );
        let mut observed = Observed {
            began_degradation: self.is_degraded && !was_degraded,
            ..Observed::default()
        };
        if state != self.state {
            observed.transition = Some(Transition {
                subject: self.service.clone().into(),
                at: now.at,
                from: self.state,
                to: state,
                evidence: evidence.clone(),
                symptom: symptoms.into_iter().next(),
            });
            self.state = state;
            self.since = now.at;
            self.evidence = evidence;
        } else if reason != self.reason || matches!(reason, Reason::Symptom(..)) {
            // Of a symptom, the latest value.
            self.evidence = evidence;
        }
        self.reason = reason;
        if self.flapping.state(now, state) {
            observed.began_flapping = self.flapping.now();
        }
        observed
    }

    fn judge(&self, now: Now, worst: Option<&Symptom>) -> (HealthState, Reason, String) {
        if let Some(pause) = &self.pause
            && pause.until.is_none_or(|until| now.at < until)
        {
            return (HealthState::Paused, Reason::Paused, pause.why.clone());
        }
        match &self.incident {
            Some(Incident::Healing(why)) => {
                return (HealthState::Recovering, Reason::BeingHealed, why.clone());
            }
            Some(Incident::Open(why)) => {
                // What was measured says more than that it was noticed.
                return match worst {
                    Some(worst) if worst.level == SymptomLevel::Failed => of_symptom(worst),
                    _ => (HealthState::Failed, Reason::Incident, why.clone()),
                };
            }
            None => {}
        }
        if self
            .carried_on
            .is_some_and(|since| now.since(since) <= CARRIED_FOR)
        {
            return (self.state, Reason::CarriedOn, self.evidence.clone());
        }
        match &self.standing {
            Ok(Standing::Failed(how)) => {
                return match &self.unresolved {
                    Some(why) => (HealthState::Failed, Reason::Unresolved, why.clone()),
                    None => (HealthState::Failed, Reason::UnitFailed, how.clone()),
                };
            }
            Ok(Standing::Down) => {
                return match &self.unresolved {
                    Some(why) => (HealthState::Failed, Reason::Unresolved, why.clone()),
                    None => (HealthState::Stopped, Reason::Down, self.why_down()),
                };
            }
            Ok(Standing::Up | Standing::Starting) | Err(_) => {}
        }
        if let Some(worst) = worst {
            return of_symptom(worst);
        }
        match &self.standing {
            Err(why) => {
                return (HealthState::Unknown, Reason::UnitUnknown, why.clone());
            }
            Ok(Standing::Starting) => {
                let why = "its unit is being started".to_owned();
                return (HealthState::Unknown, Reason::Starting, why);
            }
            Ok(_) => {}
        }
        for (name, probe) in &self.probes {
            if let Some(why) = probe.unknown(name, now) {
                return (HealthState::Unknown, Reason::ProbeUnknown(why.clone()), why);
            }
        }
        (HealthState::Healthy, Reason::Well, self.why_well())
    }

    fn why_down(&self) -> String {
        if self.by_operator {
            BY_OPERATOR.to_owned()
        } else {
            "it is down, and has not failed".to_owned()
        }
    }

    fn why_well(&self) -> String {
        let took = |probe: &Probe| match probe.latency_ms()? {
            0 => Some("in less than 1 ms".to_owned()),
            took => Some(format!("in {}", Metric::LatencyMs.shown(took))),
        };
        let mut probes = self.probes.iter();
        match (probes.next(), probes.len()) {
            (None, _) => "its unit is up, and no probe with an interval asks more".to_owned(),
            (Some((name, probe)), 0) => {
                let took = took(probe).map_or_else(String::new, |took| format!(" {took}"));
                format!("its unit is up, and probe `{name}` answers{took}")
            }
            (Some(_), _) => {
                let each: Vec<String> = self
                    .probes
                    .iter()
                    .map(|(name, probe)| match took(probe) {
                        Some(took) => format!("`{name}` {took}"),
                        None => format!("`{name}`"),
                    })
                    .collect();
                format!("its unit is up, and its probes answer: {}", each.join(", "))
            }
        }
    }
}

fn of_symptom(symptom: &Symptom) -> (HealthState, Reason, String) {
    let state = match symptom.level {
        SymptomLevel::Failed => HealthState::Failed,
        SymptomLevel::Critical | SymptomLevel::Degraded => HealthState::Degraded,
    };
    let reason = Reason::Symptom(symptom.metric, symptom.level, symptom.instance.clone());
    (state, reason, symptom.evidence.clone())
}
