//! How rare a deviation of this size is.

/// Kinds of deviation: eight sizes below the recent mean and eight above it.
const KINDS: usize = 16;
const SIZES: usize = KINDS / 2;

/// The smallest size tells apart deviations of at least 2 to the power of this, in usual
/// deviations; each further size is twice the one before.
const SMALLEST_EXPONENT: f32 = -2.0;

/// Share by which each sample makes the older ones count less: a memory of 4000 samples.
const FORGETTING: f32 = 1.0 / 4000.0;

/// Only a deviation that fewer than this share of all samples reach counts as rare.
const RARE: f32 = 0.004;

/// Counts deviations by size. The extremes of the other views go silent after the largest
/// event; this one still sees the second and the third of a heavy-tailed metric.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outliers {
    counts: [f32; KINDS],
}

impl Outliers {
    /// Surprise at a sample `deviations` usual deviations away from the recent mean: the
    /// negative decimal logarithm of the share of samples as far out on the same side, or 0
    /// if that is not rare.
    pub(crate) fn judge(&mut self, deviations: f32) -> f32 {
        let exponent = deviations.abs().max(f32::MIN_POSITIVE).log2() - SMALLEST_EXPONENT;
        // The conversion saturates: everything small has size 0.
        let size = (exponent.max(0.0) as usize).min(SIZES - 1);
        // Below the mean the kinds fall outwards from 7 to 0, above they rise from 8 to 15.
        let above = deviations >= 0.0;
        let kind = if above {
            SIZES + size
        } else {
            SIZES - 1 - size
        };

        let total: f32 = self.counts.iter().sum();
        let outside: f32 = if above {
            self.counts.iter().skip(kind).sum()
        } else {
            self.counts.iter().take(kind + 1).sum()
        };
        let share = (outside + 0.5) / (total + 1.0);

        self.counts.iter_mut().for_each(|c| *c *= 1.0 - FORGETTING);
        if let Some(count) = self.counts.get_mut(kind) {
            *count += 1.0;
        }
        if share < RARE { -share.log10() } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_rare_deviation_counts() {
        let mut outliers = Outliers::default();
        for i in 0..1000 {
            assert_eq!(outliers.judge(if i % 2 == 0 { 1.0 } else { -1.0 }), 0.0);
        }
        assert!(outliers.judge(20.0) > 3.0);
        assert!(outliers.judge(-20.0) > 3.0);
        assert_eq!(outliers.judge(1.0), 0.0);
    }

    #[test]
    fn a_second_large_deviation_still_counts() {
        let mut outliers = Outliers::default();
        for i in 0..2000 {
            outliers.judge(if i == 500 { 30.0 } else { 1.0 });
        }
        assert!(outliers.judge(20.0) > 2.5);
    }
}
