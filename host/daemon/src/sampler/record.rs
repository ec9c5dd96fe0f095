//! What was measured and is not written yet, and the file that it is written to.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use prunella_core::{
    Timestamp,
    health::{Metric, Point, Reading, Series, Subject},
};
use prunella_store::{
    StoreError,
    samples::{Latest, Measured, Minute, SampleStore, SeriesHistory},
};

const MINUTE_MS: u64 = 60_000;

/// A series of which nothing was heard for so many minutes is no longer looked out for.
const FORGOTTEN_AFTER: u64 = 5 * MINUTE_MS;

/// The minute that is not over yet.
pub(super) struct Record {
    path: PathBuf,
    /// Opened with the first write.
    store: Option<SampleStore>,
    /// Whether trouble with the file was told.
    is_told: bool,
    minute: u64,
    interval: Duration,
    slots: usize,
    series: BTreeMap<Subject, Vec<Recorded>>,
}

/// One series of a subject. There are many thousands of them: they share the subject's name.
#[derive(Debug)]
struct Recorded {
    metric: Metric,
    instance: Option<Box<str>>,
    /// This minute's values.
    slots: Box<[Option<u64>]>,
    at: Timestamp,
    value: u64,
}

impl Recorded {
    fn series(&self, subject: &Subject) -> Series {
        Series {
            subject: subject.clone(),
            metric: self.metric,
            instance: self.instance.as_deref().map(str::to_owned),
        }
    }
}

impl Record {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            store: None,
            is_told: false,
            minute: 0,
            interval: Duration::ZERO,
            slots: 0,
            series: BTreeMap::new(),
        }
    }

    /// Values of this time follow: where it is another minute, the one before is written.
    pub(super) fn begin(&mut self, at: Timestamp, interval: Duration, max_size: u64) {
        let minute = at.as_millis() / MINUTE_MS;
        if minute == self.minute && interval == self.interval {
            return;
        }
        self.flush(max_size);
        self.minute = minute;
        self.interval = interval;
        let interval_ms = u64::try_from(interval.as_millis())
            .unwrap_or(MINUTE_MS)
            .max(1);
        self.slots = usize::try_from(MINUTE_MS.div_ceil(interval_ms)).unwrap_or(1);
        let oldest = at.as_millis().saturating_sub(FORGOTTEN_AFTER);
        for series in self.series.values_mut() {
            series.retain(|one| one.at.as_millis() >= oldest);
            for one in series {
                if one.slots.len() == self.slots {
                    one.slots.fill(None);
                } else {
                    one.slots = vec![None; self.slots].into();
                }
            }
        }
        self.series.retain(|_, series| !series.is_empty());
    }

    pub(super) fn add(&mut self, subject: &Subject, at: Timestamp, readings: &[Reading]) {
        let interval_ms = self.interval.as_millis().max(1);
        let within = u128::from(at.as_millis() % MINUTE_MS);
        let slot = usize::try_from(within / interval_ms).unwrap_or(usize::MAX);
        let series = match self.series.get_mut(subject) {
            Some(series) => series,
            None => self.series.entry(subject.clone()).or_default(),
        };
        for reading in readings {
            let known = series.iter_mut().find(|one| {
                one.metric == reading.metric
                    && one.instance.as_deref() == reading.instance.as_deref()
            });
            let one = match known {
                Some(one) => one,
                None => {
                    series.reserve_exact(1);
                    series.push(Recorded {
                        metric: reading.metric,
                        instance: reading.instance.as_deref().map(Box::from),
                        slots: vec![None; self.slots].into(),
                        at,
                        value: reading.value,
                    });
                    let Some(one) = series.last_mut() else {
                        continue;
                    };
                    one
                }
            };
            (one.at, one.value) = (at, reading.value);
            if let Some(value) = one.slots.get_mut(slot) {
                *value = Some(reading.value);
            }
        }
    }

    /// Writes what there is of this minute.
    pub(super) fn flush(&mut self, max_size: u64) {
        let values: Vec<Measured<'_>> = self
            .series
            .iter()
            .flat_map(|(subject, series)| series.iter().map(move |one| (subject, one)))
            .filter(|(_, one)| one.slots.iter().any(Option::is_some))
            .map(|(subject, one)| Measured {
                subject,
                metric: one.metric,
                instance: one.instance.as_deref(),
                values: &one.slots,
            })
            .collect();
        if values.is_empty() {
            return;
        }
        let minute = Minute {
            number: u32::try_from(self.minute).unwrap_or(u32::MAX),
            interval: self.interval,
            slots: self.slots,
            values,
        };
        let written = open(&mut self.store, &self.path)
            .and_then(|store| store.write(&minute, max_size))
            .or_else(|error| {
                if !error.is_damage() {
                    return Err(error);
                }
                // Closed first: SQLite removes its log when it closes a file, by the name.
                self.store = None;
                let anew = SampleStore::begin_anew(&self.path, &error)?;
                self.store.insert(anew).write(&minute, max_size)
            });
        match written {
            Ok(()) => self.is_told = false,
            Err(error) => {
                // It may work again with the next minute.
                self.store = None;
                if !std::mem::replace(&mut self.is_told, true) {
                    let error = crate::explained(&error);
                    tracing::warn!("what is measured is not kept: {error}");
                }
            }
        }
    }

    /// The latest value of each series, of one subject or of all.
    pub(super) fn latest(&self, subject: Option<&Subject>) -> Vec<Latest> {
        self.series
            .iter()
            .filter(|(of, _)| subject.is_none_or(|asked| asked == *of))
            .flat_map(|(subject, series)| series.iter().map(move |one| (subject, one)))
            .map(|(subject, one)| Latest {
                series: one.series(subject),
                at: one.at,
                value: one.value,
            })
            .collect()
    }

    /// What a metric was, from the file and from this minute.
    pub(super) fn history(
        &mut self,
        subject: &Subject,
        metric: Metric,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<SeriesHistory>, StoreError> {
        let mut found = match open(&mut self.store, &self.path) {
            Ok(store) => store.history(subject, metric, since, until)?,
            // What is not kept can still be shown as long as it is here.
            Err(error) => {
                tracing::debug!("what was measured cannot be read: {error}");
                Vec::new()
            }
        };
        let begin = self.minute * MINUTE_MS;
        let interval_ms = u64::try_from(self.interval.as_millis()).unwrap_or(MINUTE_MS);
        let here = self.series.get(subject).into_iter().flatten();
        for one in here.filter(|one| one.metric == metric) {
            let series = one.series(subject);
            let place = match found.iter().position(|known| known.series == series) {
                Some(place) => place,
                None => {
                    found.push(SeriesHistory {
                        series,
                        points: Vec::new(),
                    });
                    found.len() - 1
                }
            };
            let Some(history) = found.get_mut(place) else {
                continue;
            };
            let last = history.points.last().map(|point| point.at);
            let values = one.slots.iter().enumerate();
            history.points.extend(values.filter_map(|(slot, value)| {
                let at = Timestamp::from_millis(begin + slot as u64 * interval_ms);
                let value = (*value)?;
                let is_new = last.is_none_or(|last| at > last) && at >= since && at <= until;
                is_new.then_some(Point {
                    at,
                    mean: value,
                    min: value,
                    max: value,
                })
            }));
        }
        Ok(found)
    }
}

fn open<'s>(
    store: &'s mut Option<SampleStore>,
    path: &Path,
) -> Result<&'s mut SampleStore, StoreError> {
    match store {
        Some(store) => Ok(store),
        None => Ok(store.insert(SampleStore::open(path)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 64 << 20;
    const INTERVAL: Duration = Duration::from_secs(10);

    /// Half an hour after midnight, at so many seconds.
    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis((20_000 * 86_400 + 1_800 + seconds) * 1_000)
    }

    fn measured(record: &mut Record, seconds: u64, value: u64) {
        record.begin(at(seconds), INTERVAL, SIZE);
        let reading = Reading::new(Metric::Processes, value);
        record.add(&Subject::Host, at(seconds), &[reading]);
    }

    fn values(record: &mut Record, until: u64) -> Vec<u64> {
        let found = record
            .history(&Subject::Host, Metric::Processes, at(0), at(until))
            .unwrap();
        let points = found.iter().flat_map(|one| &one.points);
        points.map(|point| point.mean).collect()
    }

    #[test]
    fn what_is_not_written_yet_is_there_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.db");
        let mut record = Record::new(path.clone());
        for number in 0..9 {
            measured(&mut record, number * 10, number);
        }
        assert_eq!(values(&mut record, 90), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let latest = record.latest(None);
        assert_eq!((latest.len(), latest[0].value), (1, 8));
        // Only the minute that is over was written.
        let mut other = Record::new(path.clone());
        assert_eq!(values(&mut other, 90).len(), 6);
        record.flush(SIZE);
        assert_eq!(values(&mut other, 90).len(), 9);
    }

    #[test]
    fn a_clock_that_was_put_back_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut record = Record::new(folder.path().join("metrics.db"));
        measured(&mut record, 0, 1);
        measured(&mut record, 10, 2);
        measured(&mut record, 70, 3);
        measured(&mut record, 20, 4);
        measured(&mut record, 80, 5);
        assert_eq!(values(&mut record, 90), [1, 2, 4, 3, 5]);
    }

    #[test]
    fn a_file_whose_damage_shows_late_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.db");
        let mut record = Record::new(path.clone());
        measured(&mut record, 0, 1);
        record.flush(SIZE);
        drop(record);
        // The first page, which is all that is read when it is opened, stays as it is.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[4_096..].fill(0xff);
        std::fs::write(&path, bytes).unwrap();
        let mut record = Record::new(path.clone());
        measured(&mut record, 60, 2);
        record.flush(SIZE);
        assert!(!record.is_told);
        let mut other = Record::new(path);
        assert_eq!(values(&mut other, 90), [2]);
    }

    #[test]
    fn trouble_with_the_file_keeps_nothing_from_being_measured() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.db");
        std::fs::create_dir(&path).unwrap();
        let mut record = Record::new(path);
        measured(&mut record, 0, 1);
        measured(&mut record, 60, 2);
        assert!(record.is_told);
        assert_eq!(values(&mut record, 90), [2]);
        assert_eq!(record.latest(Some(&Subject::Host))[0].value, 2);
    }
}
