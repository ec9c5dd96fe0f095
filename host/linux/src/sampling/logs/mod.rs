//! How much services write to the journal: lines, errors, and lines with the operator's
//! patterns, counted over the last minute.
//!
//! At each sample the files that journald writes to are read on from where they were read
//! to, once for all services. Lines are counted, and nothing of them is kept. With nothing
//! in care, or nothing measured, nothing is read.
//!
//! Why not `journalctl --follow`, or a query from a cursor on: for 100,000 lines, `journalctl
//! --output=json` with three fields takes 0.9 s of processor time, in a process that wakes with
//! every line, and somebody has to read its JSON. The journal's library (`sdjournal`) reads each
//! field of each entry by a call of its own, and takes 2.9 s. Reading on takes 0.03 s; where
//! nothing was written, a call for each file.
//!
//! A storm of lines costs no more than [`BUDGET`] bytes of reading at each sample. How many
//! entries a file has stands in its header, so what lies beyond is counted, too: as more of
//! what was read.

mod block;
mod field;
mod file;
mod gpu_errors;
#[cfg(test)]
mod tests;
mod window;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use prunella_core::{
    UnitName,
    health::{Metric, Reading},
};
use rustix::time::{ClockId, clock_gettime};

use self::{
    field::Fields,
    file::{Begin, Followed},
    gpu_errors::GpuErrors,
    window::{Tally, Window},
};
use crate::journal::Journal;

/// So much of all files is read at each sample: some 20,000 lines.
const BUDGET: u64 = 16 << 20;

/// What is looked for in the lines of services: the operator's name and pattern of each.
pub type LogPatterns = BTreeMap<String, String>;

/// Counts what services write to the journal.
#[derive(Debug)]
pub struct LogSampler {
    journal: Arc<Journal>,
    subjects: Vec<Subject>,
    fields: Fields,
    files: BTreeMap<PathBuf, Followed>,
    /// When they were read last: a monotonic time, in microseconds.
    read_at: Option<u64>,
    /// Files that cannot be read, which was told.
    told: BTreeSet<PathBuf>,
    buffer: Vec<u8>,
    gpus: GpuErrors,
}

/// A service whose lines are counted, and what it has written within the last minute.
#[derive(Debug)]
struct Subject {
    unit: UnitName,
    patterns: LogPatterns,
    window: Window,
    /// The run whose lines the window has.
    run: Option<u64>,
}

impl LogSampler {
    pub(crate) fn new(journal: Arc<Journal>) -> Self {
        Self {
            journal,
            subjects: Vec::new(),
            fields: Fields::default(),
            files: BTreeMap::new(),
            read_at: None,
            told: BTreeSet::new(),
            buffer: Vec::new(),
            gpus: GpuErrors::default(),
        }
    }

    /// Whether errors of GPUs are looked for in the kernel's lines.
    pub fn look_for_gpu_errors(&mut self, is_on: bool) {
        if self.fields.kernel != is_on {
            self.fields.kernel = is_on;
            self.files.values_mut().for_each(Followed::forget_fields);
        }
    }

    /// Errors within the last hour of each GPU that `readings` has, and of those that had any,
    /// after that; nothing where no journal can be read.
    pub fn gpu_errors(&mut self, now: Duration, readings: &mut Vec<Reading>) {
        if self.fields.kernel && !self.files.is_empty() {
            self.gpus.sample(now, readings);
        }
    }

    /// Nothing was read for a while: what was written meanwhile does not count.
    pub fn begin_anew(&mut self) {
        self.files.clear();
        self.read_at = None;
        for subject in &mut self.subjects {
            subject.window = Window::default();
        }
    }

    /// Whose lines count from now on, by name.
    pub fn declare(&mut self, services: &BTreeMap<UnitName, LogPatterns>) {
        let is_same = self
            .subjects
            .iter()
            .map(|it| (&it.unit, &it.patterns))
            .eq(services);
        if is_same {
            return;
        }
        let mut before: BTreeMap<UnitName, Subject> = self
            .subjects
            .drain(..)
            .map(|it| (it.unit.clone(), it))
            .collect();
        for (unit, patterns) in services {
            let known = before.remove(unit).filter(|it| it.patterns == *patterns);
            self.subjects.push(known.unwrap_or_else(|| Subject {
                unit: unit.clone(),
                patterns: patterns.clone(),
                window: Window::default(),
                run: None,
            }));
        }
        let kernel = self.fields.kernel;
        self.fields = Fields::new(self.subjects.iter().map(|it| {
            let patterns = it.patterns.values().map(String::as_str).collect();
            (&it.unit, patterns)
        }));
        self.fields.kernel = kernel;
        self.files.values_mut().for_each(Followed::forget_fields);
    }

    /// Counts what has come since the call before. `now` is the time since boot.
    pub fn read(&mut self, now: Duration) {
        let mut budget = BUDGET;
        let monotonic = clock_gettime(ClockId::Monotonic);
        let monotonic =
            monotonic.tv_sec.unsigned_abs() * 1_000_000 + monotonic.tv_nsec.unsigned_abs() / 1_000;
        let begin = self
            .read_at
            .replace(monotonic)
            .map_or(Begin::AtItsEnd, Begin::Since);
        let paths = written_to(&self.journal);
        self.files.retain(|path, _| paths.contains(path));
        self.told.retain(|path| paths.contains(path));
        let mut tallies = BTreeMap::new();
        for path in paths {
            let Ok(about) = fs::metadata(&path) else {
                continue;
            };
            let is_same = |file: &Followed| file.id() == (about.dev(), about.ino());
            // Where journald has begun another, the rest of the one before still counts.
            let rotated = self
                .files
                .get(&path)
                .is_some_and(|known| !is_same(known))
                .then(|| self.files.remove(&path))
                .flatten();
            if let Some(mut file) = rotated {
                self.count(&path, &mut file, &mut budget, now, &mut tallies);
            }
            let known = match self.files.remove(&path) {
                Some(known) => Ok(known),
                None => Followed::open(&path, begin),
            };
            match known {
                Ok(mut file) => {
                    self.count(&path, &mut file, &mut budget, now, &mut tallies);
                    self.files.insert(path, file);
                }
                Err(error) => self.tell(&path, &error),
            }
        }
        for (number, tally) in tallies {
            if let Some(subject) = self.subjects.get_mut(number) {
                subject.window.push(now, tally);
            }
        }
    }

    fn count(
        &mut self,
        path: &Path,
        file: &mut Followed,
        budget: &mut u64,
        now: Duration,
        tallies: &mut BTreeMap<usize, Tally>,
    ) {
        match file.read(&self.fields, &mut self.buffer, budget) {
            Ok(found) => {
                self.gpus.add(now, found.ill_gpus);
                for (subject, tally) in found.tallies {
                    tallies.entry(subject).or_default().add(&tally);
                }
            }
            Err(error) => self.tell(path, &error),
        }
    }

    fn tell(&mut self, path: &Path, error: &std::io::Error) {
        if self.told.insert(path.to_owned()) {
            tracing::debug!("{} cannot be followed: {error}", path.display());
        }
    }

    /// What a run of a service has written within the last minute, after what `readings`
    /// has; nothing where no journal can be read.
    pub fn sample(
        &mut self,
        unit: &UnitName,
        run: u64,
        now: Duration,
        readings: &mut Vec<Reading>,
    ) {
        if self.files.is_empty() {
            return;
        }
        let Ok(number) = self.subjects.binary_search_by(|it| it.unit.cmp(unit)) else {
            return;
        };
        let Some(subject) = self.subjects.get_mut(number) else {
            return;
        };
        if subject.run.replace(run).is_some_and(|before| before != run) {
            subject.window = Window::default();
        }
        let sum = subject.window.sum(now);
        readings.push(Reading::new(Metric::LogLinesPerMinute, sum.lines));
        readings.push(Reading::new(Metric::LogErrorsPerMinute, sum.errors));
        for (pattern, name) in subject.patterns.keys().enumerate() {
            let count = sum.matches.get(pattern).copied().unwrap_or(0);
            let reading = Reading::new(Metric::LogMatchesPerMinute, count);
            readings.push(reading.in_instance(name.clone()));
        }
    }
}

/// The files that journald appends to: those of the system, of users, and of namespaces. One
/// that it has closed for good has an `@` in its name.
fn written_to(journal: &Journal) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for folder in journal.directories(true) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let is_closed = name.as_encoded_bytes().contains(&b'@');
            if !is_closed && path.extension() == Some(OsStr::new("journal")) {
                files.insert(path);
            }
        }
    }
    files
}
