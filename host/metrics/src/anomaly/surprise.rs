//! How surprising it is to meet something new.

use super::range::Range;

/// The shortest memory for the rate of new things is all samples so far; the longest is about
/// the inverse of this. A metric that changes its nature is judged by its new nature after
/// that many samples.
const RATE_WEIGHT: f32 = 0.001;

/// The part of one occurrence that is assumed before anything was seen (the estimate of
/// Krichevsky and Trofimov), so that the first new thing has a finite surprise.
const PRIOR: f32 = 0.5;

/// By how much a far excess outweighs a narrow one: `1 + FAR_FACTOR · excess`.
const FAR_FACTOR: f32 = 2.0;

/// A number must leave the range by this share of its width to be new. Noise sets tiny
/// records all the time.
const MARGIN: f32 = 0.005;

/// The weight of one sample in an average over all samples so far, bounded below.
///
/// `seen` counts the samples before this one.
pub(crate) fn rate_weight(seen: u32) -> f32 {
    weight_of(seen, RATE_WEIGHT)
}

/// The larger of `1 / (seen + 1)` and `least`: an even mean at first, later a moving one.
pub(crate) fn weight_of(seen: u32, least: f32) -> f32 {
    (1.0 / (seen as f32 + 1.0)).max(least)
}

/// Rate at which new things come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surprise {
    rate: f32,
}

impl Surprise {
    /// Learns whether this sample brought something new and returns how surprising that is:
    /// 0 when nothing is new, else the negative decimal logarithm of the rate so far.
    /// `weight` is this sample's weight in the rate ([`rate_weight`]).
    pub(crate) fn of_new(&mut self, is_new: bool, weight: f32) -> f32 {
        let expected = (self.rate + PRIOR * weight).min(1.0);
        self.rate += weight * (f32::from(u8::from(is_new)) - self.rate);
        if is_new { -expected.log10() } else { 0.0 }
    }

    /// The same for a number that lies outside what was seen by `excess`, a share of the width
    /// of what was seen. A far excess weighs more, up to one width.
    pub(crate) fn of_excess(&mut self, excess: f32, weight: f32) -> f32 {
        self.of_excess_above(MARGIN, excess, weight)
    }

    /// The same with a `margin` other than the usual.
    pub(crate) fn of_excess_above(&mut self, margin: f32, excess: f32, weight: f32) -> f32 {
        self.of_new(excess > margin, weight) * (1.0 + FAR_FACTOR * excess.min(1.0))
    }
}

/// Surprise at numbers that were never so low or so high.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extremes {
    range: Range,
    surprise: Surprise,
}

impl Extremes {
    /// Judges `x` against the numbers before, then remembers it. `least_width` is the width
    /// below which a range counts as rounding noise.
    pub(crate) fn judge(&mut self, x: f32, least_width: f32, weight: f32) -> f32 {
        let excess = self.range.distance(x) / self.range.width().max(least_width);
        self.range.add(x);
        self.surprise.of_excess(excess, weight)
    }

    /// See [`Range::next_block`].
    pub(crate) fn next_block(&mut self) {
        self.range.next_block();
    }

    /// The numbers seen.
    pub(crate) fn range(&self) -> Range {
        self.range
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rarer_the_new_the_greater_the_surprise() {
        let (mut calm, mut busy) = (Surprise::default(), Surprise::default());
        for i in 0..1000 {
            calm.of_new(false, rate_weight(i));
            busy.of_new(i % 2 == 0, rate_weight(i));
        }
        let (calm, busy) = (calm.of_new(true, 0.001), busy.of_new(true, 0.001));
        assert!(calm > 3.0, "{calm}");
        assert!(busy < 0.5, "{busy}");
    }

    #[test]
    fn nothing_new_is_no_surprise() {
        assert_eq!(Surprise::default().of_new(false, 1.0), 0.0);
    }

    #[test]
    fn an_excess_within_the_margin_is_not_new() {
        let mut extremes = Extremes::default();
        for i in 0..100 {
            extremes.judge((i % 2) as f32, 1e-6, rate_weight(i));
        }
        assert_eq!(extremes.judge(1.001, 1e-6, 0.01), 0.0);
        assert!(extremes.judge(1.1, 1e-6, 0.01) > 1.0);
    }

    #[test]
    fn a_far_excess_outweighs_a_narrow_one() {
        let mut narrow = Extremes::default();
        for i in 0..100 {
            narrow.judge((i % 2) as f32, 1e-6, rate_weight(i));
        }
        let mut far = narrow.clone();
        assert!(far.judge(9.0, 1e-6, 0.01) > 2.0 * narrow.judge(1.1, 1e-6, 0.01));
    }
}
