//! Joins the views of one metric into a score.

use super::average::Average;
use super::day::{Day, hour_of};
use super::hold::Hold;
use super::level::AfterLevel;
use super::moves::Moves;
use super::outlier::Outliers;
use super::range::BLOCK_SAMPLES;
use super::surprise::{Extremes, rate_weight, weight_of};

/// A score from which on a sample is worth reporting. Chosen on the benchmark, where it gives
/// one false alert in 2000 samples.
pub const ALERT_SCORE: f32 = 0.5;

/// Samples after which scores can be trusted: two days at one sample in five minutes.
pub const LEARNING_SAMPLES: u32 = 576;

/// The sum of surprises that has the score [`ALERT_SCORE`].
const ALERT_SURPRISE: f32 = 5.3;

/// Weights of a sample in the fast, the middle and the slow average: about 3, 20 and 300
/// samples.
const FAST: f32 = 0.3;
const MIDDLE: f32 = 0.05;
const SLOW: f32 = 0.003;

/// Weight of a sample in the average of the deviations from the middle average.
const DEVIATION: f32 = 0.02;

/// Weight of a sample in the average of the differences from its hour's mean.
const DAY_RESIDUAL: f32 = 0.1;

/// A range narrower than this share of the value is rounding noise.
const LEAST_RELATIVE_WIDTH: f32 = 1e-6;

/// The least width of the whole range, as a share of its distance from the origin, that `f32`
/// (seven digits) resolves well enough: a hundred steps.
const LEAST_SPREAD: f32 = 1e-5;

/// Values are kept within this, so that their differences and sums stay finite.
const LARGEST: f64 = 1e30;

/// One way to ask whether the metric has done this before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The value itself was never so low or so high.
    Value,
    /// The mean of the last few samples was never so low or so high.
    FastMean,
    /// The value was never so low or so high at this hour of the day.
    HourRange,
    /// The value never differed so much from the mean of this hour of the day.
    HourResidual,
    /// The last ten or so samples together never differed so much from their hours' means.
    HourResidualMean,
    /// The recent level never lay so far from the level of the last day.
    LevelShift,
    /// Such a value never came after such a level.
    AfterLevel,
    /// Three moves of these sizes never came in a row.
    Moves,
    /// Hardly any sample was so far from the recent mean, for this metric's usual deviation.
    Outlier,
}

/// What the detector says about one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// 0 (as always) to 1 (never seen, in many ways). Held back after a higher one.
    pub score: f32,
    /// The view that contributed most to a score above 0.
    pub strongest: Option<View>,
}

impl Reading {
    pub(crate) const NOTHING: Self = Self {
        score: 0.0,
        strongest: None,
    };
}

/// Streaming anomaly detector for one metric, in constant memory.
///
/// The same samples give the same scores. Scaling, shifting or mirroring all values leaves the
/// scores nearly unchanged.
#[derive(Debug, Clone, Default)]
pub struct Detector {
    /// The first value. Working relative to it keeps the precision of `f32` for metrics that
    /// are large and vary little.
    origin: Option<f64>,
    seen: u32,
    fast: Average,
    middle: Average,
    slow: Average,
    deviation: Average,
    day_residual: Average,
    value: Extremes,
    fast_mean: Extremes,
    level_shift: Extremes,
    hour_residual: Extremes,
    hour_residual_mean: Extremes,
    day: Day,
    after_level: AfterLevel,
    moves: Moves,
    outliers: Outliers,
    hold: Hold,
}

impl Detector {
    /// Whether so little was seen that much is new and scores are provisional.
    #[must_use]
    pub fn is_learning(&self) -> bool {
        self.seen < LEARNING_SAMPLES
    }

    /// Judges one sample by those before it, then learns from it.
    ///
    /// `seconds` is its time since 1970 and only tells the hour of the day: gaps, repeated
    /// times and jumps of the clock are harmless. A `value` that is not finite counts as
    /// missing: it has the score 0 and teaches nothing.
    pub fn observe(&mut self, seconds: i64, value: f64) -> Reading {
        if !value.is_finite() {
            return Reading::NOTHING;
        }
        if self.seen > 0 && self.seen.is_multiple_of(BLOCK_SAMPLES) {
            if self.has_lost_precision() {
                *self = Self::default();
            } else {
                self.next_block();
            }
        }
        let origin = *self.origin.get_or_insert(value);
        let x = (value - origin).clamp(-LARGEST, LARGEST) as f32;
        let magnitude = value.abs().min(LARGEST) as f32;

        let surprises = self.surprises(hour_of(seconds), x, magnitude);
        if self.seen == 0 {
            // There is nothing yet to differ from.
            self.seen = 1;
            return Reading::NOTHING;
        }
        // Starting again after a full count loses nothing: the averages are long past their start.
        self.seen = self.seen.checked_add(1).unwrap_or(BLOCK_SAMPLES);

        let sum = surprises.iter().map(|(_, s)| s).sum();
        let passed = self.hold.pass(sum);
        if passed <= 0.0 {
            return Reading::NOTHING;
        }
        Reading {
            score: passed / (passed + ALERT_SURPRISE),
            strongest: surprises
                .iter()
                .max_by(|a, b| a.1.total_cmp(&b.1))
                .map(|(view, _)| *view),
        }
    }

    /// Asks every view, each of which then learns from the sample.
    fn surprises(&mut self, hour: usize, x: f32, magnitude: f32) -> [(View, f32); 9] {
        let weight = rate_weight(self.seen);
        let least = (LEAST_RELATIVE_WIDTH * magnitude).max(f32::MIN_POSITIVE);

        let level_before = self.fast.get_or(x);
        let from_mean = x - self.middle.get_or(x);
        let fast = self.fast.add(x, FAST);
        let middle = self.middle.add(x, MIDDLE);
        let slow = self.slow.add(x, weight_of(self.seen, SLOW));
        let usual = self.deviation.get_or(0.0);
        let deviations = if usual > 0.0 { from_mean / usual } else { 0.0 };
        self.deviation
            .add(from_mean.abs(), weight_of(self.seen, DEVIATION));
        let residual = self.day.residual(hour, x);
        let residual_mean = self.day_residual.add(residual, DAY_RESIDUAL);

        let before = self.value.range();
        let value = self.value.judge(x, least, weight);
        let width = self.value.range().width().max(least);
        [
            (View::Value, value),
            (View::FastMean, self.fast_mean.judge(fast, least, weight)),
            (View::HourRange, self.day.judge(hour, x, width, weight)),
            (
                View::HourResidual,
                self.hour_residual.judge(residual, least, weight),
            ),
            (
                View::HourResidualMean,
                self.hour_residual_mean.judge(residual_mean, least, weight),
            ),
            (
                View::LevelShift,
                self.level_shift.judge(middle - slow, least, weight),
            ),
            (
                View::AfterLevel,
                self.after_level
                    .judge(level_before, x, before, width, weight),
            ),
            (View::Moves, self.moves.judge(deviations, weight)),
            (View::Outlier, self.outliers.judge(deviations)),
        ]
    }

    /// Whether all values remembered lie so close together, and so far from the origin, that
    /// `f32` hardly tells them apart. A wild first value does that; learning anew mends it.
    fn has_lost_precision(&self) -> bool {
        let range = self.value.range();
        let distance = |(low, high): (f32, f32)| low.abs().max(high.abs());
        range
            .bounds()
            .is_some_and(|bounds| range.width() < LEAST_SPREAD * distance(bounds))
    }

    /// Begins a new block of memory in every view that keeps extremes or combinations.
    fn next_block(&mut self) {
        for extremes in [
            &mut self.value,
            &mut self.fast_mean,
            &mut self.level_shift,
            &mut self.hour_residual,
            &mut self.hour_residual_mean,
        ] {
            extremes.next_block();
        }
        self.day.next_block();
        self.after_level.next_block();
        self.moves.next_block();
    }
}

// A series must stay cheap enough to watch every metric of a host.
const _: () = assert!(size_of::<Detector>() < 2048);
