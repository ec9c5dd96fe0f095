//! Error budgets in the store: read when a service is watched, written once a minute.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use prunella_config::Config;
use prunella_core::{UnitName, situation::Situation as _};
use prunella_health::Now;

use super::{HealthBook, work::Work};

/// What was counted is written so often: a process that is killed loses no more.
const EVERY: Duration = Duration::from_secs(60);

/// When budgets were written last.
#[derive(Debug, Default)]
pub(super) struct Written(AtomicU64);

impl Written {
    /// Whether it is time again; then this is the last time.
    fn is_due(&self, now: Now) -> bool {
        let seconds = now.since_boot.as_secs();
        let due = |last: u64| seconds.saturating_sub(last) >= EVERY.as_secs();
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| {
                due(last).then_some(seconds)
            })
            .is_ok()
    }
}

impl HealthBook {
    /// Goes on with what is stored of these services' budgets, and forgets those of
    /// services that have no objective any more.
    pub(super) fn restore_budgets(&self, config: &Config, units: &[UnitName]) {
        let Some(store) = &self.store else { return };
        let stored = match store.error_budgets() {
            Ok(stored) => stored,
            Err(error) => {
                tracing::debug!("what is left of error budgets is not known: {error}");
                return;
            }
        };
        let now = self.now();
        let boot_id = self.linux.boot_id();
        for (unit, budget) in stored {
            let Some(service) = config.services.get(&unit) else {
                continue;
            };
            if service.objective.is_none() {
                if let Err(error) = store.forget_error_budget(&unit) {
                    tracing::debug!("the error budget of {unit} cannot be forgotten: {error}");
                }
                continue;
            }
            if !units.contains(&unit) {
                continue;
            }
            let seen = budget.moment;
            let away = if seen.boot_id == boot_id {
                now.since_boot.saturating_sub(seen.since_boot)
            } else {
                now.at.since(seen.at)
            };
            if let Some(tracker) = self.lock().get_mut(&unit) {
                tracker.error_budget_goes_on(now, budget.record, away);
            }
        }
    }

    /// Has budgets written, when it is time again.
    pub(super) fn budget_was_used(&self) {
        if self.budgets_written.is_due(self.now()) {
            self.send(Work::SaveBudgets);
        }
    }

    /// Writes down what has changed of all budgets.
    pub(super) fn save_budgets(&self) {
        let Some(store) = &self.store else { return };
        let unsaved: Vec<_> = self
            .lock()
            .iter()
            .filter_map(|(unit, tracker)| Some((unit.clone(), tracker.unsaved_error_budget()?)))
            .collect();
        if unsaved.is_empty() {
            return;
        }
        match store.save_error_budgets(&self.moment(), &unsaved) {
            Ok(()) => {
                let mut trackers = self.lock();
                for (unit, record) in unsaved {
                    if let Some(tracker) = trackers.get_mut(&unit) {
                        tracker.error_budget_saved(record.clock);
                    }
                }
            }
            // The store has told of its trouble itself; a minute later it is tried again.
            Err(error) => tracing::debug!("error budgets are not in the store: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_written_once_a_minute() {
        let written = Written::default();
        let at = |seconds| Now {
            since_boot: Duration::from_secs(seconds),
            ..Now::default()
        };
        let times = (1_000..1_300).filter(|seconds| written.is_due(at(*seconds)));
        assert_eq!(
            times.collect::<Vec<_>>(),
            [1_000, 1_060, 1_120, 1_180, 1_240]
        );
    }
}
