//! What is sampled of a subject: values against their limits.

#[cfg(test)]
mod tests;

use std::time::Duration;

use prunella_core::health::{
    Existing, ExpectedWork, InstanceKind, Metric, MetricLimit, MetricLimits, Reading, Subject,
    Symptom, SymptomLevel,
};

use crate::{Condition, Now, STALE_AFTER, condition::Watched, evidence::sentence, few::Few};

/// All that was measured of a subject at one time.
#[derive(Debug, Clone, Copy)]
pub struct Signals<'a> {
    /// How often it is measured.
    pub interval: Duration,
    /// Which run of the subject it is: of another one, what was measured has to show anew.
    pub run: u64,
    pub readings: &'a [Reading],
}

/// The metric, and what of the subject has it.
type Series = (Metric, Option<String>);

/// One value against its limit, again and again.
#[derive(Debug, Clone, Default)]
struct Watching {
    degrading: Watched,
    critical: Watched,
    latest: Option<Reading>,
    /// Set from when it was to be shown anew until it is measured: in so many samples it was
    /// missing.
    missing_since_anew: Option<u32>,
    /// What an earlier process said of it, until there is a value.
    carried: Option<Box<Symptom>>,
}

/// What samples have told of one subject.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sampled {
    watching: Few<Series, Watching>,
    /// The latest sample, and its run; none of an earlier process.
    last: Option<(Now, u64)>,
    interval: Duration,
}

fn degrading(limit: &MetricLimit) -> Condition {
    Condition {
        opens_at: limit.degraded,
        clears_at: limit.clear,
        hold: limit.hold,
        recurs: false,
    }
}

/// Over below where the subject is degraded.
fn critical(limit: &MetricLimit, opens_at: u64) -> Condition {
    Condition {
        opens_at,
        clears_at: limit.degraded.saturating_sub(1),
        hold: limit.hold,
        recurs: false,
    }
}

impl Sampled {
    /// Goes on with what an earlier process knew a moment ago.
    pub(crate) fn carry_on(&mut self, now: Now, symptoms: &[Symptom]) {
        for symptom in symptoms {
            if symptom.metric.instances() == InstanceKind::Probe {
                continue;
            }
            let since = Now {
                at: symptom.since,
                ..now
            };
            let watching = Watching {
                degrading: Watched::held_since(since),
                missing_since_anew: None,
                critical: match symptom.level {
                    SymptomLevel::Degraded => Watched::default(),
                    _ => Watched::held_since(since),
                },
                latest: None,
                carried: Some(Box::new(symptom.clone())),
            };
            self.watching
                .insert((symptom.metric, symptom.instance.clone()), watching);
        }
    }

    /// It was measured. What `expected` relaxes begins no symptom.
    pub(crate) fn sample(
        &mut self,
        now: Now,
        limits: &MetricLimits,
        signals: &Signals<'_>,
        expected: Option<&ExpectedWork>,
    ) {
        match self.last {
            Some((_, run)) if run != signals.run => self.begin_anew(),
            Some((last, _)) if now.since(last) > signals.interval * STALE_AFTER => self.gap(),
            _ => {}
        }
        self.last = Some((now, signals.run));
        self.interval = signals.interval;
        self.watching.retain(|(metric, instance), _| {
            limits.of_series(*metric, instance.as_deref()).is_some()
        });
        for ((metric, instance), watching) in self.watching.iter_mut() {
            let is_of =
                |reading: &Reading| reading.metric == *metric && reading.instance == *instance;
            if !signals.readings.iter().any(is_of) {
                watching.gap();
            }
        }
        for reading in signals.readings {
            let instance = reading.instance.as_deref();
            let Some(limit) = limits.of_series(reading.metric, instance) else {
                continue;
            };
            let series = (reading.metric, reading.instance.clone());
            let is_expected = expected.is_some_and(|work| work.relaxes(reading.metric));
            if let Some(watching) = self.watching.get_mut(&series) {
                watching.value(now, limit, reading, is_expected);
            } else {
                let mut watching = Watching::default();
                watching.value(now, limit, reading, is_expected);
                self.watching.insert(series, watching);
            }
        }
        // A file system that is mounted no more, and was well, is not remembered for good. Nor
        // is what another run does not have, such as a limit.
        self.watching.retain(|_, watching| {
            let is_gone = watching.missing_since_anew >= Some(STALE_AFTER);
            !is_gone && (watching.is_open() || watching.latest.is_some())
        });
    }

    /// The subject was acted on, or another run of it began: what was measured before tells
    /// nothing of what it is like since.
    pub(crate) fn begin_anew(&mut self) {
        for watching in self.watching.values_mut() {
            watching.degrading.begin_anew();
            watching.critical.begin_anew();
            watching.missing_since_anew = Some(0);
        }
    }

    /// What is not there any more is of no interest.
    pub(crate) fn forget_what_is_gone(&mut self, existing: &Existing) {
        self.watching.retain(|(metric, instance), _| {
            let instance = instance.as_deref().unwrap_or_default();
            !existing.lacks(*metric, instance)
        });
    }

    /// Rows of values end here.
    fn gap(&mut self) {
        self.watching.values_mut().for_each(Watching::gap);
    }

    /// When it was measured last.
    pub(crate) fn last(&self) -> Option<Now> {
        self.last.map(|(last, _)| last)
    }

    /// For so long a sample tells of the present.
    pub(crate) fn fresh_for(&self) -> Duration {
        self.interval * STALE_AFTER
    }

    pub(crate) fn symptoms(
        &self,
        subject: &Subject,
        limits: &MetricLimits,
    ) -> impl Iterator<Item = Symptom> {
        self.watching.iter().filter_map(|(series, watching)| {
            let limit = limits.of_series(series.0, series.1.as_deref())?;
            watching.symptom(subject, series, limit)
        })
    }
}

impl Watching {
    fn value(&mut self, now: Now, limit: &MetricLimit, reading: &Reading, is_expected: bool) {
        let take = if is_expected {
            Watched::expected_value
        } else {
            Watched::value
        };
        let value = reading.value;
        take(&mut self.degrading, &degrading(limit), now, value);
        match limit.critical {
            Some(opens_at) => take(&mut self.critical, &critical(limit, opens_at), now, value),
            None => self.critical.end(),
        }
        self.latest = Some(reading.clone());
        self.missing_since_anew = None;
        self.carried = None;
    }

    /// A value is missing. What holds goes on holding, with what was known last.
    fn gap(&mut self) {
        self.degrading.gap();
        self.critical.gap();
        if let Some(missing) = &mut self.missing_since_anew {
            *missing += 1;
        }
        if !self.is_open() {
            self.latest = None;
        }
    }

    fn is_open(&self) -> bool {
        self.degrading.since().is_some() || self.critical.since().is_some()
    }

    fn symptom(
        &self,
        subject: &Subject,
        (metric, instance): &Series,
        limit: &MetricLimit,
    ) -> Option<Symptom> {
        let (level, since, watched, condition) =
            match (self.critical.since(), self.degrading.since()) {
                (Some(since), _) => {
                    let opens_at = limit.critical.unwrap_or(limit.degraded);
                    let condition = critical(limit, opens_at);
                    (SymptomLevel::Critical, since, &self.critical, condition)
                }
                (None, Some(since)) => {
                    let condition = degrading(limit);
                    (SymptomLevel::Degraded, since, &self.degrading, condition)
                }
                (None, None) => return None,
            };
        let Some(latest) = &self.latest else {
            return self.carried.as_deref().map(|carried| Symptom {
                confirmed: false,
                ..carried.clone()
            });
        };
        Some(Symptom {
            level,
            metric: *metric,
            instance: instance.clone(),
            value: latest.value,
            threshold: condition.opens_at,
            clear: condition.clears_at,
            since: since.at,
            evidence: sentence(subject, latest, condition.opens_at),
            confirmed: watched.is_confirmed(),
        })
    }
}
