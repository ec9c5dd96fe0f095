//! Healing with one strategy, and the proof that it healed.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{StrategyName, UnitName, budget::Verdict, incident::Outcome, trail::Step};
use prunella_engine::Call;

use super::{Attempt, Came};
use crate::{
    healer::{microseconds, milliseconds},
    kernel::{Phase, Snapshot},
    proof::{self, Well},
    strategies::Loaded,
};

/// How long a job that a strategy did not wait for is waited for.
const RECONCILE: Duration = Duration::from_secs(95);

/// Waits of the budget up to this long are waited out within the attempt.
const SHORT_WAIT: Duration = Duration::from_secs(10);

/// What came of one strategy's heal.
pub(super) enum Healing {
    /// Well, and proven so; microseconds from failure to recovery.
    Proven(Option<u64>),
    /// Not healed.
    Not(String),
    /// Held by another unit.
    Blocked(Came),
    /// The budget wants a longer pause first.
    Wait(Duration),
}

impl Attempt<'_> {
    /// Waits until the budget allows another healing: the one before in this
    /// attempt may have made that necessary. Answers what to do instead.
    pub(super) fn await_turn(&self) -> Option<Healing> {
        if self.trail.is_rehearsal() {
            return None;
        }
        match self.budget() {
            Verdict::Now => None,
            Verdict::After(wait) if wait <= SHORT_WAIT => {
                self.trail.write(Step::Waits {
                    reason: "the healing budget spaces healings out".to_owned(),
                    milliseconds: milliseconds(wait),
                });
                let slept = self.host.clock.sleep(Instant::now() + wait * 2, wait);
                slept.err().map(|failure| Healing::Not(failure.to_string()))
            }
            Verdict::After(wait) => Some(Healing::Wait(wait)),
            Verdict::Spent { .. } => Some(Healing::Not("the healing budget is spent".to_owned())),
        }
    }

    pub(super) fn heal_with(
        &self,
        name: &StrategyName,
        loaded: &Loaded,
        related: &BTreeSet<UnitName>,
        snapshot: &Arc<Snapshot>,
    ) -> Healing {
        let kernel = self.kernel(name, loaded, related, snapshot, Phase::Heal);
        let actions_before = self.trail.actions();
        self.trail.write(Step::Heals {
            strategy: name.clone(),
        });
        let context = self.context(name, loaded, kernel.host());
        let (context, recording) = self.recorded(Call::Heal, loaded, context);
        let started = Instant::now();
        let run = loaded.strategy.heal(context);
        let took = microseconds(started.elapsed());
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
                        return Healing::Blocked(self.blocked(name, &unit, &reason));
                    }
                    Ok(Outcome::NotMine { reason } | Outcome::Failed { reason }) => Err(reason),
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
                    .units
                    .get(Instant::now() + Duration::from_secs(10), &self.service.unit)
                    .is_ok_and(|status| status.is_up());
            if !up {
                return Healing::Not(reason);
            }
            self.trail.write(Step::Note {
                message: format!("{name} said that it did not heal it ({reason}), yet it is up"),
            });
        }
        self.prove(name)
    }

    fn prove(&self, name: &StrategyName) -> Healing {
        let not_proven = |reason: String, relapse| {
            self.trail.write(Step::NotProven {
                strategy: Some(name.clone()),
                reason: reason.clone(),
                relapse,
            });
            // It failed anew, perhaps for another reason.
            self.thought.set(false);
            Healing::Not(reason)
        };
        match proof::becomes_well(&self.service, &self.host, self.service.proof.timeout) {
            Err(reason) => not_proven(reason, false),
            Ok(well) => {
                let after = self.answering(&well);
                match self.stays(&well) {
                    Ok(()) => Healing::Proven(after),
                    Err(reason) => not_proven(reason, true),
                }
            }
        }
    }

    /// The moment of recovery: microseconds since the failure.
    pub(super) fn answering(&self, well: &Well) -> Option<u64> {
        let after = self
            .trail
            .incident()
            .detection
            .failed_monotonic
            .and_then(|failed| {
                self.healer
                    .settings
                    .situation
                    .monotonic()
                    .checked_sub(failed)
            });
        self.trail.write(Step::Answering {
            evidence: well.evidence.clone(),
            after,
        });
        (self.acted)();
        (self.answers)();
        self.think();
        after
    }

    pub(super) fn stays(&self, well: &Well) -> Result<(), String> {
        let stable_for = if self.trail.is_rehearsal() {
            Duration::ZERO
        } else {
            self.service.proof.stable_for
        };
        let still = proof::stays_well(&self.service, &self.host, well, stable_for)?;
        self.trail.write(Step::Proven {
            evidence: still.evidence,
            stable_for: milliseconds(stable_for),
        });
        Ok(())
    }
}
