//! When a row of values is a symptom, and when it is over.

use std::time::Duration;

use crate::{CLOSE_AFTER, Now, OPEN_AFTER};

/// A rule over a metric. Where it opens above the value at which it clears, more is worse;
/// where it opens below, less is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// It opens at this value and beyond.
    pub opens_at: u64,
    /// It clears at this value and on its other side. What lies between changes nothing.
    pub clears_at: u64,
    /// For so long the values have to be there, without one that is not.
    pub hold: Duration,
}

impl Condition {
    fn opens(&self, value: u64) -> bool {
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

/// Whether a condition holds, by the values so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched {
    /// Since when it holds.
    open: Option<Now>,
    /// Values in a row that speak for a change, and the first of them.
    row: u32,
    first: Option<Now>,
    /// Whether values have opened it since it was to be shown anew.
    confirmed: bool,
    /// While it is open and not confirmed: values in a row that would open it, and the first
    /// of them.
    again: (u32, Option<Now>),
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

    /// Whether values have shown it since the service was started, or acted on, last.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed
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
        self.confirm(condition, now, value);
        let (for_change, needed) = match self.open {
            None => (condition.opens(value), OPEN_AFTER),
            Some(_) => (condition.clears(value), CLOSE_AFTER),
        };
        if !for_change {
            self.row = 0;
            self.first = None;
            return;
        }
        let first = *self.first.get_or_insert(now);
        self.row += 1;
        if self.row >= needed && now.since(first) >= condition.hold {
            self.open = match self.open {
                None => Some(first),
                Some(_) => None,
            };
            self.confirmed = self.open.is_some();
            self.gap();
        }
    }

    fn confirm(&mut self, condition: &Condition, now: Now, value: u64) {
        if self.open.is_none() || self.confirmed {
            return;
        }
        if !condition.opens(value) {
            self.again = (0, None);
            return;
        }
        let (row, first) = (self.again.0 + 1, *self.again.1.get_or_insert(now));
        self.again.0 = row;
        self.confirmed = row >= OPEN_AFTER && now.since(first) >= condition.hold;
    }

    /// A value is missing: what was in a row is not in a row any more.
    pub(crate) fn gap(&mut self) {
        self.row = 0;
        self.first = None;
        self.again = (0, None);
    }

    /// It holds no more: there is proof.
    pub(crate) fn end(&mut self) {
        *self = Self::default();
    }
}

/// Failures in a row, and whether they are a symptom.
#[derive(Debug, Clone, Default)]
pub(crate) struct InARow {
    open: Option<Now>,
    failures: u32,
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

    /// The `threshold`th failure in a row makes it a symptom.
    pub(crate) fn failed(&mut self, now: Now, threshold: u32) {
        self.successes = 0;
        let first = *self.first.get_or_insert(now);
        self.failures = self.failures.saturating_add(1);
        if self.open.is_none() && self.failures >= threshold {
            self.open = Some(first);
        }
        if self.open.is_some() {
            self.longest = self.longest.max(self.failures);
        }
    }

    /// [`CLOSE_AFTER`] successes in a row end it.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
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
        self.failures = 0;
        self.first = None;
        self.successes = 0;
    }

    /// It holds no more: there is proof.
    pub(crate) fn end(&mut self) {
        *self = Self::default();
    }
}
