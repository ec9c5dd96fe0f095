//! What is unusual, and what is not.

use std::time::Duration;

use prunella_core::{
    Timestamp,
    health::{Metric, Reading},
};
use prunella_metrics::anomaly::LEARNING_SAMPLES;

use super::*;

const BEGIN_MS: u64 = 1_795_219_200_000;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(BEGIN_MS + seconds * 1_000)
}

/// Memory that breathes a little.
fn usual(minute: u64) -> u64 {
    (200 + minute * 7 % 5) << 20
}

fn measured(habits: &mut Habits, seconds: u64, value: u64) {
    let readings = [
        Reading::new(Metric::MemoryBytes, value),
        // Not watched of a service.
        Reading::new(Metric::CpuPermille, value),
    ];
    habits.observe(at(seconds), &readings, false);
}

/// One that has learnt so many minutes from what an earlier process has kept.
fn learnt(minutes: u64) -> Habits {
    let mut habits = Habits::default();
    let past: Vec<(Timestamp, u64)> = (0..minutes)
        .map(|minute| (at(minute * 60), usual(minute)))
        .collect();
    habits.learn(Metric::MemoryBytes, None, &past);
    habits
}

#[test]
fn what_was_never_so_is_marked_for_an_hour_and_what_was_is_not() {
    let learnt_minutes = 1_440;
    let mut habits = learnt(learnt_minutes);
    let begin = learnt_minutes * 60;
    for seconds in (begin..begin + 1_800).step_by(10) {
        measured(&mut habits, seconds, usual(seconds / 60));
    }
    assert_eq!(habits.unusual(), []);
    for seconds in (begin + 1_800..begin + 2_400).step_by(10) {
        measured(&mut habits, seconds, 900 << 20);
    }
    let unusual = habits.unusual();
    assert_eq!(unusual.len(), 1, "{unusual:?}");
    assert_eq!(unusual[0].metric, Metric::MemoryBytes);
    assert_eq!(unusual[0].value, 900 << 20);
    assert_eq!(unusual[0].title(), "memory");
    let late = unusual[0].since.since(at(begin + 1_800));
    assert!(late <= Duration::from_secs(180), "{late:?}");
    // It goes on, and is usual in the end.
    for seconds in (begin + 2_400..begin + 4 * 3_600).step_by(10) {
        measured(&mut habits, seconds, 900 << 20);
    }
    assert_eq!(habits.unusual(), []);
}

#[test]
fn nothing_is_said_of_what_has_hardly_been_seen() {
    let few = u64::from(LEARNING_SAMPLES) / 2;
    let mut habits = learnt(few);
    for seconds in (few * 60..few * 60 + 3_600).step_by(10) {
        measured(&mut habits, seconds, 900 << 20);
    }
    assert_eq!(habits.unusual(), []);
}

#[test]
fn another_run_begins_without_a_mark_and_what_is_gone_is_forgotten() {
    let mut habits = learnt(1_440);
    let begin = 1_440 * 60;
    for seconds in (begin..begin + 600).step_by(10) {
        measured(&mut habits, seconds, 900 << 20);
    }
    assert_eq!(habits.unusual().len(), 1);
    habits.begin_anew();
    assert_eq!(habits.unusual(), []);
    let later = [Reading::new(Metric::Descriptors, 3)];
    habits.observe(at(begin + 3 * 86_400), &later, false);
    assert_eq!(habits.all.len(), 1);
}
