//! When something is used up: what samples say of the time to come.
//!
//! # Rules
//! - Where a value goes is told by `prunella-metrics` (`trend`), which says nothing that is
//!   not certain. It is asked over the last hour or so, and over the last six: what grows fast
//!   shows in the one, what grows slowly in the other.
//! - **What rises and falls again is no growth.** Where the value has risen and fallen back
//!   before, nothing is foreseen until it is clearly higher than it was then.
//! - It takes [`LOOKS`] looks in a row to foresee something, and as many to let go of it.
//! - What is not known changes nothing: a forecast is over only when its value does not rise
//!   any more, or has time again. While the share is above the limit's `clear`, it stays.
//! - **Where expected work makes a value go, it does not go on by itself**: such values are
//!   left out, and the last hour begins anew after them.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use prunella_core::{
    Timestamp,
    health::{Existing, ExpectedWork, Forecast, Metric, MetricLimit, MetricLimits, Whole},
};
use prunella_metrics::trend::{self, LEAST_POINTS, Trend};

use crate::{Now, STALE_AFTER, Signals};

/// Samples between two points: of the host's disks there is a new value no sooner.
const SAMPLES_IN_POINT: u32 = 6;

/// Points between two of those that reach far back.
const POINTS_IN_FAR: u32 = 6;

/// Points that are kept of each: an hour and six hours, at one sample in ten seconds.
const KEPT: usize = 64;

/// So many looks in a row begin or end a forecast.
const LOOKS: u32 = 2;

/// What is foreseen is over when it is so many times as far away as people want to hear of.
const CLEAR_FACTOR: f64 = 1.5;

/// A rise that was followed by a fall of this share of it is one of a saw's teeth …
const FALL: f64 = 0.5;

/// … where it is at least this share of all that the value has moved.
const TOOTH: f64 = 0.25;

/// A value has to be higher than the last tooth by this share of it to be growth.
const ABOVE: f64 = 0.25;

/// What is sampled of one subject and can be used up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outlook {
    series: BTreeMap<(Metric, Option<String>), Course>,
    /// When the latest point was kept, and the run of the subject then.
    last: Option<(Now, u64)>,
    until_point: u32,
    interval: Duration,
    /// Points since this began.
    points: u32,
}

/// The way of one value.
#[derive(Debug, Clone, Default)]
struct Course {
    near: VecDeque<trend::Point>,
    far: VecDeque<trend::Point>,
    /// The sum of the points that are not one of the far ones yet, and their number.
    sum: f64,
    summed: u32,
    latest: Option<Latest>,
    /// Whether expected work strains it now.
    strained: bool,
    told: Option<Forecast>,
    /// Looks in a row that speak for a change.
    row: u32,
}

/// The latest sample.
#[derive(Debug, Clone, Copy)]
struct Latest {
    /// Parts of a thousand that are used up.
    share: u64,
    /// What the share is of, where that is a number of bytes of the subject's own.
    whole: Option<u64>,
}

/// What a look ahead shows.
enum Seen {
    Soon(Ahead),
    NotSoon,
    Unknown,
}

/// Where a value goes.
struct Ahead {
    forecast: trend::Forecast,
    /// Change in a second, in the unit of what is measured.
    slope: f64,
}

/// The metric by which it is foreseen that another is used up: it shows smaller changes.
pub fn measured_by(metric: Metric) -> Metric {
    match metric {
        Metric::DiskPermille => Metric::DiskFreeBytes,
        metric => metric,
    }
}

/// Seconds since boot.
fn seconds(now: Now) -> f64 {
    now.since_boot.as_secs_f64()
}

impl Outlook {
    /// What an earlier process foresaw a moment ago holds on.
    pub(crate) fn carry_on(&mut self, forecasts: &[Forecast]) {
        for forecast in forecasts {
            let series = (forecast.metric, forecast.instance.clone());
            self.series.entry(series).or_default().told = Some(forecast.clone());
        }
    }

    /// It was measured. What `expected` relaxes tells nothing of the time to come.
    pub(crate) fn sample(
        &mut self,
        now: Now,
        limits: &MetricLimits,
        signals: &Signals<'_>,
        expected: Option<&ExpectedWork>,
    ) {
        if self.until_point > 0 {
            self.until_point -= 1;
            return;
        }
        self.until_point = SAMPLES_IN_POINT - 1;
        match self.last {
            // Another run has not risen yet.
            Some((_, run)) if run != signals.run => self.series.clear(),
            Some((last, _))
                if now.since(last) > signals.interval * SAMPLES_IN_POINT * STALE_AFTER =>
            {
                self.series
                    .values_mut()
                    .for_each(|course| course.near.clear());
            }
            _ => {}
        }
        self.last = Some((now, signals.run));
        self.interval = signals.interval;
        self.points = self.points.saturating_add(1);
        self.series
            .retain(|(metric, _), _| limits.get(*metric).is_some_and(|it| it.forecast.is_some()));
        for metric in limits.foreseen() {
            if expected.is_some_and(|work| work.relaxes(metric)) {
                let all = self.series.iter_mut();
                all.filter(|((of, _), _)| *of == metric)
                    .for_each(|(_, course)| course.strained());
                continue;
            }
            let shares = signals.readings.iter().filter(|one| one.metric == metric);
            for share in shares {
                let by = measured_by(metric);
                let Some(value) = signals
                    .readings
                    .iter()
                    .find(|one| one.metric == by && one.instance == share.instance)
                else {
                    continue;
                };
                let series = (metric, share.instance.clone());
                let course = self.series.entry(series).or_default();
                course.strained = false;
                course.latest = Some(Latest {
                    share: share.value,
                    whole: match share.whole {
                        Whole::Limit(bytes) if metric == Metric::MemoryPermille => Some(bytes),
                        _ => None,
                    },
                });
                course.point(trend::Point {
                    at: seconds(now),
                    value: value.value as f64,
                });
            }
        }
    }

    /// What was measured before this process began: values of the metric by their time.
    pub(crate) fn earlier(
        &mut self,
        now: Now,
        metric: Metric,
        instance: Option<&str>,
        values: &[(Timestamp, u64)],
    ) {
        let series = (metric, instance.map(str::to_owned));
        let course = self.series.entry(series).or_default();
        let first = course.near.front().or(course.far.front()).map(|it| it.at);
        let points: Vec<trend::Point> = values
            .iter()
            .map(|(at, value)| trend::Point {
                at: seconds(now) - now.at.since(*at).as_secs_f64(),
                value: *value as f64,
            })
            .filter(|point| first.is_none_or(|first| point.at < first))
            .collect();
        let size = points.len().div_ceil(KEPT).max(1);
        let means = points.chunks(size).filter_map(|chunk| {
            let last = chunk.last()?;
            let sum: f64 = chunk.iter().map(|point| point.value).sum();
            Some(trend::Point {
                at: last.at,
                value: sum / chunk.len() as f64,
            })
        });
        let later = std::mem::take(&mut course.far);
        course.far = means.chain(later).collect();
        let surplus = course.far.len().saturating_sub(KEPT);
        course.far.drain(..surplus);
    }

    /// What is not there any more is of no interest.
    pub(crate) fn forget_what_is_gone(&mut self, existing: &Existing) {
        self.series.retain(|(metric, instance), _| {
            let instance = instance.as_deref().unwrap_or_default();
            !existing.lacks(*metric, instance)
        });
    }

    /// Reckons anew when each value is used up. What is not fresh changes nothing.
    pub(crate) fn look(&mut self, now: Now, limits: &MetricLimits) {
        let is_fresh = self.last.is_some_and(|(last, _)| {
            now.since(last) <= self.interval * SAMPLES_IN_POINT * STALE_AFTER
        });
        for ((metric, instance), course) in &mut self.series {
            let limit = limits.get(*metric);
            let Some((limit, wanted)) = limit.and_then(|it| Some((it, it.forecast?))) else {
                course.told = None;
                continue;
            };
            if is_fresh && !course.strained {
                course.look(now, (*metric, instance.as_deref()), limit, wanted);
            }
        }
    }

    /// Whether enough was seen since this began to say that nothing is foreseen.
    pub(crate) fn is_known(&self) -> bool {
        self.points as usize >= LEAST_POINTS
    }

    /// What is used up sooner than the operator wants; the soonest first.
    pub(crate) fn forecasts(&self) -> Vec<Forecast> {
        let told = self.series.values().filter_map(|it| it.told.clone());
        let mut all: Vec<Forecast> = told.collect();
        all.sort_by_key(|forecast| forecast.expected);
        all
    }
}

impl Course {
    /// Work makes it go somewhere. What was foreseen before is neither shown nor disproved.
    fn strained(&mut self) {
        self.strained = true;
        self.near.clear();
        (self.sum, self.summed) = (0.0, 0);
        self.row = 0;
    }

    fn point(&mut self, point: trend::Point) {
        keep(&mut self.near, point);
        self.sum += point.value;
        self.summed += 1;
        if self.summed == POINTS_IN_FAR {
            let mean = self.sum / f64::from(self.summed);
            (self.sum, self.summed) = (0.0, 0);
            keep(
                &mut self.far,
                trend::Point {
                    at: point.at,
                    value: mean,
                },
            );
        }
    }

    fn look(
        &mut self,
        now: Now,
        of: (Metric, Option<&str>),
        limit: &MetricLimit,
        wanted: Duration,
    ) {
        match (self.see(now, of.0, wanted), self.told.is_some()) {
            (Seen::Soon(ahead), is_told) => {
                self.row = if is_told { 0 } else { self.row + 1 };
                if is_told || self.row >= LOOKS {
                    self.row = 0;
                    self.told = Some(self.told(now, of, &ahead));
                }
            }
            (Seen::NotSoon, true) => {
                // What is nearly used up, and rises no more, is not well yet.
                if self.latest.is_some_and(|latest| latest.share > limit.clear) {
                    self.row = 0;
                    return;
                }
                self.row += 1;
                if self.row >= LOOKS {
                    self.row = 0;
                    self.told = None;
                }
            }
            (Seen::Unknown, true) => {}
            (Seen::NotSoon | Seen::Unknown, false) => self.row = 0,
        }
    }

    fn see(&mut self, now: Now, metric: Metric, wanted: Duration) -> Seen {
        let Some(used_up_at) = measured_by(metric).used_up_at() else {
            return Seen::Unknown;
        };
        let end = used_up_at as f64;
        let Some(latest) = self.near.back().copied() else {
            return Seen::Unknown;
        };
        // What reaches far back goes on until now.
        let mut far: Vec<trend::Point> = self.far.iter().copied().collect();
        if far.last().is_some_and(|last| last.at < latest.at) {
            far.push(latest);
        }
        let near = self.near.make_contiguous();
        let trend = Trend::of(near);
        let was_higher = rises_and_falls(near, end) || rises_and_falls(&far, end);
        let ahead = [trend, Trend::of(&far)]
            .into_iter()
            .flatten()
            .filter_map(|trend| {
                let forecast = trend.reaches(end)?;
                let slope = trend.slope;
                Some(Ahead { forecast, slope })
            })
            .min_by_key(|ahead| ahead.forecast.expected);
        let since = Duration::try_from_secs_f64(seconds(now) - latest.at).unwrap_or_default();
        match ahead {
            Some(ahead) if !was_higher && ahead.forecast.expected <= wanted => Seen::Soon(Ahead {
                forecast: trend::Forecast {
                    expected: ahead.forecast.expected.saturating_sub(since),
                    earliest: ahead.forecast.earliest.saturating_sub(since),
                    latest: ahead.forecast.latest.saturating_sub(since),
                },
                ..ahead
            }),
            Some(ahead) if ahead.forecast.expected > wanted.mul_f64(CLEAR_FACTOR) => Seen::NotSoon,
            Some(_) => Seen::Unknown,
            None => match trend {
                Some(trend) if end > latest.value && !trend.rises() => Seen::NotSoon,
                Some(trend) if end < latest.value && !trend.falls() => Seen::NotSoon,
                _ => Seen::Unknown,
            },
        }
    }

    fn told(
        &self,
        now: Now,
        (metric, instance): (Metric, Option<&str>),
        ahead: &Ahead,
    ) -> Forecast {
        let whole = self.latest.and_then(|latest| latest.whole);
        // Casts to integers saturate.
        let an_hour = ahead.slope.abs() * 3_600.0;
        let (rate, rate_metric) = match whole {
            Some(bytes) => (an_hour / 1_000.0 * bytes as f64, Metric::MemoryBytes),
            None => (an_hour, measured_by(metric)),
        };
        Forecast {
            metric,
            instance: instance.map(str::to_owned),
            whole,
            since: self.told.as_ref().map_or(now.at, |told| told.since),
            at: now.at,
            expected: ahead.forecast.expected,
            earliest: ahead.forecast.earliest,
            latest: ahead.forecast.latest,
            rate: rate.round() as u64,
            rate_metric,
        }
    }
}

fn keep(points: &mut VecDeque<trend::Point>, point: trend::Point) {
    if points.len() == KEPT {
        points.pop_front();
    }
    points.push_back(point);
}

/// Whether the values have been about as near to `end` before as they are now, and gone back.
fn rises_and_falls(points: &[trend::Point], end: f64) -> bool {
    // Nearer to the end is higher.
    let height = |point: &trend::Point| -(end - point.value).abs();
    let heights = || points.iter().map(height);
    let (Some(latest), Some(first)) = (points.last().map(height), points.first().map(height))
    else {
        return false;
    };
    let lowest = heights().fold(f64::INFINITY, f64::min);
    let highest = heights().fold(f64::NEG_INFINITY, f64::max);
    let moved = highest - lowest;
    let (mut low, mut high) = (first, first);
    for height in heights() {
        high = high.max(height);
        let rise = high - low;
        if rise >= moved * TOOTH && rise > 0.0 && high - height >= rise * FALL {
            if latest <= high + rise * ABOVE {
                return true;
            }
            (low, high) = (height, height);
        }
        if height < low {
            // A fall from where it began is no tooth.
            (low, high) = (height, height);
        }
    }
    false
}
