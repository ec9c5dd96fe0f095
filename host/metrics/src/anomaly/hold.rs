//! Reports one incident once.

/// Samples during which only a higher score passes. Half a day at one sample in five
/// minutes; the benchmark's result hardly changes between 80 and 220.
const HOLD_SAMPLES: u32 = 150;

/// Lets a score through only if it exceeds the last one let through or that one is long ago.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hold {
    peak: f32,
    age: u32,
}

impl Hold {
    /// The score to report: `score` itself or 0.
    pub(crate) fn pass(&mut self, score: f32) -> f32 {
        self.age = self.age.saturating_add(1);
        if score > 0.0 && (score > self.peak || self.age > HOLD_SAMPLES) {
            self.peak = score;
            self.age = 0;
            score
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_high_score_only_a_higher_one_passes() {
        let mut hold = Hold::default();
        assert_eq!(hold.pass(5.0), 5.0);
        assert_eq!(hold.pass(4.0), 0.0);
        assert_eq!(hold.pass(6.0), 6.0);
        for _ in 0..HOLD_SAMPLES {
            assert_eq!(hold.pass(1.0), 0.0);
        }
        assert_eq!(hold.pass(1.0), 1.0);
    }
}
