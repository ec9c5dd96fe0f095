//! A service whose standby has taken its place: the proof is that of the standby.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    StrategyName,
    capability::{Host, clock, probes},
    remedy::{Applied, FailedOver, Undo},
    service::Service,
    trail::Step,
};

use super::{Attempt, AttemptOutcome, LOOK, healing::Healing};
use crate::{
    decide::{SHUTDOWN, is_going_down},
    proof::Prover,
    start_time::StartTime,
};

/// How often a probe is asked that the standby does not answer yet.
const ASK_EVERY: Duration = Duration::from_millis(500);

impl Attempt<'_> {
    /// The failover that was made in this incident, and is in force.
    pub(super) fn taken_over(&self) -> Option<(Applied, FailedOver)> {
        if self.trail.is_dry_run() {
            return None;
        }
        let store = self.healer.settings.store.as_ref()?;
        let applied = store.applied_in(&self.trail.incident().id).ok()?;
        applied.into_iter().find_map(|applied| {
            let over = applied.failed_over()?.clone();
            Some((applied, over))
        })
    }

    /// Whether a failover was begun in this incident, and is still to be undone: nothing can be
    /// made of how the service stands.
    pub(super) fn has_begun_to_fail_over(&self) -> bool {
        let Some(store) = &self.healer.settings.store else {
            return false;
        };
        let applied = store.applied_in(&self.trail.incident().id);
        let applied = applied.unwrap_or_default();
        applied
            .iter()
            .any(|one| matches!(one.undo, Undo::FailBack(_)))
    }

    /// Looks for the proof of a failover that a strategy has made just now.
    pub(super) fn prove_taken_over(&self, name: &StrategyName, over: &FailedOver) -> Healing {
        match self.standby_serves(Some(name), over) {
            Ok(after) => Healing::Proven(after),
            Err(_) if is_going_down(self.healer) => {
                Healing::Over(AttemptOutcome::CutOff(SHUTDOWN.to_owned()))
            }
            Err(_) if self.is_superseded() => Healing::Over(self.begin_anew()),
            Err((reason, relapse)) => {
                self.tell_not_proven(name, &reason, relapse);
                self.diagnosed.set(false);
                Healing::Not(reason)
            }
        }
    }

    /// Goes on with a failover whose proof was cut off.
    pub(super) fn goes_on_taken_over(
        &self,
        applied: &Applied,
        over: &FailedOver,
    ) -> AttemptOutcome {
        let Some(name) = self.strategy_of(applied.action) else {
            return self.escalate(format!(
                "whose failover it was that had {} serve is not known",
                over.standby
            ));
        };
        match self.prove_taken_over(&name, over) {
            Healing::Proven(after) => self.healed_by(&name, after),
            Healing::Over(outcome) => outcome,
            Healing::Not(_) | Healing::Wait(_) => {
                self.undo_from(applied.action);
                self.look_again()
            }
        }
    }

    /// The strategy that did an act of this incident.
    fn strategy_of(&self, wanted: u32) -> Option<StrategyName> {
        let store = self.healer.settings.store.as_ref()?;
        let record = store.record(&self.trail.incident().id).ok()??;
        record.steps.into_iter().find_map(|entry| match entry.step {
            Step::ActIntended {
                action, strategy, ..
            } if action == wanted => Some(strategy),
            _ => None,
        })
    }

    /// Sees that the standby is well, answers what the service did, and stays so. The error
    /// says what is missing, and whether it was well before.
    fn standby_serves(
        &self,
        strategy: Option<&StrategyName>,
        over: &FailedOver,
    ) -> Result<Option<Duration>, (String, bool)> {
        let standby = self.healer.service(&over.standby);
        let standby = standby.unwrap_or_else(|| Arc::new(Service::new(over.standby.clone())));
        let host = self.healer.host_for(&standby);
        let prover = Prover {
            service: &standby,
            host: &host,
            known: self.healer.answered_probes(),
            remembers: true,
        };
        let not_yet = |reason| (reason, false);
        let relapsed = |reason| (reason, true);
        let status = host.unit(Instant::now() + LOOK, &over.standby);
        let status = status.map_err(|failure| not_yet(failure.to_string()))?;
        let store = self.healer.settings.store.as_deref();
        let time = StartTime::of(&standby, &status, store);
        let until = Instant::now() + time.most;
        let mut well = prover
            .becomes_well(time, |_| {}, || self.is_superseded())
            .map_err(not_yet)?;
        let answers = self.answered_until(over, until).map_err(not_yet)?;
        well.evidence.extend(answers);
        let after = self.answering(&well);
        let stable_for = self.service.proof.stable_for;
        let still = prover
            .stays_well(&well, stable_for)
            .map_err(|not_stable| relapsed(not_stable.into_reason()))?;
        let mut evidence = still.evidence;
        evidence.extend(
            self.answered_until(over, Instant::now())
                .map_err(relapsed)?,
        );
        self.trail.write(Step::Proven {
            strategy: strategy.cloned(),
            evidence,
            stable_for,
        });
        Ok(after)
    }

    /// What the probes of the service tell that its standby answers as well; asked again until
    /// then while they are not answered.
    fn answered_until(&self, over: &FailedOver, until: Instant) -> Result<Vec<String>, String> {
        let mut evidence = Vec::new();
        for name in &over.probes {
            loop {
                match ask(&self.real, &self.service, name) {
                    Ok(answered) => {
                        evidence.push(answered);
                        break;
                    }
                    Err(reason) if Instant::now() >= until => return Err(reason),
                    Err(_) => {
                        let sleep = clock::Sleep { time: ASK_EVERY };
                        let slept = self.real.ask(Instant::now() + LOOK, sleep);
                        slept.map_err(|failure| failure.to_string())?;
                    }
                }
            }
        }
        Ok(evidence)
    }
}

/// Asks a probe once: what it tells, or why it is no proof.
fn ask(host: &Host, service: &Service, name: &str) -> Result<String, String> {
    let timeout = service.probes.get(name).map_or(LOOK, |probe| probe.timeout);
    let ask = probes::Ask {
        name: name.to_owned(),
    };
    match host.ask(Instant::now() + timeout, ask) {
        Ok(answer) if answer.healthy => {
            Ok(format!("probe `{name}` is answered: {}", answer.detail))
        }
        Ok(answer) => Err(format!("probe `{name}` is not answered: {}", answer.detail)),
        Err(failure) => Err(format!("probe `{name}` failed: {failure}")),
    }
}
