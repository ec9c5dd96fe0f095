//! Asking the strategies what they think.

use std::collections::BTreeSet;

use prunella_core::{
    StrategyName, UnitName, capability::UnitStatus, incident::Assessment, trail::Step,
};
use prunella_engine::Call;

use super::{Attempt, AttemptOutcome};
use crate::{
    assess::{Asked, ask_all},
    kernel::Phase,
    strategies::Loaded,
};

impl Attempt<'_> {
    /// The strategies of the service that may act on the incident.
    fn strategies(&self) -> Vec<StrategyName> {
        if self.is_degradation() {
            self.untried()
        } else {
            self.service.strategies.clone()
        }
    }

    /// Asks every strategy of the service. Any veto or blocked-by holds
    /// everything; else those that apply come back in the operator's order. `status` is the
    /// unit as it was seen before.
    pub(super) fn assess(
        &self,
        status: &UnitStatus,
        related: &BTreeSet<UnitName>,
    ) -> Result<Vec<(&StrategyName, &Loaded)>, AttemptOutcome> {
        let mut not_applicable = Vec::new();
        let mut known = Vec::new();
        let mut asked = Vec::new();
        let strategies = self.strategies();
        for name in &strategies {
            let Some((name, loaded)) = self.current.strategies.get(name) else {
                let why = self
                    .current
                    .strategies
                    .refused()
                    .iter()
                    .find(|refused| refused.name == *name)
                    .map_or("it is not known".to_owned(), |refused| {
                        refused.why.to_string()
                    });
                self.trail.write(Step::Note {
                    message: format!("strategy {name} is not in force: {why}"),
                });
                not_applicable.push(format!("{name} is not in force"));
                continue;
            };
            if !loaded.is_for(self.kind()) {
                not_applicable.push(format!("{name} does not treat a {}", self.kind().as_str()));
                continue;
            }
            let kernel = self.kernel(name, loaded, related, Phase::Assess);
            let context = self.context(name, loaded, kernel.host());
            let (context, recording) = self.recorded(Call::Assess, loaded, context);
            known.push((name, loaded, recording));
            asked.push(Asked {
                strategy: &loaded.strategy,
                context,
            });
        }
        let mut applying = Vec::new();
        let mut vetoes = Vec::new();
        let mut blocked = None;
        ask_all(&self.service, asked, |place, said| {
            let Some((name, loaded, recording)) = known.get(place) else {
                return;
            };
            let (name, loaded) = (*name, *loaded);
            recording.assessed(&said.run.result);
            let assessment = match said.run.result {
                Ok(Ok(assessment)) => assessment,
                Ok(Err(failure)) => Assessment::NotApplicable {
                    reason: format!("it could not tell: {failure}"),
                },
                Err(error) => {
                    self.trail.write(Step::Broke {
                        strategy: name.clone(),
                        call: "assess".to_owned(),
                        kind: error.kind().to_owned(),
                        message: error.to_string(),
                    });
                    not_applicable.push(format!("{name} broke off"));
                    return;
                }
            };
            self.trail.write(Step::Assessed {
                strategy: name.clone(),
                assessment: assessment.clone(),
                took: said.took,
            });
            match assessment {
                Assessment::Applies { .. } => applying.push((name, loaded)),
                Assessment::NotApplicable { reason } => {
                    not_applicable.push(format!("{name}: {reason}"))
                }
                Assessment::Veto { reason } => vetoes.push(self.service.with_paths(&reason)),
                Assessment::BlockedBy { unit, reason } => {
                    blocked.get_or_insert((name, unit, reason));
                }
            }
        });
        if let Some((name, unit, reason)) = blocked {
            return Err(self.blocked(name, &unit, &reason));
        }
        if !vetoes.is_empty() {
            return Err(self.escalate(vetoes.join("; ")));
        }
        if applying.is_empty() && self.has_moved_on(status) {
            // They may have seen it up, between two restarts of systemd's: nothing
            // that people should hear of.
            self.trail.write(Step::Note {
                message: "no strategy applies, but the unit has changed meanwhile".to_owned(),
            });
            return Err(self.look_again());
        }
        if applying.is_empty() {
            let why = if not_applicable.is_empty() {
                "no strategy is listed for it, so Prunella only watches it".to_owned()
            } else {
                format!("no strategy applies: {}", not_applicable.join("; "))
            };
            let not_well = self.not_well.borrow();
            return Err(self.escalate(match &*not_well {
                Some(missing) => {
                    let is_up = format!("{} is up", self.service.unit);
                    match missing.strip_prefix(&is_up) {
                        Some(but) => format!("it is up{but}; {why}"),
                        None => format!("it is not well: {missing}; {why}"),
                    }
                }
                None => why,
            }));
        }
        Ok(applying)
    }
}
