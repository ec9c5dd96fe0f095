//! What the thread of the book does: looks at units, reads pauses, writes what has changed.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::mpsc::{Receiver, Sender},
    time::{Duration, Instant},
};

use prunella_core::{
    UnitName,
    capability::UnitStatus,
    health::{Health, Subject, Transition},
};
use prunella_healer::{failed_over, serves_in_its_place};
use prunella_health::{Standing, Tracker};
use prunella_store::SeenHealth;

use super::{
    Group, HealthBook,
    seen::{SeenUnit, pause_of, seen_unit},
};
use crate::clock;

/// How long one look at a unit may take.
const LOOK: Duration = Duration::from_secs(10);

/// Changes that are kept for a store that does not work now.
const KEPT: usize = 1_000;

/// One thing to be done.
pub(super) enum Work {
    /// A state has changed, which is to be written.
    Save(Transition),
    /// A unit is to be looked at.
    Look(UnitName),
    /// So is each that was not seen yet.
    LookAtUnseen,
    /// The pauses, or what work is expected, may have changed.
    Pauses,
    /// What was used up of error budgets is to be written.
    SaveBudgets,
    /// What was measured before is in this file.
    LearnFrom(PathBuf),
    /// What will be used up is to be reckoned anew.
    LookAhead,
    /// Whoever asks waits until all that came before is done.
    Done(Sender<()>),
    /// All that is known is to be written, and then to end.
    Stop(Sender<()>),
}

impl HealthBook {
    /// Does what is sent, until it is to stop.
    pub(super) fn work(&self, queue: &Receiver<Work>) {
        let mut unsaved = Vec::new();
        let answer = |done: Sender<()>| {
            if done.send(()).is_err() {
                tracing::debug!("nobody waits for it any more");
            }
        };
        while let Ok(first) = queue.recv() {
            let mut waiting = Vec::new();
            let mut subjects = BTreeSet::new();
            for work in std::iter::once(first).chain(queue.try_iter()) {
                match work {
                    Work::Save(transition) => unsaved.push(transition),
                    Work::Look(unit) => self.look(&unit),
                    Work::LookAtUnseen => self.look_at_each_unseen(),
                    Work::Pauses => self.read_pauses(),
                    Work::SaveBudgets => self.save_budgets(),
                    Work::LearnFrom(metrics) => self.learn(&metrics),
                    Work::LookAhead => subjects.extend(self.reckon()),
                    Work::Done(done) => waiting.push(done),
                    Work::Stop(done) => {
                        let mut subjects: BTreeSet<Subject> =
                            self.units().into_iter().map(Subject::from).collect();
                        subjects.insert(Subject::Host);
                        self.save(&subjects, &mut unsaved);
                        self.save_budgets();
                        answer(done);
                        return;
                    }
                }
            }
            subjects.extend(unsaved.iter().map(|change| change.subject.clone()));
            self.save(&subjects, &mut unsaved);
            waiting.into_iter().for_each(answer);
        }
    }

    /// Writes down how these are, and what has changed.
    fn save(&self, subjects: &BTreeSet<Subject>, unsaved: &mut Vec<Transition>) {
        let Some(store) = self.store.as_ref().filter(|_| !subjects.is_empty()) else {
            unsaved.clear();
            return;
        };
        let moment = self.moment();
        let healths: Vec<Health> = subjects
            .iter()
            .filter_map(|subject| match subject {
                Subject::Host => Some(self.host().health()),
                Subject::Unit(unit) => self.lock().get(unit).map(Tracker::health),
            })
            .collect();
        let seen: Vec<SeenHealth> = healths
            .into_iter()
            .map(|health| SeenHealth {
                health,
                moment: moment.clone(),
            })
            .collect();
        match store.save_health(&seen, unsaved) {
            Ok(()) => unsaved.clear(),
            // The store has told of its trouble itself; with the next change it is tried
            // again.
            Err(error) => {
                tracing::debug!("how services are is not in the store: {error}");
                let surplus = unsaved.len().saturating_sub(KEPT);
                unsaved.drain(..surplus);
            }
        }
    }

    /// Looks at a unit that has no incident: that says more, and healing is not to be
    /// disturbed.
    fn look(&self, unit: &UnitName) {
        if self.lock().get(unit).is_none_or(Tracker::has_incident) {
            return;
        }
        match self.linux.units().get(Instant::now() + LOOK, unit) {
            Ok(status) => self.saw(unit, &status),
            Err(failure) => tracing::debug!("cannot look at {unit}: {failure}"),
        }
    }

    fn saw(&self, unit: &UnitName, status: &UnitStatus) {
        let run = status.invocation.as_deref();
        self.observe(unit, |tracker, now| tracker.run(now, run));
        if let Some(path) = &status.control_group {
            let group = Group {
                path: path.clone(),
                restarts: status.restarts,
            };
            self.lock_groups().insert(unit.clone(), group);
        }
        let store = self.store.as_deref();
        let failed_over = store.and_then(|store| failed_over(store, status));
        if let Some(why) = failed_over.as_ref().and_then(serves_in_its_place) {
            self.observe(unit, |tracker, now| {
                tracker.unit(now, Standing::FailedOver(why))
            });
            return;
        }
        match seen_unit(status) {
            Some(SeenUnit::Standing(standing)) => {
                self.observe(unit, |tracker, now| tracker.unit(now, standing));
            }
            Some(SeenUnit::Unknown(why)) => {
                self.observe(unit, |tracker, now| tracker.unit_unknown(now, why));
            }
            None => {}
        }
    }

    fn look_at_each_unseen(&self) {
        let unseen: Vec<UnitName> = self
            .lock()
            .iter()
            .filter(|(_, tracker)| !tracker.is_unit_known())
            .map(|(unit, _)| unit.clone())
            .collect();
        for unit in unseen {
            self.look(&unit);
        }
    }

    fn read_pauses(&self) {
        let Some(store) = &self.store else { return };
        let pauses = match store.pauses() {
            Ok(pauses) => pauses,
            Err(error) => {
                tracing::debug!("what is paused is not known: {error}");
                return;
            }
        };
        for unit in self.units() {
            let pause = pause_of(&pauses, &unit, clock::now());
            self.observe(&unit, |tracker, now| tracker.pause(now, pause));
        }
        let expected = store.expected_work(clock::now()).unwrap_or_else(|error| {
            tracing::debug!("what work is expected is not known: {error}");
            Vec::new()
        });
        for unit in self.units() {
            let work = expected.iter().find(|work| work.unit == unit).cloned();
            self.observe(&unit, |tracker, now| tracker.expect_work(now, work));
        }
    }
}
