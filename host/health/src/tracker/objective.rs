//! The error budget of a service that has an objective.

use std::time::Duration;

use prunella_core::health::{BudgetRecord, HealthState, Objective};

use super::Tracker;
use crate::{Now, error_budget::ErrorBudget, probe::Sample};

impl Tracker {
    /// The service's objective, or none, from now on. What was counted stays.
    pub fn objective(&mut self, now: Now, objective: Option<Objective>) {
        self.error_budget = objective.map(|objective| match self.error_budget.take() {
            Some(mut budget) => {
                budget.set_objective(objective);
                budget
            }
            None => ErrorBudget::new(objective, now),
        });
        self.set_rate();
    }

    /// Goes on with what was stored of the error budget, so long ago, where there is an
    /// objective.
    pub fn error_budget_goes_on(&mut self, now: Now, stored: BudgetRecord, away: Duration) {
        self.error_budget = self
            .error_budget
            .take()
            .map(|budget| budget.going_on(now, stored, away));
    }

    /// What of the error budget has changed since it was stored.
    pub fn unsaved_error_budget(&self) -> Option<BudgetRecord> {
        self.error_budget.as_ref()?.unsaved()
    }

    /// What was unsaved at `clock`, its own, is stored.
    pub fn error_budget_saved(&mut self, clock: Duration) {
        if let Some(budget) = &mut self.error_budget {
            budget.saved(clock);
        }
    }

    /// Whether it has an objective.
    pub fn has_error_budget(&self) -> bool {
        self.error_budget.is_some()
    }

    /// Counts what a probe's turn has used up of the budget, if there is one.
    pub(super) fn count(&mut self, now: Now, sample: &Sample) {
        // What is asked in such a time tells nothing of what the service is like.
        if self.has_expected_work(now) {
            return;
        }
        let answered = match sample {
            Sample::Answered { .. } => true,
            Sample::Unanswered { .. } => false,
            // Whoever needs it now gets no answer either.
            Sample::NotAsked
                if matches!(
                    self.judged.state(),
                    HealthState::Failed | HealthState::Recovering
                ) =>
            {
                false
            }
            Sample::NotAsked | Sample::NeverAnswered => return,
        };
        if let Some(budget) = &mut self.error_budget {
            budget.count(now, answered);
        }
    }

    /// The probes have other intervals.
    pub(super) fn set_rate(&mut self) {
        if let Some(budget) = &mut self.error_budget {
            let each = self.probes.values().map(|probe| probe.settings.interval);
            budget.set_rate(each.map(|interval| 1.0 / interval.as_secs_f64()).sum());
        }
    }
}
