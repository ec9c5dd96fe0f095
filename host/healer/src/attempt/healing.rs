//! Healing with one strategy, and the proof that it healed.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use prunella_core::{
    StrategyName, UnitName,
    budget::BudgetVerdict,
    capability::{UnitStatus, clock},
    cause::Cause,
    incident::{Ending, Outcome},
    trail::{Awaited, Step},
};
use prunella_engine::Call;

use super::{Attempt, AttemptOutcome, LOOK, circuit::opens_circuits};
use crate::{
    kernel::Phase,
    proof::{NotStable, Prover, Well},
    start_rules::against_a_start,
    start_time::StartTime,
    strategies::Loaded,
};

/// How long a job that a strategy did not wait for is waited for.
const RECONCILE: Duration = Duration::from_secs(95);

/// Waits of the budget up to this long are waited out within the attempt.
const SHORT_WAIT: Duration = Duration::from_secs(10);

/// A service that systemd restarts while it is being proven, and that is up, is proven by the
/// run that goes on; after so many of them it is not up for good.
const OTHER_RUNS: u32 = 2;

/// What came of one strategy's heal.
pub(super) enum Healing {
    /// Well, and proven so; microseconds from failure to recovery.
    Proven(Option<Duration>),
    Not(String),
    /// Not healed, and nobody else is to try: another unit comes first, or the
    /// unit's author does not want another start.
    Over(AttemptOutcome),
    /// The budget wants a longer pause first.
    Wait(Duration),
}

impl Attempt<'_> {
    /// Heals with one of the strategies that apply; with any but the first once the budget
    /// allows that.
    pub(super) fn heal_in_turn(
        &self,
        position: usize,
        name: &StrategyName,
        loaded: &Loaded,
        related: &BTreeSet<UnitName>,
    ) -> Healing {
        let instead = if position == 0 || opens_circuits(loaded) {
            None
        } else {
            self.wait_for_budget()
        };
        if self.is_superseded() {
            return Healing::Over(self.begin_anew());
        }
        let first = self.trail.actions();
        let healing = instead.unwrap_or_else(|| self.heal_with(name, loaded, related));
        if self.trail.actions() > first {
            if matches!(healing, Healing::Not(_)) {
                if let Some((opened, wait)) = self.trail.opened_circuit(first) {
                    return Healing::Over(self.isolated(&opened, wait));
                }
                self.undo_from(first);
            }
            self.healer.lease_news.tell();
        }
        healing
    }

    /// What an attempt comes to in which this strategy has healed; `after` the failure or
    /// the first symptom.
    pub(super) fn healed_by(&self, name: &StrategyName, after: Option<Duration>) -> AttemptOutcome {
        AttemptOutcome::Ended(if self.trail.is_dry_run() {
            Ending::DryRun {
                verdict: format!("{name} would heal it (assumed, nothing was done)"),
            }
        } else {
            Ending::Healed {
                strategy: name.clone(),
                recovered_after: after,
                served_by: self.taken_over().map(|(_, over)| over.standby),
            }
        })
    }

    /// Waits until the budget allows another healing: the one before in this
    /// attempt may have made that necessary. Answers what to do instead.
    fn wait_for_budget(&self) -> Option<Healing> {
        if self.trail.is_dry_run() {
            return None;
        }
        match self.budget() {
            BudgetVerdict::Now => None,
            BudgetVerdict::After(wait) if wait <= SHORT_WAIT => {
                self.trail.write(Step::Waits {
                    on: Awaited::Budget,
                    reason: "the healing budget spaces healings out".to_owned(),
                    up_to: wait,
                });
                let slept = self
                    .host
                    .ask(Instant::now() + wait * 2, clock::Sleep { time: wait });
                slept.err().map(|failure| Healing::Not(failure.to_string()))
            }
            BudgetVerdict::After(wait) => Some(Healing::Wait(wait)),
            BudgetVerdict::Spent { .. } => {
                Some(Healing::Not("the healing budget is spent".to_owned()))
            }
        }
    }

    fn heal_with(
        &self,
        name: &StrategyName,
        loaded: &Loaded,
        related: &BTreeSet<UnitName>,
    ) -> Healing {
        let kernel = self.kernel(name, loaded, related, Phase::Heal);
        let actions_before = self.trail.actions();
        self.trail.write(Step::Heals {
            strategy: name.clone(),
        });
        let context = self.context(name, loaded, kernel.host());
        let (context, recording) = self.recorded(Call::Heal, loaded, context);
        let started = Instant::now();
        let run = loaded.strategy.heal(context);
        let took = started.elapsed();
        recording.healed(&run.result);
        kernel.reconcile(RECONCILE);
        let said = match run.result {
            Ok(outcome) => {
                self.trail.write(Step::Returned {
                    strategy: name.clone(),
                    outcome: outcome.clone(),
                    took,
                });
                match outcome {
                    Ok(Outcome::Healed { .. }) => Ok(()),
                    Ok(Outcome::BlockedBy { unit, reason }) => {
                        return Healing::Over(self.blocked(name, &unit, &reason));
                    }
                    Ok(Outcome::NotApplicable { reason } | Outcome::Failed { reason }) => {
                        Err(reason)
                    }
                    Err(failure) => Err(failure.to_string()),
                }
            }
            Err(error) => {
                let message = error.to_string();
                self.trail.write(Step::Broke {
                    strategy: name.clone(),
                    call: "heal".to_owned(),
                    kind: error.kind().to_owned(),
                    message: message.clone(),
                });
                Err(message)
            }
        };
        // A strategy's word is not evidence, neither way: one that says it
        // failed, or that was cut off, may have brought the service up.
        let acted = self.trail.actions() > actions_before;
        if let Err(reason) = said {
            let up = acted
                && self
                    .host
                    .unit(Instant::now() + LOOK, &self.service.unit)
                    .is_ok_and(|status| status.is_up());
            if !up && kernel.was_stopped() {
                // Decided anew, it is left alone.
                return Healing::Over(AttemptOutcome::TryAgain(Duration::ZERO));
            }
            if !up && kernel.needs_a_person() {
                // What it wanted comes first, and the strategies after it would do
                // without.
                return Healing::Over(self.escalate(format!("{name}: {reason}")));
            }
            if !up {
                return self.not_healed(acted, reason);
            }
            self.trail.write(Step::Note {
                message: format!("{name} said that it did not heal it ({reason}), yet it is up"),
            });
        }
        self.prove(name)
    }

    /// What follows when a strategy did not heal. The next may try, unless the
    /// start still goes on, or the unit's author does not want another after a
    /// run that ended so.
    fn not_healed(&self, acted: bool, reason: String) -> Healing {
        if !acted || self.trail.is_dry_run() || self.has_begun_to_fail_over() {
            return Healing::Not(reason);
        }
        let deadline = Instant::now() + LOOK;
        let Ok(status) = self.host.unit(deadline, &self.service.unit) else {
            return Healing::Not(reason);
        };
        if status.is_up() {
            return Healing::Not(reason);
        }
        if !status.is_settled() && !status.is_auto_restarting() {
            // Its start goes on, and nobody is to begin another in the middle of
            // it.
            return Healing::Over(AttemptOutcome::TryAgain(Duration::ZERO));
        }
        match against_a_start(&status, &self.trail.incident().detection) {
            Some((why, detail)) => {
                Healing::Over(AttemptOutcome::Ended(Ending::LeftAlone { why, detail }))
            }
            None => Healing::Not(reason),
        }
    }

    fn prove(&self, name: &StrategyName) -> Healing {
        if let Some((_, over)) = self.taken_over() {
            return self.prove_taken_over(name, &over);
        }
        if self.is_degradation() {
            return self.prove_cleared(name);
        }
        let not_proven = |reason: String, relapse| {
            self.tell_not_proven(name, &reason, relapse);
            // It failed anew, perhaps for another reason.
            self.diagnosed.set(false);
            self.not_healed(true, reason)
        };
        match self.becomes_well() {
            Err(_) if self.is_superseded() => Healing::Over(self.begin_anew()),
            Err(reason) => not_proven(reason, false),
            Ok(well) => {
                let after = self.answering(&well);
                match self.stays(&well, None) {
                    Ok(_) => Healing::Proven(after),
                    Err(_) if self.is_superseded() => Healing::Over(self.begin_anew()),
                    Err(reason) => not_proven(reason, true),
                }
            }
        }
    }

    /// Writes that what a strategy did is not proven to have healed.
    pub(super) fn tell_not_proven(&self, name: &StrategyName, reason: &str, relapse: bool) {
        self.trail.write(Step::NotProven {
            strategy: Some(name.clone()),
            reason: reason.to_owned(),
            relapse,
        });
    }

    /// The moment of recovery: how long after the failure.
    pub(super) fn answering(&self, well: &Well) -> Option<Duration> {
        let detection = &self.trail.incident().detection;
        // Of a unit that was only starting, or that a person asked about, nothing counts.
        let after = detection
            .failed_monotonic
            .filter(|_| !matches!(detection.cause, Cause::State(_)) && !self.is_of_another_boot())
            .and_then(|failed| {
                self.healer
                    .settings
                    .situation
                    .monotonic()
                    .checked_since(failed)
            });
        self.trail.write(Step::Answering {
            evidence: well.evidence.clone(),
            after,
        });
        (self.acted)();
        // At an open circuit nobody who needs it is started before it is closed.
        if self.open_circuit().is_none() {
            (self.answers)();
        }
        if !self.nothing_failed() {
            self.diagnose();
        }
        after
    }

    /// Waits until the service is well, for as long as its starts may take.
    pub(super) fn becomes_well(&self) -> Result<Well, String> {
        let down = self.down.get();
        let time = match down {
            Some(status) => self.start_time(status),
            None => {
                let now = Instant::now() + LOOK;
                let status = self.host.unit(now, &self.service.unit);
                self.start_time(&status.map_err(|failure| failure.to_string())?)
            }
        };
        let slow = |left| {
            self.trail.write(Step::Waits {
                on: Awaited::Unit,
                reason: "its start takes longer than usual".to_owned(),
                up_to: left,
            });
        };
        self.prover().becomes_well(time, slow, || {
            self.tell_who_restarts();
            self.is_superseded()
        })
    }

    /// Whether the service is declared otherwise now, or is out of care: what this attempt
    /// knows of it says nothing any more.
    pub(super) fn is_superseded(&self) -> bool {
        let now = self.healer.config();
        !self.trail.is_dry_run() && now.services.get(&self.service.unit) != Some(&*self.service)
    }

    /// What follows then: the next attempt goes by what is in force.
    pub(super) fn begin_anew(&self) -> AttemptOutcome {
        self.trail.write(Step::Note {
            message: "its configuration was changed meanwhile: Prunella looks again".to_owned(),
        });
        AttemptOutcome::TryAgain(Duration::ZERO)
    }

    pub(super) fn prover(&self) -> Prover<'_> {
        Prover {
            service: &self.service,
            host: &self.host,
            known: self.healer.answered_probes(),
            remembers: !self.trail.is_dry_run(),
        }
    }

    fn start_time(&self, status: &UnitStatus) -> StartTime {
        let store = self.healer.settings.store.as_deref();
        StartTime::of(&self.service, status, store)
    }

    /// How it is once it is proven. `started_by` is the strategy of an earlier attempt whose
    /// start it was.
    pub(super) fn stays(
        &self,
        well: &Well,
        started_by: Option<&StrategyName>,
    ) -> Result<UnitStatus, String> {
        let stable_for = if self.trail.is_dry_run() {
            Duration::ZERO
        } else {
            self.service.proof.stable_for
        };
        let mut watched = well.clone();
        let mut lasts = stable_for;
        let mut other_runs = 0;
        let still = loop {
            match self.prover().stays_well(&watched, lasts) {
                Ok(still) => break still,
                Err(NotStable::AnotherRun { reason, now })
                    if other_runs < OTHER_RUNS && !self.is_superseded() =>
                {
                    other_runs += 1;
                    self.trail.write(Step::Note {
                        message: format!("{reason}; the run that goes on is watched now"),
                    });
                    lasts = stable_for.saturating_sub(self.up_for(&now.status));
                    watched = *now;
                }
                Err(not_stable) => return Err(not_stable.into_reason()),
            }
        };
        self.trail.write(Step::Proven {
            strategy: started_by.cloned(),
            evidence: still.evidence,
            stable_for,
        });
        Ok(still.status)
    }

    /// For how long a unit has been up that is so; nothing where that is not known.
    fn up_for(&self, status: &UnitStatus) -> Duration {
        let now = self.healer.settings.situation.monotonic();
        let since = status.since_monotonic;
        since.map_or(Duration::ZERO, |since| now.since(since))
    }
}
