//! What a metric has not done before: a hint for people, and no reason to act.
//!
//! Each of the [metrics](WATCHED) that say something of load has a detector of
//! `prunella-metrics` (`anomaly`), which is given the mean of each minute. What it finds is a
//! mark that goes away an hour after it was found last. Until a detector has seen half a day,
//! it says nothing. What expected work strains is meanwhile not shown to it.

#[cfg(test)]
mod tests;

use std::time::Duration;

use prunella_core::{
    Timestamp,
    health::{ExpectedWork, Metric, Reading, Unusual},
};
use prunella_metrics::anomaly::{ALERT_SCORE, OnDemandDetector};

/// The metrics that are watched. What follows from others, or only ever grows, is not.
pub const WATCHED: [Metric; 8] = [
    Metric::LatencyMs,
    Metric::ErrorsPermille,
    Metric::CpuCorePermille,
    Metric::CpuPermille,
    Metric::LoadMilli,
    Metric::MemoryBytes,
    Metric::Descriptors,
    Metric::Processes,
];

const MINUTE_MS: u64 = 60_000;

/// For so long after it was found last, something is marked as unusual.
const MARKED_FOR: Duration = Duration::from_secs(3_600);

/// A series of which nothing was heard for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// Whether a metric is watched of a service, or of the host.
pub fn is_watched(metric: Metric, of_host: bool) -> bool {
    let twice = if of_host {
        Metric::CpuCorePermille
    } else {
        Metric::CpuPermille
    };
    WATCHED.contains(&metric) && metric != twice
}

/// What is usual of one subject.
#[derive(Debug, Clone, Default)]
pub(crate) struct Habits {
    all: Vec<Habit>,
    /// When it was measured last.
    latest: Timestamp,
}

/// What is usual of one series.
#[derive(Debug, Clone)]
struct Habit {
    metric: Metric,
    instance: Option<String>,
    detector: OnDemandDetector,
    /// The minute that is not over yet, the sum of its values, and their number.
    minute: u64,
    sum: u64,
    count: u32,
    /// Whether expected work has strained it in that minute, so that its mean tells nothing.
    strained: bool,
    latest: Timestamp,
    mark: Option<Mark>,
}

/// That something unusual was found.
#[derive(Debug, Clone, Copy)]
struct Mark {
    since: Timestamp,
    /// When it was found last.
    last: Timestamp,
    /// What it was then.
    value: u64,
}

impl Habits {
    /// It was measured. What `expected` relaxes is neither learnt nor judged.
    pub(crate) fn observe(
        &mut self,
        at: Timestamp,
        readings: &[Reading],
        of_host: bool,
        expected: Option<&ExpectedWork>,
    ) {
        self.latest = at;
        self.all
            .retain(|habit| at.since(habit.latest) <= FORGOTTEN_AFTER);
        for reading in readings {
            if is_watched(reading.metric, of_host) {
                let instance = reading.instance.as_deref();
                let is_strained = expected.is_some_and(|work| work.relaxes(reading.metric));
                if let Some(habit) = self.of(reading.metric, instance, at) {
                    habit.value(at, reading.value, is_strained);
                }
            }
        }
    }

    /// What was measured before this process began: a value a minute, oldest first.
    pub(crate) fn learn(
        &mut self,
        metric: Metric,
        instance: Option<&str>,
        values: &[(Timestamp, u64)],
    ) {
        let Some((latest, _)) = values.last() else {
            return;
        };
        let Some(habit) = self.of(metric, instance, *latest) else {
            return;
        };
        for (at, value) in values {
            habit.judge(at.as_millis() / MINUTE_MS, *value);
        }
    }

    /// Another run of the subject: what was found of the one before is over.
    pub(crate) fn begin_anew(&mut self) {
        for habit in &mut self.all {
            habit.mark = None;
        }
    }

    /// What is unusual, as of when it was measured last; in the order of metrics.
    pub(crate) fn unusual(&self) -> Vec<Unusual> {
        let at = self.latest;
        let mut all: Vec<Unusual> = self
            .all
            .iter()
            .filter_map(|habit| {
                let mark = habit
                    .mark
                    .filter(|mark| at.since(mark.last) <= MARKED_FOR)?;
                Some(Unusual {
                    metric: habit.metric,
                    instance: habit.instance.clone(),
                    since: mark.since,
                    value: mark.value,
                })
            })
            .collect();
        all.sort_by(|a, b| (a.metric, &a.instance).cmp(&(b.metric, &b.instance)));
        all
    }

    fn of(&mut self, metric: Metric, instance: Option<&str>, at: Timestamp) -> Option<&mut Habit> {
        let is_it = |habit: &Habit| habit.metric == metric && habit.instance.as_deref() == instance;
        if !self.all.iter().any(is_it) {
            // They are few, and there are many subjects.
            self.all.reserve_exact(1);
            self.all.push(Habit::new(metric, instance, at));
        }
        self.all.iter_mut().find(|habit| is_it(habit))
    }
}

impl Habit {
    fn new(metric: Metric, instance: Option<&str>, at: Timestamp) -> Self {
        Self {
            metric,
            instance: instance.map(str::to_owned),
            detector: OnDemandDetector::default(),
            minute: 0,
            sum: 0,
            count: 0,
            strained: false,
            latest: at,
            mark: None,
        }
    }

    fn value(&mut self, at: Timestamp, value: u64, is_strained: bool) {
        let minute = at.as_millis() / MINUTE_MS;
        if minute != self.minute {
            if self.count > 0 && !self.strained {
                self.judge(self.minute, self.sum / u64::from(self.count));
            }
            (self.minute, self.sum, self.count) = (minute, 0, 0);
            self.strained = false;
        }
        self.strained |= is_strained;
        self.sum = self.sum.saturating_add(value);
        self.count += 1;
        self.latest = at;
    }

    /// A minute is over: what was its mean?
    fn judge(&mut self, minute: u64, mean: u64) {
        let is_learning = self.detector.is_learning();
        let seconds = i64::try_from(minute * 60).unwrap_or(i64::MAX);
        let score = self.detector.observe(seconds, mean as f64).score;
        if is_learning || score < ALERT_SCORE {
            return;
        }
        let at = Timestamp::from_millis(minute.saturating_add(1) * MINUTE_MS);
        let goes_on = self.mark.filter(|mark| at.since(mark.last) <= MARKED_FOR);
        self.mark = Some(Mark {
            since: goes_on.map_or(at, |mark| mark.since),
            last: at,
            value: mean,
        });
    }
}
