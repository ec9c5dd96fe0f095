//! What was recorded, played through a tracker: which incidents would have begun with these
//! limits.
//!
//! A recorded value stands for a span of time. It is played as a row of equal values in that
//! span, so that a condition's time counts as it does when it is measured. What a coarse value
//! hides, a peak within it, is counted and not played.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use prunella_core::{
    Timestamp, UnitName,
    health::{
        Episode, ExpectedWork, HealthSettings, HealthState, InstanceKind, Metric, Reading, Symptom,
        SymptomLevel, Transition,
    },
};

use crate::{IncidentEvent, Now, Observed, PauseUntil, ProbeSettings, Signals, Standing, Tracker};

/// A span of a minute is played as six values …
const LEAST_SPACING: Duration = Duration::from_secs(10);

/// … and one of a quarter of an hour as fifteen.
const MOST_VALUES: u32 = 15;

/// One value that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub metric: Metric,
    /// Of what, where there may be several.
    pub instance: Option<String>,
    pub mean: u64,
    pub max: u64,
}

/// An incident that would have begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WouldBegin {
    /// When it would have been opened.
    pub at: Timestamp,
    /// When its symptoms would have cleared; absent where they still hold.
    pub ended: Option<Timestamp>,
    /// What would have been told, in the order in which it began, with its worst value.
    pub symptoms: Vec<Episode>,
    /// The span that each value stood for when it began.
    pub span: Duration,
}

/// Plays what was recorded of one service.
#[derive(Debug)]
pub struct Backtest {
    tracker: Tracker,
    settings: HealthSettings,
    /// When time begins.
    begin: Timestamp,
    open: Option<WouldBegin>,
    found: Vec<WouldBegin>,
    unclear: u32,
}

impl Backtest {
    /// Begins at `begin`, with nothing recorded. `probes` are those with an interval.
    pub fn new(
        unit: UnitName,
        settings: HealthSettings,
        probes: BTreeMap<String, ProbeSettings>,
        begin: Timestamp,
    ) -> Self {
        let now = Now {
            since_boot: Duration::ZERO,
            at: begin,
        };
        let mut tracker = Tracker::new(unit, settings.clone(), probes, now, "nothing was played");
        // Of what is not known to have been down, something was measured.
        tracker.unit(now, Standing::Up);
        Self {
            tracker,
            settings,
            begin,
            open: None,
            found: Vec::new(),
            unclear: 0,
        }
    }

    /// These values were recorded, from `at` on for `span`. Times must not go back.
    pub fn measured(&mut self, at: Timestamp, span: Duration, values: &[Recorded]) {
        self.unclear += u32::from(values.iter().any(|value| self.is_unclear(value)));
        let readings: Vec<Reading> = values
            .iter()
            .filter(|value| value.metric.instances() != InstanceKind::Probe)
            .map(|value| Reading {
                instance: value.instance.clone(),
                ..Reading::new(value.metric, value.mean)
            })
            .collect();
        let probes = by_probe(values);
        let spacing = (span / MOST_VALUES).max(LEAST_SPACING).min(span);
        let mut passed = Duration::ZERO;
        while passed == Duration::ZERO || passed < span {
            let now = self.now(at.saturating_add(passed));
            for (name, (latency_ms, errors)) in &probes {
                let observed =
                    self.tracker
                        .recorded_probe(now, name, spacing, *latency_ms, *errors);
                self.note(now, span, &observed);
            }
            if !readings.is_empty() {
                let observed = self.tracker.signals(
                    now,
                    &Signals {
                        interval: spacing,
                        run: 0,
                        readings: &readings,
                    },
                );
                self.note(now, span, &observed);
            }
            passed += spacing.max(Duration::from_millis(1));
        }
    }

    /// The recorded state changed: what people and healing did goes on as it did. What limits
    /// had made of it is judged anew.
    pub fn changed(&mut self, transition: &Transition) {
        let now = self.now(transition.at);
        let tracker = &mut self.tracker;
        let mut observed = Vec::new();
        if transition.from == HealthState::Paused {
            observed.push(tracker.pause(now, None));
        }
        let why = || transition.evidence.clone();
        match transition.to {
            HealthState::Paused => {
                let until = None;
                observed.push(tracker.pause(now, Some(PauseUntil { why: why(), until })));
            }
            HealthState::Stopped => {
                observed.push(tracker.incident(now, IncidentEvent::Dropped));
                observed.push(tracker.stopped(now));
            }
            HealthState::Failed if !is_by_limits(transition.symptom.as_ref()) => {
                observed.push(tracker.incident(now, IncidentEvent::Opened(why())));
            }
            HealthState::Recovering => {
                observed.push(tracker.incident(now, IncidentEvent::Healing(why())));
            }
            HealthState::Failed
            | HealthState::Degraded
            | HealthState::Unknown
            | HealthState::Healthy => {
                observed.push(tracker.incident(now, IncidentEvent::Dropped));
                observed.push(tracker.unit(now, Standing::Up));
                let was_down = matches!(
                    transition.from,
                    HealthState::Stopped | HealthState::Failed | HealthState::Recovering
                );
                if was_down {
                    observed.push(tracker.begin_anew(now));
                }
            }
        }
        for observed in &observed {
            self.note(now, Duration::ZERO, observed);
        }
    }

    /// Work was expected from its `since` on, until it ended.
    pub fn expected(&mut self, work: &ExpectedWork) {
        let now = self.now(work.since);
        self.tracker.expect_work(now, Some(work.clone()));
    }

    /// What would have begun, in the order of time; and in how many recorded spans a value
    /// reached its limit for a part of the span that is not known.
    pub fn finish(mut self) -> (Vec<WouldBegin>, u32) {
        self.found.extend(self.open);
        (self.found, self.unclear)
    }

    fn now(&self, at: Timestamp) -> Now {
        Now {
            since_boot: at.since(self.begin),
            at,
        }
    }

    fn note(&mut self, now: Now, span: Duration, observed: &Observed) {
        if observed.began_degradation && self.open.is_none() {
            self.open = Some(WouldBegin {
                at: now.at,
                ended: None,
                symptoms: Vec::new(),
                span,
            });
        }
        let Some(open) = &mut self.open else { return };
        let holding: Vec<Symptom> = self
            .tracker
            .health()
            .symptoms
            .into_iter()
            .filter(Symptom::is_degradation)
            .collect();
        see(&mut open.symptoms, &holding, now.at);
        if holding.is_empty() {
            open.ended = Some(now.at);
            self.found.extend(self.open.take());
        }
    }

    /// Whether it was at its limit for a while, and not on the whole.
    fn is_unclear(&self, value: &Recorded) -> bool {
        let limit = match value.metric {
            Metric::LatencyMs => u64::try_from(self.settings.latency.degraded.as_millis()).ok(),
            Metric::ErrorsPermille => Some(self.settings.error_rate.degraded.into()),
            metric => self.settings.limits.get(metric).map(|limit| limit.degraded),
        };
        limit.is_some_and(|limit| value.mean < limit && value.max >= limit)
    }
}

/// Whether limits alone made it fail, and not a unit, an incident or a row of unanswered
/// questions.
fn is_by_limits(symptom: Option<&Symptom>) -> bool {
    symptom.is_some_and(|one| one.level == SymptomLevel::Failed && one.is_degradation())
}

/// The latency and the share of errors of each probe.
fn by_probe(values: &[Recorded]) -> BTreeMap<&str, (Option<u64>, Option<u64>)> {
    let mut probes: BTreeMap<&str, (Option<u64>, Option<u64>)> = BTreeMap::new();
    for value in values {
        let Some(name) = value.instance.as_deref() else {
            continue;
        };
        match value.metric {
            Metric::LatencyMs => probes.entry(name).or_default().0 = Some(value.mean),
            Metric::ErrorsPermille => probes.entry(name).or_default().1 = Some(value.mean),
            _ => {}
        }
    }
    probes
}

/// Takes what holds now into what is known of an incident.
fn see(known: &mut Vec<Episode>, holding: &[Symptom], at: Timestamp) {
    for episode in known.iter_mut().filter(|one| one.cleared.is_none()) {
        match holding.iter().find(|one| one.is_of_same(&episode.symptom)) {
            Some(symptom) => {
                if symptom.worse(episode.worst, symptom.value) != episode.worst {
                    episode.worst = symptom.value;
                }
                if symptom.level < episode.symptom.level {
                    episode.symptom = symptom.clone();
                }
            }
            None => episode.cleared = Some(at),
        }
    }
    for symptom in holding {
        let is_known = known
            .iter()
            .any(|one| one.cleared.is_none() && one.symptom.is_of_same(symptom));
        if !is_known {
            known.push(Episode {
                worst: symptom.value,
                symptom: symptom.clone(),
                cleared: None,
            });
        }
    }
}
