//! How many of the questions within a window went unanswered.

use std::{collections::VecDeque, time::Duration};

use crate::Now;

/// Of fewer questions a share says nothing.
const LEAST_QUESTIONS: usize = 10;

/// Fewer failures are no share of anything: chance.
const LEAST_FAILURES: usize = 3;

/// The questions of a window.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rate {
    /// When each was asked, and whether it went unanswered; the oldest first.
    asked: VecDeque<(Now, bool)>,
    /// What was recorded of it, where it is played again.
    recorded: Option<Share>,
}

/// A share of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) permille: u64,
    /// Whether there are failures enough to begin a symptom.
    pub(crate) opens: bool,
}

impl Rate {
    pub(crate) fn add(&mut self, now: Now, failed: bool, window: Duration) {
        self.asked.push_back((now, failed));
        while self
            .asked
            .front()
            .is_some_and(|(at, _)| now.since(*at) > window)
        {
            self.asked.pop_front();
        }
    }

    /// This was recorded, of about so many questions; nothing, where they were too few.
    pub(crate) fn record(&mut self, permille: Option<u64>, asked: u64) {
        self.recorded = permille.map(|permille| Share {
            permille,
            opens: permille.saturating_mul(asked) / 1_000 >= LEAST_FAILURES as u64,
        });
    }

    /// The share; nothing, while there are too few questions.
    pub(crate) fn share(&self) -> Option<Share> {
        if self.recorded.is_some() {
            return self.recorded;
        }
        let asked = self.asked.len();
        if asked < LEAST_QUESTIONS {
            return None;
        }
        let failures = self.asked.iter().filter(|(_, failed)| *failed).count();
        Some(Share {
            permille: u64::try_from(failures * 1_000 / asked).unwrap_or(u64::MAX),
            opens: failures >= LEAST_FAILURES,
        })
    }

    pub(crate) fn clear(&mut self) {
        self.asked.clear();
        self.recorded = None;
    }
}
