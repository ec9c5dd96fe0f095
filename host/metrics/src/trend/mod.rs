//! Where a metric is going: its slope, how sure that is, and when it reaches a limit.
//!
//! # Method
//! - The slope is the median of the slopes between all pairs of points (Theil 1950; Sen
//!   1968). A quarter of the points may be wild without moving it much.
//! - Its range is Sen's: the pair slopes at the ranks that Kendall's test allows, with the
//!   correction for ties.
//! - Samples of a metric resemble their neighbours, so they say less than as many independent
//!   ones. The variance is widened by the lag-1 correlation of what the line leaves over, as
//!   for an effective sample size.
//! - A growth that has stopped is none: the latest third has to go on with it.
//!
//! Nothing is said of what is not certain: better no forecast than a wrong one.

#[cfg(test)]
mod tests;

use std::time::Duration;

/// With fewer points than this nothing is said.
pub const LEAST_POINTS: usize = 12;

/// Points are reduced to so many spans of time of equal length, which makes 2,016 pairs.
const BINS: usize = 64;

/// For the range of a slope that holds nine times in ten: the 95 % quantile of the normal
/// distribution, for both sides.
const QUANTILE: f64 = 1.645;

/// Neighbours that are alike count as at most so much alike: beyond, nothing would ever be
/// certain, even on a straight line.
const MOST_CORRELATION: f64 = 0.9;

/// A forecast reaches at most so many times as far ahead as points lie behind.
const REACH: f64 = 6.0;

/// The latest time of a forecast is at most so many times as far as the earliest.
const WIDEST: f64 = 4.0;

/// The level now is the median of so many of the latest points.
const LATEST: usize = 5;

/// One sample of the metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Seconds, on any clock that does not step.
    pub at: f64,
    pub value: f64,
}

/// A metric's slope, by its samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// Change in a second, at its most likely.
    pub slope: f64,
    /// Nine times in ten the slope is no less than this …
    pub slope_low: f64,
    /// … and no more than this.
    pub slope_high: f64,
    /// Where the line stands at the latest sample.
    pub level: f64,
    /// Whether the latest third of the time goes on in the same direction.
    pub goes_on: bool,
    /// From the first sample to the latest, in seconds.
    pub span: f64,
}

/// When a limit is reached, from the latest sample on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    pub expected: Duration,
    /// Nine times in ten, not before this …
    pub earliest: Duration,
    /// … and not after this.
    pub latest: Duration,
}

impl Trend {
    /// Of samples in the order of their times. Samples that are no number are left out. None
    /// when they are too few, or all of one time.
    pub fn of(samples: &[Point]) -> Option<Self> {
        let points = reduced(samples);
        if points.len() < LEAST_POINTS {
            return None;
        }
        let mut slopes = pair_slopes(&points);
        let slope = median(&mut slopes)?;
        let (low, high) = range(&points, &mut slopes, slope)?;
        let (first, last) = (points.first()?, points.last()?);
        let at_end = |point: &Point| point.value + slope * (last.at - point.at);
        let mut latest: Vec<f64> = points.iter().rev().take(LATEST).map(at_end).collect();
        let third = points.get(points.len() - points.len() / 3..)?;
        let recent = median(&mut pair_slopes(third))?;
        Some(Self {
            slope,
            slope_low: low,
            slope_high: high,
            level: median(&mut latest)?,
            goes_on: recent / slope >= 0.5,
            span: last.at - first.at,
        })
    }

    /// Whether it is certain that the metric rises.
    pub fn rises(&self) -> bool {
        self.slope_low > 0.0 && self.goes_on
    }

    /// Whether it is certain that the metric falls.
    pub fn falls(&self) -> bool {
        self.slope_high < 0.0 && self.goes_on
    }

    /// When the metric reaches `limit`, going on like this. None where that is not certain,
    /// or too far away to be told from the span that was seen.
    pub fn reaches(&self, limit: f64) -> Option<Forecast> {
        let ahead = limit - self.level;
        let goes_there = (ahead > 0.0 && self.rises()) || (ahead < 0.0 && self.falls());
        if !goes_there {
            return None;
        }
        let expected = ahead / self.slope;
        let one = ahead / self.slope_low;
        let other = ahead / self.slope_high;
        let (earliest, latest) = (one.min(other), one.max(other));
        if expected > REACH * self.span || latest > WIDEST * earliest {
            return None;
        }
        Some(Forecast {
            expected: Duration::try_from_secs_f64(expected).ok()?,
            earliest: Duration::try_from_secs_f64(earliest).ok()?,
            latest: Duration::try_from_secs_f64(latest).ok()?,
        })
    }
}

/// The median of each of [`BINS`] spans of time that have samples.
fn reduced(samples: &[Point]) -> Vec<Point> {
    let usable = |point: &&Point| point.at.is_finite() && point.value.is_finite();
    let usable: Vec<Point> = samples.iter().filter(usable).copied().collect();
    let (Some(first), Some(last)) = (usable.first(), usable.last()) else {
        return Vec::new();
    };
    let span = last.at - first.at;
    if span <= 0.0 {
        return Vec::new();
    }
    if usable.len() <= BINS {
        return usable;
    }
    let bin = |point: &Point| ((point.at - first.at) / span * BINS as f64) as usize;
    usable
        .chunk_by(|a, b| bin(a).min(BINS - 1) == bin(b).min(BINS - 1))
        .filter_map(|chunk| {
            let mut times: Vec<f64> = chunk.iter().map(|point| point.at).collect();
            let mut values: Vec<f64> = chunk.iter().map(|point| point.value).collect();
            Some(Point {
                at: median(&mut times)?,
                value: median(&mut values)?,
            })
        })
        .collect()
}

/// The slopes between all pairs of different times.
fn pair_slopes(points: &[Point]) -> Vec<f64> {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (index, one) in points.iter().enumerate() {
        for other in points.iter().skip(index + 1) {
            if other.at > one.at {
                slopes.push((other.value - one.value) / (other.at - one.at));
            }
        }
    }
    slopes
}

/// Sen's range of the slope, for points whose neighbours may be alike.
fn range(points: &[Point], slopes: &mut [f64], slope: f64) -> Option<(f64, f64)> {
    let pairs = slopes.len() as f64;
    let deviation = (kendall_variance(points) * likeness(points, slope)).sqrt();
    let reach = QUANTILE * deviation;
    let low = ((pairs - reach) / 2.0).floor().max(0.0) as usize;
    let high = ((pairs + reach) / 2.0).ceil() as usize;
    let high = high.min(slopes.len().checked_sub(1)?);
    slopes.sort_unstable_by(f64::total_cmp);
    Some((*slopes.get(low)?, *slopes.get(high)?))
}

/// The variance of Kendall's S for so many independent values, with its correction for ties.
fn kendall_variance(points: &[Point]) -> f64 {
    let part = |count: usize| {
        let count = count as f64;
        count * (count - 1.0) * (2.0 * count + 5.0)
    };
    let mut values: Vec<f64> = points.iter().map(|point| point.value).collect();
    values.sort_unstable_by(f64::total_cmp);
    let ties: f64 = values
        .chunk_by(|a, b| a == b)
        .map(|equal| part(equal.len()))
        .sum();
    (part(points.len()) - ties) / 18.0
}

/// By how much values that resemble their neighbours widen the variance: 1 where they do not.
fn likeness(points: &[Point], slope: f64) -> f64 {
    let mut rest: Vec<f64> = points
        .iter()
        .map(|point| point.value - slope * point.at)
        .collect();
    let mean = rest.iter().sum::<f64>() / rest.len() as f64;
    rest.iter_mut().for_each(|value| *value -= mean);
    let variance: f64 = rest.iter().map(|value| value * value).sum();
    if variance == 0.0 {
        return 1.0;
    }
    let neighbours: f64 = rest
        .iter()
        .zip(rest.iter().skip(1))
        .map(|(a, b)| a * b)
        .sum();
    let correlation = (neighbours / variance).clamp(0.0, MOST_CORRELATION);
    (1.0 + correlation) / (1.0 - correlation)
}

fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    let is_odd = values.len() % 2 == 1;
    if values.is_empty() {
        return None;
    }
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if is_odd {
        return Some(upper);
    }
    let lower = below.iter().copied().max_by(f64::total_cmp)?;
    Some(f64::midpoint(lower, upper))
}
