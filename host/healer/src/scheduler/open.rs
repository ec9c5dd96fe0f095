//! What becomes of a detection: a new incident, or the one that there is.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    UnitName,
    cause::Cause,
    health::ExpectedWork,
    incident::{DetectedBy, Detection, Ending, Incident, IncidentId, LeftAlone},
};
use prunella_store::{Opened, Store, StoreError};

use super::{Shared, Stage, Task, WaitsFor, not_stored};
use crate::{HealerError, clock::wall_clock, snapshot::Snapshot};

/// What became of a detection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenOutcome {
    /// It is a new incident, and will be worked on.
    New(IncidentId),
    /// The unit's incident is being worked on already.
    Joined(IncidentId),
    /// The same failure was seen before, and its incident has ended.
    Known(IncidentId, Ending),
    /// An incident that had been handed to people, or held back, is tried again;
    /// so it had ended before.
    Reopened(IncidentId, Ending),
    /// The unit is not in Prunella's care.
    NotInCare,
}

impl OpenOutcome {
    /// The incident, where there is one.
    pub fn incident(&self) -> Option<&IncidentId> {
        match self {
            Self::New(id) | Self::Joined(id) | Self::Known(id, _) | Self::Reopened(id, _) => {
                Some(id)
            }
            Self::NotInCare => None,
        }
    }
}

impl Shared {
    pub(super) fn open(
        self: &Arc<Self>,
        detection: Detection,
        parent: Option<IncidentId>,
        snapshot: Option<Snapshot>,
    ) -> Result<OpenOutcome, HealerError> {
        let unit = detection.unit.clone();
        if self.healer.service(&unit).is_none() {
            return Ok(OpenOutcome::NotInCare);
        }
        let mut detection = detection;
        detection.expected_work = self.expected_work_of(&detection).map(Box::new);
        let mut state = self.lock();
        if let Some(task) = state.tasks.get(&unit)
            && is_continued_by(&task.incident.detection, &detection)
            && task.stage != Stage::Running
        {
            // It goes on as a failure: `store` ends it there.
            detection.follows = Some(task.incident.id.clone());
            state.tasks.remove(&unit);
        } else if let Some(task) = state.tasks.get_mut(&unit) {
            let id = task.incident.id.clone();
            let another = detection.is_another_than(&task.incident.detection, task.looked);
            let asked_for = detection.by == DetectedBy::Operator;
            task.restart_loop |= detection.cause == Cause::RestartLoop;
            match task.stage {
                // It is being healed, and has gone down, or a person wants more than that.
                Stage::Running if is_continued_by(&task.incident.detection, &detection) => {
                    detection.follows = Some(id.clone());
                    task.later_failure = Some(detection);
                }
                // A failure says more than how it is measured.
                _ if detection.is_degradation() && !task.incident.detection.is_degradation() => {}
                Stage::Watching => {
                    task.stage = Stage::Queued;
                    task.asked_for |= asked_for;
                    self.changed.notify_all();
                }
                // Who waits for it has nothing new to say of it: another try
                // now would fail as the last one did, again and again.
                Stage::Waiting(_) if detection.by == DetectedBy::Dependency => {}
                // The start that has just failed: its next comes by the clock.
                Stage::Waiting(_) if !asked_for && task.waits_for == Some(WaitsFor::Budget) => {}
                // Handed to people or held back, and now it failed anew, or
                // somebody asks for it: that is worth a look at once.
                Stage::Waiting(_) if another || asked_for => {
                    task.stage = Stage::Queued;
                    task.asked_for = asked_for;
                    // What is asked may not be the question any more.
                    task.waits_for = task
                        .waits_for
                        .filter(|what| !matches!(what, WaitsFor::Answer | WaitsFor::Denied));
                    self.changed.notify_all();
                }
                Stage::Queued if asked_for => task.asked_for = true,
                Stage::Running if asked_for => task.ordered_meanwhile = true,
                // Perhaps the relapse of what is being healed, perhaps a new
                // failure just after it: looked at when this attempt is over.
                Stage::Running if another => task.later_failure = Some(detection),
                _ => {}
            }
            return Ok(OpenOutcome::Joined(id));
        }
        if let Some((id, Ending::Continued { .. })) = state.ended.get(&unit)
            && !detection.is_degradation()
        {
            detection.follows = Some(id.clone());
        }
        let asked_for = detection.by == DetectedBy::Operator;
        let (incident, outcome) = self.store(detection.clone(), parent)?;
        let mut task = Task::new(incident);
        task.snapshot = snapshot;
        task.asked_for = asked_for;
        match &outcome {
            OpenOutcome::Known(..) | OpenOutcome::NotInCare => return Ok(outcome),
            OpenOutcome::Reopened(_, before) => {
                task.known = task.incident.attempt.saturating_sub(1);
                if let Ending::LeftAlone { why, .. } = before {
                    task.waits_for = Some(WaitsFor::Hold(*why));
                }
            }
            // That of a failure, which another process sees to.
            OpenOutcome::Joined(_)
                if detection.is_degradation() && !task.incident.detection.is_degradation() =>
            {
                return Ok(outcome);
            }
            // Another process is at work on an earlier failure of the unit:
            // looked at when that is over.
            OpenOutcome::Joined(_) if detection.is_another_than(&task.incident.detection, None) => {
                task.later_failure = Some(detection);
            }
            OpenOutcome::New(_) | OpenOutcome::Joined(_) => {}
        }
        // Left by a process that has ended: its next start comes by the clock.
        if let OpenOutcome::Joined(id) = &outcome
            && let Some(store) = &self.healer.settings.store
            && let Some(rest) = self.rest_of_wait(store, id, &unit)
            && !rest.is_zero()
        {
            task.wait(rest, WaitsFor::Budget);
        }
        state.ended.remove(&unit);
        state.tasks.insert(unit, task);
        // Not left to the dispatcher: its waking up would be a part of the time
        // that the service is down.
        if !state.stopping {
            self.start_ready(&mut state);
        }
        drop(state);
        self.changed.notify_all();
        Ok(outcome)
    }

    /// Goes on with the latest incident of a unit where that was left to people, and one of
    /// them has started the unit or stopped it: they hear of its end. It is looked at after
    /// `wait`, or as soon as it is started. Answers whether there is such an incident.
    pub(super) fn take_up_left(&self, unit: &UnitName, wait: Duration) -> bool {
        let store = self.healer.settings.store.as_ref();
        let Some(store) = store.filter(|_| !self.dry_run) else {
            return false;
        };
        if self.lock().tasks.contains_key(unit) || self.healer.service(unit).is_none() {
            return false;
        }
        let left = store.latest_end(unit).and_then(|latest| match latest {
            Some(latest) if is_left_to_people(&latest.ending) => store.record(&latest.id),
            _ => Ok(None),
        });
        let incident = match left {
            Ok(Some(record)) => record.incident,
            Ok(None) => return false,
            Err(error) => {
                tracing::debug!("{unit}: which incident is over is not known: {error}");
                return false;
            }
        };
        let mut task = Task::new(incident);
        task.known = task.incident.attempt;
        task.incident.attempt += 1;
        task.stage = Stage::Waiting(Instant::now() + wait);
        self.lock().tasks.entry(unit.clone()).or_insert(task);
        true
    }

    /// The work that is expected of the service now: people are told of it with the incident.
    fn expected_work_of(&self, detection: &Detection) -> Option<ExpectedWork> {
        let store = self.healer.settings.store.as_ref()?;
        let all = store.expected_work(detection.at).unwrap_or_else(|error| {
            tracing::debug!("what work is expected is not known: {error}");
            Vec::new()
        });
        all.into_iter().find(|work| work.unit == detection.unit)
    }

    /// Puts a new incident into the store, or finds the one that has its key.
    fn store(
        &self,
        detection: Detection,
        parent: Option<IncidentId>,
    ) -> Result<(Incident, OpenOutcome), HealerError> {
        let situation = &self.healer.settings.situation;
        let boot_id = situation.boot_id();
        let mut incident = Incident {
            id: IncidentId::new(wall_clock(), situation.random()),
            key: detection.key(&boot_id),
            detection,
            attempt: 1,
            boot_id,
            parent,
        };
        let new = |incident: Incident| {
            let outcome = OpenOutcome::New(incident.id.clone());
            (incident, outcome)
        };
        let Some(store) = self
            .healer
            .settings
            .store
            .as_ref()
            .filter(|_| !self.dry_run)
        else {
            return Ok(new(incident));
        };
        // The incident as it was left; what cannot be read is healed anew.
        let before = |id: &IncidentId, incident: &Incident| match store.record(id) {
            Ok(record) => record.map(|record| record.incident),
            Err(error) => {
                not_stored(incident, "what was done before", &error);
                None
            }
        };
        if let Some((id, ending, another)) = self.goes_on(store, &incident) {
            match again(&ending, incident.detection.by, another) {
                Again::No => return Ok((incident, OpenOutcome::Known(id, ending))),
                Again::Same => {
                    if let Some(mut incident) = before(&id, &incident) {
                        incident.attempt += 1;
                        return Ok((incident, OpenOutcome::Reopened(id, ending)));
                    }
                }
                Again::Anew => {}
            }
        }
        loop {
            let (id, ending) = match store.open_incident(&incident) {
                Ok(Opened::New) => return Ok(new(incident)),
                Ok(Opened::Known { id, ending }) => (id, ending),
                // Another failure drew the same number in the same second.
                Err(StoreError::IdTaken(_)) => {
                    incident.id = IncidentId::new(wall_clock(), situation.random());
                    continue;
                }
                Err(error) => {
                    // Healing goes on without a record; the budget falls back
                    // to /run by itself.
                    not_stored(&incident, "that it was opened", &error);
                    return Ok(new(incident));
                }
            };
            let Some(ending) = ending.filter(Ending::is_final) else {
                // Another process has it, perhaps waiting for another unit, or
                // died with it: the unit's lock tells, when it comes to that.
                return Ok(match before(&id, &incident) {
                    Some(open) if is_continued_by(&open.detection, &incident.detection) => {
                        let ending = Ending::Continued {
                            reason: how_it_goes_on(&incident.detection).to_owned(),
                        };
                        self.end_between_attempts(&open, &ending);
                        incident.detection.follows = Some(id);
                        continue;
                    }
                    Some(incident) => (incident, OpenOutcome::Joined(id)),
                    None => new(incident),
                });
            };
            match again(&ending, incident.detection.by, false) {
                Again::No => return Ok((incident, OpenOutcome::Known(id, ending))),
                Again::Same => {
                    return Ok(match before(&id, &incident) {
                        Some(mut incident) => {
                            incident.attempt += 1;
                            (incident, OpenOutcome::Reopened(id, ending))
                        }
                        None => new(incident),
                    });
                }
                Again::Anew => {
                    let at = incident.detection.at.as_millis();
                    incident.key = format!("{}/asked-{at}", incident.key);
                }
            }
        }
    }

    /// The incident that a failure belongs to although that has ended, how it ended, and
    /// whether the failure came after that.
    ///
    /// One failure is one incident, whichever of its runs is looked at: what had failed when
    /// the unit's latest incident was given up is what that tells of, and all that happens
    /// to a unit which waits for people until that is tried again goes on with it, too.
    fn goes_on(&self, store: &Store, incident: &Incident) -> Option<(IncidentId, Ending, bool)> {
        let detection = &incident.detection;
        // A restart of what is well is a matter of its own, and so is what is up and ails.
        if detection.cause == Cause::RestartRequested || detection.is_degradation() {
            return None;
        }
        let latest = match store.latest_end(&detection.unit) {
            Ok(latest) => latest?,
            Err(error) => {
                not_stored(incident, "which incident it goes on with", &error);
                return None;
            }
        };
        let was_by_its_end = match latest.monotonic {
            Some(ended) if latest.boot_id == incident.boot_id => detection.was_by(ended),
            // Of another boot, where it was opened at least: by the wall clock.
            _ => {
                let now = self.healer.settings.situation.monotonic();
                let failed = detection
                    .failed_monotonic
                    .filter(|_| detection.is_a_moment())
                    .map(|failed| detection.at.saturating_sub(now.since(failed)));
                failed.is_some_and(|failed| failed <= latest.at)
            }
        };
        let goes_on = match &latest.ending {
            Ending::Escalated {
                retry_at: Some(_), ..
            } => true,
            Ending::Escalated { retry_at: None, .. } => was_by_its_end,
            Ending::LeftAlone { why, .. } => was_by_its_end && *why != LeftAlone::Healthy,
            // All runs that failed before its standby took over belong to it.
            Ending::Healed {
                served_by: Some(_), ..
            } => was_by_its_end,
            // It was well then, or was cut off in the middle of what was done to it.
            Ending::Healed { .. }
            | Ending::Recovered { .. }
            | Ending::Interrupted { .. }
            | Ending::Blocked { .. }
            | Ending::DryRun { .. }
            | Ending::Continued { .. } => false,
        };
        // What goes on and on is tried again by the clock.
        let another = !was_by_its_end && detection.is_a_moment();
        goes_on.then_some((latest.id, latest.ending, another))
    }
}

/// Whether a degradation goes on as what was noticed now: a failure, or a restart that a
/// person wants. One who only asks about it joins it.
fn is_continued_by(before: &Detection, now: &Detection) -> bool {
    before.is_degradation() && !now.is_degradation() && !matches!(now.cause, Cause::State(_))
}

/// Whether an incident that ended so is over once its unit is up, or an operator has stopped
/// it.
fn is_left_to_people(ending: &Ending) -> bool {
    matches!(
        ending,
        Ending::LeftAlone {
            why: LeftAlone::StartLimit
                | LeftAlone::FailureAction
                | LeftAlone::RestartPrevented
                | LeftAlone::RefusesStart
                | LeftAlone::ConditionUnmet,
            ..
        }
    )
}

fn how_it_goes_on(now: &Detection) -> &'static str {
    match now.cause {
        Cause::RestartRequested => "a person wants it restarted",
        _ => "it has failed, which is an incident of its own",
    }
}

/// What to do about a failure whose incident has ended.
enum Again {
    /// Nothing: it was seen to.
    No,
    /// Go on with the same incident.
    Same,
    /// Open another one for it.
    Anew,
}

/// Whether a failure is worth another try, now that `by` comes with it again, or with
/// `another` one after its incident had ended.
fn again(ending: &Ending, by: DetectedBy, another: bool) -> Again {
    match (ending, by) {
        // Who waits for it has nothing new to say of it.
        (Ending::Escalated { .. }, _) if another && by != DetectedBy::Dependency => Again::Same,
        (Ending::Escalated { .. } | Ending::Interrupted { .. }, DetectedBy::Operator) => {
            Again::Same
        }
        // That goes by how the unit stands, whoever asks.
        (
            Ending::LeftAlone {
                why: LeftAlone::StartLimit | LeftAlone::FailureAction,
                ..
            },
            DetectedBy::Operator,
        ) => Again::Same,
        // An operator may ask for the same failure again and again.
        (_, DetectedBy::Operator) => Again::Anew,
        // It is in care again, no longer protected, or its file may be mended.
        (
            Ending::LeftAlone {
                why: LeftAlone::NotInCare | LeftAlone::Protected | LeftAlone::Misconfigured,
                ..
            },
            _,
        ) => Again::Same,
        // What held it back may be gone by now.
        (Ending::LeftAlone { why, .. }, DetectedBy::Sweep | DetectedBy::Dependency)
            if why.passes() =>
        {
            Again::Same
        }
        _ => Again::No,
    }
}
