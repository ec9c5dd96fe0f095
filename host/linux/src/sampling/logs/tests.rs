//! Counting lines, in files that are written here as journald writes them.

use std::{collections::HashMap, fs, path::PathBuf, sync::Arc, time::Duration};

use prunella_core::{
    UnitName,
    health::{Metric, Reading},
};
use rstest::rstest;

use super::*;

/// Flags of an object.
const ZSTD: u8 = 1 << 2;
const LZ4: u8 = 1 << 1;

const HEADER_SIZE: usize = 272;

/// A journal file.
struct Written {
    path: PathBuf,
    bytes: Vec<u8>,
    is_compact: bool,
    tail: usize,
    entries: u64,
    fields: HashMap<String, u64>,
}

impl Written {
    fn new(path: PathBuf, is_compact: bool) -> Self {
        let mut bytes = vec![0; HEADER_SIZE];
        bytes[..8].copy_from_slice(b"LPKSHHRH");
        // Hashed with a key, Zstd, and perhaps compact.
        bytes[12] = 0b1100 | (u8::from(is_compact) << 4);
        bytes[88] = 16;
        bytes[89] = 1;
        let mut written = Self {
            path,
            bytes,
            is_compact,
            tail: 0,
            entries: 0,
            fields: HashMap::new(),
        };
        // A hash table stands at the beginning.
        written.object(4, 0, &[0; 4096]);
        written
    }

    fn object(&mut self, kind: u8, flags: u8, content: &[u8]) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self.tail = self.bytes.len();
        let size = (16 + content.len()) as u64;
        self.bytes.extend([kind, flags, 0, 0, 0, 0, 0, 0]);
        self.bytes.extend(size.to_le_bytes());
        self.bytes.extend(content);
        self.tail as u64
    }

    fn data(&mut self, flags: u8, payload: &[u8]) -> u64 {
        let mut content = vec![0; if self.is_compact { 56 } else { 48 }];
        content.extend(payload);
        self.object(1, flags, &content)
    }

    fn field(&mut self, text: &str) -> u64 {
        if let Some(known) = self.fields.get(text) {
            return *known;
        }
        let at = self.data(0, text.as_bytes());
        self.fields.insert(text.to_owned(), at);
        at
    }

    fn entry_of(&mut self, items: &[u64]) {
        self.entries += 1;
        let mut content = Vec::new();
        // Its number, and the times.
        for number in [self.entries, 1, u64::MAX / 2] {
            content.extend(number.to_le_bytes());
        }
        content.extend([0; 24]);
        for item in items {
            if self.is_compact {
                content.extend(u32::try_from(*item).unwrap().to_le_bytes());
            } else {
                content.extend(item.to_le_bytes());
                content.extend([0; 8]);
            }
        }
        self.object(3, 0, &content);
        // The file's own list of its entries.
        self.object(6, 0, &[0; 40]);
    }

    fn entry(&mut self, fields: &[&str]) {
        let items: Vec<u64> = fields.iter().map(|field| self.field(field)).collect();
        self.entry_of(&items);
    }

    /// A line of a service.
    fn line(&mut self, unit: &str, priority: u8, message: &str) {
        self.entry(&[
            &format!("_SYSTEMD_UNIT={unit}"),
            &format!("PRIORITY={priority}"),
            &format!("MESSAGE={message}"),
            "_TRANSPORT=stdout",
        ]);
    }

    fn save(&mut self) {
        let tail = (self.tail as u64).to_le_bytes();
        let entries = self.entries.to_le_bytes();
        self.bytes[136..144].copy_from_slice(&tail);
        self.bytes[152..160].copy_from_slice(&entries);
        fs::write(&self.path, &self.bytes).unwrap();
    }
}

/// A folder of journals, and who counts what is written into it.
struct Counting {
    folder: tempfile::TempDir,
    sampler: LogSampler,
    now: Duration,
}

const MACHINE: &str = "0123456789abcdef0123456789abcdef";

impl Counting {
    fn new(patterns: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(MACHINE)).unwrap();
        let journal = Arc::new(Journal::in_folder(folder.path(), MACHINE));
        let mut sampler = LogSampler::new(journal);
        let patterns: LogPatterns = patterns
            .iter()
            .map(|(name, pattern)| ((*name).to_owned(), (*pattern).to_owned()))
            .collect();
        sampler.declare(&BTreeMap::from([
            (unit("db.service"), LogPatterns::new()),
            (unit("web.service"), patterns),
        ]));
        Self {
            folder,
            sampler,
            now: Duration::from_secs(1_000),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(MACHINE).join(name)
    }

    /// What is counted of a service after another second.
    fn turn(&mut self, of: &str) -> Vec<(Metric, u64)> {
        self.now += Duration::from_secs(1);
        self.sampler.read(self.now);
        self.sampled(of, 1)
    }

    fn sampled(&mut self, of: &str, run: u64) -> Vec<(Metric, u64)> {
        let mut readings: Vec<Reading> = Vec::new();
        self.sampler.sample(&unit(of), run, self.now, &mut readings);
        readings
            .into_iter()
            .map(|it| (it.metric, it.value))
            .collect()
    }
}

fn unit(name: &str) -> UnitName {
    UnitName::new(name).unwrap()
}

fn counts(lines: u64, errors: u64) -> Vec<(Metric, u64)> {
    vec![
        (Metric::LogLinesPerMinute, lines),
        (Metric::LogErrorsPerMinute, errors),
    ]
}

#[rstest]
#[case::regular(false)]
#[case::compact(true)]
fn lines_are_counted_from_the_first_turn_on(#[case] is_compact: bool) {
    let mut counting = Counting::new(&[]);
    let mut file = Written::new(counting.path("system.journal"), is_compact);
    file.line("web.service", 3, "before");
    file.save();
    assert_eq!(counting.turn("web.service"), counts(0, 0));
    // Its unit and its priority are known from before.
    file.line("web.service", 3, "one");
    file.line("web.service", 6, "two");
    file.line("db.service", 2, "one");
    file.line("other.service", 2, "one");
    file.entry(&["MESSAGE=of nobody", "PRIORITY=1"]);
    file.save();
    assert_eq!(counting.turn("web.service"), counts(2, 1));
    assert_eq!(counting.sampled("db.service", 1), counts(1, 1));
    assert_eq!(counting.turn("web.service"), counts(2, 1));
    assert_eq!(counting.sampled("other.service", 1), []);
}

#[test]
fn nothing_is_known_without_a_journal_of_this_host() {
    let mut counting = Counting::new(&[]);
    assert_eq!(counting.turn("web.service"), []);
    let other = counting
        .folder
        .path()
        .join("ffffffffffffffffffffffffffffffff");
    fs::create_dir(&other).unwrap();
    let mut file = Written::new(other.join("system.journal"), true);
    file.line("web.service", 3, "in a container");
    file.save();
    fs::write(counting.path("system.journal"), "no journal").unwrap();
    assert_eq!(counting.turn("web.service"), []);
}

#[test]
fn lines_that_journald_dropped_count() {
    let mut counting = Counting::new(&[]);
    let mut file = Written::new(counting.path("system.journal"), true);
    file.save();
    counting.turn("web.service");
    file.line("web.service", 3, "one");
    file.entry(&[
        "_TRANSPORT=driver",
        "N_DROPPED=4711",
        "OBJECT_SYSTEMD_UNIT=web.service",
        "_SYSTEMD_UNIT=systemd-journald.service",
    ]);
    // A service can write any field but those that begin with `_`.
    file.entry(&[
        "N_DROPPED=1000000",
        "OBJECT_SYSTEMD_UNIT=web.service",
        "_SYSTEMD_UNIT=db.service",
        "_TRANSPORT=journal",
    ]);
    file.save();
    assert_eq!(counting.turn("web.service"), counts(4_712, 1));
    assert_eq!(counting.sampled("db.service", 1), counts(1, 0));
}

/// As journald packs what is longer than 512 bytes.
fn packed(message: &str) -> [(u8, Vec<u8>); 2] {
    let text = format!("MESSAGE={message}");
    let zstd = ruzstd::encoding::compress_to_vec(
        text.as_bytes(),
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    // One run of literals: how many, 15 in the token, and the rest in bytes.
    let mut lz4 = (text.len() as u64).to_le_bytes().to_vec();
    lz4.push(0xf0);
    let mut left = text.len() - 15;
    while left >= 255 {
        lz4.push(255);
        left -= 255;
    }
    lz4.push(u8::try_from(left).unwrap());
    lz4.extend(text.as_bytes());
    [(ZSTD, zstd), (LZ4, lz4)]
}

#[test]
fn patterns_are_found_in_short_and_in_packed_lines() {
    let mut counting = Counting::new(&[
        ("deadlock", "deadlock * detected"),
        ("full", "queue is full"),
    ]);
    let mut file = Written::new(counting.path("system.journal"), true);
    file.line("web.service", 3, "the queue is full");
    file.save();
    counting.turn("web.service");
    file.line("web.service", 3, "the queue is full");
    file.line("web.service", 3, "the queue is full");
    file.line("web.service", 6, "a deadlock of two was detected");
    file.line("db.service", 6, "a deadlock of two was detected");
    let long = format!("{} deadlock of them was detected", "x ".repeat(400));
    let service = file.field("_SYSTEMD_UNIT=web.service");
    for (flags, bytes) in packed(&long) {
        let message = file.data(flags, &bytes);
        file.entry_of(&[service, message]);
    }
    file.save();
    let mut expected = counts(5, 2);
    expected.push((Metric::LogMatchesPerMinute, 3));
    expected.push((Metric::LogMatchesPerMinute, 2));
    assert_eq!(counting.turn("web.service"), expected);
}

#[test]
fn a_storm_is_counted_whole_and_read_in_part() {
    let mut counting = Counting::new(&[]);
    let mut file = Written::new(counting.path("system.journal"), false);
    file.save();
    counting.turn("web.service");
    let text = "x".repeat(400);
    for number in 0..60_000 {
        let priority = if number % 4 == 0 { 3 } else { 6 };
        file.line("web.service", priority, &format!("{number} {text}"));
    }
    file.save();
    let size = fs::metadata(&file.path).unwrap().len();
    assert!(size > 2 * BUDGET, "{size}");
    let begin = std::time::Instant::now();
    let counted = counting.turn("web.service");
    let took = begin.elapsed();
    assert_eq!(counted[0], (Metric::LogLinesPerMinute, 60_000));
    let errors = counted[1].1;
    assert!((14_900..15_100).contains(&errors), "{errors}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    // What was not read is behind.
    file.line("web.service", 3, "one more");
    file.save();
    assert_eq!(counting.turn("web.service")[0].1, 60_001);
}

#[test]
fn nothing_is_lost_and_nothing_counts_twice_where_a_file_is_rotated() {
    let mut counting = Counting::new(&[]);
    let path = counting.path("system.journal");
    let mut file = Written::new(path.clone(), true);
    file.line("web.service", 6, "before");
    file.save();
    counting.turn("web.service");
    file.line("web.service", 6, "one");
    file.save();
    fs::rename(&path, counting.path("system@1-2-3.journal")).unwrap();
    let mut file = Written::new(path, true);
    file.line("web.service", 6, "two");
    file.line("web.service", 6, "three");
    file.save();
    assert_eq!(counting.turn("web.service"), counts(3, 0));
    assert_eq!(counting.turn("web.service"), counts(3, 0));
}

#[test]
fn what_was_written_while_nothing_was_measured_does_not_count() {
    let mut counting = Counting::new(&[]);
    let mut file = Written::new(counting.path("system.journal"), true);
    file.save();
    counting.turn("web.service");
    file.line("web.service", 6, "one");
    file.save();
    assert_eq!(counting.turn("web.service"), counts(1, 0));
    counting.sampler.begin_anew();
    file.line("web.service", 6, "two");
    file.save();
    assert_eq!(counting.turn("web.service"), counts(0, 0));
    file.line("web.service", 6, "three");
    file.save();
    assert_eq!(counting.turn("web.service"), counts(1, 0));
}

#[test]
fn another_run_begins_with_no_lines() {
    let mut counting = Counting::new(&[]);
    let mut file = Written::new(counting.path("system.journal"), true);
    file.save();
    counting.turn("web.service");
    file.line("web.service", 3, "one");
    file.save();
    assert_eq!(counting.turn("web.service"), counts(1, 1));
    assert_eq!(counting.sampled("web.service", 2), counts(0, 0));
}

#[test]
fn damage_ends_no_counting() {
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(seed >> 33).unwrap() % below
    };
    for _ in 0..300 {
        let mut counting = Counting::new(&[("full", "full")]);
        let mut file = Written::new(counting.path("system.journal"), true);
        file.line("web.service", 3, "the queue is full");
        file.save();
        counting.turn("web.service");
        for number in 0..20 {
            file.line("web.service", 3, &format!("the queue is full {number}"));
        }
        file.save();
        let whole = file.bytes.clone();
        for _ in 0..4 {
            let at = HEADER_SIZE + random(whole.len() - HEADER_SIZE);
            file.bytes[at] = u8::try_from(random(256)).unwrap();
        }
        file.save();
        counting.turn("web.service");
        file.bytes = whole;
        file.line("web.service", 3, "after it");
        file.save();
        // A field that was looked at while it was damaged is not looked at again.
        let before = counting.sampled("web.service", 1)[0].1;
        let counted = counting.turn("web.service")[0].1;
        assert!((before..=before + 1).contains(&counted), "{counted}");
    }
}

#[test]
fn errors_of_gpus_are_the_kernel_s_own_words() {
    let mut counting = Counting::new(&[]);
    counting.sampler.look_for_gpu_errors(true);
    let mut file = Written::new(counting.path("system.journal"), true);
    file.save();
    counting.turn("web.service");
    let lost = "MESSAGE=NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.";
    file.entry(&["_TRANSPORT=kernel", "PRIORITY=3", lost]);
    file.entry(&["_TRANSPORT=kernel", "PRIORITY=6", "MESSAGE=eth0: link up"]);
    // Anybody can say so.
    file.entry(&["_TRANSPORT=stdout", "_SYSTEMD_UNIT=web.service", lost]);
    file.save();
    counting.turn("web.service");
    let mut errors = |after: u64| {
        let known = Reading::new(Metric::GpuTemperatureCelsius, 41).in_instance("0000:af:00");
        let mut readings = vec![known];
        let now = counting.now + Duration::from_secs(after);
        counting.sampler.gpu_errors(now, &mut readings);
        let readings = readings.into_iter().skip(1);
        readings
            .map(|it| (it.instance.unwrap(), it.value))
            .collect::<Vec<_>>()
    };
    let [lost, other] = ["0000:3b:00", "0000:af:00"].map(str::to_owned);
    assert_eq!(errors(3_599), [(lost.clone(), 1), (other.clone(), 0)]);
    assert_eq!(errors(3_600), [(lost, 0), (other, 0)]);
}
