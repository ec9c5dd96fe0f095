//! What is known of one service, and the state that follows from it.

mod ahead;
mod objective;
mod unusual;

use std::{collections::BTreeMap, time::Duration};

use prunella_core::{
    Timestamp, UnitName,
    capability::Certificate,
    health::{
        ExpectedWork, Health, HealthSettings, HealthState, Metric, ProbeHealth, Symptom,
        SymptomLevel, Undecided,
    },
};

use crate::{
    Now, Observed,
    error_budget::ErrorBudget,
    judged::{Judged, Reason, Verdict, worst_first},
    outlook::Outlook,
    probe::{Probe, ProbeSettings, Sample},
    signals::{Sampled, Signals},
    unusual::Habits,
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
    /// It is down, and another unit serves in its place; which, in a sentence without its full
    /// stop.
    FailedOver(String),
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

impl PauseUntil {
    fn holds(&self, now: Now) -> bool {
        self.until.is_none_or(|until| now.at < until)
    }
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
    settings: HealthSettings,
    probes: BTreeMap<String, Probe>,
    sampled: Sampled,
    outlook: Outlook,
    habits: Habits,
    /// How the unit stands, or why that is not known.
    standing: Result<Standing, String>,
    pause: Option<PauseUntil>,
    expected_work: Option<ExpectedWork>,
    incident: Option<Incident>,
    /// Why it was left down, the last time.
    unresolved: Option<String>,
    /// Whether it was an operator who stopped it.
    by_operator: bool,
    /// Since when what an earlier process knew stands in for what is not seen yet.
    carried_on: Option<Now>,
    error_budget: Option<ErrorBudget>,
    /// The run that was seen last.
    invocation: Option<String>,
    judged: Judged,
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
        let mut judged = Judged::unknown(service.into(), now, why.clone());
        judged.declare(settings.flapping);
        Self {
            settings,
            probes: probes
                .into_iter()
                .map(|(name, settings)| (name, Probe::new(settings)))
                .collect(),
            sampled: Sampled::default(),
            outlook: Outlook::default(),
            habits: Habits::default(),
            standing: Err(why.clone()),
            pause: None,
            expected_work: None,
            incident: None,
            unresolved: None,
            by_operator: false,
            carried_on: None,
            error_budget: None,
            invocation: None,
            judged,
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
        self.outlook.carry_on(&earlier.forecasts);
        match earlier.state {
            HealthState::Failed => self.unresolved = Some(earlier.evidence.clone()),
            HealthState::Stopped => self.by_operator = earlier.evidence == BY_OPERATOR,
            _ => {}
        }
        self.carried_on = Some(now);
        self.judged.carry_on(now, earlier);
        self
    }

    /// Begins with what an earlier process knew last, which tells nothing of the present:
    /// the first thing that is seen changes it.
    #[must_use]
    pub fn after(mut self, now: Now, earlier: &Health) -> (Self, Observed) {
        self.judged.begin_from(earlier);
        let observed = self.settle(now, None);
        (self, observed)
    }

    /// What the operator has declared from now on. A probe that asks the same as before
    /// keeps its past.
    pub fn declare(
        &mut self,
        now: Now,
        settings: HealthSettings,
        probes: BTreeMap<String, ProbeSettings>,
    ) -> Observed {
        self.judged.declare(settings.flapping);
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
            let slow_is_expected = is_expected(self.expected_work.as_ref(), now, Metric::LatencyMs);
            probe.sample(now, &self.settings, sample, slow_is_expected);
        }
        self.settle(now, None)
    }

    /// What was recorded of a probe's turns, in place of them: see [`Backtest`](crate::Backtest).
    pub(crate) fn recorded_probe(
        &mut self,
        now: Now,
        name: &str,
        spacing: Duration,
        latency_ms: Option<u64>,
        errors: Option<u64>,
    ) -> Observed {
        if let Some(probe) = self.probes.get_mut(name) {
            let expected = is_expected(self.expected_work.as_ref(), now, Metric::LatencyMs);
            probe.recorded(now, &self.settings, spacing, latency_ms, errors, expected);
        }
        self.settle(now, None)
    }

    /// It was measured.
    pub fn signals(&mut self, now: Now, signals: &Signals<'_>) -> Observed {
        let expected = self.expected_work.as_ref();
        let expected = expected.filter(|work| work.holds(now.at));
        self.sampled
            .sample(now, &self.settings.limits, signals, expected);
        self.outlook
            .sample(now, &self.settings.limits, signals, expected);
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
        self.habits.begin_anew();
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

    /// Whether the unit was up when it was seen last.
    pub fn is_up(&self) -> bool {
        matches!(self.standing, Ok(Standing::Up))
    }

    /// Whether its unit was seen to be up, and is not being healed.
    pub fn is_serving(&self) -> bool {
        self.is_up() && !self.is_being_healed()
    }

    /// Whether an incident is under way, which says more than the unit does.
    pub fn has_incident(&self) -> bool {
        self.incident.is_some()
    }

    /// Whether it serves worse than it should, by what was measured since it was started
    /// last.
    pub fn is_degraded(&self) -> bool {
        self.judged.is_degraded()
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

    /// Work is expected of it, or none is. It ends by itself.
    pub fn expect_work(&mut self, now: Now, work: Option<ExpectedWork>) -> Observed {
        self.expected_work = work;
        self.settle(now, None)
    }

    /// Whether work is expected of it now.
    fn has_expected_work(&self, now: Now) -> bool {
        let work = self.expected_work.as_ref();
        work.is_some_and(|work| work.holds(now.at))
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
        let judged = self.judged.health(self.symptoms());
        // Why it is well dates from when it became so.
        let unanswered = self
            .unanswered_so_far()
            .filter(|_| judged.state == HealthState::Healthy);
        Health {
            probes: self.probes(),
            error_budget: self.error_budget.as_ref().map(ErrorBudget::health),
            expected_work: self.expected_work.clone(),
            forecasts: self.outlook.forecasts(),
            unusual: self.unusual(),
            evidence: unanswered.unwrap_or(judged.evidence),
            ..judged
        }
    }

    /// Which probe does not tell yet how it has been for the last `ago`; of several, the one
    /// that may take longest. Nothing where no probe is asked: while it is down, paused, or
    /// being healed.
    pub fn undecided(&self, now: Now, ago: Duration) -> Option<Undecided> {
        let is_down = matches!(
            self.standing,
            Ok(Standing::Failed(_) | Standing::Down | Standing::FailedOver(_))
        );
        let pause = self.pause.as_ref();
        let is_paused = pause.is_some_and(|pause| pause.holds(now));
        if is_down || is_paused || self.is_being_healed() {
            return None;
        }
        let probes = self.probes.iter();
        probes
            .filter_map(|(name, probe)| probe.undecided(name, now, &self.settings, ago))
            .max_by_key(|undecided| undecided.up_to)
    }

    /// The first of its probes that was not answered the last time, where that is no failure.
    fn unanswered_so_far(&self) -> Option<String> {
        self.probes.iter().find_map(|(name, probe)| {
            let so_far = probe.unanswered_so_far()?;
            Some(format!("its unit is up, and probe `{name}` {so_far}"))
        })
    }

    /// What is known of its probes, by name.
    pub fn probes(&self) -> Vec<ProbeHealth> {
        self.probes
            .iter()
            .map(|(name, probe)| probe.health(name))
            .collect()
    }

    fn symptoms(&self) -> Vec<Symptom> {
        let of_probes = self
            .probes
            .iter()
            .flat_map(|(name, probe)| probe.symptoms(name, &self.settings));
        let of_budget = self.error_budget.as_ref().and_then(ErrorBudget::symptom);
        let limits = &self.settings.limits;
        let sampled = self.sampled.symptoms(self.judged.subject(), limits);
        worst_first(
            of_probes
                .chain(of_budget)
                .chain(sampled)
                .chain(self.of_unusual()),
        )
    }

    /// Takes the state that follows from all that is known. `resolution` is why it is well
    /// where that is the end of an incident.
    fn settle(&mut self, now: Now, resolution: Option<String>) -> Observed {
        self.expected_work.take_if(|work| now.at >= work.until);
        let symptoms = self.symptoms();
        let mut verdict = self.judge(now, symptoms.first());
        if let Some(why) = resolution
            && verdict.state == HealthState::Healthy
        {
            verdict.evidence = why;
        }
        self.judged
            .set_unsettled(self.incident.is_some() || self.unresolved.is_some());
        self.judged.take(now, verdict, symptoms)
    }

    fn judge(&self, now: Now, worst: Option<&Symptom>) -> Verdict {
        if let Some(pause) = &self.pause
            && pause.holds(now)
        {
            return Verdict::new(HealthState::Paused, Reason::Paused, pause.why.as_str());
        }
        match &self.incident {
            Some(Incident::Healing(why)) => {
                let state = HealthState::Recovering;
                return Verdict::new(state, Reason::BeingHealed, why.as_str());
            }
            Some(Incident::Open(why)) => {
                // What was measured says more than that it was noticed.
                return match worst {
                    Some(worst) if worst.level == SymptomLevel::Failed => {
                        Verdict::of_symptom(worst)
                    }
                    _ => Verdict::new(HealthState::Failed, Reason::Incident, why.as_str()),
                };
            }
            None => {}
        }
        if self
            .carried_on
            .is_some_and(|since| now.since(since) <= CARRIED_FOR)
        {
            return self.judged.carried_on();
        }
        match (&self.standing, &self.unresolved) {
            (Ok(Standing::Failed(_) | Standing::Down), Some(why)) => {
                return Verdict::new(HealthState::Failed, Reason::Unresolved, why.as_str());
            }
            (Ok(Standing::Failed(how)), None) => {
                return Verdict::new(HealthState::Failed, Reason::UnitFailed, how.as_str());
            }
            (Ok(Standing::FailedOver(to)), _) => {
                return Verdict::new(HealthState::Stopped, Reason::Down, to.as_str());
            }
            (Ok(Standing::Down), None) => {
                return Verdict::new(HealthState::Stopped, Reason::Down, self.why_down());
            }
            (Ok(Standing::Up | Standing::Starting) | Err(_), _) => {}
        }
        if let Some(worst) = worst {
            return Verdict::of_symptom(worst);
        }
        match &self.standing {
            Err(why) => {
                return Verdict::new(HealthState::Unknown, Reason::UnitUnknown, why.as_str());
            }
            Ok(Standing::Starting) => {
                let why = "its unit is being started";
                return Verdict::new(HealthState::Unknown, Reason::Starting, why);
            }
            Ok(_) => {}
        }
        for (name, probe) in &self.probes {
            if let Some(why) = probe.unknown(name, now) {
                let reason = Reason::ProbeUnknown(why.clone());
                return Verdict::new(HealthState::Unknown, reason, why);
            }
        }
        Verdict::new(HealthState::Healthy, Reason::Well, self.why_well())
    }

    fn why_down(&self) -> &'static str {
        if self.by_operator {
            BY_OPERATOR
        } else {
            "it is down, and has not failed"
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

/// Whether this metric is strained by work that is expected now.
fn is_expected(work: Option<&ExpectedWork>, now: Now, metric: Metric) -> bool {
    work.is_some_and(|work| work.holds(now.at) && work.relaxes(metric))
}
