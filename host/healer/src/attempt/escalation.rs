//! Handing an incident to people, and why.

use std::time::{Duration, Instant};

use prunella_core::{
    StrategyName, UnitName,
    budget::BudgetVerdict,
    capability::UnitStatus,
    incident::Ending,
    oversight::{Approval, ApprovalState, ModelSay},
    policy::Act,
    service::BudgetSettings,
    text::one_line,
};
use prunella_report::length;

use super::{Attempt, AttemptOutcome};
use crate::clock::{self, wall_clock};

/// When an incident that people have to see to, and about which nothing could be
/// done, is looked at again for the first time. Then after twice as long, and so
/// on, up to `retry-interval`.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// After how long an incident that was handed to people is looked at again: `every` is
/// `retry-interval`. What holds everything may be put right at any moment, and a look
/// spends nothing; where strategies have `healed`, another try does.
pub(crate) fn look_again_after(attempt: u32, healed: bool, every: Duration) -> Duration {
    if healed {
        return every;
    }
    let doubled = 1_u32
        .checked_shl(attempt.saturating_sub(1))
        .unwrap_or(u32::MAX);
    LOOK_AGAIN.saturating_mul(doubled).min(every)
}

impl Attempt<'_> {
    pub(super) fn blocked(&self, by: &StrategyName, unit: &str, reason: &str) -> AttemptOutcome {
        let shown = one_line(unit, 100);
        let Ok(unit) = UnitName::new(unit) else {
            return self.escalate(format!(
                "{by} says that `{shown}` has to be healed first, which is not a unit: {reason}"
            ));
        };
        let canonical = self
            .real
            .unit(Instant::now() + Duration::from_secs(10), &unit)
            .map_or(unit, |status| status.name);
        if canonical == self.service.unit {
            return self.escalate(format!(
                "{by} says that the service has to wait for itself: {reason}"
            ));
        }
        if let Some(mistake) = self.current.config.mistake_of(&canonical) {
            return self.escalate(format!(
                "{canonical} is the cause, and is not healed because of a mistake in {mistake}: \
                 {reason}"
            ));
        }
        if self.current.config.services.contains_key(&canonical) {
            return AttemptOutcome::Blocked(canonical, reason.to_owned());
        }
        self.escalate(format!(
            "{canonical} is the cause, and is not in Prunella's care: {reason}; starting {} \
             against it would be no use",
            self.service.unit
        ))
    }

    pub(super) fn escalate(&self, reason: String) -> AttemptOutcome {
        let wait = self.current.config.retry_interval.map(|every| {
            // While people are asked, nothing is tried.
            match self.trail.asks_until() {
                Some(until) => until.since(wall_clock()),
                None => look_again_after(self.trail.attempt(), self.trail.healings() > 0, every),
            }
        });
        self.escalate_until(reason, wait)
    }

    /// Hands it to people, and looks again after `wait`, if ever.
    pub(super) fn escalate_until(&self, reason: String, wait: Option<Duration>) -> AttemptOutcome {
        if self.trail.is_dry_run() {
            return AttemptOutcome::Ended(Ending::DryRun {
                verdict: format!("it would be handed to people: {reason}"),
            });
        }
        let retry_at = wait.map(|wait| wall_clock().saturating_add(wait));
        AttemptOutcome::Ended(Ending::Escalated { reason, retry_at })
    }

    pub(super) fn budget_settings(&self) -> &BudgetSettings {
        self.current.budget_of(&self.service)
    }

    /// How it fails, and whose budget is spent.
    pub(super) fn budget_is_spent(&self) -> String {
        if self.has_spent_its_budget() {
            return self.spent();
        }
        format!(
            "{}; {}",
            if self.trail.healed_before() {
                self.how_it_fails()
            } else {
                self.how_it_failed()
            },
            self.host_has_spent()
        )
    }

    /// Whether the healings of the service are what its budget is spent on, and not those of
    /// all services together.
    pub(super) fn has_spent_its_budget(&self) -> bool {
        let settings = self.budget_settings();
        let now = clock::moment(&*self.healer.settings.situation);
        let ledger = &self.healer.settings.ledger;
        let own = ledger.healings(&self.service.unit, &now, settings.window);
        own.len() >= usize::try_from(settings.healings).unwrap_or(usize::MAX)
    }

    /// That the budget of the host is spent, in a sentence.
    pub(super) fn host_has_spent(&self) -> String {
        let host = &self.current.config.host_budget;
        format!(
            "the host's healing budget is spent: {} in {} of all services together",
            counted(host.healings),
            length(host.window)
        )
    }

    /// Why nothing more is tried: its healings were all that its budget allows.
    fn spent(&self) -> String {
        let settings = self.budget_settings();
        let healings = counted(settings.healings);
        let window = length(settings.window);
        if self.trail.healed_before() {
            format!(
                "{}; {healings} in {window} did not help, and its budget allows no more",
                self.how_it_fails()
            )
        } else {
            // They were healings of other failures, and may have helped with those.
            format!(
                "{}, after {healings} in {window}, and its budget allows no more",
                self.how_it_failed()
            )
        }
    }

    /// Whether a person has to agree to the start of the unit, or to its restart where it is
    /// up, and nobody has so far. What is agreed to is good once, and has to wait for the
    /// budget.
    pub(super) fn has_to_ask(&self, status: &UnitStatus) -> bool {
        let oversight = &self.current.config.oversight;
        let act = if status.is_up() {
            Act::Restart
        } else {
            Act::Start
        };
        // A model's consent may be enough.
        if self.ordered
            || oversight.model == ModelSay::Allow
            || !oversight.asks(act, self.service.critical)
        {
            return false;
        }
        let Some(store) = &self.healer.settings.store else {
            return false;
        };
        let agreed = |approval: &Approval| {
            approval.proposal.incident == self.trail.incident().id
                && approval.state == ApprovalState::Approved
        };
        store
            .approvals()
            .is_ok_and(|approvals| !approvals.iter().any(agreed))
    }

    pub(super) fn budget(&self) -> BudgetVerdict {
        self.healer.budget(&self.current, &self.service)
    }
}

/// `1 healing`, or `3 healings`.
pub(super) fn counted(healings: u32) -> String {
    match healings {
        1 => "1 healing".to_owned(),
        healings => format!("{healings} healings"),
    }
}
