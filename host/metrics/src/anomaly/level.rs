//! What the metric does after a given level.

use super::range::Range;
use super::surprise::Surprise;

const LEVELS: usize = 16;

/// An excess of less than a hundredth of the whole range is not new here: the borders between
/// levels move with the range, which alone makes small excesses.
const MARGIN: f32 = 0.01;

/// The range of the next value for each of sixteen recent levels: the whole range is cut
/// into equal parts, and each part knows what followed. A value that is ordinary in itself is
/// new after a level that never led to it (a pump that stops at full load).
#[derive(Debug, Clone, Default)]
pub(crate) struct AfterLevel {
    ranges: [Range; LEVELS],
    surprise: Surprise,
}

impl AfterLevel {
    /// Surprise at `x` after the recent level `level`. `before` is the whole range without
    /// `x`, `width` the width of the whole range with it.
    pub(crate) fn judge(
        &mut self,
        level: f32,
        x: f32,
        before: Range,
        width: f32,
        weight: f32,
    ) -> f32 {
        let Some((low, _)) = before.bounds() else {
            return 0.0;
        };
        let share = ((level - low) / before.width().max(f32::MIN_POSITIVE)).clamp(0.0, 1.0);
        // The conversion saturates; the top end belongs to the last part.
        let part = ((share * LEVELS as f32) as usize).min(LEVELS - 1);
        let Some(range) = self.ranges.get_mut(part) else {
            return 0.0;
        };
        let excess = range.distance(x) / width;
        range.add(x);
        self.surprise.of_excess_above(MARGIN, excess, weight)
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
    fn a_usual_value_is_new_after_a_level_that_never_led_to_it() {
        let mut after = AfterLevel::default();
        let mut all = Range::default();
        let mut level = 0.0;
        // A ramp from 0 to 99 and back down, one step at a time.
        for i in 0..1000_u32 {
            let x = if (i / 100) % 2 == 0 {
                i % 100
            } else {
                99 - i % 100
            } as f32;
            after.judge(level, x, all, 99.0, rate_weight(i));
            all.add(x);
            level = x;
        }
        assert_eq!(after.judge(50.0, 51.0, all, 99.0, 0.001), 0.0);
        assert!(after.judge(50.0, 0.0, all, 99.0, 0.001) > 1.0);
    }
}
