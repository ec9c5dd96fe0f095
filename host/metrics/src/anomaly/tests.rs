//! What the detector says about whole series.

use super::{ALERT_SCORE, Detector, LEARNING_SAMPLES, Reading, View};

const FIVE_MINUTES: i64 = 300;

/// Scores `count` samples of `value`, one in five minutes.
fn run(count: usize, value: impl Fn(usize) -> f64) -> Vec<Reading> {
    let mut detector = Detector::default();
    (0..count)
        .map(|i| detector.observe(i as i64 * FIVE_MINUTES, value(i)))
        .collect()
}

/// Indices of the alerts after the learning time.
fn alerts(readings: &[Reading]) -> Vec<usize> {
    let learnt = LEARNING_SAMPLES as usize;
    let alert = |i: &usize| readings[*i].score >= ALERT_SCORE;
    (learnt..readings.len()).filter(alert).collect()
}

/// A reproducible number from -1 to 1 for each index.
fn noise(i: usize) -> f64 {
    let mut x = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// High from 8 to 18 o'clock, low else, with a little noise.
fn office_hours(i: usize) -> f64 {
    let hour = i / 12 % 24;
    let level = if (8..18).contains(&hour) { 80.0 } else { 20.0 };
    level + 3.0 * noise(i)
}

#[test]
fn a_flat_line_scores_nothing_at_all() {
    assert!(run(3000, |_| 45.0).iter().all(|r| r.score == 0.0));
}

#[test]
fn a_step_is_reported_at_once_and_only_once() {
    let readings = run(3000, |i| if i < 2000 { 10.0 } else { 20.0 } + noise(i));
    assert_eq!(alerts(&readings), [2000]);
}

#[test]
fn a_spike_is_reported_at_once_and_its_end_is_not() {
    let readings = run(3000, |i| if i == 2000 { 50.0 } else { 10.0 } + noise(i));
    assert_eq!(alerts(&readings), [2000]);
    assert!(readings[2000].strongest.is_some());
}

#[test]
fn noise_alone_raises_no_alert() {
    assert_eq!(alerts(&run(10_000, noise)), []);
}

#[test]
fn a_daily_pattern_raises_no_alert() {
    assert_eq!(alerts(&run(288 * 14, office_hours)), []);
}

#[test]
fn a_day_off_is_reported_though_its_values_are_usual() {
    let from = 288 * 10 + 8 * 12;
    let readings = run(288 * 14, |i| {
        if (from..from + 120).contains(&i) {
            20.0 + 3.0 * noise(i)
        } else {
            office_hours(i)
        }
    });
    let reported = alerts(&readings);
    assert!(
        reported
            .first()
            .is_some_and(|i| (from..from + 36).contains(i)),
        "{reported:?}"
    );
    assert!(reported.len() <= 2, "{reported:?}");
}

#[test]
fn work_in_the_night_is_reported_by_the_hour() {
    let from = 288 * 10 + 2 * 12;
    let readings = run(
        from + 12,
        |i| if i >= from { 80.0 } else { office_hours(i) },
    );
    let reported = alerts(&readings);
    assert_eq!(reported, [from]);
    let by_the_hour = [Some(View::HourRange), Some(View::HourResidual)];
    assert!(by_the_hour.contains(&readings[from].strongest));
}

#[test]
fn steady_growth_is_hardly_reported() {
    let reported = alerts(&run(8000, |i| i as f64 + 5.0 * noise(i)));
    assert!(reported.len() <= 2, "{reported:?}");
}

#[test]
fn missing_samples_neither_alert_nor_hide_what_follows() {
    let mut detector = Detector::default();
    for i in 0..2000 {
        // Every third sample and one whole day are missing.
        if i % 3 == 0 || (1200..1488).contains(&i) {
            continue;
        }
        let reading = detector.observe(i as i64 * FIVE_MINUTES, office_hours(i));
        assert!(detector.is_learning() || reading.score < ALERT_SCORE, "{i}");
    }
    assert!(detector.observe(2000 * FIVE_MINUTES, 300.0).score >= ALERT_SCORE);
}

#[test]
fn values_that_are_not_finite_are_as_if_missing() {
    let mut with = Detector::default();
    let mut without = Detector::default();
    for i in 0..2000 {
        let seconds = i as i64 * FIVE_MINUTES;
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(with.observe(seconds, odd).score, 0.0);
        }
        let value = office_hours(i);
        assert_eq!(
            with.observe(seconds, value),
            without.observe(seconds, value)
        );
    }
}

#[test]
fn huge_values_and_wild_clocks_give_valid_scores() {
    let values = [
        f64::MAX,
        f64::MIN,
        0.0,
        1e300,
        -1e-300,
        1.0,
        f64::MIN_POSITIVE,
    ];
    let times = [i64::MIN, i64::MAX, 0, -1, 86_399];
    let mut detector = Detector::default();
    for i in 0..20_000 {
        let reading = detector.observe(times[i % times.len()], values[i * i % values.len()]);
        assert!((0.0..=1.0).contains(&reading.score), "{i}: {reading:?}");
    }
}

#[test]
fn repeated_times_and_a_clock_set_back_raise_no_alert() {
    let mut detector = Detector::default();
    for i in 0..4000_i64 {
        // Pairs of samples share a time; after 2000 the clock is set back by a day.
        let seconds = i / 2 * FIVE_MINUTES - if i >= 2000 { 86_400 } else { 0 };
        let reading = detector.observe(seconds, 10.0 + noise(i as usize));
        assert!(detector.is_learning() || reading.score < ALERT_SCORE, "{i}");
    }
}

#[test]
fn an_extreme_is_new_again_after_it_is_forgotten() {
    let readings = run(40_000, |i| match i {
        2000 | 35_000 => 50.0,
        _ => 10.0 + noise(i),
    });
    let reported = alerts(&readings);
    assert!(
        reported.contains(&2000) && reported.contains(&35_000),
        "{reported:?}"
    );
}

#[test]
fn a_wild_first_value_is_overcome() {
    let from = 30_000;
    let readings = run(from + 10, |i| match i {
        0 => 1e19,
        _ if i >= from => 50.0,
        _ => 10.0 + noise(i),
    });
    assert!(readings[from].score >= ALERT_SCORE);
}

#[test]
fn the_same_samples_give_the_same_scores() {
    assert_eq!(run(3000, office_hours), run(3000, office_hours));
}

#[test]
fn scale_and_offset_do_not_matter() {
    let plain = run(3000, |i| if i == 2000 { 300.0 } else { office_hours(i) });
    for (factor, offset) in [(1e6, 0.0), (1e-6, 0.0), (-1.0, 0.0), (1.0, 1e6)] {
        let changed = run(3000, |i| {
            let value = if i == 2000 { 300.0 } else { office_hours(i) };
            factor * value + offset
        });
        assert_eq!(alerts(&changed), alerts(&plain), "{factor} {offset}");
    }
}
