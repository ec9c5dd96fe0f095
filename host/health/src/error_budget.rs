//! Error budgets: how fast a service uses up the failures that its objective allows.
//!
//! The budget is what may go unanswered of all the questions that its probes put within 30
//! days. What it is spent on is looked at over several windows, each a long and a short
//! one (Google's Site Reliability Workbook, chapter 5): the long one says that it matters,
//! the short one that it is going on. So a blip is not told, and a slow leak is.
//!
//! Shares are of the whole budget, and not of the questions that happened to be put within
//! a window: two failures in the first minute after a start are no rate of anything.

use std::{collections::VecDeque, time::Duration};

use prunella_core::{
    Timestamp,
    health::{
        Bucket, BucketSpan, BudgetRecord, ErrorBudgetHealth, Metric, Objective, Symptom,
        SymptomLevel,
    },
};

use crate::Now;

const MINUTES: u64 = 60;
const HOURS: u64 = 3_600;

/// Fewer failures are chance, however small the budget is.
const LEAST_FAILURES: u64 = 3;

/// A budget that is used up too fast.
struct Rule {
    level: SymptomLevel,
    /// Within so many seconds …
    long: u64,
    /// … and going on within the last so many …
    short: u64,
    /// … so many parts of a thousand of the budget are used up.
    spent_permille: u32,
    /// The long window for people.
    window: &'static str,
}

/// The worst first.
const RULES: [Rule; 4] = [
    Rule {
        level: SymptomLevel::Critical,
        long: HOURS,
        short: 5 * MINUTES,
        spent_permille: 20,
        window: "hour",
    },
    Rule {
        level: SymptomLevel::Critical,
        long: 6 * HOURS,
        short: 30 * MINUTES,
        spent_permille: 50,
        window: "6 hours",
    },
    Rule {
        level: SymptomLevel::Degraded,
        long: 24 * HOURS,
        short: 2 * HOURS,
        spent_permille: 100,
        window: "day",
    },
    Rule {
        level: SymptomLevel::Degraded,
        long: 72 * HOURS,
        short: 6 * HOURS,
        spent_permille: 100,
        window: "3 days",
    },
];

impl Rule {
    /// What share of the budget may be used up within so many seconds, at the same pace.
    fn share(&self, seconds: u64) -> f64 {
        f64::from(self.spent_permille) / 1_000.0 * as_f64(seconds) / as_f64(self.long)
    }
}

/// How many questions were put within a window, and what of that went unanswered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counted {
    asked: u64,
    unanswered: u64,
}

/// Counts of one length of buckets.
#[derive(Debug, Clone)]
struct Series {
    span: BucketSpan,
    /// By time, the newest last.
    buckets: VecDeque<Bucket>,
    /// The oldest one that was not stored as it is now.
    unsaved_from: Option<u64>,
}

impl Series {
    fn new(span: BucketSpan) -> Self {
        Self {
            span,
            buckets: VecDeque::new(),
            unsaved_from: None,
        }
    }

    fn at(&self, clock: Duration) -> u64 {
        clock.as_secs() / self.span.seconds()
    }

    fn count(&mut self, clock: Duration, answered: bool) {
        let at = self.at(clock);
        if self.buckets.back().is_none_or(|newest| newest.at < at) {
            self.buckets.push_back(Bucket {
                span: self.span,
                at,
                asked: 0,
                unanswered: 0,
            });
        }
        if let Some(newest) = self.buckets.back_mut() {
            newest.asked = newest.asked.saturating_add(1);
            newest.unanswered = newest.unanswered.saturating_add(u32::from(!answered));
        }
        self.unsaved_from.get_or_insert(at);
        while self
            .buckets
            .front()
            .is_some_and(|oldest| oldest.at + self.span.kept() <= at)
        {
            self.buckets.pop_front();
        }
    }

    fn within(&self, clock: Duration, seconds: u64) -> Counted {
        let count = seconds / self.span.seconds();
        let now = self.at(clock);
        let mut counted = Counted::default();
        for bucket in self
            .buckets
            .iter()
            .rev()
            .take_while(|bucket| bucket.at + count > now)
        {
            counted.asked += u64::from(bucket.asked);
            counted.unanswered += u64::from(bucket.unanswered);
        }
        counted
    }
}

/// What one service has used up.
#[derive(Debug, Clone)]
pub(crate) struct ErrorBudget {
    objective: Objective,
    /// How long ago counting began, by a clock that neither steps nor ends with a boot.
    clock: Duration,
    /// When that was, by the clock since boot.
    counted_at: Duration,
    series: [Series; 3],
    /// Since when each rule holds.
    since: [Option<Timestamp>; RULES.len()],
    /// So many questions are put within the 30 days.
    questions: f64,
}

impl ErrorBudget {
    /// One of which nothing is used up.
    pub(crate) fn new(objective: Objective, now: Now) -> Self {
        Self {
            objective,
            clock: Duration::ZERO,
            counted_at: now.since_boot,
            series: BucketSpan::ALL.map(Series::new),
            since: [None; RULES.len()],
            questions: 0.0,
        }
    }

    /// Goes on with what was stored, so long ago.
    pub(crate) fn going_on(mut self, now: Now, stored: BudgetRecord, away: Duration) -> Self {
        self.clock = stored.clock.saturating_add(away.min(Objective::PERIOD));
        self.counted_at = now.since_boot;
        for (since, stored) in self.since.iter_mut().zip(stored.since) {
            *since = stored;
        }
        let mut buckets = stored.buckets;
        buckets.sort_by_key(|bucket| bucket.at);
        for series in &mut self.series {
            let newest = series.at(self.clock);
            series.buckets = buckets
                .iter()
                .filter(|bucket| bucket.span == series.span)
                // What lies ahead is no past.
                .filter(|bucket| bucket.at <= newest)
                .filter(|bucket| bucket.at + series.span.kept() > newest)
                .copied()
                .collect();
        }
        self
    }

    /// Another share is to be answered from now on; what was counted stays.
    pub(crate) fn set_objective(&mut self, objective: Objective) {
        self.objective = objective;
    }

    /// The probes ask so many questions a second.
    pub(crate) fn set_rate(&mut self, per_second: f64) {
        self.questions = per_second * Objective::PERIOD.as_secs_f64();
    }

    /// A question was put, or should have been while the service was down.
    pub(crate) fn count(&mut self, now: Now, answered: bool) {
        self.pass_time(now);
        for series in &mut self.series {
            series.count(self.clock, answered);
        }
        self.judge(now);
    }

    fn pass_time(&mut self, now: Now) {
        self.clock += now.since_boot.saturating_sub(self.counted_at);
        self.counted_at = now.since_boot;
    }

    /// So many failures are allowed within the 30 days.
    fn budget(&self) -> f64 {
        self.objective.allowed_of(self.questions)
    }

    fn within(&self, seconds: u64) -> Counted {
        let series = self
            .series
            .iter()
            .find(|series| seconds <= series.span.seconds() * series.span.kept());
        series.map_or_else(Counted::default, |series| {
            series.within(self.clock, seconds)
        })
    }

    fn judge(&mut self, now: Now) {
        for (index, rule) in RULES.iter().enumerate() {
            let is_open = self.since.get(index).is_some_and(Option::is_some);
            let changes = if is_open {
                self.is_over(rule)
            } else {
                self.begins(rule)
            };
            if changes && let Some(since) = self.since.get_mut(index) {
                *since = (!is_open).then_some(now.at);
            }
        }
    }

    fn begins(&self, rule: &Rule) -> bool {
        let budget = self.budget();
        let (long, short) = (self.within(rule.long), self.within(rule.short));
        long.unanswered >= LEAST_FAILURES
            && as_f64(long.unanswered) >= rule.share(rule.long) * budget
            && short.unanswered > 0
            && as_f64(short.unanswered) >= rule.share(rule.short) * budget
    }

    /// Within half of the long window, less than half of what begins it was used up. What
    /// was not asked ends nothing.
    fn is_over(&self, rule: &Rule) -> bool {
        let half = rule.long / 2;
        let counted = self.within(half);
        let expected = self.questions * as_f64(half) / Objective::PERIOD.as_secs_f64();
        as_f64(counted.asked) >= expected / 2.0
            && as_f64(counted.unanswered) < rule.share(half) * self.budget() / 2.0
    }

    /// The worst of what holds.
    pub(crate) fn symptom(&self) -> Option<Symptom> {
        if self.questions <= 0.0 {
            return None;
        }
        let (rule, since) = RULES
            .iter()
            .zip(self.since)
            .find_map(|(rule, since)| Some((rule, since?)))?;
        let spent = self.permille(self.within(rule.long).unanswered);
        let metric = Metric::ErrorBudgetPermille;
        let left = match self.health().left_permille {
            0 => "nothing".to_owned(),
            left => metric.shown(left),
        };
        Some(Symptom {
            level: rule.level,
            metric,
            instance: None,
            value: spent,
            threshold: rule.spent_permille.into(),
            clear: u64::from(rule.spent_permille) / 2,
            since,
            confirmed: true,
            evidence: format!(
                "error budget: {} of 30 days' budget went in the last {}; {left} is left",
                metric.shown(spent),
                rule.window
            ),
        })
    }

    /// What is left of it.
    pub(crate) fn health(&self) -> ErrorBudgetHealth {
        let spent = self.permille(self.within(Objective::PERIOD.as_secs()).unanswered);
        ErrorBudgetHealth {
            objective: self.objective,
            left_permille: 1_000_u64.saturating_sub(spent),
        }
    }

    /// So many failures, in parts of a thousand of the budget.
    fn permille(&self, failures: u64) -> u64 {
        let budget = self.budget();
        if failures == 0 || budget <= 0.0 {
            return 0;
        }
        // A budget below a single failure is used up by it many times over.
        let permille = (as_f64(failures) * 1_000.0 / budget).min(1_000_000.0);
        rounded(permille)
    }

    /// What has changed since it was stored; nothing, when nothing was counted.
    pub(crate) fn unsaved(&self) -> Option<BudgetRecord> {
        let changed: Vec<Bucket> = self
            .series
            .iter()
            .flat_map(|series| {
                let from = series.unsaved_from.unwrap_or(u64::MAX);
                series.buckets.iter().filter(move |one| one.at >= from)
            })
            .copied()
            .collect();
        (!changed.is_empty()).then(|| BudgetRecord {
            clock: self.clock,
            since: self.since.to_vec(),
            buckets: changed,
        })
    }

    /// What was unsaved at `clock` is stored. The latest buckets may have grown meanwhile.
    pub(crate) fn saved(&mut self, clock: Duration) {
        for series in &mut self.series {
            series.unsaved_from = Some(series.at(clock));
        }
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts of questions are far below 2^52"
)]
fn as_f64(number: u64) -> f64 {
    number as f64
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it lies between 0 and a million"
)]
fn rounded(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests;
