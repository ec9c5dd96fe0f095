//! When a message that could not be delivered is tried again.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// The wait after the first try, at most.
const FIRST: Duration = Duration::from_secs(10);

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The wait after so many tries: twice as long each time, and shortened by up
/// to half at random, so that many hosts do not call a server that is just up
/// again at the same moment.
pub(crate) fn wait(tries: u32, random: u64) -> Duration {
    let doubled = FIRST.saturating_mul(
        1_u32
            .checked_shl(tries.saturating_sub(1))
            .unwrap_or(u32::MAX),
    );
    let longest = doubled.min(LONGEST);
    let half = longest / 2;
    let part = u32::try_from(random % 1_001).unwrap_or(0);
    half + half * part / 1_000
}

/// A number that differs from host to host and from call to call.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(1, 5, 10)]
    #[case(2, 10, 20)]
    #[case(4, 40, 80)]
    #[case(7, 320, 640)]
    #[case(8, 450, 900)]
    #[case(40, 450, 900)]
    #[case(u32::MAX, 450, 900)]
    fn it_doubles_up_to_a_limit(#[case] tries: u32, #[case] least: u64, #[case] most: u64) {
        assert_eq!(wait(tries, 0), Duration::from_secs(least));
        assert_eq!(wait(tries, 1_000), Duration::from_secs(most));
        for _ in 0..100 {
            let wait = wait(tries, random());
            assert!((Duration::from_secs(least)..=Duration::from_secs(most)).contains(&wait));
        }
    }
}
