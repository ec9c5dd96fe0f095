//! The rules, each by example, and what holds whatever comes.

use std::{collections::BTreeMap, time::Duration};

use prunella_core::{
    Timestamp, UnitName,
    health::{ExpectedWork, HealthSettings, HealthState, Metric, Symptom, SymptomLevel},
};
use rstest::rstest;

use crate::{
    CLOSE_AFTER, IncidentEvent, Now, OPEN_AFTER, Observed, PauseUntil, ProbeSettings, Sample,
    Standing, Tracker,
};

const HOLD: Duration = Duration::from_secs(30);

const INTERVAL: Duration = Duration::from_secs(10);

fn settings() -> HealthSettings {
    HealthSettings::default()
}

fn probes() -> BTreeMap<String, ProbeSettings> {
    let probe = ProbeSettings {
        question: "front".into(),
        interval: INTERVAL,
        timeout: Duration::from_secs(5),
        failure_threshold: 3,
    };
    BTreeMap::from([("front".to_owned(), probe)])
}

/// A tracker on a clock of its own.
struct Run {
    tracker: Tracker,
    now: Now,
    changes: Vec<(Now, HealthState)>,
    told_flapping: usize,
    began_degradation: usize,
}

impl Run {
    /// With one probe, `front`, of an unit that is up.
    fn new() -> Self {
        let mut run = Self::of(probes());
        run.unit(Standing::Up);
        run
    }

    fn of(probes: BTreeMap<String, ProbeSettings>) -> Self {
        let now = Now {
            since_boot: Duration::from_secs(1_000),
            at: Timestamp::from_millis(1_000_000),
        };
        let unit = UnitName::new("web.service").unwrap();
        Self {
            tracker: Tracker::new(unit, settings(), probes, now, "the daemon has just begun"),
            now,
            changes: Vec::new(),
            told_flapping: 0,
            began_degradation: 0,
        }
    }

    fn note(&mut self, observed: Observed) {
        if let Some(transition) = observed.transition {
            let before = self.changes.last().map_or(transition.from, |last| last.1);
            assert_eq!(transition.from, before);
            assert_ne!(transition.from, transition.to);
            assert!(!transition.evidence.is_empty());
            self.changes.push((self.now, transition.to));
        }
        self.told_flapping += usize::from(observed.began_flapping.is_some());
        self.began_degradation += usize::from(observed.began_degradation);
    }

    fn ran(&mut self, invocation: &str) {
        let observed = self.tracker.run(self.now, Some(invocation));
        self.note(observed);
    }

    fn wait(&mut self, span: Duration) {
        self.now.since_boot += span;
        self.now.at = self.now.at.saturating_add(span);
    }

    fn unit(&mut self, standing: Standing) {
        let observed = self.tracker.unit(self.now, standing);
        self.note(observed);
    }

    fn incident(&mut self, event: IncidentEvent) {
        let observed = self.tracker.incident(self.now, event);
        self.note(observed);
    }

    fn look(&mut self) {
        let observed = self.tracker.look(self.now);
        self.note(observed);
    }

    /// The probe's turn comes, after its interval.
    fn sample(&mut self, sample: Sample) {
        self.wait(INTERVAL);
        let observed = self.tracker.probe(self.now, "front", sample);
        self.note(observed);
    }

    fn took(&mut self, milliseconds: u64) {
        self.sample(Sample::Answered {
            took: Duration::from_millis(milliseconds),
        });
    }

    fn unanswered(&mut self) {
        self.sample(Sample::Unanswered {
            why: "connection refused".into(),
        });
    }

    fn state(&self) -> HealthState {
        self.tracker.health().state
    }

    fn evidence(&self) -> String {
        self.tracker.health().evidence
    }
}

#[test]
fn slow_answers_degrade_after_their_time_and_fast_ones_clear_after_theirs() {
    let mut run = Run::new();
    run.took(20);
    assert_eq!(run.state(), HealthState::Healthy);
    for _ in 0..3 {
        run.took(1_000);
        assert_eq!(run.state(), HealthState::Healthy);
    }
    run.took(1_502);
    assert_eq!(run.state(), HealthState::Degraded);
    let health = run.tracker.health();
    assert_eq!(health.symptoms.len(), 1);
    let symptom = &health.symptoms[0];
    assert_eq!(symptom.metric, Metric::LatencyMs);
    assert_eq!(
        (symptom.value, symptom.threshold, symptom.clear),
        (1_502, 1_000, 800)
    );
    assert_eq!(run.now.at.since(symptom.since), HOLD);
    assert_eq!(
        health.evidence,
        "probe `front` took 1,502 ms to answer, with a limit of 1,000 ms"
    );
    for _ in 0..3 {
        run.took(800);
        assert_eq!(run.state(), HealthState::Degraded);
    }
    run.took(30);
    assert_eq!(run.state(), HealthState::Healthy);
    assert!(run.tracker.health().symptoms.is_empty());
}

/// What is slow by turns is never three times slow in a row.
#[rstest]
#[case::two_of_three(&[5_000, 5_000, 900], 8)]
#[case::every_second(&[5_000, 20], 11)]
#[case::every_third(&[5_000, 20, 20], 16)]
fn what_is_slow_again_and_again_degrades(#[case] turns: &[u64], #[case] after: usize) {
    let mut run = Run::new();
    let turns: Vec<u64> = turns.iter().copied().cycle().take(100).collect();
    let mut degraded_after = None;
    for (before, took) in turns.iter().enumerate() {
        run.took(*took);
        let is_degraded = run.state() == HealthState::Degraded;
        degraded_after = degraded_after.or(is_degraded.then_some(before + 1));
        // It does not flap.
        assert_eq!(is_degraded, degraded_after.is_some());
    }
    assert_eq!(degraded_after, Some(after));
    // Of the answer that was slow, and not of the one that came last.
    assert_eq!(run.tracker.health().symptoms[0].value, 5_000);
    assert_eq!(
        run.evidence(),
        "probe `front` took 5,000 ms to answer again and again, with a limit of 1,000 ms"
    );
    for _ in 0..4 {
        run.took(20);
    }
    assert_eq!(run.state(), HealthState::Healthy);
}

#[rstest]
#[case::every_fourth(&[5_000, 20, 20, 20])]
#[case::two_of_five(&[5_000, 5_000, 20, 20, 20])]
#[case::three_at_once_within_a_shorter_time(&[5_000, 5_000, 5_000, 20, 20, 20])]
fn what_is_seldom_slow_does_not_degrade(#[case] turns: &[u64]) {
    let mut run = Run::new();
    for took in turns.iter().copied().cycle().take(300) {
        run.took(took);
        assert_eq!(run.state(), HealthState::Healthy);
    }
}

/// Fifty services of which one answer in twenty is slow by chance are told less than once in
/// three days.
#[test]
fn chance_makes_no_degradation() {
    let mut began = 0;
    for seed in 0..50 {
        let mut numbers = Numbers(seed);
        let mut run = Run::new();
        for _ in 0..25_920 {
            run.took(if numbers.below(20) == 0 { 5_000 } else { 20 });
        }
        began += run.began_degradation;
    }
    assert!(began < 50, "{began}");
}

/// One fast answer among slow ones makes it no later than if nothing was slow before.
#[test]
fn one_fast_answer_begins_the_row_anew() {
    let mut run = Run::new();
    run.took(5_000);
    run.took(5_000);
    run.took(20);
    for _ in 0..3 {
        run.took(5_000);
        assert_eq!(run.state(), HealthState::Healthy);
    }
    run.took(5_000);
    assert_eq!(run.state(), HealthState::Degraded);
}

#[test]
fn a_gap_is_no_time_that_a_condition_held() {
    let mut run = Run::new();
    run.took(5_000);
    run.took(5_000);
    run.wait(Duration::from_secs(3_600));
    run.took(5_000);
    run.took(5_000);
    run.took(5_000);
    assert_ne!(run.state(), HealthState::Degraded);
    run.took(5_000);
    assert_eq!(run.state(), HealthState::Degraded);
    // Nor does it heal, or hide, what held before it.
    run.wait(Duration::from_secs(3_600));
    run.look();
    assert_eq!(run.state(), HealthState::Degraded);
    run.took(10);
    assert_eq!(run.state(), HealthState::Degraded);
}

#[test]
fn the_wall_clock_may_step() {
    let mut run = Run::new();
    run.took(20);
    for step in [1, 90_000_000, 5] {
        run.now.at = Timestamp::from_millis(step);
        run.took(5_000);
    }
    assert_eq!(run.state(), HealthState::Healthy);
    run.took(5_000);
    assert_eq!(run.state(), HealthState::Degraded);
}

#[test]
fn three_unanswered_in_a_row_fail_and_two_answers_close() {
    let mut run = Run::new();
    run.took(20);
    assert_eq!(
        run.evidence(),
        "its unit is up, and probe `front` answers in 20 ms"
    );
    run.unanswered();
    run.unanswered();
    assert_eq!(
        run.evidence(),
        "its unit is up, and probe `front` was not answered the last time; 3 times in a row are a \
         failure"
    );
    run.took(20);
    run.unanswered();
    run.unanswered();
    assert_eq!(run.state(), HealthState::Healthy);
    run.unanswered();
    assert_eq!(run.state(), HealthState::Failed);
    assert_eq!(
        run.evidence(),
        "probe `front` goes unanswered: connection refused"
    );
    run.took(20);
    run.unanswered();
    run.took(20);
    assert_eq!(run.state(), HealthState::Failed);
    run.took(20);
    assert_eq!(run.state(), HealthState::Healthy);
}

#[test]
fn what_was_not_asked_is_in_no_row() {
    let mut run = Run::new();
    run.took(20);
    for _ in 0..5 {
        run.unanswered();
        run.unanswered();
        run.sample(Sample::NotAsked);
    }
    assert_eq!(run.state(), HealthState::Healthy);
}

/// When each `nth` question goes unanswered; the window holds 31.
#[rstest]
#[case::rare(25, HealthState::Healthy)]
#[case::two_are_chance(15, HealthState::Healthy)]
#[case::more_than_a_tenth(7, HealthState::Failed)]
fn the_error_rate_fails(#[case] nth: usize, #[case] worst: HealthState) {
    let mut run = Run::new();
    for number in 1..=120 {
        if number % nth == 0 {
            run.unanswered();
        } else {
            run.took(20);
        }
    }
    let found = run.changes.iter().map(|(_, state)| *state).min();
    assert_eq!(found, Some(worst), "{:?}", run.changes);
    assert_eq!(run.state(), worst);
}

#[test]
fn an_error_rate_has_two_levels_and_clears_below_the_lower() {
    let mut run = Run::new();
    let long = Duration::from_secs(3_600);
    let mut settings = settings();
    settings.error_rate.window = long;
    let observed = run.tracker.declare(run.now, settings, probes());
    run.note(observed);
    for _ in 0..40 {
        run.took(20);
    }
    // 3 of 60 at the end: five in a hundred.
    for _ in 0..3 {
        run.unanswered();
        for _ in 0..6 {
            run.took(20);
        }
    }
    assert_eq!(run.state(), HealthState::Degraded, "{:?}", run.changes);
    let symptom = run.tracker.health().symptoms[0].clone();
    assert_eq!(symptom.level, SymptomLevel::Degraded);
    assert_eq!((symptom.threshold, symptom.clear), (50, 20));
    for _ in 0..6 {
        run.unanswered();
        run.took(20);
    }
    assert_eq!(run.state(), HealthState::Failed, "{:?}", run.changes);
    // 9 of 181 are less than 5 %, 9 of 450 no more than 2 %.
    for _ in 0..120 {
        run.took(20);
    }
    assert_eq!(run.state(), HealthState::Degraded, "{:?}", run.changes);
    for _ in 0..360 {
        run.took(20);
    }
    assert_eq!(run.state(), HealthState::Healthy, "{:?}", run.changes);
}

#[test]
fn without_data_it_is_unknown_and_a_symptom_stays() {
    let mut run = Run::new();
    assert_eq!(run.state(), HealthState::Unknown);
    assert_eq!(run.evidence(), "probe `front` has not been asked yet");
    run.took(20);
    run.wait(3 * INTERVAL);
    run.look();
    assert_eq!(run.state(), HealthState::Healthy);
    run.wait(Duration::from_secs(1));
    run.look();
    assert_eq!(run.state(), HealthState::Unknown);
    assert_eq!(run.evidence(), "nothing was heard of probe `front` for 30s");
    run.took(20);
    assert_eq!(run.state(), HealthState::Healthy);
}

#[test]
fn a_probe_that_was_never_answered_tells_nothing() {
    let mut run = Run::new();
    for _ in 0..10 {
        run.sample(Sample::NeverAnswered);
        assert_eq!(run.state(), HealthState::Unknown);
    }
    assert!(run.evidence().contains("never been answered"));
    run.took(20);
    assert_eq!(run.state(), HealthState::Healthy);
}

#[test]
fn a_service_without_probes_is_as_its_unit_is() {
    let mut run = Run::of(BTreeMap::new());
    assert_eq!(run.state(), HealthState::Unknown);
    run.unit(Standing::Starting);
    assert_eq!(run.state(), HealthState::Unknown);
    run.unit(Standing::Up);
    assert_eq!(run.state(), HealthState::Healthy);
    run.unit(Standing::Failed("it exited with 1".into()));
    assert_eq!(
        (run.state(), run.evidence().as_str()),
        (HealthState::Failed, "it exited with 1")
    );
    run.unit(Standing::Up);
    let observed = run.tracker.stopped(run.now);
    run.note(observed);
    assert_eq!(run.state(), HealthState::Stopped);
    assert_eq!(run.evidence(), "an operator stopped it");
    let observed = run.tracker.unit_unknown(run.now, "the system bus is gone");
    run.note(observed);
    assert_eq!(run.state(), HealthState::Unknown);
}

#[test]
fn an_incident_fails_heals_and_is_proven() {
    let mut run = Run::new();
    run.took(20);
    for _ in 0..3 {
        run.unanswered();
    }
    run.incident(IncidentEvent::Opened("it does not answer".into()));
    assert_eq!(run.state(), HealthState::Failed);
    run.incident(IncidentEvent::Healing("service-restart heals it".into()));
    assert_eq!(run.state(), HealthState::Recovering);
    run.unit(Standing::Starting);
    run.unit(Standing::Up);
    assert_eq!(run.state(), HealthState::Recovering);
    // Its start takes longer than usual.
    run.incident(IncidentEvent::Waits("it waits".into()));
    assert_eq!(run.state(), HealthState::Recovering);
    run.incident(IncidentEvent::Proven);
    assert_eq!(run.state(), HealthState::Recovering);
    run.incident(IncidentEvent::Resolved("service-restart healed it".into()));
    assert_eq!(run.state(), HealthState::Healthy);
    assert_eq!(run.evidence(), "service-restart healed it");
    let states: Vec<_> = run.changes.iter().map(|(_, state)| *state).collect();
    use HealthState::*;
    assert_eq!(states, [Unknown, Healthy, Failed, Recovering, Healthy][1..]);
    // What went unanswered before is no error rate after.
    for _ in 0..30 {
        run.took(20);
    }
    assert_eq!(run.state(), HealthState::Healthy);
}

#[test]
fn what_nobody_healed_stays_failed_until_it_is_up() {
    let mut run = Run::of(BTreeMap::new());
    run.unit(Standing::Up);
    run.incident(IncidentEvent::Opened("it ended".into()));
    run.unit(Standing::Down);
    run.incident(IncidentEvent::Unresolved("handed to people".into()));
    assert_eq!(
        (run.state(), run.evidence().as_str()),
        (HealthState::Failed, "handed to people")
    );
    run.unit(Standing::Up);
    assert_eq!(run.state(), HealthState::Healthy);
}

/// After a reboot an incident ends because the unit is up, and its probe was not asked.
#[test]
fn an_end_without_proof_is_no_evidence() {
    let mut run = Run::new();
    run.took(20);
    run.incident(IncidentEvent::Opened("it crashed".into()));
    run.wait(Duration::from_secs(60));
    run.incident(IncidentEvent::Resolved("the host was rebooted".into()));
    assert_eq!(run.state(), HealthState::Unknown);
}

#[test]
fn a_healing_that_came_to_nothing_is_failed_until_the_next_begins() {
    let mut run = Run::of(BTreeMap::new());
    run.unit(Standing::Up);
    for event in [
        IncidentEvent::Opened("it crashed".into()),
        IncidentEvent::Healing("a heals it".into()),
        IncidentEvent::Opened("it did not become well".into()),
        IncidentEvent::Waits("the budget spaces healings out".into()),
        IncidentEvent::Healing("b heals it".into()),
    ] {
        run.incident(event);
    }
    let states: Vec<_> = run.changes.iter().map(|(_, state)| *state).collect();
    use HealthState::*;
    assert_eq!(states, [Healthy, Failed, Recovering, Failed, Recovering]);
}

/// One that ended with success, and was handed to people, has not been stopped because a
/// daemon comes back.
#[test]
fn a_daemon_that_comes_back_knows_failures_from_stops() {
    let restarted = |before: Run| {
        let mut run = Run::of(BTreeMap::new());
        run.now = before.now;
        run.tracker = run.tracker.carrying_on(run.now, &before.tracker.health());
        run.unit(Standing::Down);
        assert!(run.changes.is_empty(), "{:?}", run.changes);
        run
    };
    let mut before = Run::of(BTreeMap::new());
    before.unit(Standing::Up);
    before.incident(IncidentEvent::Opened("it ended".into()));
    before.incident(IncidentEvent::Unresolved("handed to people".into()));
    before.unit(Standing::Down);
    assert_eq!(restarted(before).evidence(), "handed to people");

    let mut before = Run::of(BTreeMap::new());
    let observed = before.tracker.stopped(before.now);
    before.note(observed);
    assert_eq!(restarted(before).evidence(), "an operator stopped it");
}

#[test]
fn a_proof_does_not_measure() {
    let mut run = Run::new();
    for _ in 0..4 {
        run.took(5_000);
    }
    run.incident(IncidentEvent::Opened("it crashed".into()));
    run.incident(IncidentEvent::Healing("x".into()));
    run.incident(IncidentEvent::Proven);
    run.incident(IncidentEvent::Resolved("healed".into()));
    assert_eq!(run.state(), HealthState::Degraded);
}

#[test]
fn another_run_has_to_be_measured_anew() {
    let mut run = Run::new();
    run.ran("first");
    for _ in 0..4 {
        run.took(1_500);
    }
    assert_eq!(run.began_degradation, 1);
    assert!(run.tracker.is_degraded());

    // Slow or not, nobody knows yet; the symptom holds until it has cleared.
    run.ran("second");
    assert_eq!(run.state(), HealthState::Degraded);
    assert!(!run.tracker.is_degraded());
    assert!(!run.tracker.health().symptoms[0].confirmed);
    run.took(1_500);
    run.took(1_500);
    assert!(!run.tracker.is_degraded(), "not for long enough");
    run.took(1_500);
    run.took(1_500);
    assert!(run.tracker.is_degraded());
    assert_eq!(run.began_degradation, 2);

    run.ran("third");
    for _ in 0..4 {
        run.took(10);
    }
    assert_eq!(run.state(), HealthState::Healthy);
    assert!(!run.tracker.is_degraded());
    assert_eq!(run.began_degradation, 2);
}

/// A warm-up, a deploy, a restart by an operator.
#[test]
fn a_run_that_is_slow_for_a_while_after_its_start_is_not_degraded() {
    let mut run = Run::new();
    run.ran("first");
    run.took(1_500);
    run.took(1_500);
    run.took(1_500);
    run.ran("second");
    run.took(1_500);
    run.took(1_500);
    run.took(10);
    assert_eq!(run.state(), HealthState::Healthy);
    assert_eq!(run.began_degradation, 0);
}

#[test]
fn what_has_cleared_is_remembered_with_its_worst_value() {
    let mut run = Run::new();
    for took in [1_200, 1_200, 1_200, 2_345, 1_100] {
        run.took(took);
    }
    let open = run.tracker.health().episodes;
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].worst, open[0].cleared), (2_345, None));
    for _ in 0..4 {
        run.took(10);
    }
    let over = run.tracker.health().episodes;
    assert_eq!(over[0].worst, 2_345);
    let cleared = over[0].cleared.unwrap();
    assert!(cleared > over[0].symptom.since && cleared <= run.now.at);
    // Not for ever.
    run.wait(Duration::from_secs(31 * 60));
    run.took(10);
    assert_eq!(run.tracker.health().episodes, []);
}

#[test]
fn what_is_held_is_no_degradation() {
    let mut run = Run::new();
    run.tracker.pause(
        run.now,
        Some(PauseUntil {
            why: "it is paused".into(),
            until: None,
        }),
    );
    for _ in 0..4 {
        run.took(1_500);
    }
    assert!(!run.tracker.is_degraded());
    let observed = run.tracker.pause(run.now, None);
    assert!(observed.began_degradation);
    assert!(run.tracker.is_degraded());
}

#[test]
fn a_pause_stands_over_all_and_ends_by_the_clock() {
    let mut run = Run::new();
    run.took(20);
    let pause = PauseUntil {
        why: "paused by root: upgrade".into(),
        until: Some(run.now.at.saturating_add(Duration::from_secs(60))),
    };
    let observed = run.tracker.pause(run.now, Some(pause));
    run.note(observed);
    assert_eq!(run.state(), HealthState::Paused);
    for _ in 0..3 {
        run.unanswered();
    }
    assert_eq!(run.state(), HealthState::Paused);
    run.wait(Duration::from_secs(30));
    run.look();
    assert_eq!(run.state(), HealthState::Failed);
}

#[test]
fn flapping_is_said_once_until_it_is_calm() {
    let mut run = Run::of(BTreeMap::new());
    let flap = |run: &mut Run, times: usize| {
        for _ in 0..times {
            run.wait(Duration::from_secs(60));
            run.unit(Standing::Failed("it crashed".into()));
            run.unit(Standing::Up);
        }
    };
    run.unit(Standing::Up);
    flap(&mut run, 2);
    assert_eq!(
        (run.told_flapping, run.tracker.health().flapping),
        (0, None)
    );
    flap(&mut run, 5);
    assert_eq!(run.told_flapping, 1);
    let flapping = run.tracker.health().flapping.unwrap();
    assert_eq!(flapping.changes, 14);
    run.wait(Duration::from_secs(31 * 60));
    run.look();
    assert_eq!(run.tracker.health().flapping, None);
    flap(&mut run, 3);
    assert_eq!(run.told_flapping, 2);
}

fn expected(run: &Run, span: Duration, metrics: &[Metric]) -> ExpectedWork {
    ExpectedWork {
        unit: UnitName::new("web.service").unwrap(),
        since: run.now.at,
        until: run.now.at.saturating_add(span),
        reason: "backup".to_owned(),
        by: "me".to_owned(),
        metrics: metrics.to_vec(),
    }
}

#[test]
fn expected_work_begins_no_symptom_and_what_goes_on_after_it_does() {
    let mut run = Run::new();
    run.took(20);
    let work = expected(&run, INTERVAL * 20, &[Metric::LatencyMs]);
    let observed = run.tracker.expect_work(run.now, Some(work));
    run.note(observed);
    for _ in 0..19 {
        run.took(1_500);
        assert_eq!(run.state(), HealthState::Healthy);
        assert!(run.tracker.health().expected_work.is_some());
    }
    // It is over: from here on it has to hold for as long as ever.
    run.took(1_500);
    assert_eq!(run.tracker.health().expected_work, None);
    assert_eq!(run.state(), HealthState::Healthy);
    for _ in 0..3 {
        run.took(1_500);
    }
    assert_eq!(run.state(), HealthState::Degraded);
}

#[test]
fn expected_work_ends_no_symptom_that_holds_and_lets_it_clear() {
    let mut run = Run::new();
    for _ in 0..5 {
        run.took(1_500);
    }
    assert_eq!(run.state(), HealthState::Degraded);
    let work = expected(&run, INTERVAL * 100, &[Metric::LatencyMs]);
    let observed = run.tracker.expect_work(run.now, Some(work));
    run.note(observed);
    run.took(1_500);
    assert_eq!(run.state(), HealthState::Degraded);
    for _ in 0..5 {
        run.took(20);
    }
    assert_eq!(run.state(), HealthState::Healthy);
    // Another metric, and that it goes unanswered, count as ever.
    for _ in 0..3 {
        run.unanswered();
    }
    assert_eq!(run.state(), HealthState::Failed);
}

#[test]
fn flapping_is_what_the_operator_says() {
    let mut run = Run::new();
    let mut settings = settings();
    settings.flapping.changes = 4;
    settings.flapping.within = Duration::from_secs(600);
    let observed = run.tracker.declare(run.now, settings, probes());
    run.note(observed);
    let mut changes = 0;
    while run.told_flapping == 0 {
        for _ in 0..3 {
            run.unanswered();
        }
        for _ in 0..2 {
            run.took(20);
        }
        changes += 2;
        assert!(changes <= 4, "it never flaps");
    }
    let flapping = run.tracker.health().flapping.unwrap();
    assert_eq!((flapping.changes, flapping.within_seconds), (4, 600));
    assert_eq!(flapping.in_words(), "4 changes within 10m");
}

/// An operator who restarts a service is no flapping.
#[test]
fn stops_are_no_flapping() {
    let mut run = Run::of(BTreeMap::new());
    for _ in 0..20 {
        run.unit(Standing::Up);
        run.unit(Standing::Down);
    }
    assert_eq!(run.told_flapping, 0);
}

#[test]
fn a_daemon_that_comes_back_soon_carries_on() {
    let mut before = Run::new();
    for _ in 0..4 {
        before.took(5_000);
    }
    let earlier = before.tracker.health();
    assert_eq!(earlier.state, HealthState::Degraded);

    let mut run = Run::of(probes());
    run.now = before.now;
    run.tracker = run.tracker.carrying_on(run.now, &earlier);
    run.look();
    assert_eq!(
        (run.tracker.health().state, run.tracker.health().since),
        (earlier.state, earlier.since)
    );
    run.unit(Standing::Up);
    assert!(run.changes.is_empty());
    assert_eq!(
        run.tracker.health().symptoms[0].since,
        earlier.symptoms[0].since
    );
    for _ in 0..4 {
        run.took(20);
    }
    assert_eq!(run.state(), HealthState::Healthy);
    assert_eq!(run.changes.len(), 1);
}

#[test]
fn what_was_carried_on_does_not_stand_for_long_unseen() {
    let mut before = Run::new();
    before.took(20);
    let earlier = before.tracker.health();
    let mut run = Run::of(probes());
    run.tracker = run.tracker.carrying_on(run.now, &earlier);
    run.look();
    assert_eq!(run.state(), HealthState::Healthy);
    run.wait(Duration::from_secs(31));
    run.look();
    assert_eq!(run.state(), HealthState::Unknown);
}

#[test]
fn a_daemon_that_was_away_for_long_knows_nothing() {
    let mut before = Run::new();
    before.took(20);
    let earlier = before.tracker.health();
    let unit = UnitName::new("web.service").unwrap();
    let tracker = Tracker::new(
        unit,
        settings(),
        probes(),
        before.now,
        "the host was booted",
    );
    let (tracker, observed) = tracker.after(before.now, &earlier);
    let transition = observed.transition.unwrap();
    assert_eq!(
        (transition.from, transition.to),
        (HealthState::Healthy, HealthState::Unknown)
    );
    assert_eq!(tracker.health().evidence, "the host was booted");
}

/// Numbers that look like chance, and are the same at each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        // Knuth's MMIX generator; its low bits are poor.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Runs of samples of the same kind, which chance alone would hardly make long enough.
fn samples(seed: u64, kinds: &[fn(&mut Numbers) -> Sample]) -> Vec<Sample> {
    let mut numbers = Numbers(seed);
    let mut samples = Vec::new();
    while samples.len() < 300 {
        let kind = kinds[usize::try_from(numbers.below(kinds.len() as u64)).unwrap()];
        for _ in 0..=numbers.below(9) {
            samples.push(kind(&mut numbers));
        }
    }
    samples
}

fn answered(milliseconds: u64) -> Sample {
    Sample::Answered {
        took: Duration::from_millis(milliseconds),
    }
}

fn fast(numbers: &mut Numbers) -> Sample {
    answered(numbers.below(801))
}

fn between(numbers: &mut Numbers) -> Sample {
    answered(801 + numbers.below(199))
}

fn slow(numbers: &mut Numbers) -> Sample {
    answered(1_000 + numbers.below(10_000))
}

fn failed(_: &mut Numbers) -> Sample {
    Sample::Unanswered { why: String::new() }
}

fn missing(_: &mut Numbers) -> Sample {
    Sample::NotAsked
}

#[test]
fn no_latencies_change_the_state_faster_than_their_time() {
    let mut changed = 0;
    for seed in 0..300 {
        let mut run = Run::new();
        run.took(20);
        let mut last = run.now;
        run.changes.clear();
        for sample in samples(seed, &[fast, between, slow]) {
            let before = run.changes.len();
            run.sample(sample);
            if run.changes.len() > before {
                assert!(
                    run.now.since(last) >= HOLD,
                    "seed {seed}: {:?}",
                    run.changes
                );
                last = run.now;
                changed += 1;
            }
            assert!(matches!(
                run.state(),
                HealthState::Healthy | HealthState::Degraded
            ));
        }
    }
    assert!(changed > 1_000, "{changed}");
}

#[test]
fn values_between_the_thresholds_change_nothing() {
    for seed in 0..300 {
        let mut run = Run::new();
        for sample in samples(seed, &[fast, slow]) {
            run.sample(sample);
        }
        let before = run.state();
        for sample in samples(seed, &[between]) {
            run.sample(sample);
            assert_eq!(run.state(), before, "seed {seed}");
        }
    }
}

#[test]
fn missing_samples_clear_nothing_and_fail_nothing() {
    let mut held = 0;
    for seed in 0..300 {
        let mut run = Run::new();
        for sample in samples(seed, &[fast, slow, failed, missing]) {
            run.sample(sample);
        }
        let symptoms = run.tracker.health().symptoms;
        let before = run.state();
        for _ in 0..50 {
            run.sample(Sample::NotAsked);
            assert_eq!(run.tracker.health().symptoms.len(), symptoms.len());
            let now = run.state();
            assert!(
                now == before || now == HealthState::Unknown,
                "seed {seed}: {now:?}"
            );
            assert!(symptoms.is_empty() || now == before, "seed {seed}: {now:?}");
        }
        held += usize::from(!symptoms.is_empty());
    }
    assert!(held > 30, "{held}");
}

/// By what the tracker is told, counted apart: a state is failed by the probe's threshold
/// of failures in a row or by more than a tenth of all, and closes by two answers.
#[test]
fn nothing_but_failures_fails() {
    let mut failures = 0;
    for seed in 0..300 {
        let mut run = Run::new();
        let (mut row, mut answers) = (0, 0);
        for sample in samples(seed, &[fast, between, slow, failed, missing]) {
            let before = run.state();
            let was = run.tracker.health().symptoms;
            match sample {
                Sample::Unanswered { .. } => (row, answers) = (row + 1, 0),
                Sample::Answered { .. } => (row, answers) = (0, answers + 1),
                Sample::NotAsked | Sample::NeverAnswered => (row, answers) = (0, 0),
            }
            run.sample(sample);
            let failed_now = run.state() == HealthState::Failed;
            if failed_now && before != HealthState::Failed {
                let health = run.tracker.health();
                let by_rate = health.probes[0].errors_permille > Some(100);
                assert!(row >= OPEN_AFTER || by_rate, "seed {seed}: {health:?}");
                failures += 1;
            }
            let by_row = |symptom: &Symptom| symptom.metric == Metric::UnansweredInARow;
            if !failed_now && was.first().is_some_and(by_row) {
                assert!(answers >= CLOSE_AFTER, "seed {seed}");
            }
        }
    }
    assert!(failures > 300, "{failures}");
}

impl Run {
    /// For how many seconds more whoever has been slow for so long waits for its probe, and
    /// how many seconds from now that is asked next.
    fn undecided(&self, ago: u64) -> Option<(u64, u64)> {
        let undecided = self.tracker.undecided(self.now, Duration::from_secs(ago))?;
        assert_eq!(undecided.probe, "front");
        Some((undecided.up_to.as_secs(), undecided.next.as_secs()))
    }
}

#[test]
fn a_probe_is_undecided_until_it_is_asked_and_no_longer_than_a_symptom_takes() {
    let mut run = Run::new();
    // Three intervals, and 30 s.
    assert_eq!(run.undecided(0), Some((60, 10)));
    run.took(20);
    run.wait(Duration::from_secs(4));
    assert_eq!(run.undecided(3), Some((57, 6)));
    assert_eq!(run.undecided(5), None, "it was fast since");
    run.wait(Duration::from_secs(40));
    assert_eq!(run.undecided(43), Some((17, 0)));
    run.wait(Duration::from_secs(17));
    assert_eq!(run.undecided(60), None);
}

#[test]
fn slow_answers_that_are_too_few_decide_nothing() {
    let mut run = Run::new();
    for seconds in [1, 11, 21] {
        run.took(1_500);
        assert_eq!(run.undecided(seconds), Some((60 - seconds, 10)));
    }
    assert_eq!(run.state(), HealthState::Healthy);
    run.took(1_500);
    assert_eq!(run.state(), HealthState::Degraded);
    assert_eq!(run.undecided(31), None, "its state says it");

    // A slow one and a fast one may be the first of some that are slow by turns.
    let mut run = Run::new();
    run.took(1_500);
    run.took(20);
    assert!(run.undecided(15).is_some());
    run.took(20);
    run.took(20);
    assert_eq!(run.undecided(35), None);
}

#[test]
fn so_do_unanswered_questions() {
    let mut run = Run::new();
    run.took(20);
    run.unanswered();
    assert_eq!(run.undecided(5), Some((55, 10)));
    run.unanswered();
    run.unanswered();
    assert_eq!(run.state(), HealthState::Failed);
}

#[rstest]
#[case::down(|run: &mut Run| run.unit(Standing::Down))]
#[case::failed(|run: &mut Run| run.unit(Standing::Failed("it failed".into())))]
#[case::healed(|run: &mut Run| run.incident(IncidentEvent::Healing("x is healing it".into())))]
#[case::never_answered(|run: &mut Run| run.sample(Sample::NeverAnswered))]
#[case::paused(|run: &mut Run| {
    let pause = PauseUntil { why: "it is paused".into(), until: None };
    let observed = run.tracker.pause(run.now, Some(pause));
    run.note(observed);
})]
fn what_is_not_asked_is_not_waited_for(#[case] becomes: fn(&mut Run)) {
    let mut run = Run::new();
    assert!(run.undecided(1).is_some());
    becomes(&mut run);
    assert_eq!(run.undecided(1), None);
}

/// What an earlier daemon knew is no answer since.
#[test]
fn after_a_restart_of_the_daemon_it_is_undecided_again() {
    let mut run = Run::new();
    run.took(20);
    run.wait(Duration::from_secs(2));
    assert_eq!(run.undecided(5), None);
    let earlier = run.tracker.health();
    let unit = UnitName::new("web.service").unwrap();
    run.tracker = Tracker::new(unit, settings(), probes(), run.now, "it has begun")
        .carrying_on(run.now, &earlier);
    assert_eq!(run.undecided(5), Some((55, 10)));
}

/// A try to start it that fails, and during which it is up for a moment, begins no other
/// outage: it is down since it failed.
#[test]
fn a_vain_try_leaves_it_down_since_it_failed() {
    let second = Duration::from_secs(1);
    let mut run = Run::of(BTreeMap::new());
    run.unit(Standing::Up);
    run.wait(second);
    let failed_at = run.now.at;
    let failed = || Standing::Failed("exit code 1".into());
    run.unit(failed());
    run.incident(IncidentEvent::Opened("exit code 1".into()));
    for _ in 0..2 {
        run.wait(second);
        run.incident(IncidentEvent::Healing("it is being healed".into()));
        assert_eq!(run.state(), HealthState::Recovering);
        assert_eq!(run.tracker.health().since, failed_at);
        // What is seen of the unit comes late.
        run.unit(Standing::Starting);
        run.unit(Standing::Up);
        run.incident(IncidentEvent::Opened("it was not healed".into()));
        run.incident(IncidentEvent::Unresolved("handed to people".into()));
        run.unit(failed());
        assert_eq!(run.state(), HealthState::Failed);
        assert_eq!(run.tracker.health().since, failed_at);
    }
    // A start by hand that fails, too.
    run.wait(second);
    run.unit(Standing::Starting);
    run.unit(failed());
    assert_eq!(run.tracker.health().since, failed_at);

    // Once it was well, the next failure is another outage.
    run.unit(Standing::Up);
    run.incident(IncidentEvent::Resolved("somebody started it".into()));
    assert_eq!(run.state(), HealthState::Healthy);
    run.wait(second);
    let again = run.now.at;
    run.unit(failed());
    assert_eq!(run.tracker.health().since, again);
}
