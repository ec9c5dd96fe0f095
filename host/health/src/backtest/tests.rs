use prunella_core::health::{MetricLimit, MetricLimits};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const QUARTER: Duration = Duration::from_secs(15 * 60);

fn begin() -> Timestamp {
    Timestamp::from_millis(1_795_270_020_000)
}

fn settings(degraded: u64) -> HealthSettings {
    let mut limits = MetricLimits::of_services();
    let limit = MetricLimit {
        degraded,
        critical: None,
        clear: degraded - 50,
        hold: MINUTE,
        forecast: None,
    };
    limits.set(Metric::MemoryPermille, Some(limit));
    HealthSettings {
        limits,
        ..HealthSettings::default()
    }
}

fn probes() -> BTreeMap<String, ProbeSettings> {
    let front = ProbeSettings {
        question: "http".to_owned(),
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(5),
        failure_threshold: 3,
    };
    BTreeMap::from([("front".to_owned(), front)])
}

fn backtest(settings: HealthSettings) -> Backtest {
    let unit = UnitName::new("web.service").unwrap();
    Backtest::new(unit, settings, probes(), begin())
}

fn memory(mean: u64, max: u64) -> Recorded {
    Recorded {
        metric: Metric::MemoryPermille,
        instance: None,
        mean,
        max,
    }
}

fn of_front(metric: Metric, value: u64) -> Recorded {
    Recorded {
        metric,
        instance: Some("front".to_owned()),
        mean: value,
        max: value,
    }
}

fn at(span: Duration, number: u32) -> Timestamp {
    begin().saturating_add(span * number)
}

/// Ten minutes as they should be, five that are not, and ten that are again.
fn spell(settings: HealthSettings, high: u64) -> Vec<WouldBegin> {
    let mut backtest = backtest(settings);
    for number in 0..25 {
        let value = if (10..15).contains(&number) {
            high
        } else {
            500
        };
        backtest.measured(at(MINUTE, number), MINUTE, &[memory(value, value)]);
    }
    backtest.finish().0
}

#[test]
fn a_spell_at_the_limit_begins_an_incident_with_its_worst_value_and_its_end() {
    let found = spell(settings(900), 930);
    assert_eq!(found.len(), 1, "{found:?}");
    let began = found[0].at.since(at(MINUTE, 10));
    assert!(began >= MINUTE && began < 2 * MINUTE, "{began:?}");
    let ended = found[0].ended.unwrap().since(at(MINUTE, 15));
    assert!(ended >= MINUTE && ended < 2 * MINUTE, "{ended:?}");
    let symptoms = &found[0].symptoms;
    assert_eq!(symptoms.len(), 1);
    assert_eq!(
        (symptoms[0].worst, symptoms[0].symptom.threshold),
        (930, 900)
    );
}

#[test]
fn with_another_limit_there_are_others() {
    assert_eq!(spell(settings(950), 930), []);
    assert_eq!(spell(settings(400), 930).len(), 1, "from its first minute");
    // Too short for its time.
    let mut slow = settings(900);
    let mut limit = *slow.limits.get(Metric::MemoryPermille).unwrap();
    limit.hold = 10 * MINUTE;
    slow.limits.set(Metric::MemoryPermille, Some(limit));
    assert_eq!(spell(slow, 930), []);
}

#[test]
fn a_spell_of_quarters_counts_by_its_mean_and_a_peak_within_is_only_counted() {
    let mut coarse = backtest(settings(900));
    for number in 0..8 {
        let (mean, max) = match number {
            3 => (940, 990),
            5 => (600, 960),
            _ => (500, 550),
        };
        coarse.measured(at(QUARTER, number), QUARTER, &[memory(mean, max)]);
    }
    let (found, unclear) = coarse.finish();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].span, QUARTER);
    assert!(found[0].at >= at(QUARTER, 3) && found[0].at < at(QUARTER, 4));
    assert_eq!(unclear, 1);
}

#[test]
fn a_gap_in_what_was_recorded_begins_nothing() {
    let mut gaps = backtest(settings(900));
    for number in 0..20 {
        // Half a minute each time, and then nothing for ten.
        let part = Duration::from_secs(30);
        gaps.measured(at(10 * MINUTE, number), part, &[memory(950, 950)]);
    }
    assert_eq!(gaps.finish().0, []);
}

#[test]
fn slow_and_unanswered_probes_are_judged_by_what_was_recorded_of_them() {
    let play = |settings: HealthSettings| {
        let mut backtest = backtest(settings);
        for number in 0..60 {
            let values = match number {
                10..15 => vec![of_front(Metric::LatencyMs, 1_500)],
                30..40 => vec![
                    of_front(Metric::LatencyMs, 20),
                    of_front(Metric::ErrorsPermille, 120),
                ],
                _ => vec![
                    of_front(Metric::LatencyMs, 20),
                    of_front(Metric::ErrorsPermille, 0),
                ],
            };
            backtest.measured(at(MINUTE, number), MINUTE, &values);
        }
        backtest.finish().0
    };
    let found = play(HealthSettings::default());
    let of = |one: &WouldBegin| (one.symptoms[0].symptom.metric, one.symptoms[0].worst);
    let all: Vec<_> = found.iter().map(of).collect();
    assert_eq!(
        all,
        [(Metric::LatencyMs, 1_500), (Metric::ErrorsPermille, 120)]
    );
    assert_eq!(found[1].symptoms[0].symptom.level, SymptomLevel::Failed);
    let mut patient = HealthSettings::default();
    patient.latency.degraded = Duration::from_secs(2);
    assert_eq!(play(patient).len(), 1);
}

#[test]
fn a_pause_begins_nothing_and_what_holds_after_it_does() {
    let change = |from, to, minute| Transition {
        subject: UnitName::new("web.service").unwrap().into(),
        at: at(MINUTE, minute),
        from,
        to,
        evidence: "as it was".to_owned(),
        symptom: None,
    };
    let mut paused = backtest(settings(900));
    for number in 0..30 {
        match number {
            5 => paused.changed(&change(HealthState::Healthy, HealthState::Paused, 5)),
            20 => paused.changed(&change(HealthState::Paused, HealthState::Healthy, 20)),
            _ => {}
        }
        let value = if (8..25).contains(&number) { 950 } else { 500 };
        paused.measured(at(MINUTE, number), MINUTE, &[memory(value, value)]);
    }
    let (found, _) = paused.finish();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].at >= at(MINUTE, 20), "{found:?}");
}
