//! Budgets by example, and what holds whatever comes.

use rstest::rstest;

use super::*;

/// Between two questions. With 99 %, 432 of the 43,200 questions of 30 days may go
/// unanswered.
const INTERVAL: u64 = 60;
const BUDGET: f64 = 432.0;

const DAY: u64 = 24 * HOURS;

fn objective() -> Objective {
    Objective::answering(990_000).unwrap()
}

/// A budget on a clock of its own, and all that was counted.
struct Run {
    budget: ErrorBudget,
    now: Now,
    /// When each question went unanswered, in seconds.
    failures: Vec<u64>,
}

impl Run {
    fn new() -> Self {
        let now = Now {
            since_boot: Duration::from_secs(1_000),
            at: Timestamp::from_millis(1_000_000),
        };
        let mut budget = ErrorBudget::new(objective(), now);
        budget.set_rate(1.0 / as_f64(INTERVAL));
        Self {
            budget,
            now,
            failures: Vec::new(),
        }
    }

    fn pass(&mut self, seconds: u64) {
        let span = Duration::from_secs(seconds);
        self.now.since_boot += span;
        self.now.at = self.now.at.saturating_add(span);
    }

    fn count(&mut self, answered: bool) {
        self.pass(INTERVAL);
        if !answered {
            self.failures.push(self.now.since_boot.as_secs());
        }
        self.budget.count(self.now, answered);
    }

    fn counts(&mut self, count: u64, answered: bool) {
        for _ in 0..count {
            self.count(answered);
        }
    }

    /// So much of the budget went within so many seconds, counted anew.
    fn spent(&self, seconds: u64) -> f64 {
        let from = self.now.since_boot.as_secs().saturating_sub(seconds);
        let failures = self.failures.iter().filter(|at| **at > from).count();
        as_f64(failures.try_into().unwrap()) / BUDGET
    }

    fn level(&self) -> Option<SymptomLevel> {
        self.budget.symptom().map(|symptom| symptom.level)
    }

    /// A new process goes on with what was stored, after so long.
    fn restart(&mut self, away: u64, stored: &mut BudgetRecord) {
        if let Some(unsaved) = self.budget.unsaved() {
            self.budget.saved(unsaved.clock);
            stored.clock = unsaved.clock;
            stored.since.clone_from(&unsaved.since);
            for bucket in unsaved.buckets {
                let same = |one: &Bucket| (one.span, one.at) == (bucket.span, bucket.at);
                stored.buckets.retain(|one| !same(one));
                stored.buckets.push(bucket);
            }
        }
        self.pass(away);
        self.budget = ErrorBudget::new(objective(), self.now).going_on(
            self.now,
            stored.clone(),
            Duration::from_secs(away),
        );
        self.budget.set_rate(1.0 / as_f64(INTERVAL));
    }
}

/// Numbers that look like chance, and are the same at each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Runs of answers and of failures, so that all rules have something to do.
fn answers(seed: u64, count: usize) -> Vec<bool> {
    let mut numbers = Numbers(seed);
    let mut answers = Vec::new();
    while answers.len() < count {
        let length = 1 + numbers.below(90);
        let failing = [0, 1, 2, 10, 50][usize::try_from(numbers.below(5)).unwrap()];
        for _ in 0..length * (1 + numbers.below(6)) {
            answers.push(numbers.below(100) >= failing);
        }
    }
    answers
}

#[test]
fn an_outage_is_told_at_once_and_over_when_the_service_is_well_for_half_an_hour() {
    let mut run = Run::new();
    run.counts(600, true);
    assert_eq!(run.budget.symptom(), None);
    // 2 % of the budget are 8.6 failures.
    run.counts(8, false);
    assert_eq!(run.budget.symptom(), None);
    run.count(false);
    let symptom = run.budget.symptom().unwrap();
    assert_eq!(symptom.level, SymptomLevel::Critical);
    assert_eq!(symptom.metric, Metric::ErrorBudgetPermille);
    assert_eq!((symptom.value, symptom.threshold), (21, 20));
    assert_eq!(
        symptom.evidence,
        "error budget: 2.1 % of 30 days' budget went in the last hour; 97.9 % is left"
    );
    run.counts(20, true);
    assert_eq!(run.level(), Some(SymptomLevel::Critical));
    run.counts(10, true);
    assert_eq!(run.level(), None);
    assert_eq!(run.budget.health().left_permille, 979);
}

#[rstest]
// A whole budget in 30 days is what is allowed, and one in 40 days is less.
#[case::as_allowed(100, None)]
#[case::leak(80, Some(SymptomLevel::Degraded))]
#[case::faster(30, Some(SymptomLevel::Degraded))]
#[case::page(14, Some(SymptomLevel::Critical))]
fn a_leak_is_told(#[case] one_in: u64, #[case] level: Option<SymptomLevel>) {
    let mut run = Run::new();
    let mut worst = None;
    for number in 1..=5 * DAY / INTERVAL {
        run.count(number % one_in != 0);
        worst = worst.min(run.level()).or(run.level());
    }
    // A leak of just what is allowed is on the line of the longest rule.
    if one_in != 100 {
        assert_eq!(worst, level);
        assert_eq!(run.level(), level, "and it stays told while it leaks");
    } else {
        assert_ne!(worst, Some(SymptomLevel::Critical));
    }
}

#[test]
fn a_blip_is_not_told_however_small_the_budget_is() {
    let mut run = Run::new();
    run.budget
        .set_objective(Objective::answering(999_990).unwrap());
    for _ in 0..20 {
        run.counts(2, false);
        run.counts(4 * DAY / INTERVAL, true);
        assert_eq!(run.budget.symptom(), None);
    }
    assert_eq!(run.budget.health().left_permille, 0);
    run.counts(3, false);
    let evidence = run.budget.symptom().unwrap().evidence;
    assert!(evidence.ends_with("; nothing is left"), "{evidence}");
}

#[test]
fn nothing_is_told_that_was_not_used_up() {
    let mut begun = 0;
    for seed in 0..20 {
        let mut run = Run::new();
        let mut was = None;
        for answered in answers(seed, 6_000) {
            run.count(answered);
            let symptom = run.budget.symptom();
            if let Some(symptom) = &symptom
                && was
                    .as_ref()
                    .is_none_or(|was: &Symptom| was.threshold != symptom.threshold)
                && symptom.since == run.now.at
            {
                let enough = RULES.iter().any(|rule| {
                    run.spent(rule.long) >= f64::from(rule.spent_permille) / 1_000.0
                        && run.spent(rule.short) > 0.0
                });
                assert!(enough, "seed {seed}: {symptom:?}");
                begun += 1;
            }
            was = symptom;
        }
    }
    assert!(begun > 50, "{begun}");
}

#[test]
fn what_is_not_asked_ends_nothing() {
    for (seed, hours) in [(1, 1), (2, 5), (3, 40), (4, 200)] {
        let mut run = Run::new();
        run.counts(600, true);
        run.counts(30 + seed, false);
        let before = run.level();
        assert!(before.is_some());
        run.pass(hours * HOURS);
        run.count(true);
        assert_eq!(run.level(), before, "after {hours} hours");
    }
}

/// Symptoms begin as often, and the budget is the same, however often a process ends.
#[test]
fn restarts_change_nothing() {
    for seed in 0..10 {
        let (mut whole, mut parts) = (Run::new(), Run::new());
        let mut stored = BudgetRecord::default();
        let mut numbers = Numbers(seed);
        let mut told = 0;
        for answered in answers(seed, 4_000) {
            whole.count(answered);
            parts.count(answered);
            if numbers.below(40) == 0 {
                parts.restart(0, &mut stored);
            }
            assert_eq!(
                whole.budget.symptom(),
                parts.budget.symptom(),
                "seed {seed}"
            );
            assert_eq!(whole.budget.health(), parts.budget.health(), "seed {seed}");
            told += u32::from(whole.budget.symptom().is_some());
        }
        assert!(told > 0, "seed {seed}");
    }
}

#[test]
fn a_long_absence_is_no_failure_and_a_month_ends_what_was_counted() {
    let mut run = Run::new();
    let mut stored = BudgetRecord::default();
    run.counts(100, true);
    run.counts(5, false);
    let left = run.budget.health().left_permille;
    run.restart(20 * DAY, &mut stored);
    assert_eq!(run.budget.health().left_permille, left);
    run.counts(1, true);
    assert_eq!(run.budget.symptom(), None);
    run.restart(400 * DAY, &mut stored);
    assert_eq!(run.budget.health().left_permille, 1_000);
}

#[test]
fn steps_of_the_wall_clock_change_nothing() {
    let (mut steady, mut stepping) = (Run::new(), Run::new());
    let mut numbers = Numbers(7);
    for answered in answers(7, 4_000) {
        steady.count(answered);
        stepping.now.at = Timestamp::from_millis(numbers.below(u64::MAX >> 40));
        stepping.count(answered);
        assert_eq!(steady.level(), stepping.level());
        assert_eq!(steady.budget.health(), stepping.budget.health());
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let mut run = Run::new();
    run.counts(40 * DAY / INTERVAL, true);
    let kept: usize = run.budget.series.iter().map(|one| one.buckets.len()).sum();
    assert!(kept <= 60 + 144 + 360, "{kept}");
}
