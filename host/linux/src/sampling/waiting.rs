//! Pressure: in how much of the time something had to wait.
//!
//! The kernel's own averages are not used. Timers make them, which are late on a busy virtual
//! machine, and what they have missed counts as if nothing had waited: `avg10=7.65` was seen
//! where something had waited in 78 % of the time. The totals beside them miss nothing.

use std::time::Duration;

use super::per_second;

/// For how long something has waited, as it was known last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Waiting {
    /// In microseconds; and when that was, since boot.
    before: Option<(u64, Duration)>,
}

impl Waiting {
    /// The share of the time since this was known last, in parts of a thousand. `total` is for
    /// how long something has waited so far, in microseconds.
    pub(super) fn share(&mut self, now: Duration, total: Option<u64>) -> Option<u64> {
        let total = total.map(|total| (total, now));
        let before = std::mem::replace(&mut self.before, total)?;
        let each_second = per_second(before.0, total?.0, now.saturating_sub(before.1))?;
        // The two clocks do not begin their seconds together.
        Some((each_second / 1_000).min(1_000))
    }

    /// Hardly anything has waited since: the total is as it was.
    pub(super) fn has_not_waited(&mut self, now: Duration) {
        if let Some((_, at)) = &mut self.before {
            *at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_of_the_time_since_the_last() {
        let mut waiting = Waiting::default();
        let at = Duration::from_secs;
        assert_eq!(waiting.share(at(10), Some(5_000_000)), None);
        assert_eq!(waiting.share(at(20), Some(7_500_000)), Some(250));
        // What cannot be read is not known, and what comes after it has nothing before it.
        assert_eq!(waiting.share(at(30), None), None);
        assert_eq!(waiting.share(at(40), Some(9_000_000)), None);
        waiting.has_not_waited(at(90));
        assert_eq!(waiting.share(at(100), Some(14_000_000)), Some(500));
        assert_eq!(waiting.share(at(110), Some(24_001_000)), Some(1_000));
        // Another run's count begins at 0.
        assert_eq!(waiting.share(at(120), Some(10)), None);
        // At one time there is no share of it.
        assert_eq!(waiting.share(at(120), Some(20)), None);
    }
}
