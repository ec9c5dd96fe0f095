//! What is known of each incident that is worked on, and of how far it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    Monotonic, UnitName,
    cause::Cause,
    incident::{Detection, Ending, Incident, IncidentId, LeftAlone},
    service::Service,
};

use crate::snapshot::Snapshot;

/// How often it is looked at whether what people are asked about is still there.
pub(super) const LOOK_AT_QUESTION: Duration = Duration::from_secs(15);

#[derive(Default)]
pub(super) struct State {
    pub(super) tasks: BTreeMap<UnitName, Task>,
    /// Attempts that hold a slot of the host.
    pub(super) slots: u32,
    /// Attempts that have a thread.
    pub(super) threads: u32,
    pub(super) stopping: bool,
    /// Incidents that ended, for those who wait; the latest for each unit.
    pub(super) ended: BTreeMap<UnitName, (IncidentId, Ending)>,
}

impl State {
    /// Whether anything is blocked on a unit.
    pub(super) fn is_waited_for(&self, unit: &UnitName) -> bool {
        self.tasks
            .values()
            .any(|task| task.stage == Stage::Blocked(unit.clone()))
    }

    /// Whether the unit has an incident that is no degradation.
    pub(super) fn keeps_from_probing(&self, unit: &UnitName) -> bool {
        let task = self.tasks.get(unit);
        task.is_some_and(|task| !task.incident.detection.is_degradation())
    }

    /// Whether anything is being worked on, or is due by then.
    pub(super) fn is_busy(&self, by: Instant) -> bool {
        self.threads > 0
            || self.tasks.values().any(|task| match task.stage {
                Stage::Queued | Stage::Running => true,
                // What is held back is not waited for: it may take hours.
                Stage::Waiting(at) => at <= by && !task.is_held(),
                Stage::Blocked(_) | Stage::Watching => false,
            })
    }

    /// What is blocked on a unit goes on.
    pub(super) fn wake_blocked(&mut self, unit: &UnitName, healthy: bool) {
        for task in self.tasks.values_mut() {
            if task.stage == Stage::Blocked(unit.clone()) {
                task.stage = Stage::Queued;
                task.incident.attempt += 1;
                task.unblocked = Some((unit.clone(), healthy));
            }
        }
        if healthy {
            self.wake_needing(unit);
        }
    }
}

pub(super) struct Task {
    pub(super) incident: Incident,
    pub(super) stage: Stage,
    /// The last attempt of which this process knows how it ended: what the store
    /// says of a later one was another's doing.
    pub(super) known: u32,
    /// What it waits for, or has just waited for: an attempt that finds it as it
    /// was is none.
    pub(super) waits_for: Option<WaitsFor>,
    /// When it is due, as that was decided last.
    pub(super) due: Option<Instant>,
    /// When its last attempt ended, in this boot.
    pub(super) looked: Option<Monotonic>,
    /// How often it has waited for other units since people were told of it.
    pub(super) blocked: u32,
    /// Whether a degradation waits for a unit that it needs and that is not well.
    pub(super) joins: bool,
    /// Whether the health of a degraded service has changed during this attempt.
    pub(super) health_changed: bool,
    /// A failure that was noticed while this one was being worked on.
    pub(super) later_failure: Option<Detection>,
    /// Whether systemd was seen to restart the unit again and again.
    pub(super) restart_loop: bool,
    /// Whether an operator asks for the next attempt, and so wants an answer.
    pub(super) asked_for: bool,
    /// Whether an operator has asked for a healing in the middle of this attempt, which
    /// heeds no order: the next does.
    pub(super) ordered_meanwhile: bool,
    /// What it needs of other units, and has not, while it waits for people: it is looked
    /// at again as soon as one of them is up.
    pub(super) needs: BTreeSet<UnitName>,
    /// Written before the next attempt: the unit it waited for, and whether that is well.
    pub(super) unblocked: Option<(UnitName, bool)>,
    /// The unit as it was seen when the incident was opened.
    pub(super) snapshot: Option<Snapshot>,
    /// The service as its last attempt in this process knew it.
    pub(super) declared: Option<Arc<Service>>,
    /// When its attempt was begun.
    pub(super) begun: Option<Instant>,
    /// Since when it answers in this attempt; its proof may still be under way.
    pub(super) answers: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    Queued,
    Running,
    /// Until a moment.
    Waiting(Instant),
    Blocked(UnitName),
    /// A degradation, until its health changes.
    Watching,
}

/// What an incident waits for while it has a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// The healing budget, or nothing: the next attempt comes by itself, and a
    /// relapse is no reason to make it sooner.
    Budget,
    /// Another try, after people were asked for help.
    Retry,
    /// A person's answer, until its time is over.
    Answer,
    /// Another try, after a person has denied what would end a process: that may end by
    /// itself before.
    Denied,
    /// Its time: the service is isolated by an open circuit, and tried then.
    Circuit,
    /// What held it back to pass.
    Hold(LeftAlone),
}

/// How it stands with what people were asked in an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// They are asked nothing, or what that was about is not there any more.
    None,
    /// They have not answered.
    Open,
    /// They have denied it, which stands, and the process that it is about runs.
    Denied,
}

impl Task {
    pub(super) fn new(incident: Incident) -> Self {
        Self {
            restart_loop: incident.detection.cause == Cause::RestartLoop,
            incident,
            stage: Stage::Queued,
            known: 0,
            waits_for: None,
            due: None,
            looked: None,
            blocked: 0,
            joins: true,
            health_changed: false,
            later_failure: None,
            asked_for: false,
            ordered_meanwhile: false,
            needs: BTreeSet::new(),
            unblocked: None,
            snapshot: None,
            begun: None,
            answers: None,
            declared: None,
        }
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self.waits_for, Some(WaitsFor::Hold(_)))
    }

    /// Like [`wait`](Self::wait), after people were asked for help. Where they were asked a
    /// question, or have denied it, it is looked at meanwhile whether what that is about is
    /// still there.
    pub(super) fn wait_for_people(&mut self, duration: Duration, question: Question) -> bool {
        match question {
            Question::None => self.wait(duration, WaitsFor::Retry),
            Question::Open => self.wait(duration.min(LOOK_AT_QUESTION), WaitsFor::Answer),
            Question::Denied => {
                let waits = self.wait(duration, WaitsFor::Denied);
                if waits {
                    self.look_before_due(LOOK_AT_QUESTION);
                }
                waits
            }
        }
    }

    /// Has it looked at after so long, or when it is due where that is before.
    pub(super) fn look_before_due(&mut self, wait: Duration) {
        let at = Instant::now() + wait;
        self.stage = Stage::Waiting(self.due.map_or(at, |due| due.min(at)));
    }

    /// Whether it waits for people.
    pub(super) fn waits_for_people(&self) -> bool {
        matches!(
            self.waits_for,
            Some(WaitsFor::Retry | WaitsFor::Answer | WaitsFor::Denied)
        )
    }

    /// Has the next attempt come by the clock, or at once where an operator has ordered
    /// that meanwhile. Answers whether it comes by the clock.
    pub(super) fn wait(&mut self, duration: Duration, waits_for: WaitsFor) -> bool {
        let due = Instant::now() + duration;
        self.due = Some(due);
        self.waits_for = Some(waits_for);
        self.asked_for |= std::mem::take(&mut self.ordered_meanwhile);
        self.stage = if self.asked_for {
            Stage::Queued
        } else {
            Stage::Waiting(due)
        };
        !self.asked_for
    }
}
