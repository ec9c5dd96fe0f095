//! 13 months of one service, written minute by minute as the daemon does: how large the file
//! is then.
//!
//! `cargo bench -p prunella-store --bench months`

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a benchmark that cannot run says so by a panic"
)]

use std::{
    env,
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use prunella_core::{
    UnitName,
    health::{Metric, Quantity, Series, Subject},
};
use prunella_store::samples::{Measured, Minute, SampleStore};

/// 13 months, and a bit: so many days are kept.
const DAYS: u32 = 396;

const MINUTES_IN_DAY: u32 = 24 * 60;

/// Every ten seconds.
const SLOTS: usize = 6;
const INTERVAL: Duration = Duration::from_secs(10);

/// More than is needed: the file is to be as large as it gets.
const MAX_SIZE: u64 = 1 << 30;

/// What is measured of a service with controllers and a probe.
const METRICS: [Metric; 18] = [
    Metric::CpuPermille,
    Metric::CpuCorePermille,
    Metric::ThrottledPermille,
    Metric::MemoryBytes,
    Metric::MemoryPermille,
    Metric::SwapBytes,
    Metric::Tasks,
    Metric::TasksPermille,
    Metric::PressureCpuPermille,
    Metric::PressureMemoryPermille,
    Metric::PressureIoPermille,
    Metric::IoReadBytesPerSecond,
    Metric::IoWriteBytesPerSecond,
    Metric::OomKills,
    Metric::Processes,
    Metric::Descriptors,
    Metric::DescriptorsPermille,
    Metric::LatencyMs,
];

fn main() {
    // `cargo test` runs it too, to see that it works.
    let real = env::args().any(|argument| argument == "--bench");
    let days = if real { DAYS } else { 2 };
    for (case, restless) in [("by day and night", false), ("never the same value", true)] {
        let folder = tempfile::tempdir_in(quick()).unwrap();
        let path = folder.path().join("metrics.db");
        let began = Instant::now();
        fill(&path, days, restless);
        let bytes: u64 = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        println!(
            "{case}: {days} days take {:.1} MB; written in {:.0} s",
            bytes as f64 / 1e6,
            began.elapsed().as_secs_f64()
        );
        report(case, bytes);
    }
}

/// The writes of 13 months wait for no disk.
fn quick() -> std::path::PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        memory.to_owned()
    } else {
        env::temp_dir()
    }
}

fn fill(path: &Path, days: u32, restless: bool) {
    let subject = Subject::from(UnitName::new("shop.service").unwrap());
    let series: Vec<Series> = METRICS
        .into_iter()
        .map(|metric| Series {
            subject: subject.clone(),
            metric,
            instance: None,
        })
        .collect();
    let mut store = SampleStore::open(path).unwrap();
    let mut chance = Chance(1);
    // From a midnight on.
    let first = 20_000 * MINUTES_IN_DAY;
    for minute in 0..days * MINUTES_IN_DAY {
        let values: Vec<[Option<u64>; SLOTS]> = METRICS
            .into_iter()
            .map(|metric| {
                std::array::from_fn(|_| Some(value(metric, minute, restless, &mut chance)))
            })
            .collect();
        store
            .write(
                &Minute {
                    number: first + minute,
                    interval: INTERVAL,
                    slots: SLOTS,
                    values: series
                        .iter()
                        .zip(&values)
                        .map(|(series, values)| Measured::of(series, values))
                        .collect(),
                },
                MAX_SIZE,
            )
            .unwrap();
    }
}

/// A value that goes with the time of day, and around that by chance; or by chance alone.
fn value(metric: Metric, minute: u32, restless: bool, chance: &mut Chance) -> u64 {
    let most: u64 = match metric.quantity() {
        Quantity::Permille => 1_000,
        Quantity::Bytes | Quantity::BytesPerSecond => 1 << 30,
        _ => 10_000,
    };
    if restless {
        return chance.below(most);
    }
    let hour = u64::from(minute / 60 % 24);
    let busy = if (8..20).contains(&hour) { 3 } else { 1 };
    match metric {
        // Most services are never short of anything.
        Metric::ThrottledPermille
        | Metric::SwapBytes
        | Metric::PressureMemoryPermille
        | Metric::OomKills => 0,
        Metric::Tasks | Metric::Processes | Metric::TasksPermille => 12 + busy,
        _ => most / 10 * busy + chance.below(most / 50),
    }
}

/// Numbers that look like chance, and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most.max(1)
    }
}

/// A line of JSON for whoever asked for one.
fn report(case: &str, bytes: u64) {
    let Some(path) = env::var_os("PRUNELLA_BENCH_JSON") else {
        return;
    };
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    writeln!(file, r#"{{"case":"{case}","bytes":{bytes}}}"#).unwrap();
}
