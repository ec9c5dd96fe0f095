//! What samples mean, each rule by example, and what holds whatever comes.

use std::{collections::BTreeMap, time::Duration};

use prunella_core::{
    Timestamp, UnitName,
    health::{
        FlappingSettings, Health, HealthSettings, HealthState, HostHealthSettings, Metric,
        MetricLimit, MetricLimits, Reading, SymptomLevel, Whole,
    },
};

use super::*;
use crate::{HostTracker, Standing, Tracker};

const INTERVAL: Duration = Duration::from_secs(10);

/// Of memory, by default.
const HOLD: Duration = Duration::from_secs(60);

fn begin() -> Now {
    Now {
        since_boot: Duration::from_secs(1_000),
        at: Timestamp::from_millis(1_000_000),
    }
}

fn tracker(now: Now) -> Tracker {
    let unit = UnitName::new("web.service").unwrap();
    let settings = HealthSettings::default();
    let mut tracker = Tracker::new(unit, settings, BTreeMap::new(), now, "just begun");
    tracker.unit(now, Standing::Up);
    tracker
}

/// A service that is measured every ten seconds.
struct Run {
    tracker: Tracker,
    now: Now,
    run: u64,
}

impl Run {
    fn new() -> Self {
        Self {
            tracker: tracker(begin()),
            now: begin(),
            run: 1,
        }
    }

    fn wait(&mut self, span: Duration) {
        self.now.since_boot += span;
        self.now.at = self.now.at.saturating_add(span);
    }

    fn sample(&mut self, readings: &[Reading]) -> HealthState {
        self.wait(INTERVAL);
        let signals = Signals {
            interval: INTERVAL,
            run: self.run,
            readings,
        };
        self.tracker.signals(self.now, &signals);
        self.tracker.health().state
    }

    /// So much of a memory limit of 512 MiB is used.
    fn memory(&mut self, permille: u64) -> HealthState {
        let whole = Whole::Limit(512 << 20);
        self.sample(&[Reading::new(Metric::MemoryPermille, permille).of(whole)])
    }

    /// The same, so many times: only the last state counts.
    fn memory_for(&mut self, permille: u64, span: Duration) -> HealthState {
        let mut state = HealthState::Unknown;
        for _ in 0..=span.as_secs() / INTERVAL.as_secs() {
            state = self.memory(permille);
        }
        state
    }

    fn health(&self) -> Health {
        self.tracker.health()
    }
}

#[test]
fn a_limit_degrades_after_its_time_and_clears_after_it() {
    let mut run = Run::new();
    assert_eq!(run.memory(930), HealthState::Healthy);
    for _ in 0..5 {
        assert_eq!(run.memory(930), HealthState::Healthy);
    }
    assert_eq!(run.memory(931), HealthState::Degraded);
    let health = run.health();
    assert_eq!(
        health.evidence,
        "it uses 93.1 % of its memory limit of 512 MiB, with a limit of 90 %"
    );
    let symptom = &health.symptoms[0];
    assert_eq!(
        (
            symptom.level,
            symptom.value,
            symptom.threshold,
            symptom.clear
        ),
        (SymptomLevel::Degraded, 931, 900, 850)
    );
    assert_eq!(run.now.at.since(symptom.since), HOLD);
    // Between the two thresholds nothing changes, however long.
    assert_eq!(run.memory_for(860, 10 * HOLD), HealthState::Degraded);
    for _ in 0..6 {
        assert_eq!(run.memory(300), HealthState::Degraded);
    }
    assert_eq!(run.memory(300), HealthState::Healthy);
    assert!(run.health().symptoms.is_empty());
}

#[test]
fn more_is_critical_and_less_of_it_is_still_degraded() {
    let mut run = Run::new();
    run.memory_for(960, HOLD);
    let symptoms = run.health().symptoms;
    assert_eq!(symptoms.len(), 1);
    assert_eq!(
        (symptoms[0].level, symptoms[0].threshold),
        (SymptomLevel::Critical, 950)
    );
    assert_eq!(run.health().state, HealthState::Degraded);
    run.memory_for(870, HOLD);
    assert_eq!(run.health().symptoms[0].level, SymptomLevel::Degraded);
}

#[test]
fn one_spike_is_nothing() {
    let mut run = Run::new();
    for _ in 0..20 {
        run.memory(999);
        run.memory(999);
        assert_eq!(run.memory(400), HealthState::Healthy);
    }
}

#[test]
fn missing_values_clear_nothing_and_are_no_time() {
    let mut run = Run::new();
    run.memory_for(930, HOLD - INTERVAL);
    run.sample(&[]);
    assert_eq!(run.memory_for(930, HOLD - INTERVAL), HealthState::Healthy);
    assert_eq!(run.memory(930), HealthState::Degraded);
    for _ in 0..100 {
        assert_eq!(run.sample(&[]), HealthState::Degraded);
    }
    // Nor does a sampler that has stopped.
    run.wait(100 * HOLD);
    run.tracker.look(run.now);
    assert_eq!(run.health().state, HealthState::Degraded);
    assert_eq!(run.health().symptoms[0].value, 930);
}

#[test]
fn a_suspended_host_has_held_nothing() {
    let mut run = Run::new();
    run.memory(930);
    run.memory(930);
    run.wait(Duration::from_secs(8 * 3_600));
    assert_eq!(run.memory_for(930, HOLD - INTERVAL), HealthState::Healthy);
    assert_eq!(run.memory(930), HealthState::Degraded);
}

#[test]
fn another_run_has_to_be_measured_anew() {
    let mut run = Run::new();
    run.memory_for(930, HOLD);
    assert!(run.health().symptoms[0].confirmed);
    run.run = 2;
    assert_eq!(run.memory(100), HealthState::Degraded);
    assert!(!run.health().symptoms[0].confirmed);
    assert_eq!(run.memory_for(100, HOLD), HealthState::Healthy);
    run.memory(930);
    run.memory(930);
    run.run = 3;
    assert_eq!(run.memory_for(930, HOLD - INTERVAL), HealthState::Healthy);
}

#[test]
fn what_another_run_does_not_have_is_no_symptom_of_it() {
    let mut run = Run::new();
    run.memory_for(930, HOLD);
    run.run = 2;
    assert_eq!(run.sample(&[]), HealthState::Degraded);
    run.sample(&[]);
    assert_eq!(run.sample(&[]), HealthState::Healthy);
}

#[test]
fn what_an_earlier_process_knew_holds_until_it_is_measured_well() {
    let mut run = Run::new();
    run.memory_for(960, HOLD);
    let earlier = run.health();
    run.tracker = tracker(run.now).carrying_on(run.now, &earlier);
    run.tracker.unit(run.now, Standing::Up);
    let health = run.health();
    assert_eq!(health.state, HealthState::Degraded);
    let symptoms = |health: &Health| -> Vec<(Metric, u64, Timestamp)> {
        let each = health.symptoms.iter();
        each.map(|one| (one.metric, one.value, one.since)).collect()
    };
    assert_eq!(symptoms(&health), symptoms(&earlier));
    assert!(!health.symptoms[0].confirmed);
    assert_eq!(run.memory_for(100, HOLD), HealthState::Healthy);
}

#[test]
fn a_limit_that_is_switched_off_is_none() {
    let mut run = Run::new();
    run.memory_for(960, HOLD);
    let mut settings = HealthSettings::default();
    settings.limits.set(Metric::MemoryPermille, None);
    run.tracker.declare(run.now, settings, BTreeMap::new());
    assert_eq!(run.health().state, HealthState::Healthy);
    assert_eq!(run.memory_for(999, HOLD), HealthState::Healthy);
}

#[test]
fn the_worst_is_said_first() {
    let mut run = Run::new();
    for _ in 0..40 {
        run.sample(&[
            Reading::new(Metric::CpuPermille, 910),
            Reading::new(Metric::DescriptorsPermille, 990),
        ]);
    }
    let health = run.health();
    assert_eq!(health.symptoms.len(), 2);
    assert_eq!(
        health.evidence,
        "one of its processes has 99 % of the files open that it may open, with a limit of 95 %"
    );
    assert_eq!(
        health.symptoms[1].evidence,
        "it uses 91 % of the host's CPU, with a limit of 90 %"
    );
}

/// Whatever comes, a symptom neither begins nor ends faster than its time.
#[test]
fn nothing_changes_faster_than_its_time() {
    let mut changes = 0;
    let mut state = 1_u64;
    for _ in 0..200 {
        let mut run = Run::new();
        let (mut was, mut since) = (run.health().state, run.now);
        for _ in 0..400 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let value = [100, 100, 870, 930, 930][(state >> 33) as usize % 5];
            let now = match state >> 61 {
                0 => run.sample(&[]),
                _ => run.memory(value),
            };
            if now != was {
                assert!(run.now.since(since) >= HOLD, "{now:?}");
                (was, since) = (now, run.now);
                changes += 1;
            }
        }
    }
    assert!(changes > 20, "{changes}");
}

/// The host, measured every ten seconds.
fn host_of(tracker: &mut HostTracker, now: &mut Now, readings: &[Reading]) -> Health {
    now.since_boot += INTERVAL;
    now.at = now.at.saturating_add(INTERVAL);
    let signals = Signals {
        interval: INTERVAL,
        run: 0,
        readings,
    };
    tracker.signals(*now, &signals);
    tracker.health()
}

#[test]
fn each_file_system_is_judged_apart() {
    let mut now = begin();
    let mut host = HostTracker::new(HostHealthSettings::default(), now, "not measured yet");
    assert_eq!(host.health().state, HealthState::Unknown);
    let disk = |place: &str, share| Reading::new(Metric::DiskPermille, share).in_instance(place);
    let mut health = host.health();
    for _ in 0..7 {
        health = host_of(&mut host, &mut now, &[disk("/", 400), disk("/var", 931)]);
    }
    assert_eq!(health.state, HealthState::Degraded);
    assert_eq!(health.evidence, "/var is 93.1 % full, with a limit of 90 %");
    assert_eq!(health.symptoms.len(), 1);
    assert_eq!(health.symptoms[0].instance.as_deref(), Some("/var"));
    // It does not answer: nobody knows that it has room.
    for _ in 0..30 {
        health = host_of(&mut host, &mut now, &[disk("/", 400)]);
    }
    assert_eq!(health.state, HealthState::Degraded);
    for _ in 0..7 {
        health = host_of(&mut host, &mut now, &[disk("/", 400), disk("/var", 200)]);
    }
    assert_eq!(health.state, HealthState::Healthy);
    for _ in 0..7 {
        host_of(&mut host, &mut now, &[disk("/", 400), disk("/var", 960)]);
    }
    let mounted = |places: &[&str]| Existing {
        file_systems: Some(places.iter().map(|place| (*place).to_owned()).collect()),
        interfaces: None,
        disks: None,
    };
    host.exists(now, &mounted(&["/", "/var"]));
    assert_eq!(host.health().state, HealthState::Degraded);
    host.exists(now, &Existing::default());
    assert_eq!(host.health().state, HealthState::Degraded);
    // It is not mounted any more.
    host.exists(now, &mounted(&["/"]));
    assert_eq!(host.health().state, HealthState::Healthy);
    now.since_boot += Duration::from_secs(31);
    host.look(now);
    assert_eq!(host.health().state, HealthState::Unknown);
}

#[test]
fn the_host_goes_on_where_it_was() {
    let mut now = begin();
    let mut limits = MetricLimits::of_host();
    limits.set(
        Metric::ClockUnsynchronized,
        Some(MetricLimit {
            degraded: 1,
            critical: None,
            clear: 0,
            hold: Duration::ZERO,
            forecast: None,
        }),
    );
    let settings = HostHealthSettings {
        limits,
        ..HostHealthSettings::default()
    };
    let mut host = HostTracker::new(settings.clone(), now, "not measured yet");
    let clock = |value| [Reading::new(Metric::ClockUnsynchronized, value)];
    for _ in 0..3 {
        host_of(&mut host, &mut now, &clock(1));
    }
    let earlier = host.health();
    assert_eq!(earlier.state, HealthState::Degraded);
    let mut host = HostTracker::new(settings, now, "not measured yet").carrying_on(now, &earlier);
    assert_eq!(host.health().state, HealthState::Degraded);
    host_of(&mut host, &mut now, &clock(0));
    let health = host_of(&mut host, &mut now, &clock(0));
    assert_eq!(health.state, HealthState::Healthy);
}

#[test]
fn the_host_flaps_as_often_as_the_operator_says() {
    let goes = |flapping: FlappingSettings| {
        let mut now = begin();
        let settings = HostHealthSettings {
            flapping,
            ..HostHealthSettings::default()
        };
        let mut host = HostTracker::new(settings, now, "not measured yet");
        let disk = |share| [Reading::new(Metric::DiskPermille, share).in_instance("/")];
        let mut flapped = false;
        // Full and empty again, twice.
        for share in [400, 950, 400, 950, 400] {
            for _ in 0..10 {
                flapped |= host_of(&mut host, &mut now, &disk(share))
                    .flapping
                    .is_some();
            }
        }
        flapped
    };
    let of = |changes| FlappingSettings {
        changes,
        ..FlappingSettings::default()
    };
    assert!(!goes(FlappingSettings::default()));
    assert!(!goes(of(5)));
    assert!(goes(of(4)));
}
