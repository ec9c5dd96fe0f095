//! Whether the symptoms of a degradation have cleared, and stay so: what ends it, and the
//! only proof that a healing of it has.

use std::time::{Duration, Instant};

use prunella_core::{
    StrategyName, Timestamp,
    capability::clock,
    health::{Episode, Health, Metric, Symptom},
    incident::Ending,
    trail::{Awaited, Step},
};
use prunella_report::length;

use super::{Attempt, AttemptOutcome, healing::Healing};
use crate::{
    clock::wall_clock,
    proof::{NotStable, Well},
};

/// How often it is looked whether symptoms have cleared, while a healing waits for that.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A service that was degraded no longer than this before has to stay clear for longer: what
/// comes and goes is told once.
const AGAIN: Duration = Duration::from_secs(30 * 60);

/// For how long such a service has to stay clear.
const CALM: Duration = Duration::from_secs(10 * 60);

/// While it flaps, it is looked at again after this.
const FLAPS: Duration = Duration::from_secs(60);

/// A symptom opens or clears within so many intervals between measurements.
const INTERVALS: u32 = 6;

/// An error window holds so many intervals at least.
const WINDOW_INTERVALS: u32 = 20;

/// For so long what is measured over the last minute remembers what was before.
const MINUTE: Duration = Duration::from_secs(60);

/// Whether a healing is proven only once this symptom has cleared.
fn is_to_clear(symptom: &Symptom) -> bool {
    symptom.is_degradation() && symptom.may_be_treated()
}

impl Attempt<'_> {
    /// Waits until the service is up and well and what was measured has cleared, and stays
    /// so.
    pub(super) fn prove_cleared(&self, name: &StrategyName) -> Healing {
        let not_proven = |reason: String, relapse| {
            self.tell_not_proven(name, &reason, relapse);
            Healing::Not(reason)
        };
        let well = match self.becomes_well() {
            Ok(well) => well,
            Err(_) if self.is_superseded() => return Healing::Over(self.begin_anew()),
            Err(reason) => return not_proven(reason, false),
        };
        if self.trail.is_dry_run() {
            return Healing::Proven(None);
        }
        // The rest is only waited for.
        (self.acted)();
        if let Err(reason) = self.clears() {
            if self.is_superseded() {
                return Healing::Over(self.begin_anew());
            }
            return not_proven(reason, false);
        }
        let after = self.since_symptom();
        match self.stays_clear(&well) {
            Ok(()) => {
                (self.answers)();
                Healing::Proven(after)
            }
            Err(_) if self.is_superseded() => Healing::Over(self.begin_anew()),
            Err(reason) => not_proven(reason, true),
        }
    }

    /// How it is, as far as it is measured; else why that cannot be told.
    fn measured(&self) -> Result<Health, String> {
        self.health_of(&self.service.unit)
            .map_err(|failure| format!("how it is cannot be told: {failure}"))
    }

    /// How long it is since the symptom began.
    fn since_symptom(&self) -> Option<Duration> {
        let detection = &self.trail.incident().detection;
        detection
            .failed_monotonic
            .filter(|_| !self.is_of_another_boot())
            .and_then(|began| {
                let now = self.healer.settings.situation.monotonic();
                now.checked_since(began)
            })
    }

    /// Waits until no symptom holds any more; else says what still does.
    fn clears(&self) -> Result<(), String> {
        let patience = self.patience();
        let deadline = Instant::now() + patience;
        self.trail.write(Step::Waits {
            on: Awaited::Health,
            reason: "its symptoms have to clear".to_owned(),
            up_to: patience,
        });
        loop {
            let health = self.measured()?;
            match health.symptoms.iter().find(|one| is_to_clear(one)) {
                None => return Ok(()),
                Some(symptom) if symptom.confirmed => return Err(symptom.evidence.clone()),
                _ => {}
            }
            if self.is_superseded() {
                return Err("it is declared otherwise now".to_owned());
            }
            let slept = self
                .host
                .ask(deadline, clock::Sleep { time: LOOK_EVERY })
                .err();
            if slept.is_some() || Instant::now() >= deadline {
                return Err(match health.symptoms.first() {
                    Some(symptom) => format!(
                        "within {} it was not measured that this is over: {}",
                        length(patience),
                        symptom.evidence
                    ),
                    None => format!(
                        "how it is was not known within {}: {}",
                        length(patience),
                        health.evidence
                    ),
                });
            }
        }
    }

    /// For as long as it may take to measure that symptoms have cleared.
    fn patience(&self) -> Duration {
        let settings = &self.service.health;
        let probes = self.service.own_probes();
        let asked = probes.filter_map(|(_, probe)| probe.interval).max();
        let asked = asked.unwrap_or_default();
        let measured = self.current.config.metrics.interval.unwrap_or_default();
        let of = |symptom: &Symptom| match symptom.metric {
            Metric::ErrorsPermille => {
                let window = settings.error_rate.window.max(asked * WINDOW_INTERVALS);
                window + settings.error_rate.hold * 2 + asked * INTERVALS
            }
            Metric::LatencyMs => settings.latency.hold * 2 + asked * INTERVALS,
            metric => {
                let limit = settings
                    .limits
                    .of_series(metric, symptom.instance.as_deref());
                let hold = limit.map(|limit| limit.hold).unwrap_or_default();
                let counted = if metric.is_of_a_minute() {
                    MINUTE
                } else {
                    Duration::ZERO
                };
                counted + hold * 2 + asked.max(measured) * INTERVALS
            }
        };
        let symptoms = &self.trail.incident().detection.symptoms;
        symptoms.iter().map(of).max().unwrap_or_default() + Duration::from_secs(5)
    }

    fn stays_clear(&self, well: &Well) -> Result<(), String> {
        let stable_for = self.service.proof.stable_for;
        let still = self
            .prover()
            .stays_well(well, stable_for)
            .map_err(NotStable::into_reason)?;
        let health = self.measured()?;
        if let Some(symptom) = health.symptoms.iter().find(|one| is_to_clear(one)) {
            return Err(symptom.evidence.clone());
        }
        let mut evidence = still.evidence;
        evidence.extend(self.episodes(&health).into_iter().map(|episode| {
            format!(
                "the symptom has cleared ({}, {} at worst)",
                episode.symptom.metric.title(),
                episode.symptom.metric.shown(episode.worst)
            )
        }));
        self.trail.write(Step::Proven {
            strategy: None,
            evidence,
            stable_for,
        });
        Ok(())
    }

    /// What of this incident has cleared.
    fn episodes(&self, health: &Health) -> Vec<Episode> {
        let detection = &self.trail.incident().detection;
        let began = detection.symptoms.iter().map(|symptom| symptom.since).min();
        let began = began.unwrap_or(detection.at);
        health
            .episodes
            .iter()
            .filter(|episode| episode.symptom.is_degradation())
            .filter(|episode| episode.cleared.is_some_and(|cleared| cleared >= began))
            .cloned()
            .collect()
    }

    /// No symptom holds: over once that has been so for a while.
    pub(super) fn has_cleared(&self, health: &Health) -> AttemptOutcome {
        if health.flapping.is_some() {
            return self.watch_on(Some(FLAPS));
        }
        let detection = &self.trail.incident().detection;
        let episodes = self.episodes(health);
        let cleared = episodes.iter().filter_map(|episode| episode.cleared).max();
        let now = wall_clock();
        // What an earlier daemon measured last is all that is known of it otherwise.
        let cleared = cleared.unwrap_or(health.since).min(now);
        let stays = self.has_to_stay();
        let stayed = now.since(cleared);
        if stayed < stays {
            let left = stays.saturating_sub(stayed);
            return self.watch_on(Some(left.max(LOOK_EVERY)));
        }
        let symptoms: Vec<Symptom> = if episodes.is_empty() {
            detection.symptoms.clone()
        } else {
            episodes.into_iter().map(Episode::at_worst).collect()
        };
        let began = symptoms
            .iter()
            .chain(&detection.symptoms)
            .map(|symptom| symptom.since)
            .min()
            .unwrap_or(detection.at);
        self.trail.write(Step::Cleared {
            symptoms,
            lasted: cleared.since(began),
        });
        AttemptOutcome::Ended(Ending::Recovered {
            by: if self.trail.healed_before() {
                "its symptoms have cleared, later than a healing was given for that".to_owned()
            } else {
                "its symptoms have cleared by themselves".to_owned()
            },
        })
    }

    /// For how long it has to stay clear.
    fn has_to_stay(&self) -> Duration {
        let stable_for = self.service.proof.stable_for;
        let incident = self.trail.incident();
        let before = |at: Timestamp| {
            at < incident.detection.at && at >= incident.detection.at.saturating_sub(AGAIN)
        };
        let store = self.healer.settings.store.as_ref();
        let lately = store
            .and_then(|store| store.recent(&self.service.unit, 2).ok())
            .unwrap_or_default();
        let comes_and_goes = lately.iter().any(|past| {
            past.cause == incident.detection.cause.as_str()
                && past.id != incident.id.as_str()
                && before(past.at)
        });
        if comes_and_goes {
            stable_for.max(CALM)
        } else {
            stable_for
        }
    }
}
