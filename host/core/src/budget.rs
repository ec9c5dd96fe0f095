//! How much healing a service gets, as arithmetic on moments.
//!
//! Nothing here knows a clock or a store: the ages of past healings come in,
//! a [`BudgetVerdict`] goes out. [`age`] is where two clocks become one age.
//!
//! A *healing* is one start or restart call. With the default settings (5 in
//! 300 s; 0, 1, 5, 30, 120 s):
//!
//! | healings in the last 300 s | the next one |
//! |---|---|
//! | none | at once |
//! | 1, 2, 3, 4 | 1, 5, 30, 120 s after the one before |
//! | 5 | when the oldest of them is 300 s old |

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Timestamp, service::BudgetSettings};

/// How much healing the host may get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostBudget {
    /// So many healings of all services together …
    pub healings: u32,
    /// … in so long.
    pub window: Duration,
    /// How many services may be healed at one time.
    pub max_concurrent: u32,
}

impl Default for HostBudget {
    fn default() -> Self {
        Self {
            // The storm brake: a host on which this many services need healing
            // in a minute has one cause that restarting will not cure.
            healings: 200,
            window: Duration::from_secs(60),
            max_concurrent: 16,
        }
    }
}

/// A point in time by both clocks, and the boot that the second belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The boot (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
    /// CLOCK_BOOTTIME. Never steps, means nothing in another boot.
    pub since_boot: Duration,
    /// May step.
    pub at: Timestamp,
}

/// When the next healing may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetVerdict {
    Now,
    /// After this wait.
    After(Duration),
    /// Not before some healings are so old that they no longer count. An
    /// incident that meets this is escalated, not kept waiting.
    Spent {
        /// How long until one is allowed again; [`Duration::MAX`] when the
        /// settings allow none at all.
        until: Duration,
    },
}

impl BudgetVerdict {
    /// The stricter of two: what both allow.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        use BudgetVerdict::{After, Now, Spent};
        match (self, other) {
            (Spent { until: a }, Spent { until: b }) => Spent { until: a.max(b) },
            (spent @ Spent { .. }, _) | (_, spent @ Spent { .. }) => spent,
            (After(a), After(b)) => After(a.max(b)),
            (after @ After(_), Now) | (Now, after @ After(_)) => after,
            (Now, Now) => Now,
        }
    }
}

/// What a service's budget says, given the `ages` of its past healings (in any
/// order; those older than the span do not count) and how long ago the failure
/// was noticed, from which the wait before a first healing counts.
pub fn verdict(
    settings: &BudgetSettings,
    ages: &[Duration],
    since_failure: Duration,
) -> BudgetVerdict {
    let counted = counted(ages, settings.window);
    if let Some(spent) = spent(settings.healings, settings.window, &counted) {
        return spent;
    }
    let wait = settings
        .backoff
        .get(counted.len())
        .or(settings.backoff.last())
        .copied()
        .unwrap_or_default();
    let waited = counted.first().copied().unwrap_or(since_failure);
    match wait.checked_sub(waited) {
        None | Some(Duration::ZERO) => BudgetVerdict::Now,
        Some(rest) => BudgetVerdict::After(rest),
    }
}

/// What the host's budget says, given the `ages` of the past healings of all
/// services. It knows no backoff: it is a brake against storms.
pub fn host_verdict(settings: &HostBudget, ages: &[Duration]) -> BudgetVerdict {
    let counted = counted(ages, settings.window);
    spent(settings.healings, settings.window, &counted).unwrap_or(BudgetVerdict::Now)
}

/// The ages that count, the youngest first.
fn counted(ages: &[Duration], window: Duration) -> Vec<Duration> {
    let mut counted: Vec<Duration> = ages.iter().copied().filter(|age| *age < window).collect();
    counted.sort_unstable();
    counted
}

fn spent(healings: u32, window: Duration, counted: &[Duration]) -> Option<BudgetVerdict> {
    let healings = usize::try_from(healings).unwrap_or(usize::MAX);
    let Some(last) = healings.checked_sub(1) else {
        return Some(BudgetVerdict::Spent {
            until: Duration::MAX,
        });
    };
    // Once the n-th youngest no longer counts, fewer than n are left.
    counted.get(last).map(|age| BudgetVerdict::Spent {
        until: window.saturating_sub(*age),
    })
}

/// How long ago `past` was, seen from `now`.
///
/// Within one boot only the boot clock counts, so that a step of the wall clock
/// neither frees the budget (a step forward would age every healing) nor
/// freezes it (a step back would put them into the future).
///
/// A healing of an earlier boot has only the wall clock. `first_seen` is the
/// first moment of *this* boot that was ever noted down: the gap between the
/// two is read from the wall clock once and for all, everything after it from
/// the boot clock, so that a step within this boot changes nothing. What is
/// left is a clock that was already wrong when the boot began:
///
/// | the clock at `first_seen` | the gap counts as | so the healing |
/// |---|---|---|
/// | right | what it was | ages as it should |
/// | behind the healing (no RTC battery) | nothing | counts for at most one span from `first_seen` |
/// | far ahead | what the clock says | may stop counting once, at that boot |
///
/// The boot clock itself cannot replace the gap: in a container it is the
/// host's, and goes on while the container reboots.
pub fn age(past: &Moment, now: &Moment, first_seen: &Moment) -> Duration {
    if past.boot_id == now.boot_id {
        return now.since_boot.saturating_sub(past.since_boot);
    }
    let gap = first_seen.at.since(past.at);
    now.since_boot
        .saturating_sub(first_seen.since_boot)
        .saturating_add(gap)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn seconds(ages: &[u64]) -> Vec<Duration> {
        ages.iter().copied().map(Duration::from_secs).collect()
    }

    fn after(seconds: u64) -> BudgetVerdict {
        BudgetVerdict::After(Duration::from_secs(seconds))
    }

    fn spent_for(seconds: u64) -> BudgetVerdict {
        BudgetVerdict::Spent {
            until: Duration::from_secs(seconds),
        }
    }

    #[rstest]
    #[case::first(&[], BudgetVerdict::Now)]
    #[case::second_too_soon(&[0], after(1))]
    #[case::second(&[1], BudgetVerdict::Now)]
    #[case::third_too_soon(&[2, 3], after(3))]
    #[case::third(&[5, 6], BudgetVerdict::Now)]
    #[case::fourth_too_soon(&[10, 15, 16], after(20))]
    #[case::fourth(&[30, 35, 36], BudgetVerdict::Now)]
    #[case::fifth_too_soon(&[0, 30, 35, 36], after(120))]
    #[case::fifth(&[120, 150, 155, 156], BudgetVerdict::Now)]
    #[case::spent(&[1, 121, 151, 156, 157], spent_for(143))]
    #[case::spent_whatever_the_order(&[157, 1, 151, 156, 121], spent_for(143))]
    #[case::more_than_all_spent(&[1, 2, 3, 4, 5, 6, 7], spent_for(295))]
    #[case::the_oldest_leaves(&[119, 200, 230, 235, 300], after(1))]
    #[case::all_are_old(&[300, 301, 5_000], BudgetVerdict::Now)]
    fn the_default_budget(#[case] ages: &[u64], #[case] expected: BudgetVerdict) {
        let settings = BudgetSettings::default();
        assert_eq!(verdict(&settings, &seconds(ages), Duration::ZERO), expected);
    }

    #[rstest]
    #[case::no_backoff_at_all(3, &[], &[0], 0, BudgetVerdict::Now)]
    #[case::the_last_wait_holds_for_all_that_follow(9, &[0, 2], &[1, 5, 9], 0, after(1))]
    #[case::a_wait_before_the_first(3, &[10], &[], 4, after(6))]
    #[case::that_wait_is_over(3, &[10], &[], 10, BudgetVerdict::Now)]
    #[case::one_only(1, &[0], &[20], 0, spent_for(80))]
    #[case::none_at_all(0, &[0], &[], 0, BudgetVerdict::Spent { until: Duration::MAX })]
    fn other_budgets(
        #[case] healings: u32,
        #[case] backoff: &[u64],
        #[case] ages: &[u64],
        #[case] since_failure: u64,
        #[case] expected: BudgetVerdict,
    ) {
        let settings = BudgetSettings {
            healings,
            window: Duration::from_secs(100),
            backoff: seconds(backoff),
        };
        assert_eq!(
            verdict(
                &settings,
                &seconds(ages),
                Duration::from_secs(since_failure)
            ),
            expected
        );
    }

    #[rstest]
    #[case::quiet(&[], BudgetVerdict::Now)]
    #[case::one_left(&[1], BudgetVerdict::Now)]
    #[case::spent(&[1, 4], spent_for(6))]
    #[case::old_ones_do_not_count(&[1, 10, 11], BudgetVerdict::Now)]
    fn the_hosts_budget(#[case] ages: &[u64], #[case] expected: BudgetVerdict) {
        let settings = HostBudget {
            healings: 2,
            window: Duration::from_secs(10),
            max_concurrent: 1,
        };
        assert_eq!(host_verdict(&settings, &seconds(ages)), expected);
    }

    #[rstest]
    #[case(BudgetVerdict::Now, BudgetVerdict::Now, BudgetVerdict::Now)]
    #[case(BudgetVerdict::Now, after(3), after(3))]
    #[case(after(5), after(3), after(5))]
    #[case(after(50), spent_for(3), spent_for(3))]
    #[case(spent_for(9), spent_for(3), spent_for(9))]
    fn the_stricter_of_two(
        #[case] a: BudgetVerdict,
        #[case] b: BudgetVerdict,
        #[case] expected: BudgetVerdict,
    ) {
        assert_eq!(a.and(b), expected);
        assert_eq!(b.and(a), expected);
    }

    fn moment(boot: &str, since_boot: u64, at: u64) -> Moment {
        Moment {
            boot_id: boot.to_owned(),
            since_boot: Duration::from_secs(since_boot),
            at: Timestamp::from_millis(at * 1_000),
        }
    }

    #[rstest]
    #[case::same_boot(moment("b", 100, 5_000), moment("b", 130, 5_030), 30)]
    #[case::same_boot_clock_stepped_forward(moment("b", 100, 5_000), moment("b", 130, 900_000), 30)]
    #[case::same_boot_clock_stepped_back(moment("b", 100, 5_000), moment("b", 130, 10), 30)]
    #[case::earlier_boot(moment("a", 9_999, 4_900), moment("b", 130, 5_030), 130)]
    #[case::earlier_boot_clock_stepped_forward_since(
        moment("a", 9_999, 4_900),
        moment("b", 130, 900_000),
        130
    )]
    #[case::earlier_boot_clock_stepped_back_since(
        moment("a", 9_999, 4_900),
        moment("b", 130, 10),
        130
    )]
    #[case::clock_was_behind_at_boot(moment("a", 9_999, 700_000), moment("b", 130, 5_030), 30)]
    #[case::container_whose_boot_clock_goes_on(moment("a", 90, 4_990), moment("b", 105, 5_005), 15)]
    fn ages(#[case] past: Moment, #[case] now: Moment, #[case] expected: u64) {
        let first_seen = moment("b", 100, 5_000);
        assert_eq!(age(&past, &now, &first_seen), Duration::from_secs(expected));
    }

    #[test]
    fn a_clock_behind_at_boot_freezes_nothing_for_longer_than_the_span() {
        let settings = BudgetSettings::default();
        let first_seen = moment("b", 10, 1_000);
        let past = moment("a", 500, 2_000_000);
        let ages = |since_boot| vec![age(&past, &moment("b", since_boot, 1_000), &first_seen); 5];
        assert!(matches!(
            verdict(&settings, &ages(11), Duration::ZERO),
            BudgetVerdict::Spent { .. }
        ));
        assert_eq!(
            verdict(&settings, &ages(310), Duration::ZERO),
            BudgetVerdict::Now
        );
    }
}
