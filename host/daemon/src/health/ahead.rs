//! What will be used up: reckoned now and then, and told when it is something else. And what
//! was measured before, of which that and what is usual is learnt.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::PoisonError,
    time::Duration,
};

use prunella_core::{
    Timestamp, UnitName,
    health::{ExpectedWork, Metric, Point, Subject, SubjectForecast},
};
use prunella_health::{HostTracker, WATCHED, is_watched, measured_by};
use prunella_store::{StoreError, samples::SampleStore};

use super::{HealthBook, HealthNews};

/// So far back what was measured tells of the time to come.
const PAST: Duration = Duration::from_secs(6 * 3_600);

/// So far back what was measured tells what is usual: twice as long as a detector learns, and
/// a third day.
const HABITS: Duration = Duration::from_secs(3 * 24 * 3_600);

/// What is foreseen, by whose and what it is.
pub(super) type SeriesAhead = (Subject, Metric, Option<String>);

impl HealthBook {
    /// Goes on with what earlier daemons have measured of what can be used up.
    pub(super) fn learn(&self, metrics: &Path) {
        match self.learn_or_say_why_not(metrics) {
            Ok(()) | Err(StoreError::Missing { .. }) => {}
            Err(error) => tracing::debug!("what was measured before cannot be read: {error}"),
        }
    }

    fn learn_or_say_why_not(&self, metrics: &Path) -> Result<(), StoreError> {
        let store = SampleStore::open_read_only(metrics)?;
        let expected = self.expected_within_habits()?;
        let mut foreseen: BTreeMap<Metric, BTreeSet<Subject>> = BTreeMap::new();
        let mut with_habits = BTreeSet::from([Subject::Host]);
        for metric in self.host().foreseen() {
            foreseen.entry(metric).or_default().insert(Subject::Host);
        }
        for (unit, tracker) in self.lock().iter() {
            let subject = Subject::from(unit.clone());
            for metric in tracker.foreseen() {
                foreseen.entry(metric).or_default().insert(subject.clone());
            }
            if tracker.has_habits() {
                with_habits.insert(subject);
            }
        }
        for (metric, subjects) in foreseen {
            let now = self.now();
            let since = now.at.saturating_sub(PAST);
            let is_wanted = |subject: &Subject| subjects.contains(subject);
            store.each_by_minute(measured_by(metric), since, now.at, is_wanted, |past| {
                let (instance, values) = (past.series.instance.as_deref(), means(&past.points));
                match &past.series.subject {
                    Subject::Host => self.host().earlier(now, metric, instance, &values),
                    Subject::Unit(unit) => {
                        if let Some(tracker) = self.lock().get_mut(unit) {
                            tracker.earlier(
                                now,
                                metric,
                                instance,
                                &values,
                                work_of(&expected, unit),
                            );
                        }
                    }
                }
            })?;
        }
        for metric in WATCHED {
            let now = self.now().at;
            let since = now.saturating_sub(HABITS);
            let is_wanted = |subject: &Subject| {
                with_habits.contains(subject) && is_watched(metric, *subject == Subject::Host)
            };
            store.each_by_minute(metric, since, now, is_wanted, |past| {
                let (instance, values) = (past.series.instance.as_deref(), means(&past.points));
                match &past.series.subject {
                    Subject::Host => self.host().learn(metric, instance, &values),
                    Subject::Unit(unit) => {
                        if let Some(tracker) = self.lock().get_mut(unit) {
                            tracker.learn(metric, instance, &values, work_of(&expected, unit));
                        }
                    }
                }
            })?;
        }
        Ok(())
    }

    /// The work that was expected of each service in the time of which is learnt.
    fn expected_within_habits(&self) -> Result<BTreeMap<UnitName, Vec<ExpectedWork>>, StoreError> {
        let mut by_unit: BTreeMap<UnitName, Vec<ExpectedWork>> = BTreeMap::new();
        if let Some(store) = &self.store {
            let since = self.now().at.saturating_sub(HABITS);
            for work in store.expected_work_since(since)? {
                by_unit.entry(work.unit.clone()).or_default().push(work);
            }
        }
        Ok(by_unit)
    }

    /// Reckons anew. Answers of whom something else is foreseen than before.
    pub(super) fn reckon(&self) -> BTreeSet<Subject> {
        // The lock is held for one subject at a time: reckoning takes longer than looking.
        let of_host = HostTracker::look_ahead(&mut self.host(), self.now());
        let Some(of_host) = of_host else {
            return BTreeSet::new();
        };
        let of = |subject: Subject| {
            move |forecast| SubjectForecast {
                subject: subject.clone(),
                forecast,
            }
        };
        let mut all: Vec<SubjectForecast> = of_host.into_iter().map(of(Subject::Host)).collect();
        for unit in self.units() {
            let now = self.now();
            let foreseen = self.lock().get_mut(&unit).map(|it| it.look_ahead(now));
            all.extend(foreseen.into_iter().flatten().map(of(unit.into())));
        }
        all.sort_by_key(|one| one.forecast.expected);
        let ahead: BTreeSet<SeriesAhead> = all.iter().map(series).collect();
        let told = self.ahead_told.lock();
        let mut told = told.unwrap_or_else(PoisonError::into_inner);
        let before: BTreeSet<SeriesAhead> = told.iter().flatten().cloned().collect();
        if told.is_some() && before == ahead || self.on_news.get().is_none() {
            return BTreeSet::new();
        }
        *told = Some(ahead.iter().cloned().collect());
        drop(told);
        for one in all.iter().filter(|one| !before.contains(&series(one))) {
            tracing::warn!(
                object_systemd_unit = one.subject.unit().map(|unit| unit.as_str()),
                "{}",
                prunella_report::forecast_in_words(&one.subject, &one.forecast, self.now().at)
            );
        }
        self.tell(HealthNews::Ahead(all));
        let changed = before.symmetric_difference(&ahead);
        changed.map(|(subject, ..)| subject.clone()).collect()
    }
}

/// The work that was expected of a service.
fn work_of<'a>(
    expected: &'a BTreeMap<UnitName, Vec<ExpectedWork>>,
    unit: &UnitName,
) -> &'a [ExpectedWork] {
    expected.get(unit).map_or(&[], Vec::as_slice)
}

fn means(points: &[Point]) -> Vec<(Timestamp, u64)> {
    points.iter().map(|point| (point.at, point.mean)).collect()
}

fn series(of: &SubjectForecast) -> SeriesAhead {
    let forecast = &of.forecast;
    (
        of.subject.clone(),
        forecast.metric,
        forecast.instance.clone(),
    )
}
