//! An attempt at a degradation: a service that is up, and serves worse than it should.
//!
//! | its symptoms | what follows |
//! |---|---|
//! | hold, and a unit that it needs is not well | it waits for that unit |
//! | hold, and nothing that is done would end any: a certificate, an error budget | people are told, once, and it is watched |
//! | hold, and the operator lists strategies for it | those that were not tried heal |
//! | hold | people are told, once, and it is watched |
//! | not measured since something was done about them | it is watched |
//! | have cleared, and stay so | it is over |
//!
//! What is not known ends nothing, and nothing is done about it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use prunella_core::{
    StrategyName, Timestamp, UnitName,
    budget::BudgetVerdict,
    capability::{Answer, UnitStatus, clock, health},
    health::{Episode, Health, HealthState, Metric, Symptom},
    incident::{Ending, IncidentKind},
    text::one_line,
    trail::{Awaited, Step},
};
use prunella_report::length;

use super::{Attempt, AttemptOutcome, LOOK, healing::Healing};
use crate::{
    clock::wall_clock,
    decide::mistake,
    proof::{self, Well},
    trail::Watch,
};

/// How often it is looked whether symptoms have cleared, while a healing waits for that.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A service that was degraded a moment ago has to stay clear for longer: what comes and
/// goes is told once.
const AGAIN: Duration = Duration::from_secs(30 * 60);

/// For so long then.
const CALM: Duration = Duration::from_secs(10 * 60);

/// While it flaps, it is looked at again after this.
const FLAPS: Duration = Duration::from_secs(60);

/// More intervals than this it takes no symptom to open or to clear.
const INTERVALS: u32 = 6;

/// An error window holds so many intervals at least.
const WINDOW_INTERVALS: u32 = 20;

/// Characters of why a needed unit is not well.
const REASON_MAX: usize = 300;

/// Whether a healing has to end it.
fn is_to_clear(symptom: &Symptom) -> bool {
    symptom.is_degradation() && symptom.may_be_treated()
}

impl Attempt<'_> {
    /// What is done about a degradation of a unit that is up.
    pub(super) fn degraded(&self, status: &UnitStatus) -> AttemptOutcome {
        let health = match self.health_of(&self.service.unit) {
            Ok(health) => health,
            Err(failure) => {
                tracing::debug!("how {} is cannot be told: {failure}", self.service.unit);
                return self.watch_on(None);
            }
        };
        let holding: Vec<Symptom> = health
            .symptoms
            .iter()
            .filter(|symptom| symptom.is_degradation())
            .cloned()
            .collect();
        if holding.iter().any(|symptom| symptom.confirmed) {
            return self.goes_on(status, holding);
        }
        if holding.is_empty() && health.state == HealthState::Healthy {
            return self.has_cleared(&health);
        }
        self.watch_on(None)
    }

    /// How a unit in care is, as far as it is measured.
    fn health_of(&self, unit: &UnitName) -> Answer<Health> {
        let get = health::Get { unit: unit.clone() };
        self.real.ask(Instant::now() + LOOK, get)
    }

    fn watch_on(&self, again: Option<Duration>) -> AttemptOutcome {
        AttemptOutcome::Watches { told: None, again }
    }

    /// Its symptoms hold.
    fn goes_on(&self, status: &UnitStatus, holding: Vec<Symptom>) -> AttemptOutcome {
        if self.joins
            && let Some((on, reason)) = self.ailing_need(status)
        {
            return AttemptOutcome::Blocked(on, reason);
        }
        let treated = self.treat(status, &holding);
        if self.trail.is_dry_run() {
            return AttemptOutcome::Ended(match treated {
                Treated::Over(outcome) => return outcome,
                Treated::NotAllowed(reason) | Treated::InVain(reason) => Ending::DryRun {
                    verdict: format!("people would be told, and nothing done: {reason}"),
                },
            });
        }
        let reason = match treated {
            Treated::Over(outcome) => return outcome,
            Treated::NotAllowed(reason) => {
                return match self.trail.watch() {
                    Some(_) => self.watch_on(None),
                    None => self.told(holding, reason, false),
                };
            }
            Treated::InVain(reason) => reason,
        };
        match self.trail.watch() {
            Some(Watch { tried: true }) => self.watch_on(None),
            _ => self.told(holding, reason, true),
        }
    }

    fn told(&self, symptoms: Vec<Symptom>, reason: String, tried: bool) -> AttemptOutcome {
        self.diagnose();
        AttemptOutcome::Watches {
            told: Some(Box::new(Step::Watches {
                symptoms,
                reason,
                tried,
            })),
            again: None,
        }
    }

    /// A unit in care that it needs and that is not well, and how it is.
    fn ailing_need(&self, status: &UnitStatus) -> Option<(UnitName, String)> {
        let needs: BTreeSet<&UnitName> = self
            .service
            .depends_on
            .iter()
            .chain(&status.requires)
            .filter(|unit| self.current.config.services.contains_key(*unit))
            .collect();
        needs.into_iter().find_map(|unit| {
            let health = self.health_of(unit).ok()?;
            let how = match health.state {
                HealthState::Failed => "has failed",
                HealthState::Recovering => "is being healed",
                HealthState::Degraded => "is degraded",
                _ => return None,
            };
            let why = one_line(&health.evidence, REASON_MAX);
            Some((unit.clone(), format!("{unit} {how}: {why}")))
        })
    }

    /// Has the strategies act that the operator lists for a degradation, and that were not
    /// tried before.
    fn treat(&self, status: &UnitStatus, holding: &[Symptom]) -> Treated {
        let name_of_unit = &self.service.unit;
        if !holding.iter().any(Symptom::may_be_treated) {
            return Treated::NotAllowed("nothing that a strategy does would end it".to_owned());
        }
        if self.service.heal_degraded.is_empty() {
            return Treated::NotAllowed(
                "`heal-degraded` lists no strategy that may act".to_owned(),
            );
        }
        if self.untried().is_empty() {
            return Treated::InVain(self.tried_in_vain());
        }
        if let Some(mistake) = mistake(&self.current, name_of_unit) {
            return Treated::NotAllowed(format!(
                "a mistake in Prunella's configuration keeps it from being healed: {mistake}"
            ));
        }
        if !self.trail.is_dry_run() {
            match self.budget() {
                BudgetVerdict::Now => {}
                BudgetVerdict::After(wait) => {
                    return Treated::Over(AttemptOutcome::WaitForBudget(wait));
                }
                BudgetVerdict::Spent { .. } => {
                    return Treated::InVain(self.degraded_budget_is_spent());
                }
            }
        }
        let related: BTreeSet<UnitName> = status
            .requires
            .iter()
            .chain(&status.triggered_by)
            .cloned()
            .collect();
        let applying = match self.assess(status, &related) {
            Ok(applying) => self.in_order(applying),
            Err(outcome) => return Treated::of(outcome),
        };
        for (position, (name, loaded)) in applying.iter().enumerate() {
            let early = if position == 0 {
                None
            } else {
                self.wait_for_budget()
            };
            if self.is_superseded() {
                return Treated::Over(self.begin_anew());
            }
            match early.unwrap_or_else(|| self.heal_with(name, loaded, &related)) {
                Healing::Proven(_) if self.trail.is_dry_run() => {
                    return Treated::Over(AttemptOutcome::Ended(Ending::DryRun {
                        verdict: format!("{name} would heal it (assumed, nothing was done)"),
                    }));
                }
                Healing::Proven(recovered_after) => {
                    return Treated::Over(AttemptOutcome::Ended(Ending::Healed {
                        strategy: (*name).clone(),
                        recovered_after,
                    }));
                }
                Healing::Over(outcome) => return Treated::of(outcome),
                Healing::Not(_) => {}
                Healing::Wait(wait) => return Treated::Over(AttemptOutcome::TryAgain(wait)),
            }
            let now = self.host.unit(Instant::now() + LOOK, name_of_unit);
            if now.is_ok_and(|now| !now.is_up()) {
                return Treated::Over(AttemptOutcome::Ended(Ending::Continued {
                    reason: "it went down while it was being healed".to_owned(),
                }));
            }
        }
        Treated::InVain(self.tried_in_vain())
    }

    /// The strategies that may act on this degradation and have not yet.
    pub(super) fn untried(&self) -> Vec<StrategyName> {
        let tried = self.trail.tried();
        let listed = self.service.heal_degraded.iter();
        listed
            .filter(|name| !tried.contains(*name))
            .cloned()
            .collect()
    }

    fn tried_in_vain(&self) -> String {
        let tried = self.trail.tried();
        let listed = self.service.heal_degraded.iter();
        let names: Vec<&str> = listed
            .filter(|name| tried.contains(*name))
            .map(StrategyName::as_str)
            .collect();
        if names.is_empty() {
            return "no strategy that `heal-degraded` lists applies".to_owned();
        }
        format!("{} did not help", names.join(", "))
    }

    fn degraded_budget_is_spent(&self) -> String {
        let settings = self.budget_settings();
        format!(
            "the healing budget is spent: it allows {} in {}",
            match settings.healings {
                1 => "1 healing".to_owned(),
                healings => format!("{healings} healings"),
            },
            length(settings.window)
        )
    }

    /// Waits until the service is up and well and what was measured has cleared, and stays
    /// so.
    pub(super) fn prove_cleared(&self, name: &StrategyName) -> Healing {
        let not_proven = |reason: String, relapse| {
            self.trail.write(Step::NotProven {
                strategy: Some(name.clone()),
                reason: reason.clone(),
                relapse,
            });
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
            let health = self
                .health_of(&self.service.unit)
                .map_err(|failure| format!("how it is cannot be told: {failure}"))?;
            let mut holding = health.symptoms.iter().filter(|one| is_to_clear(one));
            match holding.next() {
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
                let hold = settings.limits.get(metric).map(|limit| limit.hold);
                hold.unwrap_or_default() * 2 + asked.max(measured) * INTERVALS
            }
        };
        let symptoms = &self.trail.incident().detection.symptoms;
        symptoms.iter().map(of).max().unwrap_or_default() + Duration::from_secs(5)
    }

    fn stays_clear(&self, well: &Well) -> Result<(), String> {
        let stable_for = self.service.proof.stable_for;
        let still = proof::stays_well(
            &self.service,
            &self.host,
            self.port_history(),
            well,
            stable_for,
        )?;
        let health = self
            .health_of(&self.service.unit)
            .map_err(|failure| format!("how it is cannot be told: {failure}"))?;
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
    fn has_cleared(&self, health: &Health) -> AttemptOutcome {
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

    /// What an attempt at a degradation comes to whose unit has gone down.
    pub(super) fn has_gone_down(&self) -> AttemptOutcome {
        AttemptOutcome::Ended(Ending::Continued {
            reason: "it went down, and that is a failure".to_owned(),
        })
    }

    /// Whether this is about a service that is up and serves worse than it should.
    pub(super) fn is_degradation(&self) -> bool {
        self.kind() == IncidentKind::Degradation
    }

    /// What the incident is about.
    pub(super) fn kind(&self) -> IncidentKind {
        self.trail.incident().detection.kind()
    }
}

/// What came of letting strategies act on a degradation.
enum Treated {
    /// There is nothing to tell: the attempt has an outcome of its own.
    Over(AttemptOutcome),
    /// None may; why.
    NotAllowed(String),
    /// Those that may were of no help; why.
    InVain(String),
}

impl Treated {
    /// Whatever hands a failure to people leaves a degradation to be watched.
    fn of(outcome: AttemptOutcome) -> Self {
        match outcome {
            AttemptOutcome::Ended(Ending::Escalated { reason, .. }) => Self::InVain(reason),
            other => Self::Over(other),
        }
    }
}
