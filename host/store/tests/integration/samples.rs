//! What was measured, and how much room it takes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of a test may panic as the test itself may"
)]

use std::{path::Path, time::Duration};

use prunella_core::{
    Timestamp, UnitName,
    health::{Metric, Series, Subject},
};
use prunella_store::samples::{Measured, Minute, SampleStore};

const SIZE: u64 = 64 << 20;

/// Midnight.
const BEGIN: u32 = 20_000 * 24 * 60;

fn web() -> Subject {
    UnitName::new("web.service").unwrap().into()
}

fn series(metric: Metric) -> Series {
    Series {
        subject: web(),
        metric,
        instance: None,
    }
}

fn at(minute: u32) -> Timestamp {
    Timestamp::from_millis(u64::from(minute) * 60_000)
}

/// Writes a minute of six values of each of these.
fn write(
    samples: &mut SampleStore,
    number: u32,
    values: &[(Series, [Option<u64>; 6])],
    max_size: u64,
) {
    let minute = Minute {
        number,
        interval: Duration::from_secs(10),
        slots: 6,
        values: values
            .iter()
            .map(|(series, values)| Measured::of(series, values))
            .collect(),
    };
    samples.write(&minute, max_size).unwrap();
}

/// Each value is the number of the minute since the beginning, the last of it six more.
fn write_number(samples: &mut SampleStore, number: u32) {
    let value = u64::from(number - BEGIN);
    let mut slots = [Some(value); 6];
    slots[5] = Some(value + 6);
    write(samples, number, &[(series(Metric::Tasks), slots)], SIZE);
}

/// Answers with the number of the last minute.
fn write_nine_days(samples: &mut SampleStore) -> u32 {
    let end = BEGIN + 9 * 24 * 60;
    for number in BEGIN..=end {
        write_number(samples, number);
    }
    end
}

fn store(path: &Path) -> SampleStore {
    SampleStore::open(path).unwrap()
}

#[test]
fn each_tier_has_its_values_and_a_new_process_has_them_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.db");
    let mut writing = store(&path);
    let end = write_nine_days(&mut writing);
    drop(writing);
    let reading = SampleStore::open_read_only(&path).unwrap();
    let until = at(end + 1);
    let history = |since| {
        let mut found = reading
            .history(&web(), Metric::Tasks, since, until)
            .unwrap();
        assert_eq!(found.len(), 1);
        found.remove(0).points
    };
    let hour = history(at(end - 59));
    assert_eq!(hour.len(), 360);
    assert_eq!(hour[1].at.since(hour[0].at), Duration::from_secs(10));
    let day = history(at(end - 24 * 60));
    assert_eq!(day.len(), 24 * 60 + 1);
    let value = u64::from(end - 24 * 60 - BEGIN);
    assert_eq!(
        (day[0].min, day[0].mean, day[0].max),
        (value, value + 1, value + 6)
    );
    // What is kept more coarsely by now is as it is kept.
    let past = |since| {
        let until = at(since + 59);
        let found = reading.history(&web(), Metric::Tasks, at(since), until);
        found.unwrap().remove(0).points
    };
    let yesterday = past(end - 24 * 60);
    assert_eq!(yesterday.len(), 60);
    assert_eq!(yesterday[0], day[0]);
    let last_week = past(BEGIN + 24 * 60);
    assert_eq!(last_week.len(), 4);
    assert_eq!(last_week[0].at, at(BEGIN + 24 * 60));
    let all = history(at(BEGIN));
    assert_eq!(all.len(), 9 * 24 * 4 + 1);
    assert_eq!((all[0].min, all[0].max), (0, 14 + 6));
    assert_eq!(all[1].at.since(all[0].at), Duration::from_secs(900));
    let latest = reading.latest().unwrap();
    assert_eq!(latest[0].value, u64::from(end - BEGIN) + 6);
    assert_eq!(latest[0].at.since(at(end)), Duration::from_secs(50));
}

#[test]
fn a_gap_stays_one_and_a_minute_in_two_pieces_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut samples = store(&folder.path().join("metrics.db"));
    let memory = || series(Metric::MemoryBytes);
    let first = [Some(4 << 20), None, None, None, None, None];
    let gone = (
        series(Metric::Tasks),
        [Some(3), None, None, None, None, None],
    );
    write(&mut samples, BEGIN, &[gone, (memory(), first)], SIZE);
    // The daemon began anew within the minute.
    let second = [None, None, None, Some(8 << 20), None, None];
    write(&mut samples, BEGIN, &[(memory(), second)], SIZE);
    let found = samples
        .history(&web(), Metric::MemoryBytes, at(BEGIN), at(BEGIN + 1))
        .unwrap();
    let values: Vec<u64> = found[0].points.iter().map(|point| point.mean).collect();
    assert_eq!(values, [4 << 20, 8 << 20]);
    let apart = found[0].points[1].at.since(found[0].points[0].at);
    assert_eq!(apart, Duration::from_secs(30));
    let tasks = samples
        .history(&web(), Metric::Tasks, at(BEGIN), at(BEGIN + 1))
        .unwrap();
    assert_eq!(
        tasks[0].points.len(),
        1,
        "what is not measured any more stays"
    );
}

#[test]
fn a_damaged_file_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.db");
    std::fs::write(&path, vec![7; 8192]).unwrap();
    let mut samples = store(&path);
    write_number(&mut samples, BEGIN);
    assert_eq!(samples.latest().unwrap().len(), 1);
}

#[test]
fn it_stays_within_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.db");
    let mut samples = store(&path);
    let mut state = 1_u64;
    for number in BEGIN..BEGIN + 3 * 24 * 60 {
        let values: Vec<(Series, [Option<u64>; 6])> = (0..40)
            .map(|which| {
                let one = Series {
                    instance: Some(which.to_string()),
                    ..series(Metric::DiskFreeBytes)
                };
                let values = [(); 6].map(|()| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    Some(state)
                });
                (one, values)
            })
            .collect();
        write(&mut samples, number, &values, 1 << 20);
    }
    let size = std::fs::metadata(&path).unwrap().len();
    assert!(size < 2 << 20, "{size}");
    let kept = samples
        .history(
            &web(),
            Metric::DiskFreeBytes,
            at(BEGIN + 3 * 24 * 60 - 30),
            at(BEGIN + 3 * 24 * 60),
        )
        .unwrap();
    assert!(
        kept.iter().all(|one| one.points.len() == 180),
        "the latest stay"
    );
}

#[test]
fn what_all_of_them_were_by_minutes_is_what_each_of_them_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut samples = store(&folder.path().join("metrics.db"));
    let of = |subject: Subject, metric| Series {
        subject,
        ..series(metric)
    };
    // An hour that has rows, and a part of one that has none yet.
    let end = BEGIN + 90;
    for number in BEGIN..end {
        let slots = [Some(u64::from(number)); 6];
        let all = [
            (of(web(), Metric::Tasks), slots),
            (of(Subject::Host, Metric::Tasks), slots.map(|_| Some(7))),
            (of(web(), Metric::Processes), slots),
        ];
        write(&mut samples, number, &all, SIZE);
    }
    let (since, until) = (at(BEGIN + 10), at(end + 60));
    let heard = |wanted: fn(&Subject) -> bool| {
        let mut heard = Vec::new();
        samples
            .each_by_minute(Metric::Tasks, since, until, wanted, |past| heard.push(past))
            .unwrap();
        heard.sort_by(|a, b| a.series.subject.cmp(&b.series.subject));
        heard
    };
    let asked = |subject| samples.history(&subject, Metric::Tasks, since, until);
    let mut all = asked(Subject::Host).unwrap();
    all.extend(asked(web()).unwrap());
    all.sort_by(|a, b| a.series.subject.cmp(&b.series.subject));
    assert_eq!(heard(|_| true), all);
    assert!(all.iter().all(|one| one.points.len() == 80), "{all:?}");
    assert_eq!(heard(|subject| *subject == web()), asked(web()).unwrap());
}

#[test]
fn steps_are_as_fine_as_they_are_kept_and_none_is_there_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.db");
    let mut writing = store(&path);
    let end = write_nine_days(&mut writing);
    let reading = SampleStore::open_read_only(&path).unwrap();
    let all = reading.steps(&web(), at(BEGIN), at(end + 1)).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].series, series(Metric::Tasks));
    let steps = &all[0].steps;
    let spans: Vec<u64> = steps.iter().map(|step| step.span.as_secs()).collect();
    assert_eq!(spans.iter().copied().max(), Some(900));
    assert!(spans.is_sorted_by(|a, b| a >= b), "finer and finer");
    for (earlier, later) in steps.iter().zip(steps.iter().skip(1)) {
        let ended = earlier.point.at.saturating_add(earlier.span);
        assert_eq!(ended, later.point.at, "without a gap, and none twice");
    }
    let count = |span| spans.iter().filter(|one| **one == span).count();
    assert!(
        count(10) >= 60 * 6 && count(60) >= 6 * 24 * 60,
        "{}",
        spans.len()
    );
    assert_eq!(steps[0].point.at, at(BEGIN));
    assert_eq!((steps[0].point.min, steps[0].point.max), (0, 20));
    let last = steps.last().unwrap().point;
    assert_eq!(last.max, u64::from(end - BEGIN) + 6);
    // From within the days of quarters on.
    let since = at(BEGIN + 24 * 60);
    let later = reading.steps(&web(), since, at(end + 1)).unwrap();
    assert_eq!(later[0].steps[0].point.at, since);
}
