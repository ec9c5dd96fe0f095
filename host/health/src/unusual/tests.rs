//! What is unusual, and what is not.

use std::time::Duration;

use prunella_core::{
    Timestamp, UnitName,
    health::{ExpectedWork, Metric, Reading},
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
    measured_while(habits, seconds, value, None);
}

fn measured_while(habits: &mut Habits, seconds: u64, value: u64, expected: Option<&ExpectedWork>) {
    let readings = [
        Reading::new(Metric::MemoryBytes, value),
        // Not watched of a service.
        Reading::new(Metric::CpuPermille, value),
    ];
    habits.observe(at(seconds), &readings, false, expected);
}

fn backup(metric: Metric) -> ExpectedWork {
    ExpectedWork {
        unit: UnitName::new("db.service").unwrap(),
        since: at(0),
        until: at(100 * 86_400),
        reason: "backup".to_owned(),
        by: "me".to_owned(),
        metrics: vec![metric],
    }
}

/// All that was learnt.
fn known(habits: &Habits) -> String {
    let all = habits.all.iter().map(|habit| &habit.detector);
    format!("{:?}", all.collect::<Vec<_>>())
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
    habits.observe(at(begin + 3 * 86_400), &later, false, None);
    assert_eq!(habits.all.len(), 1);
}

#[test]
fn what_expected_work_strains_is_neither_marked_nor_learnt() {
    let begin = 1_440 * 60;
    // What was whole before it began.
    let usual_until = |habits: &mut Habits, from: u64, until: u64| {
        for seconds in (from..until).step_by(10) {
            measured(habits, seconds, usual(seconds / 60));
        }
    };
    let mut habits = learnt(1_440);
    usual_until(&mut habits, begin, begin + 610);
    let before = known(&habits);
    // It begins and ends within a minute, and goes on for longer than anything is remembered.
    let work = backup(Metric::MemoryBytes);
    let end = begin + 2 * 86_400 + 1_470;
    for seconds in (begin + 610..end).step_by(10) {
        measured_while(&mut habits, seconds, 900 << 20, Some(&work));
        assert_eq!(habits.unusual(), []);
    }
    usual_until(&mut habits, end, end + 30);
    assert_eq!(known(&habits), before);
    usual_until(&mut habits, end + 30, end + 1_200);
    assert_eq!(habits.unusual(), []);
    // The same without it is unusual as ever.
    for seconds in (end + 1_200..end + 1_800).step_by(10) {
        measured(&mut habits, seconds, 900 << 20);
    }
    assert_eq!(habits.unusual().len(), 1);
}

#[test]
fn what_work_is_not_expected_to_strain_counts_as_ever() {
    let begin = 1_440 * 60;
    let mut habits = learnt(1_440);
    let before = known(&habits);
    let work = backup(Metric::CpuCorePermille);
    for seconds in (begin..begin + 600).step_by(10) {
        measured_while(&mut habits, seconds, 900 << 20, Some(&work));
    }
    assert_eq!(habits.unusual().len(), 1);
    assert_ne!(known(&habits), before);
}
