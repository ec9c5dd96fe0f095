//! How many questions of a service may go unanswered over time, and how many did.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The share of questions that has to be answered over 30 days, such as 99.9 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Objective {
    allowed_ppm: u32,
}

impl Objective {
    /// Over how long a time it holds.
    pub const PERIOD: Duration = Duration::from_secs(30 * 24 * 3_600);

    const WHOLE: u32 = 1_000_000;

    /// With so many parts of a million answered: from a half to all but one.
    pub fn answering(ppm: u32) -> Option<Self> {
        (Self::WHOLE / 2..Self::WHOLE).contains(&ppm).then(|| Self {
            allowed_ppm: Self::WHOLE - ppm,
        })
    }

    /// Of so many questions, how many may go unanswered.
    pub fn allowed_of(self, questions: f64) -> f64 {
        questions * f64::from(self.allowed_ppm) / f64::from(Self::WHOLE)
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ppm = Self::WHOLE - self.allowed_ppm;
        let (percent, rest) = (ppm / 10_000, ppm % 10_000);
        if rest == 0 {
            return write!(f, "{percent} %");
        }
        let digits = format!("{rest:04}");
        write!(f, "{percent}.{} %", digits.trim_end_matches('0'))
    }
}

/// What is left of a service's error budget: of the questions that may go unanswered
/// within 30 days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBudgetHealth {
    pub objective: Objective,
    /// So many parts of a thousand.
    pub left_permille: u64,
}

/// How finely questions are counted: the longer ago, the coarser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BucketSpan {
    Minute,
    TenMinutes,
    TwoHours,
}

impl BucketSpan {
    pub const ALL: [Self; 3] = [Self::Minute, Self::TenMinutes, Self::TwoHours];

    /// How long one bucket is.
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Minute => 60,
            Self::TenMinutes => 600,
            Self::TwoHours => 7_200,
        }
    }

    /// So many of them are kept: an hour, a day and 30 days.
    pub const fn kept(self) -> u64 {
        match self {
            Self::Minute => 60,
            Self::TenMinutes => 144,
            Self::TwoHours => 360,
        }
    }

    /// The one of this length.
    pub fn of_seconds(seconds: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.seconds() == seconds)
    }
}

/// The questions of a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    pub span: BucketSpan,
    /// Which one: so many of its spans after counting began.
    pub at: u64,
    pub asked: u32,
    pub unanswered: u32,
}

/// What is stored of an error budget.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BudgetRecord {
    /// How long after counting began it was: time that neither steps nor ends with a boot.
    pub clock: Duration,
    /// Since when each rule holds, in their order; absent of one that does not.
    pub since: Vec<Option<Timestamp>>,
    /// All of them, or those that have changed since they were stored.
    pub buckets: Vec<Bucket>,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(999_000, "99.9 %")]
    #[case(990_000, "99 %")]
    #[case(999_950, "99.995 %")]
    #[case(500_000, "50 %")]
    #[case(999_999, "99.9999 %")]
    fn objectives_are_shown(#[case] ppm: u32, #[case] shown: &str) {
        assert_eq!(Objective::answering(ppm).unwrap().to_string(), shown);
    }

    #[test]
    fn nothing_and_everything_are_no_objectives() {
        for ppm in [0, 499_999, 1_000_000, u32::MAX] {
            assert_eq!(Objective::answering(ppm), None);
        }
    }

    #[test]
    fn each_span_is_kept_as_long_as_the_next_is_long() {
        for pair in BucketSpan::ALL.windows(2) {
            let [fine, coarse] = pair else { unreachable!() };
            assert_eq!(coarse.seconds() % fine.seconds(), 0);
            assert!(fine.seconds() * fine.kept() >= coarse.seconds() / 2);
        }
        let last = BucketSpan::TwoHours;
        assert_eq!(last.seconds() * last.kept(), Objective::PERIOD.as_secs());
    }
}
