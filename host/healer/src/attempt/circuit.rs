//! An attempt at an incident whose service is, or is about to be, isolated by an open circuit.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use prunella_core::{
    StrategyName, UnitName,
    capability::{UnitStatus, remedies},
    incident::Ending,
    policy::Act,
    remedy::{Applied, AppliedState, Circuit, OpenedCircuit, Remedy, UndoReason},
    text::one_line,
    trail::Step,
};

use super::{Attempt, AttemptOutcome, LOOK, healing::Healing, related};
use crate::{
    circuits::{self, OpenCircuit},
    kernel::Phase,
    strategies::Loaded,
};

/// How long isolating the service may take: systemd's job, and proof that it is down.
const ISOLATING: Duration = Duration::from_secs(110);

impl Attempt<'_> {
    /// The circuit of the service, where it is open.
    pub(super) fn open_circuit(&self) -> Option<OpenCircuit> {
        self.healer.open_circuit(&self.service.unit)
    }

    /// Goes on at an open circuit. Nothing, where none holds the service: the attempt goes its
    /// way.
    pub(super) fn at_open_circuit(&self, status: &UnitStatus) -> Option<AttemptOutcome> {
        let open = self.open_circuit()?;
        if open.applied.state == AppliedState::Intended && !open.holds(status) {
            // It was cut off before the service was down. The opening before it may stand.
            if self.trail.is_dry_run() {
                return None;
            }
            let store = self.healer.settings.store.as_ref()?;
            let forgotten = store.forget_applied(&open.applied.incident, open.applied.action);
            return match forgotten {
                Ok(()) => self.at_open_circuit(status),
                Err(_) => None,
            };
        }
        let Some((name, loaded)) = self.who_opened(&open) else {
            self.trail.write(Step::Note {
                message: format!(
                    "circuit `{}` is not declared any more: nothing holds it open",
                    open.opened.name
                ),
            });
            self.forget_circuit();
            return None;
        };
        let related = related(status);
        if open.is_tried(status) {
            return Some(self.open_again(&open, name, loaded, &related, status));
        }
        let left = open.left();
        if !self.ordered && !left.is_zero() {
            return Some(self.isolated(&open.opened, left));
        }
        if let Some(outcome) = self.waits_for_circuit(status) {
            return Some(outcome);
        }
        // What forbids another start, or comes first, does so here as well.
        match self.assess(status, &related) {
            Ok(_) => {}
            Err(AttemptOutcome::Ended(Ending::Escalated { .. })) => {
                return Some(self.isolated(&open.opened, self.wait_of(&open)));
            }
            Err(outcome) => return Some(outcome),
        }
        Some(match self.heal_in_turn(0, name, loaded, &related) {
            Healing::Proven(after) => self.healed_by(name, after),
            Healing::Over(outcome) => outcome,
            Healing::Not(_) | Healing::Wait(_) => {
                self.open_again(&open, name, loaded, &related, status)
            }
        })
    }

    /// Who tries the service: whoever has opened the circuit, as long as both are declared.
    fn who_opened(&self, open: &OpenCircuit) -> Option<(&StrategyName, &Loaded)> {
        self.declared(&open.opened)?;
        let strategy = open.strategy.as_ref()?;
        let is_listed = self.service.strategies.contains(strategy);
        self.current.strategies.get(strategy).filter(|_| is_listed)
    }

    fn declared(&self, opened: &OpenedCircuit) -> Option<&Circuit> {
        match self.service.remedies.get(&opened.name) {
            Some(Remedy::Circuit(declared)) => Some(declared),
            _ => None,
        }
    }

    /// How long the circuit stays open when nothing was tried.
    fn wait_of(&self, open: &OpenCircuit) -> Duration {
        let declared = self.declared(&open.opened);
        declared.map_or_else(Duration::default, |declared| {
            declared.wait_for(open.opened.times)
        })
    }

    /// Opens the circuit once more, for longer: the try has failed.
    fn open_again(
        &self,
        open: &OpenCircuit,
        name: &StrategyName,
        loaded: &Loaded,
        related: &BTreeSet<UnitName>,
        status: &UnitStatus,
    ) -> AttemptOutcome {
        let first = self.trail.actions();
        let kernel = self.kernel(name, loaded, related, Phase::Heal);
        let apply = remedies::Apply {
            act: Act::OpenCircuit,
            name: open.opened.name.clone(),
            undo: None,
        };
        let done = kernel.host().ask(Instant::now() + ISOLATING, apply);
        let because = match done {
            Ok(receipt) if receipt.changed => {
                if let Some((opened, wait)) = self.trail.opened_circuit(first) {
                    self.forget_before(first);
                    return self.isolated(&opened, wait);
                }
                receipt.summary
            }
            Ok(receipt) => receipt.summary,
            Err(failure) => failure.message,
        };
        let is_down = |status: UnitStatus| !status.is_up() && status.is_settled();
        let now = self.host.unit(Instant::now() + LOOK, &status.name);
        if now.is_ok_and(is_down) {
            // It is down, and nobody of Prunella's starts it.
            return self.isolated(&open.opened, self.wait_of(open));
        }
        self.close_circuit(UndoReason::NoHelp);
        self.escalate(format!(
            "it could not be isolated again: {}; {}",
            one_line(&because, 200),
            self.how_it_fails()
        ))
    }

    /// Forgets the openings before an act: the latest is what is undone.
    fn forget_before(&self, action: u32) {
        let Some(store) = &self.healer.settings.store else {
            return;
        };
        let id = &self.trail.incident().id;
        let openings = circuits::openings(store, &self.service.unit).unwrap_or_default();
        for before in openings
            .iter()
            .filter(|one| one.incident != *id || one.action < action)
        {
            if let Err(error) = store.forget_applied(&before.incident, before.action) {
                tracing::warn!("an earlier opening of the circuit is kept: {error}");
            }
        }
    }

    /// What an attempt comes to that leaves the service isolated: people are told, and it is
    /// tried after `wait`.
    pub(super) fn isolated(&self, opened: &OpenedCircuit, wait: Duration) -> AttemptOutcome {
        let reason = format!(
            "it is isolated: circuit `{}` is open ({}× in a row); {}",
            opened.name,
            opened.times,
            self.how_it_fails()
        );
        self.escalate_until(reason, Some(wait))
    }

    /// Whether a unit that the service needs is isolated: it waits for that one.
    pub(super) fn waits_for_circuit(&self, status: &UnitStatus) -> Option<AttemptOutcome> {
        let needs = self.service.depends_on.iter().chain(&status.requires);
        let others = needs.filter(|unit| **unit != self.service.unit);
        let open = self.healer.open_circuit_among(others)?;
        let OpenedCircuit { name, unit, .. } = open.opened;
        let reason = format!("{unit} is isolated: its circuit `{name}` is open");
        Some(AttemptOutcome::Blocked(unit, reason))
    }

    /// Whether the service's circuit could be opened now, by one of its strategies.
    pub(super) fn could_isolate(&self) -> bool {
        let circuits = self.service.remedies.iter();
        circuits
            .filter(|(_, remedy)| matches!(remedy, Remedy::Circuit(_)))
            .any(|(name, _)| {
                let of = remedies::PlanOf {
                    act: Act::OpenCircuit,
                    name: name.clone(),
                };
                let plan = self.host.ask(Instant::now() + LOOK, of);
                plan.is_ok_and(|plan| plan.eligible)
            })
    }

    /// The circuit is closed: the service is well, or nobody holds it down any more. What it has
    /// failed before counts no longer.
    pub(super) fn close_circuit(&self, why: UndoReason) {
        let Some(latest) = self.forget_circuit() else {
            return;
        };
        self.trail.write(Step::Undone {
            action: latest.action,
            act: latest.act,
            why,
            by: None,
            result: Ok(format!("closed circuit `{}`", latest.name)),
            target: latest.name,
        });
    }

    /// Forgets the circuit, and with it what the service has failed before. Answers with its
    /// latest opening, if it was open.
    fn forget_circuit(&self) -> Option<Applied> {
        let settings = &self.healer.settings;
        let store = settings
            .store
            .as_ref()
            .filter(|_| !self.trail.is_dry_run())?;
        let latest = circuits::forget(store, &self.service.unit)
            .into_iter()
            .next()?;
        if let Err(error) = settings.ledger.reset(&self.service.unit) {
            tracing::warn!("the failures before the circuit was closed still count: {error}");
        }
        Some(latest)
    }
}

/// Whether a strategy was granted to isolate services.
pub(super) fn opens_circuits(loaded: &Loaded) -> bool {
    loaded.grants.scopes(Act::OpenCircuit).next().is_some()
}
