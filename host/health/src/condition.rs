//! When a row of values is a symptom, and when it is over.

use std::time::Duration;

use crate::{APART, CLOSE_AFTER, Now, OPEN_AFTER, RECURS_AFTER};

/// A rule over a metric. Where it opens above the value at which it clears, more is worse;
/// where it opens below, less is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// It opens at this value and beyond.
    pub opens_at: u64,
    /// It clears at this value and on its other side. What lies between changes nothing.
    pub clears_at: u64,
    /// For so long the values have to be there.
    pub hold: Duration,
    /// Whether it also opens where such values come again and again, with others between them:
    /// each then has to be followed by the next before [`APART`] others in a row, and there have
    /// to be [`RECURS_AFTER`] of them. As many others in a row are needed to clear it, so that
    /// what recurs does not flap. Otherwise one value that is not there ends them.
    pub recurs: bool,
}

impl Condition {
    pub(crate) fn opens(&self, value: u64) -> bool {
        if self.opens_at >= self.clears_at {
            value >= self.opens_at
        } else {
            value <= self.opens_at
        }
    }

    fn clears(&self, value: u64) -> bool {
        if self.opens_at >= self.clears_at {
            value <= self.clears_at
        } else {
            value >= self.clears_at
        }
    }
}

/// Values that speak for a change, and the first of them.
#[derive(Debug, Clone, Default)]
struct Row {
    count: u32,
    first: Option<Now>,
    /// Values since that do not speak for it.
    against: u32,
}

impl Row {
    /// A value came. `ends_after` that do not speak for the change end the row. Answers since
    /// when there are `needed` that do, over this time.
    fn value(
        &mut self,
        now: Now,
        speaks_for_it: bool,
        ends_after: u32,
        needed: u32,
        hold: Duration,
    ) -> Option<Now> {
        if !speaks_for_it {
            self.against += 1;
            if self.against >= ends_after {
                *self = Self::default();
            }
            return None;
        }
        self.against = 0;
        self.count = self.count.saturating_add(1);
        let first = *self.first.get_or_insert(now);
        (self.count >= needed && now.since(first) >= hold).then_some(first)
    }
}

/// Whether values show that a condition holds.
#[derive(Debug, Clone, Default)]
struct Shown {
    /// One after the other.
    strict: Row,
    /// With others between them, of a condition that may recur.
    mixed: Row,
}

/// How it was shown, and since when.
struct Opened {
    since: Now,
    /// Only with other values between those that show it.
    recurs: bool,
}

impl Shown {
    fn value(&mut self, condition: &Condition, now: Now, value: u64) -> Option<Opened> {
        let opens = condition.opens(value);
        let hold = condition.hold;
        let strict = self.strict.value(now, opens, 1, OPEN_AFTER, hold);
        let mixed = match condition.recurs {
            true => self.mixed.value(now, opens, APART, RECURS_AFTER, hold),
            false => None,
        };
        Some(Opened {
            since: mixed.or(strict)?,
            recurs: strict.is_none(),
        })
    }
}

/// Whether a condition holds, by the values so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched {
    /// Since when it holds.
    open: Option<Now>,
    /// Whether it was shown with other values between those that show it.
    recurs: bool,
    /// While it is not open: the values that would open it. While it is open and not
    /// confirmed: those that would confirm it.
    shown: Shown,
    /// While it is open: the values that would close it.
    clear: Row,
    /// Whether values have opened it since it was to be shown anew.
    confirmed: bool,
}

impl Watched {
    /// One that holds already.
    pub(crate) fn held_since(since: Now) -> Self {
        Self {
            open: Some(since),
            ..Self::default()
        }
    }

    /// Since when it holds, if it does.
    pub(crate) fn since(&self) -> Option<Now> {
        self.open
    }

    /// Whether it holds by values that come again and again, with others between them.
    pub(crate) fn recurs(&self) -> bool {
        self.recurs
    }

    /// Whether values have shown it since the service was started, or acted on, last.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Whether it does not hold, and values speak for it that are not enough yet.
    pub(crate) fn may_open(&self) -> bool {
        let rows = [&self.shown.strict, &self.shown.mixed];
        self.open.is_none() && rows.iter().any(|row| row.first.is_some())
    }

    /// What was measured until now tells nothing of what comes: it has to be shown anew, and
    /// holds until it has cleared.
    pub(crate) fn begin_anew(&mut self) {
        self.gap();
        self.confirmed = false;
    }

    /// A value came that may end it, and cannot begin it: what strains the subject is
    /// expected.
    pub(crate) fn expected_value(&mut self, condition: &Condition, now: Now, value: u64) {
        if self.open.is_some() {
            self.value(condition, now, value);
        } else {
            self.gap();
        }
    }

    /// A value came.
    pub(crate) fn value(&mut self, condition: &Condition, now: Now, value: u64) {
        if !self.confirmed
            && let Some(opened) = self.shown.value(condition, now, value)
        {
            self.open = self.open.or(Some(opened.since));
            self.recurs = opened.recurs;
            self.confirmed = true;
            self.gap();
            return;
        }
        if self.open.is_none() {
            return;
        }
        let needed = match condition.recurs {
            true => CLOSE_AFTER.max(APART),
            false => CLOSE_AFTER,
        };
        let clears = condition.clears(value);
        let cleared = self.clear.value(now, clears, 1, needed, condition.hold);
        if cleared.is_some() {
            self.end();
        }
    }

    /// A value is missing: what was in a row is not in a row any more.
    pub(crate) fn gap(&mut self) {
        self.shown = Shown::default();
        self.clear = Row::default();
    }

    /// It holds no more: there is proof.
    pub(crate) fn end(&mut self) {
        *self = Self::default();
    }
}

/// Questions that went unanswered in a row: what a probe's `failure-threshold` counts.
#[derive(Debug, Clone, Default)]
pub struct UnansweredInARow {
    count: u32,
    /// Since the threshold was reached last.
    until_threshold: u32,
}

impl UnansweredInARow {
    /// One more. True when that reaches the threshold, and when as many more have reached it
    /// anew.
    pub fn unanswered(&mut self, threshold: u32) -> bool {
        self.count = self.count.saturating_add(1);
        self.until_threshold = self.until_threshold.saturating_add(1);
        let is_reached = self.until_threshold >= threshold;
        if is_reached {
            self.until_threshold = 0;
        }
        is_reached
    }

    /// One was answered, or not asked: what was in a row is not in a row any more.
    pub fn begin_anew(&mut self) {
        *self = Self::default();
    }

    /// How many there are in this row.
    pub fn count(&self) -> u32 {
        self.count
    }
}

/// Failures in a row, and whether they are a symptom.
#[derive(Debug, Clone, Default)]
pub(crate) struct InARow {
    open: Option<Now>,
    failures: UnansweredInARow,
    first: Option<Now>,
    successes: u32,
    /// The longest row while it holds.
    longest: u32,
}

impl InARow {
    /// One that holds already.
    pub(crate) fn held_since(since: Now, longest: u32) -> Self {
        Self {
            open: Some(since),
            longest,
            ..Self::default()
        }
    }

    /// Since when there is a symptom, and the longest row of it.
    pub(crate) fn since(&self) -> Option<(Now, u32)> {
        Some((self.open?, self.longest))
    }

    /// Whether it is no symptom, and failures speak for one that are not enough yet.
    pub(crate) fn may_open(&self) -> bool {
        self.open.is_none() && self.first.is_some()
    }

    /// The `threshold`th failure in a row makes it a symptom.
    pub(crate) fn failed(&mut self, now: Now, threshold: u32) {
        self.successes = 0;
        let first = *self.first.get_or_insert(now);
        if self.failures.unanswered(threshold) && self.open.is_none() {
            self.open = Some(first);
        }
        if self.open.is_some() {
            self.longest = self.longest.max(self.failures.count());
        }
    }

    /// [`CLOSE_AFTER`] successes in a row end it.
    pub(crate) fn succeeded(&mut self) {
        self.failures.begin_anew();
        self.first = None;
        if self.open.is_none() {
            return;
        }
        self.successes += 1;
        if self.successes >= CLOSE_AFTER {
            self.end();
        }
    }

    /// What was in a row is not in a row any more.
    pub(crate) fn gap(&mut self) {
        self.failures.begin_anew();
        self.first = None;
        self.successes = 0;
    }

    /// It holds no more: there is proof.
    pub(crate) fn end(&mut self) {
        *self = Self::default();
    }
}
