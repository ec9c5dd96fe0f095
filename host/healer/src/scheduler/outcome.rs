//! What follows from how an attempt came out.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    UnitName,
    alert::Alert,
    capability::ActiveState,
    incident::{Detection, Ending, Incident, IncidentId, LeftAlone},
    trail::{Entry, LatestFailure, Step},
};
use prunella_report::{headline, how_it_failed};
use prunella_store::{AttemptEnd, LastSteps};

use super::{
    Shared, Stage, Task, WaitsFor, not_stored,
    run::{CUT_OFF, Finished},
    state::Question,
};
use crate::{
    attempt::{AttemptOutcome, look_again_after},
    clock::wall_clock,
};

impl Shared {
    /// Ends an incident that has no attempt going on, in the trail too.
    pub(super) fn end_between_attempts(&self, incident: &Incident, ending: &Ending) {
        if self.dry_run {
            return;
        }
        let entry = Entry {
            incident: incident.id.clone(),
            number: 0,
            at: wall_clock(),
            monotonic: self.healer.settings.situation.monotonic(),
            attempt: incident.attempt,
            step: Step::Ended {
                ending: ending.clone(),
            },
        };
        if let Some(store) = &self.healer.settings.store {
            let steps = self
                .earlier(incident)
                .map(|record| record.steps)
                .unwrap_or_default();
            let service = self.healer.service(&incident.detection.unit);
            let alert = Alert::of(
                incident,
                &steps,
                ending,
                service.as_deref(),
                headline(&incident.detection, ending),
                entry.at,
            );
            let end = AttemptEnd {
                at: entry.at,
                ending: Some(ending.clone()),
                alert,
                tries: None,
            };
            if let Err(error) = store.end_attempt(&incident.id, LastSteps::Next(&entry), &end) {
                not_stored(incident, "how it ended", &error);
                store.put_later(incident.clone(), Vec::new(), Some(end));
            }
        }
        crate::trail::to_journal(incident, &entry, false);
        self.healer.settings.observer.step(incident, &entry);
    }

    /// Takes note of how an attempt came out, and does what follows from it.
    pub(super) fn finish(self: &Arc<Self>, unit: &UnitName, finished: Finished) {
        let Finished {
            incident,
            outcome,
            written,
            lock,
        } = finished;
        if !written && let AttemptOutcome::Ended(ending) = &outcome {
            self.end_between_attempts(&incident, ending);
        }
        // Whoever waits for the lock may go on before anybody is told.
        drop(lock);
        let looked = self.healer.settings.situation.monotonic();
        if let Some(task) = self.lock().tasks.get_mut(unit) {
            task.looked = Some(looked);
        }
        match outcome {
            AttemptOutcome::Ended(ending) => self.ended(unit, &incident, ending),
            AttemptOutcome::LookAgain(why, detail, after) => {
                let mut state = self.lock();
                state.ended.insert(
                    unit.clone(),
                    (incident.id.clone(), Ending::LeftAlone { why, detail }),
                );
                if let Some(task) = state.tasks.get_mut(unit) {
                    task.known = task.incident.attempt;
                    task.incident.attempt += 1;
                    task.wait(after, WaitsFor::Hold(why));
                }
                // Who waits for it need not wait for a person.
                if why == LeftAlone::Masked {
                    state.wake_blocked(unit, false);
                }
            }
            AttemptOutcome::NothingNew(wait, ending) => {
                let mut state = self.lock();
                if let Some(task) = state.tasks.get_mut(unit)
                    && task.waits_for == Some(WaitsFor::Denied)
                {
                    task.look_before_due(wait);
                } else if let Some(task) = state.tasks.get_mut(unit) {
                    let due = Instant::now() + wait;
                    task.stage = Stage::Waiting(task.due.map_or(due, |before| before.max(due)));
                }
                if let Some(ending) = ending {
                    state
                        .ended
                        .insert(unit.clone(), (incident.id.clone(), ending));
                }
            }
            AttemptOutcome::CutOff(reason) => {
                tracing::info!(
                    prunella_incident = %incident.id,
                    "{unit}: the attempt was cut off, and goes on later: {reason}"
                );
                let mut state = self.lock();
                state.ended.remove(unit);
                if let Some(task) = state.tasks.get_mut(unit) {
                    task.wait(CUT_OFF, WaitsFor::Budget);
                }
            }
            AttemptOutcome::WaitForBudget(wait) => {
                let mut state = self.lock();
                state.ended.remove(unit);
                if let Some(task) = state.tasks.get_mut(unit) {
                    task.wait(wait, WaitsFor::Budget);
                }
            }
            AttemptOutcome::TryAgain(wait) => {
                let mut state = self.lock();
                state.ended.remove(unit);
                if let Some(task) = state.tasks.get_mut(unit) {
                    task.incident.attempt += 1;
                    task.wait(wait, WaitsFor::Budget);
                }
            }
            AttemptOutcome::Watches { told, again } => {
                self.watch(unit, &incident, told, again);
                self.go_on_as_what_was_seen(unit);
            }
            AttemptOutcome::Superseded(by) => self.go_on_with(unit, &by),
            AttemptOutcome::Blocked(on, reason) if incident.detection.is_degradation() => {
                self.join(unit, &incident, on, reason);
                self.go_on_as_what_was_seen(unit);
            }
            AttemptOutcome::Blocked(on, reason) => self.block(unit, &incident, on, reason),
        }
        self.changed.notify_all();
    }

    pub(super) fn ended(self: &Arc<Self>, unit: &UnitName, incident: &Incident, ending: Ending) {
        let healthy = matches!(
            ending,
            Ending::Healed { .. }
                | Ending::Recovered { .. }
                | Ending::LeftAlone {
                    why: LeftAlone::Healthy,
                    ..
                }
        );
        let retried = matches!(
            ending,
            Ending::Escalated {
                retry_at: Some(_),
                ..
            }
        );
        let continued = matches!(ending, Ending::Continued { .. });
        let is_isolated = retried && self.open_circuit(unit).is_some();
        if !retried {
            self.forget_circuit(unit);
        }
        let question = if retried {
            self.question(incident)
        } else {
            Question::None
        };
        let mut state = self.lock();
        let later = state
            .tasks
            .get_mut(unit)
            .and_then(|task| task.later_failure.take());
        if let Ending::Escalated {
            retry_at: Some(at), ..
        } = &ending
            && let Some(task) = state.tasks.get_mut(unit)
        {
            let left = at.since(wall_clock());
            let waits = if is_isolated {
                task.wait(left, WaitsFor::Circuit)
            } else {
                task.wait_for_people(left, question)
            };
            task.known = incident.attempt;
            task.incident.attempt += 1;
            task.blocked = 0;
            if !waits {
                // Whoever has ordered another attempt waits for the end of that.
                state.ended.remove(unit);
                return;
            }
        } else {
            state.tasks.remove(unit);
        }
        // Nobody is started against an open circuit: who waits for it waits on.
        if !is_isolated {
            state.wake_blocked(unit, healthy);
        }
        state
            .ended
            .insert(unit.clone(), (incident.id.clone(), ending));
        drop(state);
        if retried && !self.dry_run {
            self.follow_needs(unit);
        }
        if let Some(detection) = later
            && (healthy || continued)
        {
            self.look_after(detection);
        }
    }

    /// How an incident stands that is tried again after so long, for whoever does not wait for
    /// that.
    pub(super) fn waits_on(&self, incident: &Incident, left: Duration) -> Ending {
        let steps = self
            .earlier(incident)
            .map(|record| record.steps)
            .unwrap_or_default();
        let failure = LatestFailure::of(&incident.detection, &steps);
        let how = how_it_failed(failure.cause, failure.exit_code, failure.signal);
        let last = failure.lines.and_then(|lines| lines.last());
        let said = last.map_or_else(String::new, |line| format!(": {line}"));
        Ending::Escalated {
            reason: format!("{how}{said}"),
            retry_at: Some(wall_clock().saturating_add(left)),
        }
    }

    /// Another process has opened an incident for the unit: there is one at a
    /// time, so this one's part is to see that one through.
    fn go_on_with(&self, unit: &UnitName, other: &IncidentId) {
        let store = self.healer.settings.store.as_ref();
        let record = store.and_then(|store| store.record(other).ok().flatten());
        let mut state = self.lock();
        let Some(record) = record else {
            state.tasks.remove(unit);
            return;
        };
        if let Some(task) = state.tasks.get_mut(unit) {
            let later_failure = task.later_failure.take();
            *task = Task::new(record.incident);
            task.later_failure = later_failure;
        }
    }

    /// A unit answers: what waits for it goes on.
    pub(super) fn answers(&self, unit: &UnitName) {
        let mut state = self.lock();
        if let Some(task) = state.tasks.get_mut(unit) {
            task.answers = Some(Instant::now());
        }
        state.wake_blocked(unit, true);
        drop(state);
        self.changed.notify_all();
    }

    /// A failure was seen while the incident before it was being worked on: if
    /// the unit is down now, that was a new one.
    fn look_after(self: &Arc<Self>, detection: Detection) {
        let down = self
            .look_at(&detection.unit)
            .is_some_and(|status| status.active_state == ActiveState::Failed);
        if down && let Err(error) = self.open(detection, None, None) {
            tracing::error!("{error}");
        }
    }

    pub(super) fn give_up(self: &Arc<Self>, unit: &UnitName, incident: &Incident, reason: &str) {
        let earlier = self.earlier(incident);
        let steps = earlier.iter().flat_map(|record| &record.steps);
        let healed = steps
            .into_iter()
            .any(|entry| matches!(entry.step, Step::Heals { .. }));
        let retry_at = self.healer.config().retry_interval.map(|every| {
            wall_clock().saturating_add(look_again_after(incident.attempt, healed, every))
        });
        let ending = Ending::Escalated {
            reason: reason.to_owned(),
            retry_at,
        };
        self.end_between_attempts(incident, &ending);
        self.ended(unit, incident, ending);
    }
}
