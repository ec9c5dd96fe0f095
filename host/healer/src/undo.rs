//! Undoing what was done: because it did not help or was cut off, because its time is over,
//! or because a person wants it.

use std::time::{Duration, Instant};

use prunella_core::{
    Failure,
    capability::{Host, remedies::TakeBack},
    incident::IncidentId,
    policy::Act,
    remedy::{Applied, AppliedState, FailedOver, Lease, LeaseEnds, Undo, UndoOutcome, UndoReason},
    service::Service,
    trail::{Entry, Record, Step},
};
use prunella_store::{Store, StoreError};

use crate::{HealerError, clock::wall_clock, healer::Healer, lock::UnitLock, stored::has_incident};

/// How long undoing one act may take.
const LIMIT: Duration = Duration::from_secs(60);
/// How long failing back may take: one unit is stopped, and another started.
const FAILING_BACK: Duration = Duration::from_secs(170);
/// How long the package manager may take.
const INSTALLING: Duration = Duration::from_secs(310);
/// How long deleting may take what was kept for that.
const DELETING: Duration = Duration::from_secs(310);
/// What could not be undone at the end of its lease is tried again after so long.
const AGAIN: Duration = Duration::from_secs(60);
/// The same, where its service is just being healed.
const AFTER_HEALING: Duration = Duration::from_secs(5);

/// Who wants something undone, and why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) why: UndoReason,
    pub(crate) by: Option<&'a str>,
}

/// Undoes an act, and keeps what is left of it. Answers with what was done.
pub(crate) fn undo(
    store: &Store,
    host: &Host,
    applied: &Applied,
    why: UndoReason,
) -> Result<String, Failure> {
    intend_to_fail_back(store, applied, why)?;
    let result = take_back(host, applied, why, false);
    let kept = match &result {
        // It was cut off in the moment after it was done.
        Err(failure) if failure.is(FailedOver::COMPLETE) => store.keep_applied(&Applied {
            state: AppliedState::Applied,
            ..applied.clone()
        }),
        // Whoever tries that again and again takes the service down again and again.
        Err(failure) if failure.is(FailedOver::DID_NOT_FAIL_BACK) => store.keep_applied(&Applied {
            trouble: Some(failure.message.clone()),
            lease: None,
            early: None,
            ..applied.clone()
        }),
        // What it left behind is deleted at the end.
        Ok(_)
            if applied
                .lease
                .is_some_and(|lease| lease.ends == LeaseEnds::Kept) =>
        {
            store.keep_applied(&Applied {
                state: AppliedState::Undone,
                trouble: None,
                ..applied.clone()
            })
        }
        Ok(_) => store.forget_applied(&applied.incident, applied.action),
        Err(failure) => store.keep_applied(&Applied {
            trouble: Some(failure.message.clone()),
            ..applied.clone()
        }),
    };
    if let Err(error) = kept {
        tracing::error!(
            prunella_incident = %applied.incident,
            "what became of {} of `{}` is not written down: {error}",
            applied.act,
            applied.name
        );
    }
    result
}

/// Neither may serve for a while when a service fails back. So it stands in the store before,
/// as a lease that is over: whoever comes after a process that was killed meanwhile goes on.
fn intend_to_fail_back(store: &Store, applied: &Applied, why: UndoReason) -> Result<(), Failure> {
    let goes_on = matches!(why, UndoReason::CutOff | UndoReason::NoHelp);
    if goes_on || applied.failed_over().is_none() {
        return Ok(());
    }
    let over = Lease {
        lasts: Duration::ZERO,
        ends: LeaseEnds::Undone,
        calm: Duration::ZERO,
    };
    let kept = store.keep_applied(&Applied {
        lease: Some(over),
        ..applied.clone()
    });
    kept.map_err(|error| Failure::unavailable("no-store", error.to_string()))
}

/// The step of its incident's trail that tells what became of the wish to undo an act.
pub(crate) fn undone(applied: &Applied, wish: Wish<'_>, result: Result<String, Failure>) -> Step {
    Step::Undone {
        action: applied.action,
        act: applied.act.clone(),
        target: applied.name.clone(),
        why: wish.why,
        by: wish.by.map(str::to_owned),
        result,
    }
}

fn take_back(
    host: &Host,
    applied: &Applied,
    why: UndoReason,
    discard: bool,
) -> Result<String, Failure> {
    let act = Act::named(&applied.act).ok_or_else(|| {
        Failure::invalid(
            "no-such-act",
            format!("this version of Prunella does not know {}", applied.act),
        )
    })?;
    let limit = match applied.undo {
        _ if discard => DELETING,
        Undo::FailBack(_) => FAILING_BACK,
        Undo::Reinstall(_) => INSTALLING,
        _ => LIMIT,
    };
    let back = TakeBack {
        act,
        undo: applied.undo.clone(),
        why,
        discard,
    };
    host.ask(Instant::now() + limit, back)
}

impl Healer {
    /// Ends the leases that are over: undoes what was lent, deletes what was kept. Answers
    /// after how long it is to be called again; `None` when nothing has a lease.
    pub fn end_leases(&self) -> Option<Duration> {
        let store = self.settings.store.as_ref()?;
        let leases = match store.leases() {
            Ok(leases) => leases,
            // The store has told of that itself.
            Err(_) => return Some(AGAIN),
        };
        let mut next: Option<Duration> = None;
        // A service is tried by its incident.
        let ours = |applied: &Applied| {
            applied
                .lease
                .is_none_or(|lease| lease.ends != LeaseEnds::Tried)
        };
        for applied in leases.into_iter().filter(ours) {
            let left = self.left(store, &applied);
            let again = if left.is_zero() {
                self.end_lease(store, &applied)
            } else {
                Some(left)
            };
            next = match (next, again) {
                (Some(next), Some(again)) => Some(next.min(again)),
                (next, again) => next.or(again),
            };
        }
        next
    }

    /// How much is left of a lease. What goes back early, because the service is well, stays
    /// while that has an incident again. What an open circuit isolates stays out of rotation.
    fn left(&self, store: &Store, applied: &Applied) -> Duration {
        let now = wall_clock();
        let mut until = applied.until().unwrap_or_default().since(now);
        if applied.is_of_traffic() && self.open_circuit(&applied.unit).is_some() {
            until = until.max(AGAIN);
        }
        let Some(early) = applied.early else {
            return until;
        };
        match early.since(now) {
            Duration::ZERO if has_incident(store, &applied.unit) => until.min(AGAIN),
            early => until.min(early),
        }
    }

    /// Answers after how long it is to be tried again; none when it is over.
    fn end_lease(&self, store: &Store, applied: &Applied) -> Option<Duration> {
        let folder = self.settings.run_folder.join("lock");
        let Ok(Some(_lock)) = UnitLock::try_acquire(&folder, &applied.unit) else {
            return Some(AFTER_HEALING);
        };
        // Nobody heals the standby while it is stopped.
        let standby = applied.failed_over().map(|over| &over.standby);
        let lock = standby.map(|standby| UnitLock::try_acquire(&folder, standby));
        if matches!(lock, Some(Ok(None) | Err(_))) {
            return Some(AFTER_HEALING);
        }
        let is_over = self.take_lease_back(store, applied);
        (!is_over).then_some(AGAIN)
    }

    /// Undoes what was lent, or deletes what was kept: whether that is done.
    fn take_lease_back(&self, store: &Store, applied: &Applied) -> bool {
        let host = self.host_of(applied);
        if applied.is_lent() {
            let is_over = applied.until().is_some_and(|until| until <= wall_clock());
            let wish = Wish {
                why: if is_over {
                    UndoReason::LeaseOver
                } else {
                    UndoReason::Well
                },
                by: None,
            };
            let result = undo(store, &host, applied, wish.why);
            return self.told(store, applied, wish, result);
        }
        match take_back(&host, applied, UndoReason::LeaseOver, true) {
            Ok(done) => {
                tracing::info!(prunella_incident = %applied.incident, "{done}");
                let forgotten = store.forget_applied(&applied.incident, applied.action);
                forgotten.is_ok()
            }
            Err(failure) => {
                if applied.trouble.as_deref() != Some(failure.message.as_str()) {
                    tracing::warn!(prunella_incident = %applied.incident, "{failure}");
                    let kept = store.keep_applied(&Applied {
                        trouble: Some(failure.message),
                        ..applied.clone()
                    });
                    if let Err(error) = kept {
                        tracing::debug!("not written down: {error}");
                    }
                }
                false
            }
        }
    }

    /// Writes what became of it into the trail of its incident, once; whether it was undone.
    fn told(
        &self,
        store: &Store,
        applied: &Applied,
        wish: Wish<'_>,
        result: Result<String, Failure>,
    ) -> bool {
        let done = result.is_ok();
        let is_known = |failure: &Failure| applied.trouble.as_ref() == Some(&failure.message);
        if !result.as_ref().is_err_and(is_known) {
            self.append(store, &applied.incident, undone(applied, wish, result));
        }
        done
    }

    fn append(&self, store: &Store, id: &IncidentId, step: Step) {
        let record = match store.record(id) {
            Ok(Some(record)) => record,
            // It was forgotten meanwhile.
            Ok(None) => return,
            Err(error) => {
                tracing::error!("{id} cannot be read: {error}");
                return;
            }
        };
        let entry = Entry {
            incident: id.clone(),
            number: 0,
            at: wall_clock(),
            monotonic: self.settings.situation.monotonic(),
            attempt: record.incident.attempt,
            step,
        };
        if let Err(error) = store.append_next(&entry) {
            tracing::error!("what was undone is not written into {id}: {error}");
        }
        crate::trail::to_journal(&record.incident, &entry, false);
        self.settings.observer.step(&record.incident, &entry);
    }

    /// The host of the service for which something was done, perhaps not in care any more.
    fn host_of(&self, applied: &Applied) -> Host {
        let service = self.service(&applied.unit);
        let service = service.unwrap_or_else(|| Service::new(applied.unit.clone()).into());
        self.host_for(&service)
    }

    /// Undoes what was done in an incident, the last first, and says what cannot be undone.
    /// With `only_tell` nothing is done.
    ///
    /// # Errors
    /// [`HealerError::Busy`] while the service is being healed.
    pub fn undo_incident(
        &self,
        record: &Record,
        by: &str,
        only_tell: bool,
    ) -> Result<Vec<UndoOutcome>, HealerError> {
        let Some(store) = &self.settings.store else {
            return Err(StoreError::NoSuchIncident(record.incident.id.clone()).into());
        };
        let unit = &record.incident.detection.unit;
        let folder = self.settings.run_folder.join("lock");
        let Some(_lock) = UnitLock::try_acquire(&folder, unit)? else {
            return Err(HealerError::Busy(unit.clone()));
        };
        let applied = store.applied_in(&record.incident.id)?;
        // Nobody heals the standby while it is stopped.
        let mut locks = Vec::new();
        for standby in applied
            .iter()
            .filter_map(|one| Some(&one.failed_over()?.standby))
        {
            match UnitLock::try_acquire(&folder, standby)? {
                Some(lock) => locks.push(lock),
                None => return Err(HealerError::Busy(standby.clone())),
            }
        }
        let mut outcomes = Vec::new();
        for applied in applied
            .iter()
            .filter(|applied| applied.state != AppliedState::Undone)
        {
            let result = if only_tell {
                Ok(applied.undo.to_string())
            } else {
                let wish = Wish {
                    why: UndoReason::Ordered,
                    by: Some(by),
                };
                let result = undo(store, &self.host_of(applied), applied, wish.why);
                let step = undone(applied, wish, result.clone());
                self.append(store, &record.incident.id, step);
                result
            };
            outcomes.push(UndoOutcome {
                act: applied.act.clone(),
                name: applied.name.clone(),
                result,
            });
        }
        outcomes.extend(for_good(record, &applied));
        Ok(outcomes)
    }
}

/// What was done to declared things in an incident and cannot be undone, the last first.
fn for_good(record: &Record, applied: &[Applied]) -> Vec<UndoOutcome> {
    let changed = |wanted: u32| {
        record.steps.iter().any(|entry| {
            matches!(
                &entry.step,
                Step::ActEnded { action, receipt: Some(receipt), .. }
                    if *action == wanted && receipt.changed
            )
        })
    };
    let was_undone = |wanted: u32| {
        record.steps.iter().any(|entry| {
            matches!(&entry.step, Step::Undone { action, result: Ok(_), .. } if *action == wanted)
        })
    };
    let steps = record.steps.iter().rev();
    steps
        .filter_map(|entry| match &entry.step {
            Step::ActIntended {
                action,
                act,
                target,
                plan: Some(plan),
                dry_run: false,
                ..
            } if changed(*action)
                && !was_undone(*action)
                && !applied.iter().any(|applied| applied.action == *action) =>
            {
                let why = match plan.undo {
                    None => "it cannot be undone",
                    Some(_) => "what was kept for that is deleted",
                };
                Some(UndoOutcome {
                    act: act.clone(),
                    name: target.clone(),
                    result: Err(Failure::failed("for-good", why)),
                })
            }
            _ => None,
        })
        .collect()
}
