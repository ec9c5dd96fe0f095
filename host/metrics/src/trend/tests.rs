//! What is said of whole series: of those that grow, and of those that only look like it.

use std::time::Duration;

use super::{LEAST_POINTS, Point, Trend};

const MINUTE: f64 = 60.0;

/// An hour of one sample a minute.
fn hour(value: impl Fn(usize) -> f64) -> Vec<Point> {
    series(60, value)
}

fn series(count: usize, value: impl Fn(usize) -> f64) -> Vec<Point> {
    (0..count)
        .map(|i| Point {
            at: i as f64 * MINUTE,
            value: value(i),
        })
        .collect()
}

fn trend(points: &[Point]) -> Trend {
    Trend::of(points).unwrap()
}

fn minutes(span: Duration) -> f64 {
    span.as_secs_f64() / MINUTE
}

/// Reproducible numbers from -1 to 1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    fn series(seed: u64, count: usize) -> Vec<f64> {
        let mut noise = Self(seed << 32);
        (0..count).map(|_| noise.next()).collect()
    }
}

#[test]
fn a_straight_line_reaches_its_limit_when_it_does() {
    let forecast = trend(&hour(|i| 40.0 + i as f64 / 2.0))
        .reaches(99.5)
        .unwrap();
    assert_eq!(minutes(forecast.expected).round(), 60.0);
    assert!(forecast.earliest <= forecast.expected && forecast.expected <= forecast.latest);
}

#[test]
fn what_falls_reaches_a_limit_below() {
    let falling = trend(&hour(|i| 80.0 - i as f64));
    assert_eq!(
        minutes(falling.reaches(0.0).unwrap().expected).round(),
        21.0
    );
    assert_eq!(falling.reaches(100.0), None);
}

#[test]
fn noise_widens_the_range_and_the_range_holds_the_truth() {
    let mut held = 0;
    for seed in 0..200 {
        let noise = Noise::series(seed, 60);
        let points = hour(|i| i as f64 + 8.0 * noise[i]);
        let trend = trend(&points);
        assert!((trend.slope * MINUTE - 1.0).abs() < 0.25, "{trend:?}");
        assert!(trend.slope_low < trend.slope_high);
        if (trend.slope_low..=trend.slope_high).contains(&(1.0 / MINUTE)) {
            held += 1;
        }
    }
    assert!(held >= 175, "{held} of 200 hold it, where 180 should");
}

#[test]
fn a_quarter_of_wild_values_moves_little() {
    let points = hour(|i| if i % 4 == 3 { 5_000.0 } else { i as f64 });
    let trend = trend(&points);
    assert!((trend.slope * MINUTE - 1.0).abs() < 0.6, "{trend:?}");
}

#[test]
fn growth_that_has_stopped_is_none() {
    let stopped = trend(&hour(|i| i.min(40) as f64));
    assert!(!stopped.goes_on);
    assert_eq!(stopped.reaches(50.0), None);
    let just_begun = trend(&hour(|i| i.max(50) as f64));
    assert_eq!(just_begun.reaches(70.0), None);
}

#[test]
fn a_sawtooth_goes_nowhere() {
    let collected = trend(&hour(|i| 100.0 + 10.0 * (i % 12) as f64));
    assert_eq!(collected.reaches(300.0), None, "{collected:?}");
}

#[test]
fn growth_in_steps_is_growth() {
    let rotated = trend(&hour(|i| (i / 5) as f64 * 5.0));
    let forecast = rotated.reaches(120.0).unwrap();
    assert!(
        (55.0..75.0).contains(&minutes(forecast.expected)),
        "{forecast:?}"
    );
}

#[test]
fn noise_alone_and_a_flat_line_say_nothing() {
    assert_eq!(trend(&hour(|_| 7.0)).reaches(8.0), None);
    let said = (0..500)
        .filter(|seed| {
            let noise = Noise::series(*seed, 60);
            trend(&hour(|i| noise[i])).reaches(2.0).is_some()
        })
        .count();
    assert!(said <= 5, "{said} of 500");
}

#[test]
fn a_walk_at_random_is_seldom_taken_for_growth() {
    let said = (0..500)
        .filter(|seed| {
            let mut at = 0.0;
            let walk: Vec<f64> = Noise::series(*seed, 60)
                .into_iter()
                .map(|step| {
                    at += step;
                    at
                })
                .collect();
            let trend = trend(&hour(|i| walk[i]));
            trend.reaches(trend.level + 10.0).is_some()
        })
        .count();
    assert!(said <= 50, "{said} of 500");
}

#[test]
fn what_is_too_far_away_is_not_said() {
    let slow = trend(&hour(|i| i as f64));
    assert!(slow.reaches(59.0 + 350.0).is_some());
    assert_eq!(slow.reaches(59.0 + 360.0), None);
    assert_eq!(slow.reaches(30.0), None, "it is past that");
}

#[test]
fn too_few_samples_say_nothing() {
    assert!(Trend::of(&series(LEAST_POINTS - 1, |i| i as f64)).is_none());
    assert!(Trend::of(&series(LEAST_POINTS, |i| i as f64)).is_some());
    let missing = hour(|i| if i < 50 { f64::NAN } else { i as f64 });
    assert!(Trend::of(&missing).is_none());
    let one_time = vec![
        Point {
            at: 1.0,
            value: 1.0
        };
        100
    ];
    assert!(Trend::of(&one_time).is_none());
}

#[test]
fn gaps_change_nothing_of_a_line() {
    let mut points = hour(|i| i as f64);
    points.retain(|point| !(600.0..1_500.0).contains(&point.at));
    assert_eq!(
        minutes(trend(&points).reaches(119.0).unwrap().expected).round(),
        60.0
    );
}

#[test]
fn many_samples_are_as_few() {
    let noise = Noise::series(1, 3_600);
    let points: Vec<Point> = (0..3_600)
        .map(|i| Point {
            at: f64::from(i),
            value: f64::from(i) + 20.0 * noise[i as usize],
        })
        .collect();
    let trend = trend(&points);
    assert!((trend.slope - 1.0).abs() < 0.02, "{trend:?}");
    assert!((trend.level - 3_600.0).abs() < 40.0, "{trend:?}");
}

#[test]
fn units_change_nothing() {
    let noise = Noise::series(3, 60);
    let small = trend(&hour(|i| i as f64 + 3.0 * noise[i]));
    let large = trend(&hour(|i| 1e9 + 1e6 * (i as f64 + 3.0 * noise[i])));
    let small = small.reaches(200.0).unwrap();
    let large = large.reaches(1e9 + 200e6).unwrap();
    assert!((minutes(small.expected) - minutes(large.expected)).abs() < 0.01);
    assert!((minutes(small.latest) - minutes(large.latest)).abs() < 0.01);
}
