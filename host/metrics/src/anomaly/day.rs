//! What the metric does at each hour of the day.

use super::average::Average;
use super::range::Range;
use super::surprise::Surprise;

const HOURS: usize = 24;
const SECONDS_OF_HOUR: i64 = 3600;
const SECONDS_OF_DAY: i64 = 24 * SECONDS_OF_HOUR;

/// Weight of a sample in its hour's mean: about 30 samples, three days at one in five minutes.
const MEAN_WEIGHT: f32 = 0.03;

/// Mean and range of each hour of the day (UTC; the zone only shifts the hours).
///
/// Hours rather than minutes keep it small and let a metric sampled once an hour fill them
/// too. A metric without a daily pattern loses nothing: its hours resemble each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Day {
    means: [Average; HOURS],
    ranges: [Range; HOURS],
    surprise: Surprise,
}

/// The hour of the day, 0 to 23, of a time in seconds since 1970. Any time has one, also one
/// before 1970, so that a wrong clock cannot do harm.
pub(crate) fn hour_of(seconds: i64) -> usize {
    usize::try_from(seconds.rem_euclid(SECONDS_OF_DAY) / SECONDS_OF_HOUR).unwrap_or(0)
}

impl Day {
    /// `x` minus the mean of its hour so far; 0 for the first sample of an hour.
    pub(crate) fn residual(&mut self, hour: usize, x: f32) -> f32 {
        let Some(mean) = self.means.get_mut(hour) else {
            return 0.0;
        };
        let residual = x - mean.get_or(x);
        mean.add(x, MEAN_WEIGHT);
        residual
    }

    /// Surprise at `x` against the range of its hour and both neighbours; a pattern that moves
    /// by some minutes is no anomaly. `width` is the width of the whole metric's range, which
    /// is what an excess is measured by: an hour in which nothing ever happened is narrow.
    pub(crate) fn judge(&mut self, hour: usize, x: f32, width: f32, weight: f32) -> f32 {
        let known = [HOURS - 1, 0, 1]
            .iter()
            .filter_map(|shift| self.ranges.get((hour + shift) % HOURS))
            .fold(Range::default(), |sum, range| sum.union(*range));
        if let Some(range) = self.ranges.get_mut(hour) {
            range.add(x);
        }
        self.surprise.of_excess(known.distance(x) / width, weight)
    }

    /// See [`Range::next_block`].
    pub(crate) fn next_block(&mut self) {
        self.ranges.iter_mut().for_each(Range::next_block);
    }
}

#[cfg(test)]
mod tests {
    use super::super::surprise::rate_weight;
    use super::*;

    #[test]
    fn every_time_has_an_hour() {
        assert_eq!(hour_of(0), 0);
        assert_eq!(hour_of(3 * 3600 + 59), 3);
        assert_eq!(hour_of(-1), 23);
        assert!(hour_of(i64::MIN) < 24);
        assert!(hour_of(i64::MAX) < 24);
    }

    #[test]
    fn a_value_usual_at_noon_is_new_at_midnight() {
        let mut day = Day::default();
        let mut seen = 0;
        for _ in 0..10 {
            for hour in 0..24 {
                let x = if (8..18).contains(&hour) { 10.0 } else { 0.0 };
                day.judge(hour, x, 10.0, rate_weight(seen));
                seen += 1;
            }
        }
        assert_eq!(day.judge(12, 10.0, 10.0, 0.004), 0.0);
        assert!(day.judge(0, 10.0, 10.0, 0.004) > 3.0);
    }
}
