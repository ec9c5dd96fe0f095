//! What is foreseen, and what is not.

use std::time::Duration;

use prunella_core::{
    Timestamp, UnitName,
    health::{ExpectedWork, Forecast, Metric, MetricLimits, Reading, Whole},
};

use super::*;

const INTERVAL: Duration = Duration::from_secs(10);
const MIB: u64 = 1 << 20;
const SIZE: u64 = 10_000 * MIB;

fn at(seconds: u64) -> Now {
    Now {
        since_boot: Duration::from_secs(100_000 + seconds),
        at: Timestamp::from_millis(1_795_270_000_000 + seconds * 1_000),
    }
}

/// A disk of which so much is free, in a subject's outlook.
struct Disk {
    outlook: Outlook,
    limits: MetricLimits,
    seconds: u64,
}

impl Disk {
    fn new() -> Self {
        Self {
            outlook: Outlook::default(),
            limits: MetricLimits::of_host(),
            seconds: 0,
        }
    }

    /// So many minutes, with what is free in each second; answers with what was told when.
    fn minutes(&mut self, minutes: u64, free: impl Fn(u64) -> u64) -> Vec<(u64, Option<Forecast>)> {
        let mut told = Vec::new();
        let begin = self.seconds;
        while self.seconds < begin + minutes * 60 {
            let passed = self.seconds - begin;
            // Measured once a minute, as the host's disks are.
            let free = free(passed / 60 * 60);
            let of = |metric, value| Reading::new(metric, value).in_instance("/var");
            let readings = [
                of(Metric::DiskPermille, (SIZE - free) * 1_000 / SIZE),
                of(Metric::DiskFreeBytes, free),
            ];
            let signals = Signals {
                interval: INTERVAL,
                run: 0,
                readings: &readings,
            };
            let now = at(self.seconds);
            self.outlook.sample(now, &self.limits, &signals, None);
            if self.seconds.is_multiple_of(120) {
                self.outlook.look(now, &self.limits);
            }
            let latest = self.outlook.forecasts().into_iter().next();
            let last: Option<&(u64, Option<Forecast>)> = told.last();
            if last.map_or(latest.is_some(), |(_, last)| {
                last.is_some() != latest.is_some()
            }) {
                told.push((passed / 60, latest));
            }
            self.seconds += 10;
        }
        told
    }
}

#[test]
fn a_disk_that_fills_is_told_once_with_its_rate() {
    let mut disk = Disk::new();
    // Six hours at 20 MiB a minute.
    let told = disk.minutes(250, |passed| 7_000 * MIB - passed * MIB / 3);
    assert_eq!(told.len(), 1, "{told:?}");
    let (minute, forecast) = &told[0];
    let forecast = forecast.as_ref().unwrap();
    // 12 points, two looks, and five times as far ahead as was seen.
    assert!((12..80).contains(minute), "{minute}");
    assert_eq!(forecast.metric, Metric::DiskPermille);
    assert_eq!(forecast.instance.as_deref(), Some("/var"));
    let left = forecast.expected.as_secs() / 60;
    assert!(left.abs_diff(350 - minute) < 15, "{left} at {minute}");
    assert!(forecast.earliest <= forecast.expected && forecast.expected <= forecast.latest);
    assert_eq!(forecast.rate_metric, Metric::DiskFreeBytes);
    assert!(
        forecast.rate.abs_diff(1_200 * MIB) < 20 * MIB,
        "{}",
        forecast.rate
    );
    // It stops: there is time again.
    let stopped = 7_000 * MIB - 250 * 20 * MIB;
    let told = disk.minutes(90, |_| stopped);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].1.is_none());
}

#[test]
fn what_is_far_away_stays_or_comes_and_goes_is_not_told() {
    let mut disk = Disk::new();
    // 100 hours.
    assert_eq!(
        disk.minutes(300, |passed| 9_000 * MIB - passed * MIB / 40),
        []
    );
    let mut disk = Disk::new();
    assert_eq!(disk.minutes(300, |_| 500 * MIB), []);
    // A log that is rotated every ten minutes.
    let mut disk = Disk::new();
    let saw = |passed: u64| (4_000 - passed % 600 * 6) * MIB;
    assert_eq!(disk.minutes(600, saw), []);
}

/// So is one that is rotated more seldom than that takes to tell.
#[test]
fn of_a_slow_saw_the_first_tooth_alone_is_told() {
    let mut disk = Disk::new();
    let saw = |passed: u64| (4_000 - passed % 1_800) * MIB;
    let told = disk.minutes(600, saw);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].0 < 60 && told[1].1.is_none(), "{told:?}");
}

/// A nightly backup is told the first time, for nobody knows that it ends; where it has come
/// and gone before, it is not.
#[test]
fn what_has_risen_and_fallen_before_has_to_rise_higher() {
    let mut disk = Disk::new();
    let backup = |passed: u64| match passed / 60 {
        minute @ 0..40 => (6_000 - minute * 100) * MIB,
        _ => 6_000 * MIB,
    };
    let first = disk.minutes(120, backup);
    assert_eq!(first.len(), 2, "{first:?}");
    assert_eq!(disk.minutes(120, backup), []);
    let more = |passed: u64| (6_000 - passed / 60 * 100) * MIB;
    let told = disk.minutes(58, more);
    assert_eq!(told.len(), 1, "{told:?}");
    // Four minutes higher than it ever was.
    assert!(told[0].0 >= 44, "{told:?}");
}

#[test]
fn missing_samples_end_nothing_and_a_full_disk_is_not_well() {
    let mut disk = Disk::new();
    let told = disk.minutes(100, |passed| (3_000 - passed / 60 * 20) * MIB);
    assert_eq!(told.len(), 1, "{told:?}");
    disk.seconds += 3_600;
    for _ in 0..5 {
        disk.outlook.look(at(disk.seconds), &disk.limits);
    }
    assert_eq!(disk.outlook.forecasts().len(), 1);
    // Of what is nearly full and stays so it is not said that it is over.
    let told = disk.minutes(200, |_| 300 * MIB);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].1.is_some(), "{told:?}");
    let told = disk.minutes(100, |_| 5_000 * MIB);
    assert!(told.last().unwrap().1.is_none(), "{told:?}");
}

#[test]
fn what_an_earlier_process_has_measured_counts() {
    let mut disk = Disk::new();
    let past: Vec<(Timestamp, u64)> = (1..=360)
        .rev()
        .map(|minute| {
            let at = at(0).at.saturating_sub(Duration::from_secs(minute * 60));
            (at, (3_000 + minute * 10) * MIB)
        })
        .collect();
    let of = Metric::DiskPermille;
    disk.outlook.earlier(at(0), of, Some("/var"), &past);
    let told = disk.minutes(10, |passed| (3_000 - passed / 60 * 10) * MIB);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, 2);
}

/// The limits of a service whose memory is foreseen, an hour ahead.
fn limits_of_memory() -> MetricLimits {
    let mut limits = MetricLimits::of_services();
    let limit = limits.get(Metric::MemoryPermille).copied().unwrap();
    assert_eq!(limit.forecast, None);
    let hour = Some(Duration::from_secs(3_600));
    limits.set(
        Metric::MemoryPermille,
        Some(MetricLimit {
            forecast: hour,
            ..limit
        }),
    );
    limits
}

/// What is foreseen after memory was measured.
fn memory(
    outlook: &mut Outlook,
    seconds: u64,
    run: u64,
    share: u64,
    expected: Option<&ExpectedWork>,
) -> Vec<Forecast> {
    let limits = limits_of_memory();
    let readings = [Reading::new(Metric::MemoryPermille, share).of(Whole::Limit(1_000 * MIB))];
    let signals = Signals {
        interval: INTERVAL,
        run,
        readings: &readings,
    };
    outlook.sample(at(seconds), &limits, &signals, expected);
    outlook.look(at(seconds), &limits);
    outlook.forecasts()
}

#[test]
fn a_leak_is_told_in_bytes_of_its_limit_and_forgotten_with_its_run() {
    let mut outlook = Outlook::default();
    let mut told = Vec::new();
    for seconds in (0..4_000).step_by(10) {
        told = memory(&mut outlook, seconds, 1, 300 + seconds / 10, None);
    }
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].whole, Some(1_000 * MIB));
    assert_eq!(told[0].rate_metric, Metric::MemoryBytes);
    assert!(told[0].rate.abs_diff(360 * MIB) < 10 * MIB, "{told:?}");
    for seconds in (4_000..4_060).step_by(10) {
        told = memory(&mut outlook, seconds, 2, 200, None);
    }
    assert_eq!(told, []);
}

#[test]
fn what_expected_work_makes_grow_is_not_foreseen_and_says_nothing_afterwards() {
    let work = |metric| ExpectedWork {
        unit: UnitName::new("db.service").unwrap(),
        since: at(0).at,
        until: at(100_000).at,
        reason: "backup".to_owned(),
        by: "me".to_owned(),
        metrics: vec![metric],
    };
    // Steady for an hour, then an import, and what it took stays.
    let go = |metric| {
        let expected = work(metric);
        let mut outlook = Outlook::default();
        let mut told = 0;
        for seconds in (0..12_000).step_by(10) {
            let (share, expected) = match seconds {
                0..4_000 => (300, None),
                4_000..7_000 => (300 + (seconds - 4_000) / 6, Some(&expected)),
                _ => (800, None),
            };
            let now = memory(&mut outlook, seconds, 1, share, expected);
            told = told.max(now.len());
        }
        told
    };
    assert_eq!(go(Metric::MemoryPermille), 0);
    assert_eq!(go(Metric::CpuPermille), 1);

    // What was foreseen before holds meanwhile: nothing disproves it.
    let expected = work(Metric::MemoryPermille);
    let mut outlook = Outlook::default();
    for seconds in (0..4_000).step_by(10) {
        memory(&mut outlook, seconds, 1, 300 + seconds / 10, None);
    }
    for seconds in (4_000..8_000).step_by(10) {
        let told = memory(&mut outlook, seconds, 1, 300, Some(&expected));
        assert_eq!(told.len(), 1);
    }
}
