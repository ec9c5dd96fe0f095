//! The lowest and highest number seen, with a memory that ends.

/// Samples in a block of memory. A range covers the current block and the one before, so it
/// forgets after one to two blocks. Four weeks at one sample in five minutes: long enough to
/// know every weekday several times, short enough that one huge spike does not hide later
/// ones for good.
pub(crate) const BLOCK_SAMPLES: u32 = 8192;

/// Lowest and highest number of the current and the previous block.
///
/// Two blocks approximate a sliding minimum and maximum in constant memory. Shrinking a range
/// slowly was tried instead: it makes noise look like new extremes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    current: (f32, f32),
    previous: (f32, f32),
}

const EMPTY: (f32, f32) = (f32::INFINITY, f32::NEG_INFINITY);

impl Default for Range {
    fn default() -> Self {
        Self {
            current: EMPTY,
            previous: EMPTY,
        }
    }
}

impl Range {
    /// Lowest and highest number remembered, or nothing before the first.
    pub(crate) fn bounds(&self) -> Option<(f32, f32)> {
        let low = self.current.0.min(self.previous.0);
        let high = self.current.1.max(self.previous.1);
        (low <= high).then_some((low, high))
    }

    /// Highest minus lowest; 0 before the first number.
    pub(crate) fn width(&self) -> f32 {
        self.bounds().map_or(0.0, |(low, high)| high - low)
    }

    /// The smallest range that holds both.
    pub(crate) fn union(self, other: Self) -> Self {
        let join = |a: (f32, f32), b: (f32, f32)| (a.0.min(b.0), a.1.max(b.1));
        Self {
            current: join(self.current, other.current),
            previous: join(self.previous, other.previous),
        }
    }

    /// How far `x` lies outside; 0 inside, and 0 before the first number.
    pub(crate) fn distance(&self, x: f32) -> f32 {
        self.bounds()
            .map_or(0.0, |(low, high)| (x - high).max(low - x).max(0.0))
    }

    /// Remembers `x`.
    pub(crate) fn add(&mut self, x: f32) {
        self.current = (self.current.0.min(x), self.current.1.max(x));
    }

    /// Begins a new block and forgets the one before the current.
    pub(crate) fn next_block(&mut self) {
        self.previous = self.current;
        self.current = EMPTY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_range_calls_nothing_new() {
        let range = Range::default();
        assert_eq!(range.bounds(), None);
        assert_eq!(range.width(), 0.0);
        assert_eq!(range.distance(5.0), 0.0);
    }

    #[test]
    fn distance_counts_from_the_nearer_bound() {
        let mut range = Range::default();
        range.add(1.0);
        range.add(3.0);
        assert_eq!(range.distance(2.0), 0.0);
        assert_eq!(range.distance(5.0), 2.0);
        assert_eq!(range.distance(0.0), 1.0);
    }

    #[test]
    fn a_number_is_forgotten_after_two_blocks() {
        let mut range = Range::default();
        range.add(100.0);
        range.next_block();
        range.add(1.0);
        assert_eq!(range.distance(50.0), 0.0);
        range.next_block();
        assert_eq!(range.distance(50.0), 49.0);
    }

    #[test]
    fn a_union_holds_both() {
        let (mut a, mut b) = (Range::default(), Range::default());
        a.add(1.0);
        b.add(9.0);
        assert_eq!(a.union(b).bounds(), Some((1.0, 9.0)));
        assert_eq!(a.union(Range::default()).bounds(), Some((1.0, 1.0)));
    }
}
