//! Incidents that wait for other units.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    UnitName,
    capability::{ActiveState, Goal, UnitStatus, units},
    cause::Cause,
    incident::{DetectedBy, Detection, Ending, Incident},
    text::one_line,
};

use super::{OpenOutcome, Shared, Stage, State, WaitsFor, not_stored};
use crate::{HealerError, clock::wall_clock};

/// How often one incident may wait for other units before it is handed to
/// people: two services that each say the other must come first would go on
/// for ever.
const MAX_BLOCKED: u32 = 5;

/// An incident that waits for a unit which is up already looks again after this;
/// after twice as long the next time.
const A_WHILE: Duration = Duration::from_secs(1);

/// How long one look at a unit, or at one of its probes, may take.
const LOOK: Duration = Duration::from_secs(10);

impl Shared {
    /// A unit in care, as it stands.
    pub(super) fn look_at(&self, unit: &UnitName) -> Option<UnitStatus> {
        let service = self.healer.service(unit)?;
        let host = self.healer.host_for(&service);
        host.unit(Instant::now() + LOOK, unit).ok()
    }

    /// A unit in care, when it is on its way nowhere any more, or as it stands
    /// after a while.
    fn settled(&self, unit: &UnitName) -> Option<UnitStatus> {
        let service = self.healer.service(unit)?;
        let wait = units::Wait {
            unit: unit.clone(),
            goal: Goal::Settled,
            timeout: LOOK,
        };
        self.healer
            .host_for(&service)
            .ask(Instant::now() + LOOK, wait)
            .ok()
            .or_else(|| self.look_at(unit))
    }

    /// Whether a unit that another one waits for is masked, in care or not.
    fn is_masked(&self, unit: &UnitName, on: &UnitName) -> bool {
        let Some(service) = self.healer.service(unit) else {
            return false;
        };
        let host = self.healer.host_for(&service);
        host.unit(Instant::now() + LOOK, on)
            .is_ok_and(|status| status.load_state == "masked")
    }

    /// Whether a unit in care is up, and its probes are answered.
    pub(super) fn is_well(&self, status: &UnitStatus) -> bool {
        let unit = &status.name;
        let Some(service) = self.healer.service(unit) else {
            return false;
        };
        status.is_up()
            && status.is_settled()
            && service.own_probes().all(|(probe, _)| {
                self.healer
                    .ask(Instant::now() + LOOK, unit, probe)
                    .is_some_and(|answer| answer.is_ok_and(|answer| answer.healthy))
            })
    }

    /// Notes down that an incident waits: it goes on, so nobody is told.
    pub(super) fn blocked_in_store(&self, incident: &Incident, ending: &Ending) {
        if self.dry_run {
            return;
        }
        if let Some(store) = &self.healer.settings.store
            && let Err(error) = store.end(&incident.id, wall_clock(), ending)
        {
            not_stored(incident, "what it waits for", &error);
        }
    }

    /// Puts an incident aside until another unit's has ended, and opens that
    /// one when it is not open.
    pub(super) fn block(
        self: &Arc<Self>,
        unit: &UnitName,
        incident: &Incident,
        on: UnitName,
        reason: String,
    ) {
        let is_masked = self.is_masked(unit, &on);
        let mut state = self.lock();
        let circle = self.is_circle(&state, unit, &on);
        // It may have come back while this one was looking at it.
        let begun = state.tasks.get(unit).and_then(|task| task.begun);
        let answers = state.tasks.get(&on).and_then(|other| other.answers);
        let is_back = begun
            .zip(answers)
            .is_some_and(|(begun, answers)| answers > begun);
        let is_known = state.tasks.contains_key(&on);
        let Some(task) = state.tasks.get_mut(unit) else {
            return;
        };
        task.blocked += 1;
        let times = task.blocked;
        if circle {
            drop(state);
            let ending = Ending::Escalated {
                reason: format!("{reason}; {on} in turn waits for {unit}"),
                retry_at: None,
            };
            self.end_between_attempts(incident, &ending);
            self.ended(unit, incident, ending);
            return;
        }
        // Its own incident has told so by now, and nothing can start it.
        if is_masked && (times > 1 || is_known) {
            task.needs.insert(on.clone());
            drop(state);
            let why = format!(
                "{reason}; {on} is masked, so it cannot be started: `systemctl unmask {on}`, \
                 unless it was masked for a reason"
            );
            self.give_up(unit, incident, &why);
            return;
        }
        if times > MAX_BLOCKED {
            task.needs.insert(on);
            drop(state);
            let why = format!("{reason}; it has waited for other units {MAX_BLOCKED} times");
            self.give_up(unit, incident, &why);
            return;
        }
        task.stage = Stage::Blocked(on.clone());
        task.waits_for = None;
        state.ended.remove(unit);
        drop(state);
        self.blocked_in_store(
            incident,
            &Ending::Blocked {
                on: on.clone(),
                reason: reason.clone(),
            },
        );
        let status = if is_known {
            self.look_at(&on)
        } else {
            // Another process may have healed it by now, or be about to.
            self.settled(&on)
        };
        let is_well = !is_known && status.as_ref().is_some_and(|status| self.is_well(status));
        if is_back || (is_well && times == 1) {
            self.lock().wake_blocked(&on, true);
            return;
        }
        if is_well {
            // A unit may be up long before it is of use to this one.
            self.look_again_after(unit, A_WHILE * 2_u32.saturating_pow(times - 2));
            return;
        }
        let opened = self.open_for(&on, status, incident);
        match opened {
            Ok(OpenOutcome::New(_) | OpenOutcome::Joined(_) | OpenOutcome::Reopened(..)) => {}
            Ok(OpenOutcome::Known(_, ending)) => {
                let why = ending.why().map_or_else(
                    || format!("{on} is down again"),
                    |why| format!("{on} was not healed: {}", one_line(&why, 200)),
                );
                self.give_up(unit, incident, &format!("{reason}; {why}"));
            }
            Ok(OpenOutcome::NotInCare) => {
                let why = format!("{reason}; {on} is not in Prunella's care");
                self.give_up(unit, incident, &why);
            }
            Err(error) => {
                self.give_up(
                    unit,
                    incident,
                    &format!("{reason}; {on} cannot be healed: {error}"),
                );
            }
        }
    }

    /// Opens the incident of a unit that another one waits for.
    fn open_for(
        self: &Arc<Self>,
        on: &UnitName,
        status: Option<UnitStatus>,
        parent: &Incident,
    ) -> Result<OpenOutcome, HealerError> {
        let at = wall_clock();
        let detection = match status {
            Some(status) => Detection::of(&status, DetectedBy::Dependency, Cause::of(&status), at),
            None => Detection {
                unit: on.clone(),
                by: DetectedBy::Dependency,
                at,
                cause: Cause::State(ActiveState::Other),
                invocation: None,
                exit_code: None,
                signal: None,
                failed_monotonic: None,
                restarts_before: None,
                symptoms: Vec::new(),
                unusual: Vec::new(),
                follows: None,
                expected_work: None,
            },
        };
        self.open(detection, Some(parent.id.clone()), None)
    }

    /// Has an incident that waits for a unit make its next attempt by the clock.
    fn look_again_after(&self, unit: &UnitName, wait: Duration) {
        let mut state = self.lock();
        if let Some(task) = state.tasks.get_mut(unit) {
            task.incident.attempt += 1;
            task.wait(wait, WaitsFor::Budget);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Whether `on`, through what it waits for itself, waits for `unit`.
    pub(super) fn is_circle(&self, state: &State, unit: &UnitName, on: &UnitName) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = on.clone();
        while seen.insert(next.clone()) {
            if next == *unit {
                return true;
            }
            match state.tasks.get(&next).map(|task| &task.stage) {
                Some(Stage::Blocked(further)) => next = further.clone(),
                _ => return false,
            }
        }
        false
    }
}
