//! How many of many values were up to which bound.

/// Counts of values in buckets, each up to a bound and above the one before.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for what is above all of them.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    /// Without a value; `bounds` rise.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: vec![0; bounds.len() + 1],
            sum: 0.0,
        }
    }

    /// One more value.
    pub fn observe(&mut self, value: f64) {
        self.add(bucket(self.bounds, value), 1, value);
    }

    /// So many values more in the bucket at `place`, which come to `sum` together. One that
    /// does not exist takes none.
    pub fn add(&mut self, place: usize, number: u64, sum: f64) {
        if let Some(count) = self.counts.get_mut(place) {
            *count = count.saturating_add(number);
            self.sum += sum;
        }
    }

    /// Adds all values of another one with the same bounds.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        self.sum += other.sum;
    }

    /// Each bound, and how many values are in its bucket alone; infinity comes last.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().copied())
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// What they come to together.
    pub fn sum(&self) -> f64 {
        self.sum
    }
}

/// The place of the first bound that a value keeps; the number of bounds when it keeps none.
pub fn bucket(bounds: &[f64], value: f64) -> usize {
    bounds
        .iter()
        .position(|bound| value <= *bound)
        .unwrap_or(bounds.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_in_one_bucket() {
        let mut histogram = Histogram::new(&[0.1, 1.0]);
        for value in [0.0, 0.1, 0.5, 1.0, 1.1, 9.0] {
            histogram.observe(value);
        }
        let buckets: Vec<_> = histogram.buckets().collect();
        assert_eq!(buckets, [(0.1, 2), (1.0, 2), (f64::INFINITY, 2)]);
        assert_eq!(histogram.count(), 6);
        assert!((histogram.sum() - 11.7).abs() < 1e-9);
        histogram.add(7, 1, 1.0);
        assert_eq!(histogram.count(), 6, "there is no such bucket");
    }

    #[test]
    fn two_are_one() {
        let mut one = Histogram::new(&[1.0]);
        one.observe(0.5);
        let mut other = Histogram::new(&[1.0]);
        other.observe(2.0);
        one.merge(&other);
        assert_eq!((one.count(), one.sum()), (2, 2.5));
    }
}
