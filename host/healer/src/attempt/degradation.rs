//! An attempt at a degradation: a service that is up, and serves worse than it should.
//!
//! | its symptoms | what follows |
//! |---|---|
//! | hold, and a unit that it needs is not well | it waits for that unit |
//! | hold, and the host is critically short of what explains them | it waits for the host, of which people are told |
//! | hold, and the probes of a unit that it needs do not tell yet how that is | it waits until they do, or could have |
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
    StrategyName, UnitName,
    budget::BudgetVerdict,
    capability::{Answer, UnitStatus, health},
    health::{Health, HealthState, Symptom, Undecided, explained_by},
    incident::{Ending, IncidentKind},
    text::one_line,
    trail::{Awaited, Step},
};
use prunella_report::length;

use super::{Attempt, AttemptOutcome, LOOK, escalation::counted, healing::Healing, related};
use crate::{decide::mistake, trail::Watch};

/// One that waits for the host looks so long after whether that is still short of something.
const HOST_AGAIN: Duration = Duration::from_secs(5);

/// One that waits for an answer of what it needs looks so long after whether it has come, at
/// the soonest.
const ANSWER_AGAIN: Duration = Duration::from_secs(1);

/// Characters of why a needed unit is not well.
const REASON_MAX: usize = 300;

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
    pub(super) fn health_of(&self, unit: &UnitName) -> Answer<Health> {
        let get = health::Get { unit: unit.clone() };
        self.real.ask(Instant::now() + LOOK, get)
    }

    pub(super) fn watch_on(&self, again: Option<Duration>) -> AttemptOutcome {
        AttemptOutcome::Watches { told: None, again }
    }

    /// Its symptoms hold: it waits for another unit, is healed, or people are told.
    fn goes_on(&self, status: &UnitStatus, holding: Vec<Symptom>) -> AttemptOutcome {
        if self.joins
            && let Some((on, reason)) = self.ailing_need(status)
        {
            return AttemptOutcome::Blocked(on, reason);
        }
        if self.joins
            && self.trail.watch().is_none()
            && let Some(outcome) = self.waits_for_host(&holding)
        {
            return outcome;
        }
        if let Some(outcome) = self.waits_for_answers(status) {
            return outcome;
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

    /// Where the host explains all of it: what is told of the host tells of it, too.
    fn waits_for_host(&self, holding: &[Symptom]) -> Option<AttemptOutcome> {
        let of_host = self.healer.settings.hosts.symptoms();
        let why = one_line(&explained_by(&of_host, holding)?.evidence, REASON_MAX);
        let reason = format!("the host is degraded: {why}");
        if self.trail.is_dry_run() {
            return Some(AttemptOutcome::Ended(Ending::DryRun {
                verdict: format!("nothing would be done: {reason}"),
            }));
        }
        Some(self.waits(Awaited::Host, reason, HOST_AGAIN, HOST_AGAIN))
    }

    /// Where the cause may be a unit that it needs: what is slow because of another may well be
    /// noticed before it, and is the same matter. It is waited for what the probes of that one
    /// tell of the time since the symptoms began, and no longer than they need for it.
    fn waits_for_answers(&self, status: &UnitStatus) -> Option<AttemptOutcome> {
        // Nobody was told yet, and nobody waits for an answer.
        let is_news = self.trail.watch().is_none() && !self.ordered && !self.trail.is_dry_run();
        if !self.joins || !is_news || self.is_of_another_boot() {
            return None;
        }
        let began = self.trail.incident().detection.failed_monotonic?;
        let settings = &self.healer.settings;
        let ago = settings.situation.monotonic().since(began);
        let undecided: Vec<(&UnitName, Undecided)> = self
            .needs(status)
            .into_iter()
            .filter_map(|unit| Some((unit, settings.hosts.undecided(unit, ago)?)))
            .collect();
        let next = undecided.iter().map(|(_, one)| one.next).min()?;
        let up_to = undecided.iter().map(|(_, one)| one.up_to).max()?;
        let probes: Vec<String> = undecided
            .iter()
            .map(|(unit, one)| format!("probe `{}` of {unit}", one.probe))
            .collect();
        let reason = format!("{} may show the cause", probes.join(", "));
        let again = next.max(ANSWER_AGAIN).min(up_to);
        Some(self.waits(Awaited::Need, reason, up_to, again))
    }

    /// Nothing is done, and people are told nothing, until it is looked at `again`. That it
    /// waits is written down once.
    fn waits(
        &self,
        on: Awaited,
        reason: String,
        up_to: Duration,
        again: Duration,
    ) -> AttemptOutcome {
        let is_known = self.trail.waited_for() == Some(on);
        let told = (!is_known).then(|| Box::new(Step::Waits { on, reason, up_to }));
        let again = Some(again);
        AttemptOutcome::Watches { told, again }
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

    /// The units in care that it needs.
    fn needs<'s>(&'s self, status: &'s UnitStatus) -> BTreeSet<&'s UnitName> {
        self.service
            .depends_on
            .iter()
            .chain(&status.requires)
            .filter(|unit| self.current.config.services.contains_key(*unit))
            .collect()
    }

    /// A unit in care that it needs and that is not well, and how it is.
    fn ailing_need(&self, status: &UnitStatus) -> Option<(UnitName, String)> {
        self.needs(status).into_iter().find_map(|unit| {
            let health = self.health_of(unit).ok()?;
            let how = match health.state {
                HealthState::Failed => "has failed",
                HealthState::Recovering => "is being healed",
                // An old certificate makes nobody slow who needs it.
                HealthState::Degraded if health.symptoms.iter().any(Symptom::may_be_treated) => {
                    "is degraded"
                }
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
        if self.current.protected.covers(name_of_unit) {
            return Treated::NotAllowed("it is a protected unit, which nobody acts on".to_owned());
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
        let related = related(status);
        let applying = match self.assess(status, &related) {
            Ok(applying) => self.in_order(applying),
            Err(outcome) => return Treated::of(outcome),
        };
        for (position, (name, loaded)) in applying.iter().enumerate() {
            match self.heal_in_turn(position, name, loaded, &related) {
                Healing::Proven(after) => return Treated::Over(self.healed_by(name, after)),
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
        if !self.has_spent_its_budget() {
            return self.host_has_spent();
        }
        let settings = self.budget_settings();
        format!(
            "the healing budget is spent: it allows {} in {}",
            counted(settings.healings),
            length(settings.window)
        )
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
    /// No strategy may act; why.
    NotAllowed(String),
    /// Those that may act were of no help, or the budget is spent; why.
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
