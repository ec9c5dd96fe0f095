//! Gives what is due a thread, as far as there are slots.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Shared,
    run::AttemptInput,
    spawn,
    state::{Stage, State},
};

impl Shared {
    /// Runs until the scheduler stops.
    pub(super) fn dispatch(self: &Arc<Self>) {
        let mut state = self.lock();
        while !state.stopping {
            let next = self.start_ready(&mut state);
            state = match next {
                Some(next) => {
                    self.changed
                        .wait_timeout(state, next.saturating_duration_since(Instant::now()))
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Gives everything that is due a thread, as far as there are slots. Answers
    /// when the next is due.
    pub(super) fn start_ready(self: &Arc<Self>, state: &mut State) -> Option<Instant> {
        let now = Instant::now();
        let at_once = self.healer.config().host_budget.max_concurrent.max(1);
        let mut next: Option<Instant> = None;
        let mut ready = Vec::new();
        for (unit, task) in &mut state.tasks {
            if let Stage::Waiting(at) = task.stage {
                if at <= now {
                    task.stage = Stage::Queued;
                } else {
                    next = Some(next.map_or(at, |next| next.min(at)));
                }
            }
            if task.stage == Stage::Queued {
                ready.push(unit.clone());
            }
        }
        // What others wait for goes first: ten services may be blocked on
        // one database.
        ready.sort_by_key(|unit| !state.is_waited_for(unit));
        for unit in ready {
            if state.slots >= at_once {
                break;
            }
            let Some(task) = state.tasks.get_mut(&unit) else {
                continue;
            };
            task.stage = Stage::Running;
            task.begun = Some(now);
            task.answers = None;
            task.health_changed = false;
            task.declared = self.healer.service(&unit);
            // Its end says what it needs then.
            task.needs.clear();
            let input = AttemptInput {
                incident: task.incident.clone(),
                known: task.known,
                unblocked: task.unblocked.take(),
                waits_for: task.waits_for,
                asked_for: std::mem::take(&mut task.asked_for)
                    | std::mem::take(&mut task.ordered_meanwhile),
                is_due: task.due.is_none_or(|due| due <= now),
                restart_loop: task.restart_loop,
                joins: task.joins,
                snapshot: task.snapshot.take(),
            };
            state.slots += 1;
            state.threads += 1;
            let shared = Arc::clone(self);
            let failed_unit = unit.clone();
            if let Err(error) = spawn("incident", move || {
                shared.work(&unit, input);
            }) {
                tracing::error!("{error}; trying again in a moment");
                state.slots -= 1;
                state.threads -= 1;
                if let Some(task) = state.tasks.get_mut(&failed_unit) {
                    task.stage = Stage::Waiting(now + Duration::from_secs(1));
                    next = Some(now + Duration::from_secs(1));
                }
                break;
            }
        }
        next
    }
}
