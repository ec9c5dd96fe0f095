//! What will be used up: reckoned now and then, and told when it is something else. And what
//! was measured before, of which that and what is usual is learnt.

use std::{collections::BTreeSet, path::Path, sync::PoisonError, time::Duration};

use prunella_core::{
    Timestamp,
    health::{Metric, Subject, SubjectForecast},
};
use prunella_health::{HostTracker, Tracker, WATCHED, is_watched, measured_by};
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
        let of_host = self.host().foreseen().into_iter();
        let mut wanted: Vec<(Subject, Metric)> =
            of_host.map(|metric| (Subject::Host, metric)).collect();
        for unit in self.units() {
            let foreseen = self.lock().get(&unit).map(Tracker::foreseen);
            let foreseen = foreseen.into_iter().flatten();
            wanted.extend(foreseen.map(|metric| (unit.clone().into(), metric)));
        }
        for (subject, metric) in wanted {
            let now = self.now();
            let since = now.at.saturating_sub(PAST);
            for past in store.history(&subject, measured_by(metric), since, now.at)? {
                let values: Vec<(Timestamp, u64)> =
                    past.points.iter().map(|it| (it.at, it.mean)).collect();
                let instance = past.series.instance.as_deref();
                match &subject {
                    Subject::Host => self.host().earlier(now, metric, instance, &values),
                    Subject::Unit(unit) => {
                        if let Some(tracker) = self.lock().get_mut(unit) {
                            tracker.earlier(now, metric, instance, &values);
                        }
                    }
                }
            }
        }
        self.learn_what_is_usual(&store)
    }

    fn learn_what_is_usual(&self, store: &SampleStore) -> Result<(), StoreError> {
        let watched = |of_host: bool| {
            WATCHED
                .into_iter()
                .filter(move |metric| is_watched(*metric, of_host))
        };
        let mut wanted: Vec<(Subject, Metric)> = watched(true)
            .map(|metric| (Subject::Host, metric))
            .collect();
        for unit in self.units() {
            if self.lock().get(&unit).is_some_and(Tracker::has_habits) {
                wanted.extend(watched(false).map(|metric| (unit.clone().into(), metric)));
            }
        }
        for (subject, metric) in wanted {
            let now = self.now().at;
            for past in store.history(&subject, metric, now.saturating_sub(HABITS), now)? {
                let values: Vec<(Timestamp, u64)> =
                    past.points.iter().map(|it| (it.at, it.mean)).collect();
                let instance = past.series.instance.as_deref();
                match &subject {
                    Subject::Host => self.host().learn(metric, instance, &values),
                    Subject::Unit(unit) => {
                        if let Some(tracker) = self.lock().get_mut(unit) {
                            tracker.learn(metric, instance, &values);
                        }
                    }
                }
            }
        }
        Ok(())
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

fn series(of: &SubjectForecast) -> SeriesAhead {
    let forecast = &of.forecast;
    (
        of.subject.clone(),
        forecast.metric,
        forecast.instance.clone(),
    )
}
