//! What was counted over the last minute.

use std::{collections::VecDeque, time::Duration};

/// How long a line counts.
const MINUTE: Duration = Duration::from_secs(60);

/// How many lines there were, in all and of each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) lines: u64,
    /// Of the priority err or worse.
    pub(super) errors: u64,
    /// Of each pattern, in its order; as many as any line has fitted.
    pub(super) matches: Vec<u64>,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.lines = self.lines.saturating_add(other.lines);
        self.errors = self.errors.saturating_add(other.errors);
        for (pattern, count) in other.matches.iter().enumerate() {
            self.matched(pattern, *count);
        }
    }

    pub(super) fn matched(&mut self, pattern: usize, count: u64) {
        if self.matches.len() <= pattern {
            self.matches.resize(pattern + 1, 0);
        }
        if let Some(known) = self.matches.get_mut(pattern) {
            *known = known.saturating_add(count);
        }
    }

    /// As many more as make `read` lines `all` lines.
    pub(super) fn scale(&mut self, read: u64, all: u64) {
        let scaled = |count: u64| {
            let count = u128::from(count) * u128::from(all) / u128::from(read.max(1));
            u64::try_from(count).unwrap_or(u64::MAX)
        };
        self.lines = scaled(self.lines);
        self.errors = scaled(self.errors);
        for count in &mut self.matches {
            *count = scaled(*count);
        }
    }
}

/// The turns of the last minute in which something was counted.
#[derive(Debug, Default)]
pub(super) struct Window(VecDeque<(Duration, Tally)>);

impl Window {
    /// What was counted until `now`, the time since boot, and not before.
    pub(super) fn push(&mut self, now: Duration, tally: Tally) {
        if tally != Tally::default() {
            self.0.push_back((now, tally));
        }
    }

    pub(super) fn sum(&mut self, now: Duration) -> Tally {
        while let Some((at, _)) = self.0.front()
            && now.saturating_sub(*at) >= MINUTE
        {
            self.0.pop_front();
        }
        let mut sum = Tally::default();
        for (_, tally) in &self.0 {
            sum.add(tally);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: u64) -> Tally {
        Tally {
            lines,
            ..Tally::default()
        }
    }

    #[test]
    fn a_line_counts_for_a_minute() {
        let mut window = Window::default();
        let sums: Vec<u64> = (0..14)
            .map(|turn| {
                let now = Duration::from_secs(100 + turn * 10);
                let written = if turn == 0 || turn == 7 { 5 } else { 0 };
                window.push(now, lines(written));
                window.sum(now).lines
            })
            .collect();
        assert_eq!(sums, [5, 5, 5, 5, 5, 5, 0, 5, 5, 5, 5, 5, 5, 0]);
    }

    #[test]
    fn what_was_not_read_is_taken_for_more_of_the_same() {
        let mut tally = Tally {
            lines: 100,
            errors: 10,
            matches: vec![0, 1],
        };
        tally.scale(200, 1_000);
        assert_eq!(
            (tally.lines, tally.errors, tally.matches),
            (500, 50, vec![0, 5])
        );
    }
}
