//! Incidents that wait for people because another unit is down: what to look at for
//! them, so that they go on as soon as that is mended.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use prunella_core::UnitName;

use super::{Scheduler, Shared, Stage, State};

/// How long one look at a unit may take.
const LOOK: Duration = Duration::from_secs(10);

impl State {
    /// Incidents that wait for people and need the unit, which is up now, are looked at.
    pub(super) fn wake_needing(&mut self, unit: &UnitName) {
        for task in self.tasks.values_mut() {
            if matches!(task.stage, Stage::Waiting(_))
                && task.waits_for_people()
                && task.needs.remove(unit)
            {
                task.stage = Stage::Queued;
                // The budget alone may put it off now.
                task.due = None;
                task.unblocked = Some((unit.clone(), true));
            }
        }
    }
}

impl Scheduler {
    /// Has `tell` called whenever [`needed_units`](Self::needed_units) has grown. Only the
    /// first caller counts.
    pub fn when_units_are_needed(&self, tell: impl Fn() + Send + Sync + 'static) {
        if self.shared.on_needs.set(Box::new(tell)).is_err() {
            tracing::debug!("somebody else is told which units are needed");
        }
    }

    /// The units that are down and keep incidents waiting for people. Whoever sees one of
    /// them come up says so by [`recovered`](Self::recovered), even if it is not in care.
    pub fn needed_units(&self) -> BTreeSet<UnitName> {
        let state = self.shared.lock();
        let needs = state.tasks.values().flat_map(|task| &task.needs);
        needs.cloned().collect()
    }
}

impl Shared {
    /// What a unit needs, by its declaration, by systemd's, and by `others`, and that is
    /// down. Slices and targets are nothing that a person mends.
    pub(super) fn missing_needs(
        &self,
        unit: &UnitName,
        others: &BTreeSet<UnitName>,
    ) -> BTreeSet<UnitName> {
        let Some(service) = self.healer.service(unit) else {
            return BTreeSet::new();
        };
        let host = self.healer.host_for(&service);
        let look = |unit: &UnitName| host.unit(Instant::now() + LOOK, unit).ok();
        let required = look(unit).map(|status| status.requires).unwrap_or_default();
        let all: BTreeSet<&UnitName> = service
            .depends_on
            .iter()
            .chain(&required)
            .chain(others)
            .collect();
        all.into_iter()
            .filter(|unit| matches!(unit.kind(), "service" | "socket" | "mount"))
            .filter_map(look)
            .filter(|status| !status.is_up())
            .map(|status| status.name)
            .collect()
    }

    /// Sees to it that an incident that waits for people is looked at when what it needs
    /// is up.
    pub(super) fn follow_needs(&self, unit: &UnitName) {
        let said = self.lock().tasks.get(unit).map(|task| task.needs.clone());
        let mut needs = said.unwrap_or_default();
        // What was said to be down may have come up before this look.
        needs.extend(self.missing_needs(unit, &needs));
        if let Some(task) = self.lock().tasks.get_mut(unit) {
            task.needs.clone_from(&needs);
        }
        if needs.is_empty() {
            return;
        }
        if let Some(tell) = self.on_needs.get() {
            tell();
        }
        // One may have come up before anybody looked out for it.
        let down = self.missing_needs(unit, &needs);
        let mut state = self.lock();
        for up in needs.difference(&down) {
            state.wake_needing(up);
        }
    }
}
